//! Connections: pages of lists, with cursors that carry their order.

use async_graphql::{Object, OutputType, Result, SimpleObject};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike};
use serde_json::Value;
use uuid::Uuid;

use super::{
    api_keys::ApiKey,
    errors::{bad_input, top},
    events::EventEdge,
    history::AuditEntry,
    invitations::Invitation,
    members::Member,
    organization::OrganizationEdge,
};
use crate::store::page::{End, Key, Page, Position, Window};

/// How many a page has unless told otherwise.
const DEFAULT_SIZE: u32 = 50;
/// How many a page has at most.
pub const LARGEST_SIZE: u32 = 100;

/// Where a page stands in its list.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether there are more behind it.
    pub has_next_page: bool,
    /// Whether there are more before it.
    pub has_previous_page: bool,
    /// The cursor of its first edge.
    pub start_cursor: Option<String>,
    /// The cursor of its last edge.
    pub end_cursor: Option<String>,
}

/// An object with its place in a list.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "MemberEdge", params(Member)),
    concrete(name = "InvitationEdge", params(Invitation)),
    concrete(name = "ApiKeyEdge", params(ApiKey)),
    concrete(name = "AuditEntryEdge", params(AuditEntry))
)]
pub struct Edge<T: OutputType> {
    /// The place, to go on from.
    pub cursor: String,
    /// The object.
    pub node: T,
}

/// An edge of a connection.
pub trait ConnectionEdge: OutputType {
    /// What it leads to.
    type Node: OutputType;
    /// The place.
    fn cursor(&self) -> &str;
    /// The object.
    fn node(&self) -> Option<&Self::Node>;
}

impl<T: OutputType> ConnectionEdge for Edge<T>
where
    Self: OutputType,
{
    type Node = T;

    fn cursor(&self) -> &str {
        &self.cursor
    }

    fn node(&self) -> Option<&T> {
        Some(&self.node)
    }
}

/// A page of a list.
pub struct Connection<E> {
    edges: Vec<E>,
    has_next: bool,
    has_previous: bool,
    total: Option<u64>,
}

impl<E: ConnectionEdge> Connection<E> {
    /// The connection of a page; the total is there if it was asked for.
    pub fn new<T>(page: Page<T>, total: Option<u64>, edge: impl FnMut(T) -> E) -> Self {
        let Page { rows, has_next, has_previous, .. } = page;
        Self { edges: rows.into_iter().map(edge).collect(), has_next, has_previous, total }
    }

    /// The connection of a list that has nothing in it.
    pub fn empty() -> Self {
        Self { edges: Vec::new(), has_next: false, has_previous: false, total: Some(0) }
    }
}

/// A page of a list, after the Relay specification.
#[Object(
    concrete(name = "MemberConnection", params("Edge<Member>")),
    concrete(name = "InvitationConnection", params("Edge<Invitation>")),
    concrete(name = "ApiKeyConnection", params("Edge<ApiKey>")),
    concrete(name = "AuditEntryConnection", params("Edge<AuditEntry>")),
    concrete(name = "EventConnection", params(EventEdge)),
    concrete(name = "OrganizationConnection", params(OrganizationEdge))
)]
impl<E: ConnectionEdge> Connection<E> {
    /// The objects with their cursors.
    fn edges(&self) -> &[E] {
        &self.edges
    }

    /// The objects alone.
    fn nodes(&self) -> Vec<&E::Node> {
        self.edges.iter().filter_map(ConnectionEdge::node).collect()
    }

    /// Where the page stands in its list.
    fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.edges.first().map(|edge| edge.cursor().to_owned()),
            end_cursor: self.edges.last().map(|edge| edge.cursor().to_owned()),
        }
    }

    /// How many objects the whole list has; counted only when it is asked for.
    fn total_count(&self) -> u64 {
        self.total.unwrap_or_default()
    }
}

/// The arguments of a page, as they were given.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// So many from the beginning.
    pub first: Option<i32>,
    /// Behind this place.
    pub after: Option<String>,
    /// So many from the end.
    pub last: Option<i32>,
    /// Before this place.
    pub before: Option<String>,
}

