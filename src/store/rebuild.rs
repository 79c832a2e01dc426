//! Makes the rows that queries read anew from the ledger, organization by organization, while servers run.

use uuid::Uuid;

use super::{
    Database, Error, aggregate::EventRow, database::Transaction, hot, profile, projection, statement::Statement, write,
};
use crate::domain::OrganizationId;

const PAGE: u32 = 1000;

/// Organizations in the order of their ids, after one, at most [`PAGE`].
pub(super) async fn organizations(database: &Database, after: Option<Uuid>) -> Result<Vec<OrganizationId>, Error> {
    let rows: Vec<(Uuid,)> = Statement::new(
        "SELECT organization_id FROM streams WHERE organization_id > $1 ORDER BY organization_id LIMIT $2",
    )
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(PAGE)
    .all(database)
    .await?;
    Ok(rows.into_iter().map(|(id,)| OrganizationId(id)).collect())
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Organizations.
    pub organizations: u64,
    /// Events.
    pub events: u64,
}

/// Rebuilds everything.
pub async fn rebuild(database: &Database) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut after = None;
    loop {
        let organizations = organizations(database, after).await?;
        let Some(last) = organizations.last() else { return Ok(report) };
        after = Some(last.0);
        for organization in organizations {
            report.events += rebuild_one(database, organization).await?;
            report.organizations += 1;
        }
    }
}

/// Holds the people of an organization before their rows are erased. Whoever renames one holds the person first and the
/// member's row second; in the other order the two would wait for each other.
async fn hold_people(transaction: &mut Transaction, organization: OrganizationId) -> Result<(), Error> {
    let share = transaction.share_lock();
    let text = format!(
        "SELECT user_id FROM users WHERE user_id IN (SELECT user_id FROM members WHERE organization_id = $1) \
         ORDER BY user_id{share}"
    );
    Statement::new(text).bind(organization.0).run_in(transaction).await.map(|_| ())
}

/// Rebuilds one organization in one transaction, under the lock of its head.
async fn rebuild_one(database: &Database, organization: OrganizationId) -> Result<u64, Error> {
    let mut transaction = database.begin().await?;
    let Some(head) = hot::head_in(&mut transaction, organization).await? else { return Ok(0) };
    hold_people(&mut transaction, organization).await?;
    write::run_all(&mut transaction, [profile::erase(organization, &projection::TABLES)]).await?;
    let mut done = 0;
    loop {
        let rows: Vec<EventRow> = Statement::new(format!(
            "SELECT {} FROM events e WHERE e.organization_id = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $3",
            EventRow::COLUMNS
        ))
        .bind(organization.0)
        .bind(done)
        .bind(PAGE)
        .all_in(&mut transaction)
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let recorded = row.decode()?;
            write::run_all(&mut transaction, [projection::project(&recorded)?]).await?;
            done = recorded.sequence;
        }
    }
    if done != head.version {
        return Err(Error::corrupt(organization, done, format!("the head says {}", head.version)));
    }
    transaction.commit().await?;
    Ok(done)
}
