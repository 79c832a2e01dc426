//! Commands that a rule refused: who tried what, and which rule said no. They stand beside the chain, each behind the
//! event of the version that it was decided on, and never hold an input.
//!
//! *Promises.* Who is told of a refusal finds it kept, or counted. *Limits.* An actor has [`ACTOR_HOURLY`] of them kept
//! in an hour, an organization [`ORGANIZATION_HOURLY`]; what comes beyond is counted at the last one that was kept.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Database, Error,
    append::Origin,
    audit::{Place, REFUSED, over_refused},
    history::{Entry, Filter},
    hot,
    ledger::{Freshness, Ledger, Receipt, Request},
    number,
    page::{Direction, End, Key, Page, Position, Window},
    statement::Statement,
    transaction::Transaction,
};
use crate::domain::{
    Actor, Organization, OrganizationId, Refusal, Timestamp,
    organization::{Command, Target},
};

/// How many refusals of an actor are kept in an hour.
pub const ACTOR_HOURLY: usize = 60;
/// How many refusals of an organization are kept in an hour.
pub const ORGANIZATION_HOURLY: u64 = 1000;

/// What somebody tried, as it is kept when a rule says no.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// In which organization.
    pub organization: OrganizationId,
    /// Who.
    pub actor: Actor,
    /// The permanent name of the command.
    pub action: &'static str,
    /// What it was asked about.
    pub target: Target,
    /// When.
    pub now: Timestamp,
    /// From where; a reason is not kept.
    pub origin: Origin,
}

impl Request {
    /// What is kept of it where a rule says no.
    pub(super) fn attempt(&self) -> Attempt {
        let Command { actor, now, ref action, .. } = self.command;
        let origin = Origin { reason: None, ..self.origin.clone() };
        Attempt {
            organization: self.organization,
            actor,
            action: action.name(),
            target: action.target(actor),
            now,
            origin,
        }
    }
}

impl Ledger {
    /// Keeps which rows of an invitation of many were refused, each rule once.
    pub(super) async fn keep_rows(&self, request: &Request, receipt: &Receipt) {
        let refused: BTreeMap<_, _> = receipt
            .notes
            .invited
            .iter()
            .filter_map(|row| row.as_ref().err())
            .map(|refusal| (refusal.code(), refusal))
            .collect();
        for refusal in refused.into_values() {
            self.keep_refusal(receipt.version, &request.attempt(), refusal).await;
        }
    }

    /// Keeps that a question was answered with no, where a command would have been given next. Like a command it is not
    /// cut short by a caller that goes away.
    pub async fn refused(&self, attempt: Attempt, refusal: Refusal) -> Result<(), Error> {
        let look = |state: &Organization| (state.version(), state.belongs(attempt.actor, attempt.now));
        let (version, belongs) = self.view(attempt.organization, Freshness::Cached, look).await?;
        if !belongs {
            return Ok(());
        }
        let ledger = self.clone();
        let task = tokio::spawn(async move { ledger.keep_refusal(version, &attempt, &refusal).await });
        task.await.map_err(|_| Error::Stopped)
    }

    /// Keeps a refusal in the audit log, before anybody is told of it. What the store cannot keep stands in the log of
    /// the service.
    pub(super) async fn keep_refusal(&self, version: u64, attempt: &Attempt, refusal: &Refusal) {
        // It is never closed.
        let _place = self.keeping.acquire().await;
        if let Err(error) = keep(&self.database, version, attempt, refusal).await {
            let Attempt { organization, actor, action, .. } = attempt;
            tracing::warn!(?error, %organization, ?actor, action, code = refusal.code(), "a refusal was not kept");
        }
    }
}

/// A refused command.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct RefusalRow {
    pub sequence: i64,
    pub attempt: i64,
    pub refused_at: Timestamp,
    pub action: String,
    pub code: String,
    pub actor_kind: String,
    pub actor_id: Uuid,
    pub target_kind: String,
    pub target_id: Uuid,
    pub request_id: String,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub dropped: i64,
}

