//! The audit log and the events: what was changed, by whom, and when.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    changes::{self, Change},
    context::Access,
    errors::{OrInternal, UserErrorCode},
    fields::moment,
    members::{filter_list, search_text},
    overview::ActivityEntry,
    paging::{self, AUDIT, Connection, Edge, Paging},
    people::{Actor, ActorKind},
};
use crate::{
    domain::{
        self, GlobalId, InvitationId, OrganizationId,
        organization::{self, Event, Target},
    },
    secrets::hex,
    store::{
        Database,
        aggregate::Recorded,
        history::Filter,
        names::{Names, Wanted},
        page::{Direction, End, Window},
        refusals::{Kept, Line, RefusalRow},
    },
};

/// Whether what somebody tried was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Outcome {
    /// It was done.
    Succeeded,
    /// A rule said no.
    Refused,
}

/// Which entries of the audit log are listed.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AuditFilter {
    /// Of one of these types, or with one of these prefixes as `member.*`; `*` is every type.
    types: Option<Vec<String>>,
    /// By one of these people or keys: ids of users, members or API keys.
    actor_ids: Option<Vec<ID>>,
    /// By an actor of one of these kinds.
    actor_kinds: Option<Vec<ActorKind>>,
    /// About one of these: ids of members, users, invitations, roles, API keys or the organization.
    target_ids: Option<Vec<ID>>,
    /// With one of these outcomes; what was done, unless told otherwise.
    outcomes: Option<Vec<Outcome>>,
    /// From then on.
    from: Option<DateTime<Utc>>,
    /// Before then.
    to: Option<DateTime<Utc>>,
    /// With this sequence or a larger one. What was refused counts with the sequence that it stands behind.
    from_sequence: Option<i64>,
    /// With a smaller sequence than this.
    to_sequence: Option<i64>,
    /// A part of the type or of the reason.
    search: Option<String>,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TargetKind {
    /// The organization itself.
    Organization,
    /// A member.
    Member,
    /// An invitation.
    Invitation,
    /// A custom role.
    Role,
    /// An API key.
    ApiKey,
}

/// What an entry is about. The name is today's.
#[derive(Clone, Debug, SimpleObject)]
pub struct AuditTarget {
    /// What it is.
    kind: TargetKind,
    /// Its id.
    id: ID,
    /// What it is called today: a person by name or else email, an invitation by its address, a role by
    /// its name.
    display_name: Option<String>,
}

/// An entry of the audit log.
pub struct AuditEntry {
    access: Arc<Access>,
    line: Line,
    names: Arc<Names>,
    changes: Vec<Change>,
}

/// A page of the audit log.
pub type AuditEntryConnection = Connection<Edge<AuditEntry>>;

impl AuditEntry {
    fn new(access: &Arc<Access>, line: Line, names: &Arc<Names>) -> Self {
        let changes = line.done().map(|entry| changes::of(&entry.recorded, names)).unwrap_or_default();
        Self { access: Arc::clone(access), line, names: Arc::clone(names), changes }
    }

    fn refused(&self) -> Option<&RefusalRow> {
        match &self.line {
            Line::Done(_) => None,
            Line::Refused(row) => Some(row),
        }
    }
}

/// A change, or a command that a rule refused, with who asked for it and what it was about. The entry of a change is the
/// change: it cannot be missing.
#[Object]
impl AuditEntry {
    /// Its id.
    fn id(&self) -> ID {
        match &self.line {
            Line::Done(entry) => event_id(&entry.recorded),
            Line::Refused(row) => {
                let (sequence, attempt) = (row.sequence.unsigned_abs(), row.attempt.unsigned_abs());
                GlobalId::Refusal(self.access.organization, sequence, attempt).to_string().into()
            }
        }
    }

    /// Its place in the ledger, from 1; null for what was refused, which stands beside the ledger.
    fn sequence(&self) -> Option<u64> {
        self.line.done().map(|entry| entry.recorded.sequence)
    }

    /// The permanent name: of a change, as `member.removed`, or of what was refused, as `member.remove`.
    #[graphql(name = "type")]
    fn name(&self) -> &str {
        match &self.line {
            Line::Done(entry) => entry.recorded.event.name(),
            Line::Refused(row) => &row.action,
        }
    }

    /// When.
    fn occurred_at(&self) -> DateTime<Utc> {
        match &self.line {
            Line::Done(entry) => entry.recorded.recorded_at,
            Line::Refused(row) => row.refused_at,
        }
    }

