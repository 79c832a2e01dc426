//! Makes the rows that queries read anew from the ledger, organization by organization, while servers run.

use uuid::Uuid;

use super::{
    Database, Error, history, hot, number, profile, projection, statement::Statement, transaction::Transaction, write,
};
use crate::domain::OrganizationId;

const PAGE: u64 = 1000;

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

/// Which organizations are rebuilt.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// Every one.
    Every,
    /// Those behind this one, in the order of their ids: an interrupted rebuild goes on there.
    After(OrganizationId),
    /// One.
    Only(OrganizationId),
}

/// How much was done, or is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Organizations.
    pub organizations: u64,
    /// Events of organizations that live; of deleted ones there are no rows.
    pub events: u64,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done.
    pub done: Report,
    /// What was to be done when it began.
    pub of: Report,
    /// The last organization that is finished.
    pub last: Option<OrganizationId>,
}

/// Rebuilds organizations, and tells after each page of events and each organization how far it is.
pub async fn rebuild(
    database: &Database,
    which: Which,
    mut tell: impl FnMut(&Progress) + Send,
) -> Result<Report, Error> {
    let mut progress = Progress { of: to_do(database, which).await?, ..Progress::default() };
    let mut after = match which {
        Which::Every => None,
        Which::After(organization) => Some(organization.0),
        Which::Only(organization) => {
            rebuild_one(database, organization, &mut progress, &mut tell).await?;
            return Ok(progress.done);
        }
    };
    loop {
        let organizations = organizations(database, after).await?;
        let Some(last) = organizations.last() else { return Ok(progress.done) };
        after = Some(last.0);
        for organization in organizations {
            rebuild_one(database, organization, &mut progress, &mut tell).await?;
        }
    }
}

/// How much there is to do, as the heads say.
async fn to_do(database: &Database, which: Which) -> Result<Report, Error> {
    let (condition, organization) = match which {
        Which::Every => ("organization_id > $1", Uuid::nil()),
        Which::After(organization) => ("organization_id > $1", organization.0),
        Which::Only(organization) => ("organization_id = $1", organization.0),
    };
    let text = format!(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN state = 'LIVING' THEN version ELSE 0 END), 0) AS BIGINT) \
         FROM streams WHERE {condition}"
    );
    let row: Option<(i64, i64)> = Statement::new(text).bind(organization).optional(database).await?;
    let (organizations, events) = row.unwrap_or_default();
    Ok(Report { organizations: number(organizations), events: number(events) })
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

/// Rebuilds one organization in one transaction, under the lock of its head, whose version is how many events there are.
async fn rebuild_one(
    database: &Database,
    organization: OrganizationId,
    progress: &mut Progress,
    tell: &mut (impl FnMut(&Progress) + Send),
) -> Result<(), Error> {
    let mut transaction = database.begin().await?;
    let Some(head) = hot::head_in(&mut transaction, organization).await? else { return Ok(()) };
    hold_people(&mut transaction, organization).await?;
    write::run_all(&mut transaction, [profile::erase(organization, &projection::TABLES)]).await?;
    let before = progress.done.events;
    let mut version = 0;
    while version < head.version && !head.deleted {
        let page = history::after_in(&mut transaction, organization, version, head.version.min(version + PAGE)).await?;
        let there = page.len() as u64;
        if there == 0 || page.last().is_none_or(|last| last.sequence != version + there) {
            let what = format!("events are missing behind this one: the head says {}", head.version);
            return Err(Error::corrupt(organization, version, what));
        }
        for batch in projection::batches(&page)? {
            write::run_all(&mut transaction, batch).await?;
        }
        version += there;
        progress.done.events = before + version;
        tell(progress);
    }
    transaction.commit().await?;
    progress.done.organizations += 1;
    progress.last = Some(organization);
    tell(progress);
    Ok(())
}