const COLUMNS: &str = "sequence, attempt, refused_at, action, code, actor_kind, actor_id, target_kind, target_id, \
     request_id, ip, user_agent, dropped";

impl RefusalRow {
    /// Who tried; `None` for a kind nobody has written.
    pub fn actor(&self) -> Option<Actor> {
        Actor::from_parts(&self.actor_kind, self.actor_id)
    }

    /// What it was asked about.
    pub fn target(&self) -> Target {
        Target::from_parts(&self.target_kind, self.target_id)
    }
}

/// Keeps a refusal behind the event of a version, or counts it where too many are kept already. An organization that
/// has ended since keeps nothing.
pub(super) async fn keep(database: &Database, version: u64, attempt: &Attempt, refusal: &Refusal) -> Result<(), Error> {
    let organization = attempt.organization;
    let mut transaction = database.begin().await?;
    // Under the lock of the head: nobody else counts, and nobody deletes.
    match hot::head_in(&mut transaction, organization).await? {
        Some(head) if !head.deleted => {}
        _ => return Ok(()),
    }
    match full(&mut transaction, attempt).await? {
        None => insert(&mut transaction, version, attempt, refusal).await?,
        Some((sequence, last)) => {
            Statement::new(
                "UPDATE refusals SET dropped = dropped + 1 \
                 WHERE organization_id = $1 AND sequence = $2 AND attempt = $3",
            )
            .bind(organization.0)
            .bind(sequence)
            .bind(last)
            .run_in(&mut transaction)
            .await?;
        }
    }
    transaction.commit().await
}

/// The last refusal that was kept, where no more are kept at this time.
async fn full(transaction: &mut Transaction, attempt: &Attempt) -> Result<Option<Place>, Error> {
    let organization = attempt.organization.0;
    let an_hour_ago = attempt.now - TimeDelta::hours(1);
    let of_actor: Vec<(i64, i64, Timestamp)> = Statement::new(
        "SELECT sequence, attempt, refused_at FROM refusals WHERE organization_id = $1 AND actor_id = $2 \
         ORDER BY sequence DESC, attempt DESC LIMIT $3",
    )
    .bind(organization)
    .bind(attempt.actor.id())
    .bind(column(ACTOR_HOURLY))
    .all_in(transaction)
    .await?;
    if of_actor.len() >= ACTOR_HOURLY && of_actor.iter().all(|(.., at)| *at > an_hour_ago) {
        return Ok(of_actor.first().map(|(sequence, attempt, _)| (number(*sequence), number(*attempt))));
    }
    let of_all: Option<(i64,)> =
        Statement::new("SELECT COUNT(*) FROM refusals WHERE organization_id = $1 AND refused_at > $2")
            .bind(organization)
            .bind(an_hour_ago)
            .optional_in(transaction)
            .await?;
    if of_all.is_none_or(|(count,)| number(count) < ORGANIZATION_HOURLY) {
        return Ok(None);
    }
    let last: Option<(i64, i64)> = Statement::new(
        "SELECT sequence, attempt FROM refusals WHERE organization_id = $1 \
         ORDER BY sequence DESC, attempt DESC LIMIT 1",
    )
    .bind(organization)
    .optional_in(transaction)
    .await?;
    Ok(last.map(|(sequence, attempt)| (number(sequence), number(attempt))))
}

