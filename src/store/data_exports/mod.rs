//! Exports of data: copies of everything that is kept about an organization or a person.
//!
//! *Shape.* Whoever may asks for one; any server takes it by a lease, writes it as a file (`run`) and notes that it is
//! ready. A lease that runs out is taken by another server, which begins anew with a file of its own.
//!
//! *Promises.* One at a time is made of an organization or a person, and one that was made a moment ago is given again.
//! Who lost the lease changes nothing any more: each taking has a number, and only the last one counts. A file is gone
//! soon after its week, and at once when somebody in it is erased.

mod archive;
mod organization;
mod person;
mod run;

pub use run::{Runner, page_statements, run_one};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Database, Error, files::Files, number, statement::Statement, transaction::Transaction};
use crate::domain::{DataExportId, OrganizationId, Timestamp, UserId};

/// How long an export can be had.
pub const LIFETIME: TimeDelta = TimeDelta::days(7);
/// How long one that is ready is given to who asks again.
pub const FRESH: TimeDelta = TimeDelta::hours(1);
/// How long a server has for the next step of an export it took; afterwards another one takes it again.
pub const LEASE: TimeDelta = TimeDelta::minutes(1);
/// How often an export is tried.
pub const ATTEMPTS: u64 = 5;
/// How many are kept of an organization or a person; the oldest gives way.
pub const KEPT: u32 = 3;
/// How many are swept together.
const BATCH: u32 = 100;

/// Whose data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An organization's.
    Organization(OrganizationId),
    /// A person's own.
    Person(UserId),
}

impl Owner {
    const fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Organization(organization) => (Some(organization.0), None),
            Self::Person(user) => (None, Some(user.0)),
        }
    }

    /// The condition that an export is this owner's, whose id is the first value of the statement.
    const fn condition(self) -> &'static str {
        match self {
            Self::Organization(_) => "organization_id = $1",
            Self::Person(_) => "user_id = $1",
        }
    }

    const fn id(self) -> Uuid {
        match self {
            Self::Organization(OrganizationId(id)) | Self::Person(UserId(id)) => id,
        }
    }
}

/// What an export is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a server.
    Pending,
    /// A server makes it.
    Running,
    /// It can be had.
    Ready,
    /// It was tried too often.
    Failed,
    /// Its time is over, or somebody in it was erased.
    Expired,
}

/// An export.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct DataExportRow {
    pub export_id: Uuid,
    pub organization_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub state: String,
    pub progress: i64,
    pub fence: i64,
    pub requested_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

const COLUMNS: &str = "export_id, organization_id, user_id, state, progress, fence, requested_at, expires_at";

impl DataExportRow {
    /// What it is at a moment.
    pub fn state_at(&self, now: Timestamp) -> State {
        match self.state.as_str() {
            "PENDING" if self.fence == 0 => State::Pending,
            "PENDING" => State::Running,
            "READY" if self.expires_at.is_some_and(|end| now < end) => State::Ready,
            "FAILED" => State::Failed,
            _ => State::Expired,
        }
    }

    /// Whether who asks at this moment is given this one.
    pub fn serves_at(&self, now: Timestamp) -> bool {
        match self.state_at(now) {
            State::Pending | State::Running => true,
            State::Ready => now < self.requested_at + FRESH,
            State::Failed | State::Expired => false,
        }
    }

    /// Its id.
    pub const fn id(&self) -> DataExportId {
        DataExportId(self.export_id)
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        let person = Owner::Person(UserId(self.user_id.unwrap_or_default()));
        self.organization_id.map_or(person, |organization| Owner::Organization(OrganizationId(organization)))
    }
}

/// An export of an owner.
pub async fn find(database: &Database, owner: Owner, export: DataExportId) -> Result<Option<DataExportRow>, Error> {
    Statement::new(format!("SELECT {COLUMNS} FROM data_exports WHERE export_id = $2 AND {}", owner.condition()))
        .bind(owner.id())
        .bind(export.0)
        .optional(database)
        .await
}

/// Reads the export of an owner that was asked for last.
fn latest_statement(owner: Owner) -> Statement {
    let order = "ORDER BY requested_at DESC, export_id DESC LIMIT 1";
    Statement::new(format!("SELECT {COLUMNS} FROM data_exports WHERE {} {order}", owner.condition())).bind(owner.id())
}

/// Notes that an export is wished for. The oldest beyond those that are kept are spoiled.
pub(super) async fn insert(
    transaction: &mut Transaction,
    owner: Owner,
    export: DataExportId,
    now: Timestamp,
) -> Result<(), Error> {
    let (organization, user) = owner.columns();
    Statement::new(
        "INSERT INTO data_exports (export_id, organization_id, user_id, state, progress, fence, lease_until, \
         requested_at) VALUES ($1, $2, $3, 'PENDING', 0, 0, $4, $4)",
    )
    .bind(export.0)
    .bind(organization)
    .bind(user)
    .bind(now)
    .run_in(transaction)
    .await?;
    let of = owner.condition();
    Statement::new(format!(
        "UPDATE data_exports SET state = 'SPOILED' WHERE {of} AND export_id NOT IN \
         (SELECT export_id FROM data_exports WHERE {of} ORDER BY requested_at DESC, export_id DESC LIMIT $2)"
    ))
    .bind(owner.id())
    .bind(KEPT)
    .run_in(transaction)
    .await
    .map(|_| ())
}

