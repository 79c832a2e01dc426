//! Takes the events of deleted organizations away, in batches, beside running servers. The deletion event stays as the
//! tombstone: the id is never used again, and who holds an old export can still prove what was deleted.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, Error, database::Transaction, files::Files, statement::Statement};
use crate::domain::OrganizationId;

/// How often a server looks for deleted organizations.
pub const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How many events one transaction takes away: few enough to keep nobody waiting.
const BATCH: u32 = 1000;

/// Purges every deleted organization, its files first; says how many events went.
pub async fn purge(database: &Database, files: &Files) -> Result<u64, Error> {
    let mut gone = 0;
    loop {
        let deleted: Option<(Uuid, i64)> =
            Statement::new("SELECT organization_id, version FROM streams WHERE state = 'DELETED' LIMIT 1")
                .optional(database)
                .await?;
        let Some((organization, version)) = deleted else { return Ok(gone) };
        files.erase(OrganizationId(organization)).await?;
        let mut transaction = database.begin().await?;
        let batch = take_batch(&mut transaction, organization, version).await?;
        if batch == 0 {
            Statement::new("UPDATE streams SET state = 'PURGED' WHERE organization_id = $1")
                .bind(organization)
                .run_in(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        gone += batch;
    }
}

async fn take_batch(transaction: &mut Transaction, organization: Uuid, version: i64) -> Result<u64, Error> {
    Statement::new(
        "DELETE FROM events WHERE organization_id = $1 AND sequence IN \
         (SELECT sequence FROM events WHERE organization_id = $1 AND sequence < $2 ORDER BY sequence LIMIT $3)",
    )
    .bind(organization)
    .bind(version)
    .bind(BATCH)
    .run_in(transaction)
    .await
}
