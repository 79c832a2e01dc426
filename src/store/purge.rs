//! Takes what is left of deleted organizations away, in batches, beside running servers: files, letters, events, and
//! the addresses that were known for nothing but an invitation there. The deletion event stays as the tombstone: the id
//! is never used again, and who holds an old export can still prove what was deleted.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, Error, files::Files, statement::Statement, transaction::Transaction};
use crate::domain::OrganizationId;

/// How often a server looks for deleted organizations.
pub const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How many events one transaction takes away: few enough to keep nobody waiting.
const BATCH: u32 = 1000;

/// Purges every deleted organization, its files and letters first; says how many events went. Where one cannot be purged,
/// the others are; then it is an error.
pub async fn purge(database: &Database, files: &Files) -> Result<u64, Error> {
    let (mut gone, mut after, mut failed) = (0, Uuid::nil(), None);
    loop {
        let next = Statement::new(
            "SELECT organization_id, version FROM streams WHERE state = 'DELETED' AND organization_id > $1 \
             ORDER BY organization_id LIMIT 1",
        );
        let deleted: Option<(Uuid, i64)> = next.bind(after).optional(database).await?;
        let Some((organization, version)) = deleted else { break };
        after = organization;
        match purge_one(database, files, (organization, version), &mut gone).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%organization, ?error, "what is left of an organization was not purged");
                failed = Some(error);
            }
        }
    }
    if gone > 0 {
        // Where somebody reads an older state now, the next purge or the database itself cuts its log.
        database.forget().await?;
    }
    failed.map_or(Ok(gone), Err)
}

async fn purge_one(
    database: &Database,
    files: &Files,
    (organization, version): (Uuid, i64),
    gone: &mut u64,
) -> Result<(), Error> {
    files.erase(OrganizationId(organization)).await?;
    erase_letters(database, files, organization).await?;
    loop {
        let mut transaction = database.begin().await?;
        // One server after the other: who waited for another one's batch would find none, and take that for the end.
        if !hold_deleted(&mut transaction, organization).await? {
            return Ok(());
        }
        let batch = take_batch(&mut transaction, organization, version).await?;
        if batch == 0 {
            Statement::new("UPDATE streams SET state = 'PURGED' WHERE organization_id = $1")
                .bind(organization)
                .run_in(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        *gone += batch;
    }
}

/// Erases the letters about an organization that are kept as files, and then forgets which they were.
async fn erase_letters(database: &Database, files: &Files, organization: Uuid) -> Result<(), Error> {
    let letters: Vec<(Uuid,)> = Statement::new("SELECT letter_id FROM outbox WHERE organization_id = $1")
        .bind(organization)
        .all(database)
        .await?;
    files.erase_letters(letters.into_iter().map(|(letter,)| letter), &[]).await?;
    Statement::new("DELETE FROM outbox WHERE organization_id = $1").bind(organization).run(database).await.map(|_| ())
}

/// Holds an organization that is deleted; false where nothing is left to purge.
async fn hold_deleted(transaction: &mut Transaction, organization: Uuid) -> Result<bool, Error> {
    let lock = transaction.row_lock();
    let held =
        Statement::new(format!("SELECT version FROM streams WHERE organization_id = $1 AND state = 'DELETED'{lock}"));
    let row: Option<(i64,)> = held.bind(organization).optional_in(transaction).await?;
    Ok(row.is_some())
}

async fn take_batch(transaction: &mut Transaction, organization: Uuid, version: i64) -> Result<u64, Error> {
    let invited = invited(transaction, organization, version).await?;
    let gone = Statement::new(
        "DELETE FROM events WHERE organization_id = $1 AND sequence IN \
         (SELECT sequence FROM events WHERE organization_id = $1 AND sequence < $2 ORDER BY sequence LIMIT $3)",
    )
    .bind(organization)
    .bind(version)
    .bind(BATCH)
    .run_in(transaction)
    .await?;
    forget_strangers(transaction, invited).await?;
    Ok(gone)
}

/// Who was invited by one of the events that go next.
async fn invited(transaction: &mut Transaction, organization: Uuid, version: i64) -> Result<Vec<Uuid>, Error> {
    let events: Vec<(String, serde_json::Value)> = Statement::new(
        "SELECT event_type, payload FROM events WHERE organization_id = $1 AND sequence < $2 ORDER BY sequence LIMIT $3",
    )
    .bind(organization)
    .bind(version)
    .bind(BATCH)
    .all_in(transaction)
    .await?;
    let sent = events.into_iter().filter(|(event_type, _)| event_type == "invitation.sent");
    Ok(sent.filter_map(|(_, payload)| payload.get("userId")?.as_str()?.parse().ok()).collect())
}

/// Deletes the rows of people who never came and whom no other organization knows.
async fn forget_strangers(transaction: &mut Transaction, invited: Vec<Uuid>) -> Result<(), Error> {
    if invited.is_empty() {
        return Ok(());
    }
    // Held first, by a statement of its own: one that waits for an invitation elsewhere would not look at it again.
    let mut held =
        Statement::new("SELECT user_id FROM users WHERE NOT email_verified AND erasure IS NULL AND user_id IN ");
    held.push_list(invited).push(" ORDER BY user_id").push(transaction.row_lock());
    let strangers: Vec<(Uuid,)> = held.all_in(transaction).await?;
    if strangers.is_empty() {
        return Ok(());
    }
    let mut statement = Statement::new("DELETE FROM users WHERE user_id IN ");
    statement.push_list(strangers.into_iter().map(|(user,)| user)).push(
        " AND NOT EXISTS (SELECT 1 FROM user_organizations o WHERE o.user_id = users.user_id) \
         AND NOT EXISTS (SELECT 1 FROM user_invitations i WHERE i.user_id = users.user_id)",
    );
    statement.run_in(transaction).await.map(|_| ())
}
