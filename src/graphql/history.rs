//! The audit log and the events: what was changed, by whom, and when.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    changes::{self, Change},
    context::{Access, store},
    errors,
    fields::moment,
    members::{filter_list, search_text},
    organization::ActivityEntry,
    paging::{self, Connection, ConnectionEdge, Edge, LEDGER, Paging, ledger_cursor},
    people::Actor,
};
use crate::{
    domain::{
        GlobalId, InvitationId,
        organization::{self, Target},
    },
    secrets::hex,
    store::{
        aggregate::Recorded,
        history::{self as store_history, Entry, Filter},
        names::{Names, Wanted},
        page::{Direction, End, Window},
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
    /// Of one of these types, or with one of these prefixes as `member.*`.
    types: Option<Vec<String>>,
    /// By one of these people or keys: ids of users, members or API keys.
    actor_ids: Option<Vec<ID>>,
    /// About one of these: ids of members, users, invitations, API keys or the organization.
    target_ids: Option<Vec<ID>>,
    /// With one of these outcomes; what was done, unless told otherwise.
    outcomes: Option<Vec<Outcome>>,
    /// From then on.
    from: Option<DateTime<Utc>>,
    /// Before then.
    to: Option<DateTime<Utc>>,
    /// A part of the type or of the reason.
    search: Option<String>,
}

/// Which events are sent.
#[derive(Clone, Debug, Default, InputObject)]
pub struct EventFilter {
    /// Of one of these types, or with one of these prefixes as `member.*`.
    pub types: Option<Vec<String>>,
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
    /// What it is called today: a person by name or else email, an invitation by its address.
    display_name: Option<String>,
}

/// An entry of the audit log.
pub struct AuditEntry {
    access: Arc<Access>,
    entry: Entry,
    names: Arc<Names>,
    changes: Vec<Change>,
}

/// A page of the audit log.
pub type AuditEntryConnection = Connection<Edge<AuditEntry>>;

/// A change, with who made it and what it was about. The entry is the change: it cannot be missing.
#[Object]
impl AuditEntry {
    /// Its id.
    async fn id(&self) -> ID {
        event_id(&self.entry.recorded)
    }

    /// Its place in the ledger, from 1.
    async fn sequence(&self) -> u64 {
        self.entry.recorded.sequence
    }

    /// The permanent name of the change.
    #[graphql(name = "type")]
    async fn event_type(&self) -> &str {
        self.entry.recorded.event.name()
    }

    /// When.
    async fn occurred_at(&self) -> DateTime<Utc> {
        self.entry.recorded.recorded_at
    }

    /// Whether it was done.
    async fn outcome(&self) -> Outcome {
        Outcome::Succeeded
    }

    /// Why, in the caller's words.
    async fn reason(&self) -> Option<&str> {
        self.entry.reason.as_deref()
    }

    /// The request that asked for it.
    async fn request_id(&self) -> &str {
        &self.entry.recorded.metadata.request_id
    }

    /// Its hash in the chain, in hexadecimal.
    async fn hash(&self) -> String {
        hex(&self.entry.recorded.hash)
    }

    /// Who.
    async fn actor(&self) -> Option<Actor> {
        actor(&self.access, &self.entry.recorded, &self.names)
    }

    /// What it was about.
    async fn target(&self) -> AuditTarget {
        target(&self.access, &self.entry.recorded, &self.names)
    }

    /// What changed: each field with its value before and after.
    async fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The address that the request came from.
    async fn ip(&self) -> Option<&str> {
        self.entry.ip.as_deref()
    }

    /// The program that sent the request.
    async fn user_agent(&self) -> Option<&str> {
        self.entry.user_agent.as_deref()
    }
}

fn event_id(recorded: &Recorded) -> ID {
    GlobalId::Event(recorded.organization, recorded.sequence).to_string().into()
}

fn actor(access: &Access, recorded: &Recorded, names: &Names) -> Option<Actor> {
    Some(Actor::new(access.organization, recorded.metadata.actor()?, names))
}

fn target(access: &Access, recorded: &Recorded, names: &Names) -> AuditTarget {
    let organization = access.organization;
    let (kind, id, object) = match recorded.event.target() {
        Target::Organization => {
            let id = GlobalId::Organization(organization).to_string().into();
            let display_name = Some(access.row.name.clone());
            return AuditTarget { kind: TargetKind::Organization, id, display_name };
        }
        Target::Member(user) => (TargetKind::Member, GlobalId::Member(organization, user), user.0),
        Target::Invitation(id) => (TargetKind::Invitation, GlobalId::Invitation(organization, id), id.0),
        Target::ApiKey(id) => (TargetKind::ApiKey, GlobalId::ApiKey(organization, id), id.0),
    };
    AuditTarget { kind, id: id.to_string().into(), display_name: names.get(object) }
}

/// Today's names of everybody and everything in these events.
async fn names(ctx: &Context<'_>, access: &Access, events: &[&Recorded]) -> Result<Names> {
    let mut wanted = Wanted::default();
    for recorded in events {
        if let Some(actor) = recorded.metadata.actor() {
            wanted.actor(actor);
        }
        match recorded.event.target() {
            Target::Organization => {}
            Target::Member(user) => wanted.user(user.0),
            Target::Invitation(InvitationId(id)) => wanted.invitation(id),
            Target::ApiKey(key) => wanted.api_key(key.0),
        }
    }
    wanted.load(&store(ctx)?.database, access.organization).await.map_err(|error| errors::internal(ctx, &error))
}

/// The bare ids behind ids of a filter; one of elsewhere matches nothing, like an unknown one.
fn bare_ids(access: &Access, ids: Option<Vec<ID>>) -> Result<Vec<Uuid>> {
    let own = access.organization;
    let bare = |id: ID| match id.parse() {
        Ok(GlobalId::User(user)) => user.0,
        Ok(GlobalId::Organization(organization)) if organization == own => organization.0,
        Ok(GlobalId::Member(organization, user)) if organization == own => user.0,
        Ok(GlobalId::Invitation(organization, id)) if organization == own => id.0,
        Ok(GlobalId::ApiKey(organization, id)) if organization == own => id.0,
        _ => Uuid::nil(),
    };
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

/// The audit log, newest first.
pub async fn audit_log(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    paging: Paging,
    filter: AuditFilter,
) -> Result<AuditEntryConnection> {
    access.require(organization::Permission::AuditRead)?;
    let refused_only = filter.outcomes.as_ref().is_some_and(|outcomes| !outcomes.contains(&Outcome::Succeeded));
    if refused_only {
        return Ok(Connection::empty());
    }
    let filter = Filter {
        types: type_patterns(filter.types)?,
        actors: bare_ids(access, filter.actor_ids)?,
        targets: bare_ids(access, filter.target_ids)?,
        from: filter.from.map(moment),
        to: filter.to.map(moment),
        search: search_text(filter.search)?,
    };
    audit_page(ctx, access, &filter, &paging).await
}

/// A page of the audit log, for a caller who may see it.
pub async fn audit_page(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    filter: &Filter,
    paging: &Paging,
) -> Result<AuditEntryConnection> {
    let database = &store(ctx)?.database;
    let window = paging.window("audit")?;
    let page = filter.page(database, access.organization, Direction::Descending, &window).await;
    let page = page.map_err(|error| errors::internal(ctx, &error))?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database, access.organization).await.map_err(|error| errors::internal(ctx, &error))?)
    } else {
        None
    };
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = Arc::new(names(ctx, access, &recorded).await?);
    let roles = access.roles(ctx).await?;
    Ok(Connection::new(page, total, |entry| Edge {
        cursor: paging::encode("audit", &entry.position()),
        node: AuditEntry {
            access: Arc::clone(access),
            changes: changes::of(&entry.recorded.event, roles),
            entry,
            names: Arc::clone(&names),
        },
    }))
}

