//! Who people are at an identity provider: a person is bound to the provider's name of them, once and for good. An
//! address binds nobody again, because addresses are given to other people.

use std::{collections::HashMap, slice};

use uuid::Uuid;

use super::{
    Database, Error,
    statement::Statement,
    users::{self, COLUMNS, NewUser, UserRow},
};
use crate::domain::Timestamp;

/// Somebody at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct Subject {
    /// The provider.
    pub issuer: String,
    /// Its name of the person, which never changes and is never given to somebody else.
    pub subject: String,
}

/// The people of identities.
pub async fn find(database: &Database, subjects: &[Subject]) -> Result<HashMap<Subject, UserRow>, Error> {
    #[derive(sqlx::FromRow)]
    struct Found {
        #[sqlx(flatten)]
        of: Subject,
        #[sqlx(flatten)]
        user: UserRow,
    }
    let mut statement = Statement::new(format!(
        "SELECT i.issuer, i.subject, {COLUMNS} FROM identities i JOIN users USING (user_id) \
         WHERE (i.issuer, i.subject) IN (VALUES "
    ));
    let mut separator = "";
    for Subject { issuer, subject } in subjects {
        statement.push(separator).push_list([issuer, subject]);
        separator = ", ";
    }
    statement.push(")");
    let rows: Vec<Found> = statement.all(database).await?;
    Ok(rows.into_iter().map(|row| (row.of, row.user)).collect())
}

/// Binds an identity to the person of its address; `None` where they have another one of this provider, or
/// are being erased.
pub async fn link(
    database: &Database,
    subject: &Subject,
    person: &NewUser,
    now: Timestamp,
) -> Result<Option<UserRow>, Error> {
    let mut transaction = database.begin().await?;
    let Some(user) = users::verify(&mut transaction, person, now).await? else { return Ok(None) };
    Statement::new(
        "INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(&subject.issuer)
    .bind(&subject.subject)
    .bind(user.user_id)
    .bind(now)
    .run_in(&mut transaction)
    .await?;
    let owner: Option<(Uuid,)> = Statement::new("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2")
        .bind(&subject.issuer)
        .bind(&subject.subject)
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
            Ok(find(database, slice::from_ref(subject)).await?.remove(subject))
        }
        None => Ok(None),
    }
}
