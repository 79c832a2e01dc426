//! The directory of people. A change of a name or a sign-in refreshes, in its own transaction, the copies that
//! lists are ordered and searched by.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    Database, Error, NEVER,
    append::Held,
    statement::{Statement, Value},
    transaction::Transaction,
};
use crate::domain::{
    Timestamp, UserId,
    values::{Email, Name},
};

/// A person.
#[derive(Clone, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct UserRow {
    pub user_id: Uuid,
    pub email: String,
    pub email_key: String,
    pub name: Option<String>,
    pub avatar_url: Option<String>,
    pub salt: Vec<u8>,
    pub last_login_at: Timestamp,
    pub erasure: Option<String>,
}

impl UserRow {
    /// Whether the person is here: neither erased nor being erased.
    pub const fn is_present(&self) -> bool {
        self.erasure.is_none()
    }
}

pub(super) const COLUMNS: &str = "user_id, email, email_key, name, avatar_url, salt, last_login_at, erasure";

/// Somebody to make a row for, if their address has none.
pub struct NewUser {
    /// The id they would get.
    pub id: UserId,
    /// The salt of their commitments.
    pub salt: [u8; 32],
    /// Their address.
    pub email: Email,
}

/// Reads a person.
pub async fn find(database: &Database, user: UserId) -> Result<Option<UserRow>, Error> {
    Statement::new(format!("SELECT {COLUMNS} FROM users WHERE user_id = $1")).bind(user.0).optional(database).await
}

/// The person of an address, if it has a row.
pub async fn find_by_email(database: &Database, email: &Email) -> Result<Option<UserRow>, Error> {
    Statement::new(format!("SELECT {COLUMNS} FROM users WHERE email_key = $1"))
        .bind(email.key())
        .optional(database)
        .await
}

/// The people behind addresses; rows that are not verified are made for those that have none.
pub async fn resolve(database: &Database, wanted: &[NewUser], now: Timestamp) -> Result<Vec<UserRow>, Error> {
    let mut transaction = database.begin().await?;
    let rows = resolve_in(&mut transaction, wanted, now).await?;
    transaction.commit().await?;
    Ok(rows)
}

async fn resolve_in(transaction: &mut Transaction, wanted: &[NewUser], now: Timestamp) -> Result<Vec<UserRow>, Error> {
    // In one order, so that two that make the same people do not wait for each other.
    let mut wanted: Vec<_> = wanted.iter().collect();
    wanted.sort_unstable_by_key(|user| user.email.key());
    wanted.dedup_by_key(|user| user.email.key());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut insert = Statement::new(
        "INSERT INTO users (user_id, email, email_key, name_key, salt, email_verified, created_at, last_login_at) \
         VALUES ",
    );
    let mut separator = "";
    for NewUser { id, salt, email } in &wanted {
        insert.push(separator).push_list([
            Value::from(id.0),
            email.as_str().into(),
            email.key().into(),
            email.key().into(),
            salt[..].into(),
            false.into(),
            now.into(),
            NEVER.into(),
        ]);
        separator = ", ";
    }
    insert.push(" ON CONFLICT (email_key) DO NOTHING");
    insert.run_in(transaction).await?;
    let mut select = Statement::new(format!("SELECT {COLUMNS} FROM users WHERE email_key IN "));
    select.push_list(wanted.iter().map(|user| user.email.key()));
    select.all_in(transaction).await
}