/// The latest changes, in short.
pub async fn recent(ctx: &Context<'_>, access: &Arc<Access>, limit: u32) -> Result<Vec<ActivityEntry>> {
    let database = &store(ctx)?.database;
    let window = Window { limit, end: End::First, after: None, before: None };
    let page = Filter::default().page(database, access.organization, Direction::Descending, &window).await;
    let page = page.map_err(|error| errors::internal(ctx, &error))?;
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, access, &recorded).await?;
    let short = |recorded: &Recorded| {
        let actor = actor(access, recorded, &names);
        ActivityEntry::new(recorded.event.name().to_owned(), recorded.recorded_at, actor)
    };
    Ok(recorded.into_iter().map(short).collect())
}

/// An event of the ledger.
#[derive(Clone, SimpleObject)]
#[graphql(complex)]
pub struct Event {
    #[graphql(skip)]
    id: ID,
    /// Its place in the ledger, from 1.
    sequence: u64,
    /// Its permanent name.
    #[graphql(name = "type")]
    name: String,
    /// The version of the shape of its data.
    version: u32,
    /// When it was recorded.
    occurred_at: DateTime<Utc>,
    /// Who did it.
    actor: Option<Actor>,
    /// Its fields. Ids are those of the API; no field names a person otherwise.
    data: Value,
}