fn column(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

async fn insert(
    transaction: &mut Transaction,
    version: u64,
    attempt: &Attempt,
    refusal: &Refusal,
) -> Result<(), Error> {
    let Attempt { organization, actor, action, target, now, origin } = attempt;
    // Never earlier than the event it stands behind, whatever the clocks say.
    let behind: Option<(Timestamp,)> =
        Statement::new("SELECT recorded_at FROM events WHERE organization_id = $1 AND sequence = $2")
            .bind(organization.0)
            .bind(version)
            .optional_in(transaction)
            .await?;
    let refused_at = behind.map_or(*now, |(recorded_at,)| recorded_at.max(*now));
    Statement::new(format!(
        "INSERT INTO refusals (organization_id, {COLUMNS}) \
         SELECT $1, $2, COALESCE(MAX(r.attempt), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0 \
         FROM refusals r WHERE r.organization_id = $1 AND r.sequence = $2"
    ))
    .bind(organization.0)
    .bind(version)
    .bind(refused_at)
    .bind(*action)
    .bind(refusal.code())
    .bind(actor.kind())
    .bind(actor.id())
    .bind(target.kind())
    .bind(target.id(*organization))
    .bind(&origin.request_id)
    .bind(origin.ip.clone())
    .bind(origin.user_agent.clone())
    .run_in(transaction)
    .await
    .map(|_| ())
}

/// An entry of the audit log.
#[derive(Clone, Debug)]
pub enum Line {
    /// What was done.
    Done(Box<Entry>),
    /// What was refused.
    Refused(Box<RefusalRow>),
}

impl Line {
    /// What was done, where it was.
    pub fn done(&self) -> Option<&Entry> {
        match self {
            Self::Done(entry) => Some(entry),
            Self::Refused(_) => None,
        }
    }

    /// Who asked for it; `None` for a kind nobody has written.
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Self::Done(entry) => entry.recorded.metadata.actor(),
            Self::Refused(row) => row.actor(),
        }
    }

    /// What it was about.
    pub fn target(&self) -> Target {
        match self {
            Self::Done(entry) => entry.recorded.event.target(),
            Self::Refused(row) => row.target(),
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::Done(entry) => (entry.recorded.sequence, 0),
            Self::Refused(row) => (number(row.sequence), number(row.attempt)),
        }
    }

    /// Where the entry stands in the log.
    pub fn position(&self) -> Position {
        let (sequence, attempt) = self.place();
        Position { key: Key::Pair(sequence, attempt), id: None }
    }
}

/// Which of the two kinds of entries are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What was done.
    Done,
    /// What was refused.
    Refused,
    /// Both, in one order.
    Both,
}

impl Filter {
    /// Reads a page of the audit log, newest first.
    pub async fn log(
        &self,
        database: &Database,
        organization: OrganizationId,
        kept: Kept,
        window: &Window,
    ) -> Result<Page<Line>, Error> {
        let mut lines = Vec::new();
        // Refusals first: who goes on from the newest of these meets every event that comes before the next refusal.
        if kept != Kept::Done {
            lines.extend(
                self.refused(database, organization, window).await?.into_iter().map(|row| Line::Refused(Box::new(row))),
            );
        }
        if kept != Kept::Refused {
            let done = self.rows(database, organization, Direction::Descending, window).await?;
            lines.extend(done.into_iter().map(|entry| Line::Done(Box::new(entry))));
        }
        lines.sort_by_key(Line::place);
        if window.end == End::First {
            lines.reverse();
        }
        Ok(window.page(lines))
    }

    async fn refused(
        &self,
        database: &Database,
        organization: OrganizationId,
        window: &Window,
    ) -> Result<Vec<RefusalRow>, Error> {
        match self.refused_statement(organization, window) {
            Some(statement) => statement.all(database).await,
            None => Ok(Vec::new()),
        }
    }

    /// The statement of a page of what was refused; none where there can be nothing.
    pub fn refused_statement(&self, organization: OrganizationId, window: &Window) -> Option<Statement> {
        let window = over_refused(window);
        let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM ("));
        if !self.push_places(&mut statement, &REFUSED, organization, Some((&window, Direction::Descending))) {
            return None;
        }
        statement.push(") AS place");
        window.push_order(&mut statement, &["sequence", "attempt"], Direction::Descending);
        Some(statement)
    }

    /// Counts the entries that are meant.
    pub async fn log_count(&self, database: &Database, organization: OrganizationId, kept: Kept) -> Result<u64, Error> {
        let done = if kept == Kept::Refused { 0 } else { self.count(database, organization).await? };
        if kept == Kept::Done {
            return Ok(done);
        }
        let mut statement = Statement::new("SELECT COUNT(*) FROM (");
        if !self.push_places(&mut statement, &REFUSED, organization, None) {
            return Ok(done);
        }
        statement.push(") AS place");
        Ok(done + statement.count(database).await?)
    }
}
