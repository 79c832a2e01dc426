//! Sign-in links and sessions. Neither a link's token nor a session's is stored: a link's is derived from its id,
//! and of a session's the hash is kept. A session ends 30 days after it began and 14 days after it was last used; every
//! statement that looks for one holds both.

use std::collections::HashMap;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Database, Error,
    outbox::{self, NewLetter},
    statement::{Statement, Value},
    users::{self, NewUser, UserRow},
};
use crate::{
    domain::{SessionId, Timestamp, UserId, values::Email},
    secrets::SecretHash,
};

/// How long a sign-in link is good.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long a session lives at most.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);
/// How long a session lives without being used.
pub const IDLE_LIFETIME: TimeDelta = TimeDelta::days(14);
/// How many links an address gets in a quarter of an hour.
pub const LINKS_PER_ADDRESS: u64 = 5;
/// How many links are sent on the wish of one IP address in a quarter of an hour.
pub const LINKS_PER_IP: u64 = 20;
/// How many sessions a person has; the oldest gives way.
pub const SESSIONS_PER_USER: u64 = 50;

/// A wish to sign in.
pub struct NewLink {
    /// The id of the link.
    pub id: Uuid,
    /// Whose account it is for.
    pub email: Email,
    /// Where the wish came from.
    pub ip: String,
}

/// Keeps a link and has it sent, unless the address or the IP has had too many; the caller is not told which.
pub async fn request_link(database: &Database, link: &NewLink, now: Timestamp) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    // Links of yesterday count for nothing and show whom somebody wanted to be.
    Statement::new("DELETE FROM sign_in_links WHERE created_at < $1")
        .bind(now - TimeDelta::days(1))
        .run_in(&mut transaction)
        .await?;
    let recent: Option<(i64, i64)> = Statement::new(
        "SELECT (SELECT COUNT(*) FROM sign_in_links WHERE email_key = $1 AND created_at > $3), \
         (SELECT COUNT(*) FROM sign_in_links WHERE ip = $2 AND created_at > $3)",
    )
    .bind(link.email.key())
    .bind(&link.ip)
    .bind(now - LINK_LIFETIME)
    .optional_in(&mut transaction)
    .await?;
    let (of_address, of_ip) = recent.unwrap_or_default();
    if super::number(of_address) < LINKS_PER_ADDRESS && super::number(of_ip) < LINKS_PER_IP {
        Statement::new(
            "INSERT INTO sign_in_links (link_id, email, email_key, ip, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(link.id)
        .bind(link.email.as_str())
        .bind(link.email.key())
        .bind(&link.ip)
        .bind(now)
        .bind(now + LINK_LIFETIME)
        .run_in(&mut transaction)
        .await?;
        let letter = NewLetter { kind: outbox::Kind::SignIn, organization: None, subject: link.id, generation: 1 };
        outbox::enqueue(&mut transaction, &[letter], now).await?;
    } else {
        tracing::info!(of_address, of_ip, "a sign-in link was not sent: too many in a quarter of an hour");
    }
    transaction.commit().await
}

/// The address that a link signs in, if the link is still good. Looking uses nothing up.
pub async fn link_email(database: &Database, link: Uuid, now: Timestamp) -> Result<Option<String>, Error> {
    let row: Option<(String,)> =
        Statement::new("SELECT email FROM sign_in_links WHERE link_id = $1 AND used_at IS NULL AND expires_at > $2")
            .bind(link)
            .bind(now)
            .optional(database)
            .await?;
    Ok(row.map(|(email,)| email))
}

/// A session to begin.
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The hash of its token.
    pub token_hash: SecretHash,
    /// The id and salt of the person's row, if they have none yet.
    pub user_id: UserId,
    /// See there.
    pub salt: [u8; 32],
    /// Where it begins.
    pub ip: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
}

