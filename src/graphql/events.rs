//! The events of the ledger: pages of them, and their edges for subscriptions.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, InputObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    changes::{self},
    context::{Access, store},
    errors::OrInternal,
    history::{actor, event_id, names},
    paging::{Connection, ConnectionEdge, LEDGER, Paging, ledger_cursor},
    people::Actor,
};
use crate::{
    domain::organization,
    store::{
        aggregate::Recorded,
        history::{self as store_history, Filter},
        names::Names,
        page::Direction,
    },
};

/// Which events are sent.
#[derive(Clone, Debug, Default, InputObject)]
pub struct EventFilter {
    /// Of one of these types, or with one of these prefixes as `member.*`; `*` is every type.
    pub types: Option<Vec<String>>,
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
pub async fn page(ctx: &Context<'_>, access: &Arc<Access>, paging: Paging) -> Result<EventConnection> {
    access.require(organization::Permission::AuditRead)?;
    let database = access.database(ctx)?;
    let filter = Filter::default();
    let window = paging.window(LEDGER)?;
    let page = filter.page(database, access.organization, Direction::Ascending, &window).await.or_internal(ctx)?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database, access.organization).await.or_internal(ctx)?)
    } else {
        None
    };
    let recorded: Vec<_> = page.rows.iter().map(|entry| &entry.recorded).collect();
    let names = names(ctx, database, access.organization, &recorded).await?;
    Ok(Connection::new(page, total, |entry| edge(&entry.recorded, &names)))
}

/// One event, for a caller who may see it.
pub async fn event(ctx: &Context<'_>, access: &Access, sequence: u64) -> Result<Option<Event>> {
    let Some(before) = sequence.checked_sub(1) else { return Ok(None) };
    let found =
        store_history::after(&store(ctx)?.database, access.organization, before, sequence).await.or_internal(ctx)?;
    let Some(recorded) = found.first() else { return Ok(None) };
    let names = names(ctx, &store(ctx)?.database, access.organization, &[recorded]).await?;
    Ok(edge(recorded, &names).node)
}

/// The edge of an event, with today's name of who did it.
pub fn edge(recorded: &Recorded, names: &Names) -> EventEdge {
    let node = Event {
        id: event_id(recorded),
        sequence: recorded.sequence,
        name: recorded.event.name().to_owned(),
        version: organization::Event::VERSION,
        occurred_at: recorded.recorded_at,
        actor: actor(recorded, names),
        data: changes::data(recorded.organization, recorded),
    };
    EventEdge { cursor: ledger_cursor(recorded.sequence), node: Some(node) }
}
