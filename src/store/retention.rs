//! Forgets from where a change or a refused command came, once it is older than the operator keeps that: the address
//! and the program of the client. In batches, beside running servers. The reason stays: it is the caller's own words.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Database, Error, rebuild, statement::Statement};
use crate::domain::Timestamp;

/// How often a server looks for what is too old.
pub const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How long it is kept unless the operator says otherwise: a quarter of a year.
pub const KEPT: TimeDelta = TimeDelta::days(90);
/// How many rows one transaction blanks: few enough to keep nobody waiting.
const BATCH: u32 = 1000;

/// Rows that say still from where something came.
const KNOWN: &str = "(ip IS NOT NULL OR user_agent IS NOT NULL)";

/// Blanks what is older than a moment; says how many rows it was.
pub async fn forget(database: &Database, before: Timestamp) -> Result<u64, Error> {
    let mut forgotten = 0;
    let mut after = None;
    loop {
        let organizations = rebuild::organizations(database, after).await?;
        let Some(last) = organizations.last() else { return Ok(forgotten) };
        let overdue = overdue(database, (after, last.0), before).await?;
        after = Some(last.0);
        for organization in overdue {
            forgotten += forget_of(database, organization, before).await?;
        }
    }
}

/// The organizations behind one and up to another that have something to blank: one look at the oldest row of each.
async fn overdue(
    database: &Database,
    (after, last): (Option<Uuid>, Uuid),
    before: Timestamp,
) -> Result<Vec<Uuid>, Error> {
    let rows: Vec<(Uuid,)> = Statement::new(format!(
        "SELECT s.organization_id FROM streams s WHERE s.organization_id > $1 AND s.organization_id <= $2 AND (\
         EXISTS (SELECT 1 FROM events e WHERE e.organization_id = s.organization_id AND e.recorded_at < $3 \
             AND e.sequence = (SELECT MIN(c.sequence) FROM event_context c \
                 WHERE c.organization_id = s.organization_id AND {KNOWN})) \
         OR (SELECT MIN(r.refused_at) FROM refusals r WHERE r.organization_id = s.organization_id AND {KNOWN}) < $3)"
    ))
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(last)
    .bind(before)
    .all(database)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

async fn forget_of(database: &Database, organization: Uuid, before: Timestamp) -> Result<u64, Error> {
    let texts = [
        format!(
            "UPDATE event_context SET ip = NULL, user_agent = NULL WHERE organization_id = $1 AND sequence IN \
             (SELECT sequence FROM event_context WHERE organization_id = $1 AND {KNOWN} AND sequence <= \
                 (SELECT e.sequence FROM events e WHERE e.organization_id = $1 AND e.recorded_at < $2 \
                  ORDER BY e.recorded_at DESC, e.sequence DESC LIMIT 1) \
              ORDER BY sequence LIMIT $3)"
        ),
        format!(
            "UPDATE refusals SET ip = NULL, user_agent = NULL WHERE organization_id = $1 AND (sequence, attempt) IN \
             (SELECT sequence, attempt FROM refusals WHERE organization_id = $1 AND refused_at < $2 AND {KNOWN} \
              ORDER BY refused_at LIMIT $3)"
        ),
    ];
    let mut forgotten = 0;
    for text in texts {
        loop {
            let batch = Statement::new(text.clone()).bind(organization).bind(before).bind(BATCH).run(database).await?;
            forgotten += batch;
            if batch == 0 {
                break;
            }
        }
    }
    Ok(forgotten)
}