impl Paging {
    /// The first so many behind a place.
    pub const fn forwards(first: Option<i32>, after: Option<String>) -> Self {
        Self { first, after, last: None, before: None }
    }

    /// The page that is meant, in a list of this order.
    pub fn window(&self, order: &str) -> Result<Window> {
        let (size, end) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(bad_input("Give first or last, not both.")),
            (None, Some(last)) => (Some(last), End::Last),
            (first, None) => (first, End::First),
        };
        let limit = size.map_or(Ok(DEFAULT_SIZE), u32::try_from).unwrap_or(u32::MAX);
        if limit > LARGEST_SIZE {
            return Err(bad_input(format!("A page has 0 to {LARGEST_SIZE} objects.")));
        }
        let place = |cursor: &Option<String>| cursor.as_deref().map(|cursor| decode(order, cursor)).transpose();
        Ok(Window { limit, end, after: place(&self.after)?, before: place(&self.before)? })
    }
}

/// The text of a place in a list of this order.
pub fn encode(order: &str, position: &Position) -> String {
    let id = position.id;
    // Texts and numbers can always be written.
    let written = match &position.key {
        Key::Text(text) => serde_json::to_string(&(order, "t", text, id)),
        Key::Time(at) => serde_json::to_string(&(order, "m", at.timestamp_micros(), id)),
        Key::Number(number) => serde_json::to_string(&(order, "n", number, id)),
        Key::Pair(number, second) => serde_json::to_string(&(order, "p", [number, second], id)),
    };
    BASE64_URL_SAFE_NO_PAD.encode(written.unwrap_or_default())
}

/// The place of a text that [`encode`] wrote for the same order.
pub fn decode(order: &str, cursor: &str) -> Result<Position> {
    read(order, cursor).ok_or_else(|| top("INVALID_CURSOR", "This cursor is not one of this list in this order."))
}

fn read(order: &str, cursor: &str) -> Option<Position> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (written, kind, key, id): (String, String, Value, Option<Uuid>) = serde_json::from_slice(&bytes).ok()?;
    if (kind.as_str(), id.is_some()) != form(order) {
        return None;
    }
    let key = match kind.as_str() {
        "t" => Key::Text(key.as_str().filter(|text| !text.contains('\0'))?.to_owned()),
        // Years of four digits: what neither database can hold or order was never ours.
        "m" => Key::Time(DateTime::from_timestamp_micros(key.as_i64()?).filter(|at| (0..=9999).contains(&at.year()))?),
        "n" => Key::Number(key.as_u64()?),
        "p" => Key::Pair(key.get(0)?.as_u64()?, key.get(1)?.as_u64()?),
        _ => return None,
    };
    let position = Position { key, id };
    // What does not come out again as it came in was never ours.
    (written == order && encode(order, &position) == cursor).then_some(position)
}

/// What places in a list of this order are made of: the kind of the key, and whether an id stands behind it. Another
/// form has the database compare what cannot be compared.
fn form(order: &str) -> (&'static str, bool) {
    match order {
        AUDIT => ("p", false),
        LEDGER => ("n", false),
        _ if order.starts_with("members.Name.") || order.starts_with("members.Email.") => ("t", true),
        _ => ("m", true),
    }
}

/// The order that cursors of the audit log carry.
pub const AUDIT: &str = "audit";
/// The order that cursors of events and of the ledger carry.
pub const LEDGER: &str = "ledger";

/// The cursor of a sequence in an organization's ledger.
pub fn ledger_cursor(sequence: u64) -> String {
    encode(LEDGER, &Position { key: Key::Number(sequence), id: None })
}

/// The sequence of a ledger cursor.
pub fn ledger_sequence(cursor: &str) -> Result<u64> {
    match read(LEDGER, cursor) {
        Some(Position { key: Key::Number(sequence), .. }) => Ok(sequence),
        _ => Err(top("INVALID_CURSOR", "This cursor is not one of the ledger.")),
    }
}
