//! Who people are at an identity provider: a person is bound to the provider's name of them, once and for good. An
//! address binds nobody again, because addresses are given to other people.

use uuid::Uuid;

use super::{
    Database, Error,
    statement::Statement,
    users::{self, COLUMNS, NewUser, UserRow},
};
use crate::domain::Timestamp;

/// An identity to bind to the person of an address.
pub struct NewIdentity<'a> {
    /// The person's row, if their address has none yet.
    pub user: NewUser,
    /// The provider.
    pub issuer: &'a str,
    /// Its name of the person.
    pub subject: &'a str,
}

/// The person of an identity.
pub async fn find(database: &Database, issuer: &str, subject: &str) -> Result<Option<UserRow>, Error> {
    Statement::new(format!(
        "SELECT {COLUMNS} FROM users WHERE user_id = \
         (SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2)"
    ))
    .bind(issuer)
    .bind(subject)
    .optional(database)
    .await
}

/// Binds an identity to the person of its address; `None` where they have another one of this provider, or
/// are being erased.
pub async fn link(database: &Database, identity: &NewIdentity<'_>, now: Timestamp) -> Result<Option<UserRow>, Error> {
    let mut transaction = database.begin().await?;
    let Some(user) = users::verify(&mut transaction, &identity.user, now).await? else { return Ok(None) };
    Statement::new(
        "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(identity.issuer)
    .bind(identity.subject)
    .bind(user.user_id)
    .bind(now)
    .run_in(&mut transaction)
    .await?;
    let owner: Option<(Uuid,)> = Statement::new("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2")
        .bind(identity.issuer)
        .bind(identity.subject)
        .optional_in(&mut transaction)
        .await?;
    match owner {
        Some((owner,)) if owner == user.user_id => {
            transaction.commit().await?;
            Ok(Some(user))
        }
        // Another request bound it meanwhile, by another address; this one changes nothing.
        Some(_) => {
            drop(transaction);
            find(database, identity.issuer, identity.subject).await
        }
        None => Ok(None),
    }
}