    /// Whether it was done.
    fn outcome(&self) -> Outcome {
        if self.refused().is_some() { Outcome::Refused } else { Outcome::Succeeded }
    }

    /// Which rule said no; null for what was done.
    fn code(&self) -> Option<UserErrorCode> {
        self.refused().and_then(|row| UserErrorCode::from_name(&row.code))
    }

    /// How many more commands were refused after this one and counted only, because too many had been within the hour:
    /// 60 of its actor or 1,000 of the organization.
    fn more_refused(&self) -> i64 {
        self.refused().map_or(0, |row| row.dropped)
    }

    /// Why, in the caller's words; not kept of what was refused.
    fn reason(&self) -> Option<&str> {
        self.line.done()?.reason.as_deref()
    }

    /// The request that asked for it.
    fn request_id(&self) -> &str {
        match &self.line {
            Line::Done(entry) => &entry.recorded.metadata.request_id,
            Line::Refused(row) => &row.request_id,
        }
    }

    /// Its hash in the chain, in hexadecimal; null for what was refused.
    fn hash(&self) -> Option<String> {
        self.line.done().map(|entry| hex(&entry.recorded.hash))
    }

    /// Who.
    fn actor(&self) -> Option<Actor> {
        Some(Actor::new(self.access.organization, self.line.actor()?, &self.names))
    }

    /// What it was about.
    fn target(&self) -> AuditTarget {
        target(&self.access, self.line.target(), &self.names)
    }

    /// What changed: each field with its value before and after.
    fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The address that the request came from, as long as it is kept.
    fn ip(&self) -> Option<&str> {
        match &self.line {
            Line::Done(entry) => entry.ip.as_deref(),
            Line::Refused(row) => row.ip.as_deref(),
        }
    }

    /// The program that sent the request, as long as it is kept.
    fn user_agent(&self) -> Option<&str> {
        match &self.line {
            Line::Done(entry) => entry.user_agent.as_deref(),
            Line::Refused(row) => row.user_agent.as_deref(),
        }
    }
}

pub(super) fn event_id(recorded: &Recorded) -> ID {
    GlobalId::Event(recorded.organization, recorded.sequence).to_string().into()
}

pub(super) fn actor(recorded: &Recorded, names: &Names) -> Option<Actor> {
    Some(Actor::new(recorded.organization, recorded.metadata.actor()?, names))
}

fn target(access: &Access, target: Target, names: &Names) -> AuditTarget {
    let organization = access.organization;
    let (kind, id) = match target {
        Target::Organization => {
            let id = GlobalId::Organization(organization).to_string().into();
            let display_name = Some(access.row.name.clone());
            return AuditTarget { kind: TargetKind::Organization, id, display_name };
        }
        Target::Member(user) => (TargetKind::Member, GlobalId::Member(organization, user)),
        Target::Invitation(id) => (TargetKind::Invitation, GlobalId::Invitation(organization, id)),
        Target::Role(id) => (TargetKind::Role, GlobalId::Role(organization, id)),
        Target::ApiKey(id) => (TargetKind::ApiKey, GlobalId::ApiKey(organization, id)),
    };
    AuditTarget { kind, id: id.to_string().into(), display_name: names.get(target.id(organization)) }
}

/// Wants the names of who asked for something and of what it is about.
fn want(wanted: &mut Wanted, actor: Option<domain::Actor>, target: Target) {
    if let Some(actor) = actor {
        wanted.actor(actor);
    }
    match target {
        Target::Organization => {}
        Target::Role(role) => wanted.role(role.0),
        Target::Member(user) => wanted.user(user.0),
        Target::Invitation(InvitationId(id)) => wanted.invitation(id),
        Target::ApiKey(key) => wanted.api_key(key.0),
    }
}

fn want_event(wanted: &mut Wanted, recorded: &Recorded) {
    want(wanted, recorded.metadata.actor(), recorded.event.target());
    for role in changes::roles(&recorded.event) {
        wanted.role(role.0);
    }
    if let Event::MemberOwnershipTransferred { former_owner_id, .. } = &recorded.event {
        wanted.user(former_owner_id.0);
    }
}

/// Today's names of everybody and everything in these events.
pub(super) async fn names(
    ctx: &Context<'_>,
    database: &Database,
    organization: OrganizationId,
    events: &[&Recorded],
) -> Result<Names> {
    let mut wanted = Wanted::default();
    for recorded in events {
        want_event(&mut wanted, recorded);
    }
    wanted.load(database, organization).await.or_internal(ctx)
}