/// Uses a link up and begins a session; `None` where the link is used, old or unknown, or its person is being
/// erased.
pub async fn complete(
    database: &Database,
    link: Uuid,
    session: NewSession,
    now: Timestamp,
) -> Result<Option<UserRow>, Error> {
    let mut transaction = database.begin().await?;
    let email: Option<(String,)> = Statement::new(
        "UPDATE sign_in_links SET used_at = $2 WHERE link_id = $1 AND used_at IS NULL AND expires_at > $2 \
         RETURNING email",
    )
    .bind(link)
    .bind(now)
    .optional_in(&mut transaction)
    .await?;
    let Some(email) = email.and_then(|(email,)| email.parse().ok()) else { return Ok(None) };
    let user = NewUser { id: session.user_id, salt: session.salt, email };
    let Some(user) = users::sign_in(&mut transaction, &user, now).await? else { return Ok(None) };
    // Whoever does not come back leaves no trace of where they were.
    Statement::new("DELETE FROM sessions WHERE expires_at <= $1").bind(now).run_in(&mut transaction).await?;
    Statement::new(
        "DELETE FROM sessions WHERE user_id = $1 AND (last_seen_at <= $2 OR session_id NOT IN \
         (SELECT session_id FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, session_id DESC LIMIT $3))",
    )
    .bind(user.user_id)
    .bind(now - IDLE_LIFETIME)
    .bind(SESSIONS_PER_USER - 1)
    .run_in(&mut transaction)
    .await?;
    Statement::new(
        "INSERT INTO sessions \
         (session_id, token_hash, user_id, created_at, last_seen_at, expires_at, last_ip, last_user_agent) \
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7)",
    )
    .bind(session.id.0)
    .bind(session.token_hash.bytes())
    .bind(user.user_id)
    .bind(now)
    .bind(now + SESSION_LIFETIME)
    .bind(session.ip)
    .bind(session.user_agent)
    .run_in(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(user))
}

/// A session.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct SessionRow {
    pub session_id: Uuid,
    pub user_id: Uuid,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
    #[sqlx(rename = "last_ip")]
    pub ip: Option<String>,
    #[sqlx(rename = "last_user_agent")]
    pub user_agent: Option<String>,
}

const COLUMNS: &str = "session_id, user_id, created_at, last_seen_at, expires_at, last_ip, last_user_agent";

/// The living sessions of tokens.
pub async fn find(
    database: &Database,
    tokens: &[SecretHash],
    now: Timestamp,
) -> Result<HashMap<SecretHash, SessionRow>, Error> {
    #[derive(sqlx::FromRow)]
    struct Found {
        token_hash: Vec<u8>,
        #[sqlx(flatten)]
        session: SessionRow,
    }
    let mut statement = Statement::new(format!("SELECT token_hash, {COLUMNS} FROM sessions WHERE token_hash IN "));
    statement.push_list(tokens.iter().map(SecretHash::bytes));
    statement.push(" AND expires_at > ").push_value(now);
    statement.push(" AND last_seen_at > ").push_value(now - IDLE_LIFETIME);
    let rows: Vec<Found> = statement.all(database).await?;
    let found = rows.into_iter().filter_map(|row| Some((SecretHash::from_column(row.token_hash)?, row.session)));
    Ok(found.collect())
}

/// The living sessions of a person, newest first.
pub async fn list(database: &Database, user: UserId, now: Timestamp) -> Result<Vec<SessionRow>, Error> {
    Statement::new(format!(
        "SELECT {COLUMNS} FROM sessions WHERE user_id = $1 AND expires_at > $2 AND last_seen_at > $3 \
         ORDER BY created_at DESC, session_id"
    ))
    .bind(user.0)
    .bind(now)
    .bind(now - IDLE_LIFETIME)
    .all(database)
    .await
}

/// A use of a session.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub ip: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
}

/// Notes the last uses of sessions, all in one statement.
pub async fn note_seen(database: &Database, seen: &[Seen]) -> Result<(), Error> {
    let mut statement = Statement::new("WITH seen (id, at, ip, user_agent) AS (VALUES ");
    let mut separator = "";
    for Seen { session, at, ip, user_agent } in seen {
        let values = [Value::from(session.0), (*at).into(), ip.clone().into(), user_agent.clone().into()];
        statement.push(separator).push_list(values);
        separator = ", ";
    }
    statement.push(
        ") UPDATE sessions SET last_seen_at = seen.at, last_ip = seen.ip, last_user_agent = seen.user_agent \
         FROM seen WHERE sessions.session_id = seen.id AND sessions.last_seen_at <= seen.at",
    );
    statement.run(database).await.map(|_| ())
}

/// Ends a session of a person; false where it is not theirs or has ended.
pub async fn end(database: &Database, user: UserId, session: SessionId) -> Result<bool, Error> {
    let ended = Statement::new("DELETE FROM sessions WHERE session_id = $1 AND user_id = $2")
        .bind(session.0)
        .bind(user.0)
        .run(database)
        .await?;
    Ok(ended == 1)
}

/// Ends every session of a person but the one that is kept; says how many.
pub async fn end_others(database: &Database, user: UserId, kept: Option<SessionId>) -> Result<u64, Error> {
    let mut statement = Statement::new("DELETE FROM sessions WHERE user_id = $1").bind(user.0);
    if let Some(kept) = kept {
        statement.push(" AND session_id <> ").push_value(kept.0);
    }
    statement.run(database).await
}
