//! One attempt at one command, as the event store that cqrs-es asks for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use cqrs_es::{
    AggregateError, EventEnvelope, EventStore,
    persist::{PersistedEventRepository, SerializedEvent},
};
use postgres_es::PostgresEventRepository;
use sqlite_es::SqliteEventRepository;
use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::{self, Metadata, NotesSlot, Recorded},
    append::{Append, Reason},
    chain,
    hot::{Context, Head},
    ledger::{Freshness, Ledger, Receipt, Request, locked},
};
use crate::domain::{
    Organization, Refusal,
    organization::{Command, Event},
};

/// See the module.
pub(super) struct Execution {
    pub(super) ledger: Ledger,
    pub(super) request: Request,
    pub(super) freshness: Freshness,
    pub(super) notes: NotesSlot,
    pub(super) outcome: Arc<Mutex<Outcome>>,
}

/// What became of an attempt.
#[derive(Default)]
pub(super) struct Outcome {
    /// The receipt; of what was not done, the version that it was decided on.
    pub(super) receipt: Receipt,
    /// Whether it was decided on a state that was sure to be the newest.
    pub(super) fresh: bool,
    /// Whether whoever asked belongs there: a member, active or not, or a living key.
    pub(super) belongs: bool,
}

impl Execution {
    /// Turns decided events into what the ledger keeps, chained behind the head.
    fn record(&self, events: Vec<Event>, head: &Head) -> Result<Vec<Recorded>, Error> {
        let Request { organization, ref command, ref origin, .. } = self.request;
        let metadata = Metadata {
            actor_kind: command.actor.kind().to_owned(),
            actor_id: command.actor.id(),
            request_id: origin.request_id.clone(),
            reason_commitment: origin.reason.as_ref().map(Reason::commitment),
        };
        let recorded_at = command.now.max(head.recorded_at);
        let corrupt = |sequence, error: serde_json::Error| Error::corrupt(organization, sequence, error.to_string());
        let mut prev_hash = head.hash.clone();
        let mut recorded = Vec::with_capacity(events.len());
        for (sequence, event) in (head.version + 1..).zip(events) {
            let payload = aggregate::encode(&event).map_err(|error| corrupt(sequence, error))?;
            let metadata_value = serde_json::to_value(&metadata).map_err(|error| corrupt(sequence, error))?;
            let link = chain::Link {
                organization,
                sequence,
                event_type: event.name(),
                version: Event::VERSION,
                payload: &payload,
                metadata: &metadata_value,
                recorded_at,
            };
            let hash = link.hash(&prev_hash)?.to_vec();
            let metadata = metadata.clone();
            let link_hash = hash.clone();
            recorded.push(Recorded { organization, sequence, event, payload, metadata, recorded_at, prev_hash, hash });
            prev_hash = link_hash;
        }
        Ok(recorded)
    }

    /// What the command made or touched, in the order of its answer.
    fn objects(&self, events: &[Recorded]) -> Vec<Uuid> {
        let notes = locked(&self.notes);
        let invited = notes.invited.iter().map(|row| row.as_ref().map_or(Uuid::nil(), |row| row.invitation.0));
        let created = events.iter().filter_map(|recorded| match &recorded.event {
            Event::ApiKeyCreated { api_key_id, .. } => Some(api_key_id.0),
            Event::RoleCreated { role_id, .. } => Some(role_id.0),
            Event::OrganizationDataExportRequested { export_id } => Some(export_id.0),
            _ => None,
        });
        let exported = notes.data_export.map(|export| export.0);
        invited.chain(notes.created_keys.iter().map(|key| key.0)).chain(created).chain(exported).collect()
    }
}

fn failed(error: Error) -> AggregateError<Refusal> {
    match error {
        Error::Conflict => AggregateError::AggregateConflict,
        error => AggregateError::UnexpectedError(Box::new(error)),
    }
}

impl EventStore<Organization> for Execution {
    type AC = Context;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<Organization>>, AggregateError<Refusal>> {
        let events = match &self.ledger.database {
            Database::Postgres { pool, .. } => {
                PostgresEventRepository::new(pool.clone()).get_events::<Organization>(id).await
            }
            Database::Sqlite { readers, .. } => {
                SqliteEventRepository::new(readers.clone()).get_events::<Organization>(id).await
            }
        };
        let envelope = |event: SerializedEvent| {
            let (organization, sequence) = (self.request.organization, event.sequence as u64);
            let payload =
                aggregate::decode(organization, sequence, &event.event_type, &event.event_version, &event.payload);
            Ok(EventEnvelope {
                aggregate_id: event.aggregate_id,
                sequence: event.sequence,
                payload: payload.map_err(failed)?,
                metadata: HashMap::new(),
            })
        };
        events?.into_iter().map(envelope).collect()
    }

    async fn load_aggregate(&self, _: &str) -> Result<Context, AggregateError<Refusal>> {
        let context = self.ledger.take(self.request.organization, self.freshness).await.map_err(failed)?;
        let Command { actor, now, .. } = self.request.command;
        let belongs = context.hot.aggregate.belongs(actor, now);
        let receipt = Receipt { version: context.hot.head.version, ..Receipt::default() };
        *locked(&self.outcome) = Outcome { receipt, fresh: context.fresh, belongs };
        Ok(context)
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Context,
        _: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Organization>>, AggregateError<Refusal>> {
        if events.is_empty() {
            locked(&self.outcome).receipt =
                Receipt { version: context.hot.head.version, objects: self.objects(&[]), ..Receipt::default() };
            return Ok(Vec::new());
        }
        let before = context.hot.head.clone();
        let events = self.record(events, &context.hot.head).map_err(failed)?;
        let objects = self.objects(&events);
        let Some(last) = events.last() else { return Ok(Vec::new()) };
        let version = last.sequence;
        let head = Head {
            version,
            hash: last.hash.clone(),
            recorded_at: last.recorded_at,
            deleted: matches!(last.event, Event::OrganizationDeleted {}),
        };
        let append = Append {
            organization: self.request.organization,
            before,
            head,
            events,
            actor: self.request.command.actor,
            now: self.request.command.now,
            origin: self.request.origin.clone(),
            details: self.request.details.clone(),
            idempotency: self.request.idempotency.clone(),
            objects: objects.clone(),
        };
        self.ledger.append(append, context).await.map_err(failed)?;
        self.ledger.feed.announce(self.request.organization, version);
        locked(&self.outcome).receipt = Receipt { version, written: true, objects, ..Receipt::default() };
        Ok(Vec::new())
    }
}