/// Holds people as they are until the transaction ends, and says who is there and not being erased.
pub(super) async fn hold(transaction: &mut Transaction, people: &BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>, Error> {
    if people.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut statement = Statement::new("SELECT user_id FROM users WHERE erasure IS NULL AND user_id IN ");
    statement.push_list(people.iter().copied()).push(" ORDER BY user_id").push(transaction.share_lock());
    let present: Vec<(Uuid,)> = statement.all_in(transaction).await?;
    Ok(present.into_iter().map(|(user,)| user).collect())
}

/// A person has shown that an address is theirs: their row is made or verified, and their sign-in noted. `None` where
/// they are being erased.
pub(super) async fn sign_in(
    transaction: &mut Transaction,
    user: &NewUser,
    now: Timestamp,
) -> Result<Option<UserRow>, Error> {
    let rows = resolve_in(transaction, std::slice::from_ref(user), now).await?;
    let row = rows.into_iter().next().ok_or(Error::Stopped)?;
    let present = Statement::new(
        "UPDATE users SET email = $4, email_verified = $2, last_login_at = $3 WHERE user_id = $1 AND erasure IS NULL",
    )
    .bind(row.user_id)
    .bind(true)
    .bind(now)
    .bind(user.email.as_str())
    .run_in(transaction)
    .await?;
    if present == 0 {
        return Ok(None);
    }
    refresh_copies(transaction, UserId(row.user_id)).await?;
    // The form that the person typed counts, not the one that somebody invited them by.
    Ok(Some(UserRow { email: user.email.as_str().to_owned(), last_login_at: now, ..row }))
}

/// The provider of somebody's identity has verified that an address is theirs: their row is made or verified. The form
/// that they typed themselves stays. `None` where they are being erased.
pub(super) async fn verify(
    transaction: &mut Transaction,
    user: &NewUser,
    now: Timestamp,
) -> Result<Option<UserRow>, Error> {
    let rows = resolve_in(transaction, std::slice::from_ref(user), now).await?;
    let row = rows.into_iter().next().ok_or(Error::Stopped)?;
    Statement::new(format!(
        "UPDATE users SET email = CASE WHEN email_verified THEN email ELSE $3 END, email_verified = $2 \
         WHERE user_id = $1 AND erasure IS NULL RETURNING {COLUMNS}"
    ))
    .bind(row.user_id)
    .bind(true)
    .bind(user.email.as_str())
    .optional_in(transaction)
    .await
}

/// Notes that a person signed in at their provider, if that is news. Where somebody holds them, their next request does.
pub async fn note_login(database: &Database, user: UserId, at: Timestamp) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    let free = transaction.lock_of_rows(Held::PassedOver);
    let noted = Statement::new(format!(
        "UPDATE users SET last_login_at = $2 WHERE user_id IN (SELECT s.user_id FROM users s \
         WHERE s.user_id = $1 AND s.last_login_at < $2 AND s.erasure IS NULL{free})"
    ))
    .bind(user.0)
    .bind(at)
    .run_in(&mut transaction)
    .await?;
    if noted == 0 {
        return Ok(());
    }
    refresh_copies(&mut transaction, user).await?;
    transaction.commit().await
}

/// Gives a person another name, or none.
pub async fn rename(database: &Database, user: UserId, name: Option<&Name>) -> Result<(), Error> {
    set_name(database, user, name, "").await
}

/// Gives a person a name if they have none.
pub async fn suggest_name(database: &Database, user: UserId, name: &Name) -> Result<(), Error> {
    set_name(database, user, Some(name), " AND name IS NULL").await
}

async fn set_name(database: &Database, user: UserId, name: Option<&Name>, condition: &str) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    Statement::new(format!(
        "UPDATE users SET name = $2, name_key = COALESCE($3, email_key) WHERE user_id = $1 AND erasure IS NULL{condition}"
    ))
    .bind(user.0)
    .bind(name.map(|name| name.as_str().to_owned()))
    .bind(name.map(Name::key))
    .run_in(&mut transaction)
    .await?;
    refresh_copies(&mut transaction, user).await?;
    transaction.commit().await
}

/// Brings the copies in the rows of members in step with the directory.
pub(super) async fn refresh_copies(transaction: &mut Transaction, user: UserId) -> Result<(), Error> {
    Statement::new(
        "UPDATE members SET name_key = u.name_key, email_key = u.email_key, search_key = u.name_key || $2 || u.email_key, \
         last_login_at = u.last_login_at FROM users u WHERE u.user_id = $1 AND members.user_id = u.user_id \
         AND members.organization_id IN (SELECT organization_id FROM user_organizations WHERE user_id = $1)",
    )
    .bind(user.0)
    .bind("\n")
    .run_in(transaction)
    .await
    .map(|_| ())
}
