//! Erasing people: what the directory and the side rows know of somebody goes; the ledger keeps its ids.
//!
//! *Shape.* Somebody is marked first, and from then on signs in nowhere, joins nothing and is invited to nothing. Once
//! no organization has them any more, everything about them is blanked in one transaction. They are done when the
//! database's own files hold nothing of them either.
//!
//! *Promises.* Every step may be repeated. Nothing is blanked of who is not marked.

use uuid::Uuid;

use super::{Database, Error, NEVER, statement::Statement, transaction::Transaction, users};
use crate::domain::{Actor, OrganizationId, Timestamp, UserId};

/// What an erased person is called, wherever a name is shown.
pub const ERASED_NAME: &str = "Erased person";
/// How many unfinished erasures are looked at together.
const BATCH: u32 = 100;

/// Everything that a person may have left something in: where they belong or belonged, or were invited.
const TRACES: &str = "(SELECT organization_id FROM user_organizations WHERE user_id = $1 \
     UNION SELECT organization_id FROM user_invitations WHERE user_id = $1)";

/// Marks a person, on somebody's wish, and ends their sessions; nothing, where they are erased already.
pub async fn mark(database: &Database, user: UserId, by: Actor) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    Statement::new("UPDATE users SET erasure = $2 WHERE user_id = $1 AND erasure IS NULL")
        .bind(user.0)
        .bind(by.kind())
        .run_in(&mut transaction)
        .await?;
    run(&mut transaction, "DELETE FROM sessions WHERE user_id = $1", user).await?;
    transaction.commit().await
}

/// Takes the mark off somebody who could not be erased: they may sign in and put right what stood in the way.
pub async fn unmark(database: &Database, user: UserId) -> Result<(), Error> {
    Statement::new("UPDATE users SET erasure = NULL WHERE user_id = $1 AND erased_at IS NULL")
        .bind(user.0)
        .run(database)
        .await
        .map(|_| ())
}

/// Whether somebody is marked and not done.
pub async fn is_marked(database: &Database, user: UserId) -> Result<bool, Error> {
    let marked = Statement::new("SELECT COUNT(*) FROM users WHERE user_id = $1 AND erasure <> 'DONE'");
    Ok(marked.bind(user.0).count(database).await? > 0)
}

/// Who is marked and not done, with who wished it; some at a time, in the order of their ids after one.
pub async fn unfinished(database: &Database, after: Option<UserId>) -> Result<Vec<(UserId, Actor)>, Error> {
    let rows: Vec<(Uuid, String)> = Statement::new(
        "SELECT user_id, erasure FROM users WHERE erasure <> 'DONE' AND user_id > $1 ORDER BY user_id LIMIT $2",
    )
    .bind(after.map_or(Uuid::nil(), |user| user.0))
    .bind(BATCH)
    .all(database)
    .await?;
    let wish = |(user, by): (Uuid, String)| {
        (UserId(user), if by == "USER" { Actor::User(UserId(user)) } else { Actor::Operator })
    };
    Ok(rows.into_iter().map(wish).collect())
}

/// The organizations that have a person, or an open invitation of theirs, with their names.
pub async fn organizations(database: &Database, user: UserId) -> Result<Vec<(OrganizationId, String)>, Error> {
    let rows: Vec<(Uuid, String)> = Statement::new(
        "SELECT organization_id, name FROM organizations WHERE organization_id IN \
         (SELECT organization_id FROM user_organizations WHERE user_id = $1 AND current \
          UNION SELECT organization_id FROM user_invitations WHERE user_id = $1 AND open) ORDER BY organization_id",
    )
    .bind(user.0)
    .all(database)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (OrganizationId(id), name)).collect())
}

