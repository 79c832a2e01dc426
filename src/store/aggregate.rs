//! The organization as cqrs-es sees it, and its events as the database holds them.

use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize, de::value::MapDeserializer};
use serde_json::Value;
use uuid::Uuid;

use super::{Error, chain, number};
use crate::domain::{
    Actor, Organization, OrganizationId, Refusal, Timestamp,
    organization::{Command, Event, Notes},
};

/// Where `handle` leaves what an answer needs beside the events.
pub type NotesSlot = Arc<Mutex<Notes>>;

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_string()
    }
}

impl Aggregate for Organization {
    const TYPE: &'static str = "organization";
    type Command = Command;
    type Event = Event;
    type Error = Refusal;
    type Services = NotesSlot;

    async fn handle(&mut self, command: Command, notes: &NotesSlot, sink: &EventSink<Self>) -> Result<(), Refusal> {
        // Everything is decided before the first event is written, so a refusal leaves the aggregate as it was.
        let decided = self.decide(&command)?;
        *notes.lock().unwrap_or_else(PoisonError::into_inner) = decided.notes;
        for event in decided.events {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.evolve(&event);
    }
}

/// Who, and in which request; hashed with the event. Flat text, as cqrs-es has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The kind of the actor.
    pub actor_kind: String,
    /// The id of the actor.
    pub actor_id: Uuid,
    /// The request that asked.
    pub request_id: String,
    /// HMAC-SHA-256 of the reason, whose text is in an erasable row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_commitment: Option<String>,
}

impl Metadata {
    /// Who acted; `None` for a kind nobody has written.
    pub fn actor(&self) -> Option<Actor> {
        Actor::from_parts(&self.actor_kind, self.actor_id)
    }
}

/// An event as it stands in the ledger.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Whose event it is.
    pub organization: OrganizationId,
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// What happened.
    pub event: Event,
    /// Its fields, as stored and hashed.
    pub payload: Value,
    /// Who, and in which request.
    pub metadata: Metadata,
    /// When; never earlier than its predecessor.
    pub recorded_at: Timestamp,
    /// The hash of its predecessor.
    pub prev_hash: Vec<u8>,
    /// Its own.
    pub hash: Vec<u8>,
}

/// An event's row.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the table")]
pub struct EventRow {
    pub organization_id: Uuid,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    pub payload: Value,
    pub metadata: Value,
    pub recorded_at: Timestamp,
    pub prev_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

impl EventRow {
    /// The columns of an [`EventRow`].
    pub const COLUMNS: &str = "e.organization_id, e.sequence, e.event_type, e.event_version, e.payload, e.metadata, \
         e.recorded_at, e.prev_hash, e.hash";

    /// The hash that the row should have behind its predecessor.
    pub fn computed_hash(&self, previous: &[u8]) -> Result<chain::Hash, Error> {
        self.link().hash(previous)
    }

    /// What the hash covers.
    pub(super) fn link(&self) -> chain::Link<'_> {
        chain::Link {
            organization: OrganizationId(self.organization_id),
            sequence: number(self.sequence),
            event_type: &self.event_type,
            version: self.event_version.parse().unwrap_or_default(),
            payload: &self.payload,
            metadata: &self.metadata,
            recorded_at: self.recorded_at,
        }
    }

    /// The event of the row.
    pub fn decode(self) -> Result<Recorded, Error> {
        let organization = OrganizationId(self.organization_id);
        let sequence = number(self.sequence);
        let event = decode(organization, sequence, &self.event_type, &self.event_version, &self.payload)?;
        let metadata = serde_json::from_value(self.metadata)
            .map_err(|error| Error::corrupt(organization, sequence, error.to_string()))?;
        Ok(Recorded {
            organization,
            sequence,
            event,
            payload: self.payload,
            metadata,
            recorded_at: self.recorded_at,
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }
}

/// The fields of an event as the database holds them: its name and version stand in columns of their own.
pub fn encode(event: &Event) -> Result<Value, serde_json::Error> {
    let mut tagged = serde_json::to_value(event)?;
    Ok(tagged.get_mut("data").map(Value::take).unwrap_or_default())
}

/// The event of a name, a version and fields. What this program does not know is an error, never a gap.
pub fn decode(
    organization: OrganizationId,
    sequence: u64,
    event_type: &str,
    event_version: &str,
    payload: &Value,
) -> Result<Event, Error> {
    if event_version != Event::VERSION.to_string() {
        let what = format!("version {event_version} of {event_type} is unknown");
        return Err(Error::corrupt(organization, sequence, what));
    }
    // The name goes first: what is read before it would have to be kept until it is there.
    let name = Value::from(event_type);
    Event::deserialize(MapDeserializer::new([("type", &name), ("data", payload)].into_iter()))
        .map_err(|error: serde_json::Error| Error::corrupt(organization, sequence, error.to_string()))
}