/// The export of a person's own data that is there already, or a new one with this id. `None` where the person is being
/// erased.
pub async fn request_own(
    database: &Database,
    user: UserId,
    export: DataExportId,
    now: Timestamp,
) -> Result<Option<DataExportRow>, Error> {
    let mut transaction = database.begin().await?;
    let lock = transaction.row_lock();
    let person = format!("SELECT user_id FROM users WHERE user_id = $1 AND erasure IS NULL{lock}");
    let person: Option<(Uuid,)> = Statement::new(person).bind(user.0).optional_in(&mut transaction).await?;
    if person.is_none() {
        return Ok(None);
    }
    let owner = Owner::Person(user);
    let last: Option<DataExportRow> = latest_statement(owner).optional_in(&mut transaction).await?;
    if let Some(last) = last.filter(|last| last.serves_at(now)) {
        return Ok(Some(last));
    }
    insert(&mut transaction, owner, export, now).await?;
    let made = latest_statement(owner).optional_in(&mut transaction).await?;
    transaction.commit().await?;
    Ok(made)
}

/// An export that a server has taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Which.
    pub export: DataExportId,
    /// Whose.
    pub owner: Owner,
    /// The number of this taking.
    pub fence: u64,
}

/// Whether an export waits to be made; a look that takes no lock.
pub async fn any_due(database: &Database, now: Timestamp) -> Result<bool, Error> {
    let text = "SELECT fence FROM data_exports WHERE state = 'PENDING' AND lease_until <= $1 LIMIT 1";
    let due: Option<(i64,)> = Statement::new(text).bind(now).optional(database).await?;
    Ok(due.is_some())
}

/// Takes the export that waits longest, if there is one. One that was tried too often is given up instead.
pub async fn take(database: &Database, now: Timestamp) -> Result<Option<Taken>, Error> {
    let mut transaction = database.begin().await?;
    let row: Option<DataExportRow> = Statement::new(format!(
        "UPDATE data_exports SET fence = fence + 1, attempts = attempts + 1, progress = 0, lease_until = $2, \
         state = CASE WHEN attempts >= $3 THEN 'FAILED' ELSE state END \
         WHERE state = 'PENDING' AND lease_until <= $1 AND export_id = (SELECT export_id FROM data_exports \
         WHERE state = 'PENDING' AND lease_until <= $1 ORDER BY lease_until LIMIT 1) RETURNING {COLUMNS}"
    ))
    .bind(now)
    .bind(now + LEASE)
    .bind(ATTEMPTS)
    .optional_in(&mut transaction)
    .await?;
    transaction.commit().await?;
    let taken = row.filter(|row| row.state == "PENDING");
    Ok(taken.map(|row| Taken { export: row.id(), owner: row.owner(), fence: number(row.fence) }))
}

/// Keeps the lease and says how far it is, in percent; false where somebody else has it or nobody may.
pub async fn renew(database: &Database, taken: &Taken, progress: u32, now: Timestamp) -> Result<bool, Error> {
    let kept = Statement::new(
        "UPDATE data_exports SET progress = $3, lease_until = $4 \
         WHERE export_id = $1 AND fence = $2 AND state = 'PENDING'",
    )
    .bind(taken.export.0)
    .bind(taken.fence)
    .bind(progress)
    .bind(now + LEASE)
    .run(database)
    .await?;
    Ok(kept == 1)
}

/// Notes that it is ready, from now on for a week; false where somebody else has it or nobody may.
pub async fn finish(database: &Database, taken: &Taken, now: Timestamp) -> Result<bool, Error> {
    let done = Statement::new(
        "UPDATE data_exports SET state = 'READY', progress = 100, expires_at = $3 \
         WHERE export_id = $1 AND fence = $2 AND state = 'PENDING'",
    )
    .bind(taken.export.0)
    .bind(taken.fence)
    .bind(now + LIFETIME)
    .run(database)
    .await?;
    Ok(done == 1)
}

/// Deletes the files of exports that are over, and then their rows; says how many.
pub async fn sweep(database: &Database, files: &Files, now: Timestamp) -> Result<u64, Error> {
    let mut gone = 0;
    loop {
        let over: Vec<DataExportRow> = Statement::new(format!(
            "SELECT {COLUMNS} FROM data_exports WHERE state = 'SPOILED' OR (state = 'READY' AND expires_at <= $1) \
             OR (state = 'FAILED' AND requested_at <= $2) LIMIT $3"
        ))
        .bind(now)
        .bind(now - LIFETIME)
        .bind(BATCH)
        .all(database)
        .await?;
        if over.is_empty() {
            return Ok(gone);
        }
        for row in &over {
            files.erase_export(row.owner(), row.id()).await?;
        }
        let mut delete = Statement::new("DELETE FROM data_exports WHERE export_id IN ");
        delete.push_list(over.iter().map(|row| row.export_id));
        gone += delete.run(database).await?;
    }
}