/// The letters that may say something of a person: those to them, the invitations that they sent, and what others were
/// told of their organizations. They are looked for in all letters, which takes what time it takes.
pub async fn letters(database: &Database, user: UserId) -> Result<Vec<Uuid>, Error> {
    let mut transaction = database.snapshot().await?;
    let rows: Vec<(Uuid,)> = Statement::new(format!(
        "SELECT letter_id FROM outbox WHERE (organization_id, subject_id) IN \
         (SELECT organization_id, invitation_id FROM user_invitations WHERE user_id = $1) \
         UNION SELECT letter_id FROM outbox WHERE subject_id = $1 AND organization_id IN {TRACES} \
         UNION SELECT letter_id FROM outbox WHERE kind = 'NOTICE' AND organization_id IN {TRACES} \
         UNION SELECT letter_id FROM outbox WHERE (organization_id, subject_id) IN \
         (SELECT organization_id, target_id FROM audit_entries WHERE actor_id = $1 AND organization_id IN {TRACES} \
          AND event_type IN ('invitation.sent', 'invitation.resent'))"
    ))
    .bind(user.0)
    .all_in(&mut transaction)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Blanks everything about a marked person; false where somebody took the mark off. The exports of data that may have
/// something of them are spoiled: their files go with the next sweep, and what is being made is made anew.
pub async fn blank(database: &Database, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let mut transaction = database.begin().await?;
    let lock = transaction.row_lock();
    let row = format!("SELECT email_key, erased_at FROM users WHERE user_id = $1 AND erasure IS NOT NULL{lock}");
    let row: Option<(String, Option<Timestamp>)> =
        Statement::new(row).bind(user.0).optional_in(&mut transaction).await?;
    let email_key = match row {
        None => return Ok(false),
        Some((_, Some(_))) => return Ok(true),
        Some((email_key, None)) => email_key,
    };
    blank_directory(&mut transaction, user, &email_key, now).await?;
    for text in [
        "DELETE FROM identities WHERE user_id = $1",
        "DELETE FROM sessions WHERE user_id = $1",
        "UPDATE data_exports SET state = 'SPOILED' WHERE user_id = $1",
        "DELETE FROM invitation_details WHERE (organization_id, invitation_id) IN \
         (SELECT organization_id, invitation_id FROM user_invitations WHERE user_id = $1)",
    ] {
        run(&mut transaction, text, user).await?;
    }
    for text in [
        "DELETE FROM event_context WHERE (organization_id, sequence) IN (SELECT organization_id, sequence \
         FROM audit_entries WHERE actor_id = $1 AND organization_id IN {traces})",
        "UPDATE refusals SET ip = NULL, user_agent = NULL WHERE actor_id = $1 AND organization_id IN {traces}",
        "DELETE FROM commands WHERE actor_id = $1 AND organization_id IN {traces}",
        "DELETE FROM outbox WHERE subject_id = $1 AND organization_id IN {traces}",
        "DELETE FROM notification_preferences WHERE user_id = $1 AND organization_id IN {traces}",
        "UPDATE data_exports SET state = 'SPOILED' WHERE state = 'READY' AND organization_id IN {traces}",
        "UPDATE data_exports SET fence = fence + 1, attempts = 0, lease_until = requested_at, progress = 0 \
         WHERE state = 'PENDING' AND organization_id IN {traces}",
    ] {
        run(&mut transaction, &text.replace("{traces}", TRACES), user).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn blank_directory(
    transaction: &mut Transaction,
    user: UserId,
    email_key: &str,
    now: Timestamp,
) -> Result<(), Error> {
    for text in [
        "DELETE FROM outbox WHERE organization_id IS NULL AND subject_id IN \
         (SELECT link_id FROM sign_in_links WHERE email_key = $1)",
        "DELETE FROM sign_in_links WHERE email_key = $1",
    ] {
        Statement::new(text).bind(email_key).run_in(transaction).await?;
    }
    // The column is unique, and this is nobody's address. Without its salt no commitment can be opened.
    let nobody = format!("erased-{}", user.0.simple());
    Statement::new(
        "UPDATE users SET email = $2, email_key = $2, email_verified = FALSE, name = $3, name_key = $4, \
         avatar_url = NULL, salt = $5, last_login_at = $6, erased_at = $7 WHERE user_id = $1",
    )
    .bind(user.0)
    .bind(nobody)
    .bind(ERASED_NAME)
    .bind(ERASED_NAME.to_lowercase())
    .bind(Vec::new())
    .bind(NEVER)
    .bind(now)
    .run_in(transaction)
    .await?;
    users::refresh_copies(transaction, user).await
}

/// Notes that nothing is left to do about a person who was blanked.
pub async fn finish(database: &Database, user: UserId) -> Result<(), Error> {
    Statement::new("UPDATE users SET erasure = 'DONE' WHERE user_id = $1 AND erased_at IS NOT NULL")
        .bind(user.0)
        .run(database)
        .await
        .map(|_| ())
}

async fn run(transaction: &mut Transaction, text: &str, user: UserId) -> Result<(), Error> {
    Statement::new(text).bind(user.0).run_in(transaction).await.map(|_| ())
}