/// The same of entries, with what their changes need.
async fn names_of_log(ctx: &Context<'_>, access: &Access, lines: &[Line]) -> Result<Names> {
    let mut wanted = Wanted::default();
    for line in lines {
        match line {
            Line::Refused(row) => want(&mut wanted, row.actor(), row.target()),
            Line::Done(entry) => {
                want_event(&mut wanted, &entry.recorded);
                if let Event::MemberJoined { user_id, .. } = &entry.recorded.event {
                    wanted.joined(user_id.0);
                }
            }
        }
    }
    wanted.load(access.database(ctx)?, access.organization).await.or_internal(ctx)
}

/// The bare ids behind ids of a filter; one of elsewhere matches nothing, like an unknown one.
fn bare_ids(access: &Access, ids: Option<Vec<ID>>) -> Result<Vec<Uuid>> {
    let bare = |id: ID| id.parse::<GlobalId>().ok().and_then(|id| id.bare_in(access.organization)).unwrap_or_default();
    Ok(filter_list(ids)?.into_iter().map(bare).collect())
}

/// Types of a filter, without what no type can be.
pub fn type_patterns(types: Option<Vec<String>>) -> Result<Vec<String>> {
    let mut types = filter_list(types)?;
    for pattern in &mut types {
        if pattern.len() > 100 || pattern.contains('\0') {
            "?".clone_into(pattern);
        }
    }
    Ok(types)
}

/// Which entries the outcomes mean; none, where they mean nothing.
fn kept(outcomes: Option<&Vec<Outcome>>) -> Option<Kept> {
    let has = |outcome: Outcome| outcomes.is_some_and(|outcomes| outcomes.contains(&outcome));
    match (outcomes.is_none() || has(Outcome::Succeeded), has(Outcome::Refused)) {
        (true, true) => Some(Kept::Both),
        (true, false) => Some(Kept::Done),
        (false, true) => Some(Kept::Refused),
        (false, false) => None,
    }
}

/// The audit log, newest first.
pub async fn audit_log(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    paging: Paging,
    filter: AuditFilter,
) -> Result<AuditEntryConnection> {
    access.require(organization::Permission::AuditRead)?;
    let Some(kept) = kept(filter.outcomes.as_ref()) else { return Ok(Connection::empty()) };
    let sequence = |number: i64| u64::try_from(number).unwrap_or_default();
    let kinds = filter_list(filter.actor_kinds)?;
    let filter = Filter {
        types: type_patterns(filter.types)?,
        actors: bare_ids(access, filter.actor_ids)?,
        actor_kinds: kinds.into_iter().map(|kind| kind.name().to_owned()).collect(),
        targets: bare_ids(access, filter.target_ids)?,
        from: filter.from.map(moment),
        to: filter.to.map(moment),
        from_sequence: filter.from_sequence.map(sequence),
        to_sequence: filter.to_sequence.map(sequence),
        search: search_text(filter.search)?,
    };
    audit_page(ctx, access, (&filter, kept), &paging).await
}

/// A page of the audit log, for a caller who may see it.
pub async fn audit_page(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    (filter, kept): (&Filter, Kept),
    paging: &Paging,
) -> Result<AuditEntryConnection> {
    let database = access.database(ctx)?;
    let window = paging.window(AUDIT)?;
    let page = filter.log(database, access.organization, kept, &window).await.or_internal(ctx)?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.log_count(database, access.organization, kept).await.or_internal(ctx)?)
    } else {
        None
    };
    let names = Arc::new(names_of_log(ctx, access, &page.rows).await?);
    Ok(Connection::new(page, total, |line| Edge {
        cursor: paging::encode(AUDIT, &line.position()),
        node: AuditEntry::new(access, line, &names),
    }))
}

/// The latest changes, in short.
pub async fn recent(ctx: &Context<'_>, access: &Arc<Access>, limit: u32) -> Result<Vec<ActivityEntry>> {
    let database = access.database(ctx)?;
    let window = Window { limit, end: End::First, after: None, before: None };
    let page =
        Filter::default().page(database, access.organization, Direction::Descending, &window).await.or_internal(ctx)?;
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, database, access.organization, &recorded).await?;
    let short = |recorded: &Recorded| {
        let actor = actor(recorded, &names);
        ActivityEntry::new(recorded.event.name().to_owned(), recorded.recorded_at, actor)
    };
    Ok(recorded.into_iter().map(short).collect())
}