/// An event of the ledger.
#[ComplexObject]
impl Event {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.id.clone()
    }
}

/// An event with its place; a heartbeat has a place and no event.
#[derive(SimpleObject)]
pub struct EventEdge {
    /// The place, to go on from.
    pub cursor: String,
    /// The event.
    pub node: Option<Event>,
}

impl ConnectionEdge for EventEdge {
    type Node = Event;

    fn cursor(&self) -> &str {
        &self.cursor
    }

    fn node(&self) -> Option<&Event> {
        self.node.as_ref()
    }
}

/// A page of events.
pub type EventConnection = Connection<EventEdge>;

/// The events, oldest first.
pub async fn events(ctx: &Context<'_>, access: &Arc<Access>, paging: Paging) -> Result<EventConnection> {
    access.require(organization::Permission::AuditRead)?;
    let database = &store(ctx)?.database;
    let filter = Filter::default();
    let window = paging.window(LEDGER)?;
    let page = filter.page(database, access.organization, Direction::Ascending, &window).await;
    let page = page.map_err(|error| errors::internal(ctx, &error))?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database, access.organization).await.map_err(|error| errors::internal(ctx, &error))?)
    } else {
        None
    };
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, access, &recorded).await?;
    Ok(Connection::new(page, total, |entry| edge(access, &entry.recorded, &names)))
}

/// One event, for a caller who may see it.
pub async fn event(ctx: &Context<'_>, access: &Access, sequence: u64) -> Result<Option<Event>> {
    let Some(before) = sequence.checked_sub(1) else { return Ok(None) };
    let found = store_history::after(&store(ctx)?.database, access.organization, before, sequence).await;
    let found = found.map_err(|error| errors::internal(ctx, &error))?;
    Ok(edges(ctx, access, &found).await?.pop().and_then(|edge| edge.node))
}

/// The edges of events, with today's names.
pub async fn edges(ctx: &Context<'_>, access: &Access, events: &[Recorded]) -> Result<Vec<EventEdge>> {
    let names = names(ctx, access, &events.iter().collect::<Vec<_>>()).await?;
    Ok(events.iter().map(|recorded| edge(access, recorded, &names)).collect())
}

fn edge(access: &Access, recorded: &Recorded, names: &Names) -> EventEdge {
    let node = Event {
        id: event_id(recorded),
        sequence: recorded.sequence,
        name: recorded.event.name().to_owned(),
        version: organization::Event::VERSION,
        occurred_at: recorded.recorded_at,
        actor: actor(access, recorded, names),
        data: changes::data(access.organization, recorded),
    };
    EventEdge { cursor: ledger_cursor(recorded.sequence), node: Some(node) }
}
