//! What the operator does about people: erase somebody.

use super::{EraseArguments, Failure, tools};
use crate::{
    clock::Clock,
    commands::{Caller, erasure::Erasure},
    domain::{Actor, GlobalId, UserId, values::Email},
    entropy::Entropy,
    store::{Database, Store, append::Origin, users},
};

pub(super) async fn erase(arguments: &EraseArguments) -> Result<(), Failure> {
    let person = &arguments.person;
    let database = tools::existing(&arguments.store).await?;
    let user = find(&database, person).await?;
    let store = Store::open(database, Clock::System, Entropy::from_machine()).await?;
    let files = tools::files(&arguments.store, arguments.files_url.as_deref())?;
    let files = files.with_letters(arguments.store.data_dir.join("mail"));
    let origin = Origin { request_id: store.entropy.uuid().to_string(), ..Origin::default() };
    let caller = Caller { actor: Actor::Operator, origin };
    let refusals = Erasure { store: store.clone(), files }.erase(&caller, user).await?;
    store.database.close().await;
    if refusals.is_empty() {
        println!("{} is erased.", GlobalId::User(user));
        return Ok(());
    }
    let sentences: Vec<_> = refusals.iter().map(|refusal| format!("{}: {refusal}", refusal.code())).collect();
    Err(format!("{} is not erased. {}", GlobalId::User(user), sentences.join(" ")).into())
}

/// The person of an id or an address.
async fn find(database: &Database, person: &str) -> Result<UserId, Failure> {
    let found = match (person.parse(), person.parse::<Email>()) {
        (Ok(GlobalId::User(user)), _) => users::find(database, user).await?,
        (_, Ok(email)) => users::find_by_email(database, &email).await?,
        _ => {
            return Err(
                format!("{person} is neither the id of a person, which looks like usr_…, nor an address").into()
            );
        }
    };
    Ok(UserId(found.ok_or_else(|| format!("nobody is known as {person}"))?.user_id))
}
