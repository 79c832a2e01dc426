//! The audit log and the events: what was changed, by whom, and when.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    changes::{self, Change},
    context::{Access, store},
    errors::OrInternal,
    fields::moment,
    members::{filter_list, search_text},
    organization::ActivityEntry,
    paging::{self, Connection, Edge, Paging},
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
        history::{Entry, Filter},
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
    /// Of one of these types, or with one of these prefixes as `member.*`; `*` is every type.
    types: Option<Vec<String>>,
    /// By one of these people or keys: ids of users, members or API keys.
    actor_ids: Option<Vec<ID>>,
    /// About one of these: ids of members, users, invitations, roles, API keys or the organization.
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

pub(super) fn event_id(recorded: &Recorded) -> ID {
    GlobalId::Event(recorded.organization, recorded.sequence).to_string().into()
}

pub(super) fn actor(access: &Access, recorded: &Recorded, names: &Names) -> Option<Actor> {
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
        Target::Role(id) => (TargetKind::Role, GlobalId::Role(organization, id), id.0),
        Target::ApiKey(id) => (TargetKind::ApiKey, GlobalId::ApiKey(organization, id), id.0),
    };
    AuditTarget { kind, id: id.to_string().into(), display_name: names.get(object) }
}

/// Today's names of everybody and everything in these events.
pub(super) async fn names(ctx: &Context<'_>, access: &Access, events: &[&Recorded]) -> Result<Names> {
    let mut wanted = Wanted::default();
    for recorded in events {
        if let Some(actor) = recorded.metadata.actor() {
            wanted.actor(actor);
        }
        match recorded.event.target() {
            Target::Organization => {}
            Target::Role(role) => wanted.role(role.0),
            Target::Member(user) => wanted.user(user.0),
            Target::Invitation(InvitationId(id)) => wanted.invitation(id),
            Target::ApiKey(key) => wanted.api_key(key.0),
        }
        for role in changes::roles(&recorded.event) {
            wanted.role(role.0);
        }
    }
    wanted.load(&store(ctx)?.database, access.organization).await.or_internal(ctx)
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
    let page = filter.page(database, access.organization, Direction::Descending, &window).await.or_internal(ctx)?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database, access.organization).await.or_internal(ctx)?)
    } else {
        None
    };
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = Arc::new(names(ctx, access, &recorded).await?);
    Ok(Connection::new(page, total, |entry| Edge {
        cursor: paging::encode("audit", &entry.position()),
        node: AuditEntry {
            access: Arc::clone(access),
            changes: changes::of(&entry.recorded.event, &names),
            entry,
            names: Arc::clone(&names),
        },
    }))
}

/// The latest changes, in short.
pub async fn recent(ctx: &Context<'_>, access: &Arc<Access>, limit: u32) -> Result<Vec<ActivityEntry>> {
    let database = &store(ctx)?.database;
    let window = Window { limit, end: End::First, after: None, before: None };
    let page =
        Filter::default().page(database, access.organization, Direction::Descending, &window).await.or_internal(ctx)?;
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, access, &recorded).await?;
    let short = |recorded: &Recorded| {
        let actor = actor(access, recorded, &names);
        ActivityEntry::new(recorded.event.name().to_owned(), recorded.recorded_at, actor)
    };
    Ok(recorded.into_iter().map(short).collect())
}
