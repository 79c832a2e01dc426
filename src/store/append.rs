//! The append: one transaction that moves heads and writes the events of many commands, their rows, their letters and
//! the commands' idempotency keys, or nothing at all.

use std::collections::{BTreeSet, HashSet, VecDeque};

use uuid::Uuid;

use super::{
    Error,
    aggregate::Recorded,
    commands::{self, Idempotency},
    data_exports,
    database::Transaction,
    hot::Head,
    invitations::{self, InvitationDetails},
    notices, outbox, profile,
    projection::{self, Batch},
    users,
    write::{self, Write},
};
use crate::{
    domain::{
        Actor, OrganizationId, Timestamp,
        organization::Event,
        values::{Text, normalize},
    },
    secrets,
};

/// Where a command came from. All of it but the request's id stands in an erasable row beside the events.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The id of the request.
    pub request_id: String,
    /// The address of the client.
    pub ip: Option<String>,
    /// The program of the client, cut to 500 bytes.
    pub user_agent: Option<String>,
    /// Why, in the caller's words.
    pub reason: Option<Reason>,
}

/// A reason, with the salt of its commitment.
#[derive(Clone, Debug)]
pub struct Reason {
    /// The words.
    pub text: Text,
    /// The salt; erased with the words.
    pub salt: [u8; 32],
}

impl Reason {
    /// What the event keeps of it.
    pub fn commitment(&self) -> String {
        secrets::commitment(&self.salt, self.text.as_str())
    }
}

/// Everything that one command writes.
pub(super) struct Append {
    pub(super) organization: OrganizationId,
    /// The head that the command was decided on.
    pub(super) before: Head,
    pub(super) head: Head,
    pub(super) events: Vec<Recorded>,
    pub(super) actor: Actor,
    pub(super) now: Timestamp,
    pub(super) origin: Origin,
    pub(super) details: Vec<InvitationDetails>,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) objects: Vec<Uuid>,
}

impl Append {
    /// Moves the head from the version and the hash that the command was decided on.
    fn head(&self, unless_locked: &str) -> Write {
        let (write, hash) = match self.before.version {
            0 => (Write::insert_new("streams"), "head_hash"),
            version => {
                let write = Write::text(move_heads(unless_locked)).with("before", version);
                (write.with("before_hash", &self.before.hash[..]), "becomes")
            }
        };
        write
            .with("organization_id", self.organization.0)
            .with("version", self.head.version)
            .with(hash, &self.head.hash[..])
            .with("recorded_at", self.head.recorded_at)
            .with("state", if self.head.deleted { "DELETED" } else { "LIVING" })
    }

    /// Everything else that it writes: the events and what stands beside them, their rows, and what follows from those.
    fn batches(&self) -> Result<VecDeque<Batch>, Error> {
        let mut facts = self.events.iter().map(|recorded| self.event(recorded)).collect::<Result<Vec<_>, _>>()?;
        let Origin { ip, user_agent, reason, .. } = &self.origin;
        if ip.is_some() || user_agent.is_some() || reason.is_some() {
            facts.extend(self.events.iter().map(|recorded| self.context(recorded)));
        }
        facts.extend(self.sent().map(|details| invitations::insert_details(self.organization, details)));
        let mut batches = projection::batches(&self.events)?;
        match batches.front_mut() {
            Some(batch) => batch.push(facts),
            None => batches.push_front(vec![facts]),
        }
        if self.head.deleted {
            batches.push_back(vec![profile::erase(self.organization, &projection::FACTS)]);
        }
        batches.push_back(self.consequences());
        Ok(batches)
    }

    /// The letters that tell of it, and what makes a repetition recognizable. Letters are of different things, so each is a
    /// list of its own.
    fn consequences(&self) -> Batch {
        let letters = self.events.iter().filter_map(|recorded| Some(self.letter(recorded)?.enqueue(self.now)));
        let mut lists: Vec<_> = letters.map(|letter| vec![letter]).collect();
        if self.events.iter().any(|recorded| !recorded.event.categories().is_empty()) {
            lists.push(vec![notices::gather(self.organization, self.actor, (self.head.recorded_at, self.now))]);
        }
        if let Some(idempotency) = &self.idempotency {
            let done = (self.head.version, &self.objects[..]);
            lists.push(commands::keep(self.organization, self.actor, idempotency, done, self.now));
        }
        lists
    }

    fn event(&self, recorded: &Recorded) -> Result<Write, Error> {
        let metadata = serde_json::to_value(&recorded.metadata)
            .map_err(|error| Error::corrupt(self.organization, recorded.sequence, error.to_string()))?;
        Ok(Write::insert("events")
            .with("aggregate_type", "organization")
            .with("aggregate_id", self.organization.to_string())
            .with("sequence", recorded.sequence)
            .with("event_type", recorded.event.name())
            .with("event_version", Event::VERSION.to_string())
            .with("payload", recorded.payload.clone())
            .with("metadata", metadata)
            .with("organization_id", self.organization.0)
            .with("recorded_at", recorded.recorded_at)
            .with("prev_hash", &recorded.prev_hash[..])
            .with("hash", &recorded.hash[..]))
    }

    fn context(&self, recorded: &Recorded) -> Write {
        let Origin { ip, user_agent, reason, .. } = &self.origin;
        let text = reason.as_ref().map(|reason| reason.text.as_str());
        Write::insert("event_context")
            .with("organization_id", self.organization.0)
            .with("sequence", recorded.sequence)
            .with("ip", ip.clone())
            .with("user_agent", user_agent.clone())
            .with("reason", text.map(str::to_owned))
            .with("reason_key", text.map(normalize))
            .with("reason_salt", reason.as_ref().map(|reason| reason.salt.to_vec()))
    }

    /// Who joins or is invited.
    fn arriving(&self) -> impl Iterator<Item = Uuid> {
        self.events.iter().filter_map(|recorded| match recorded.event {
            Event::MemberJoined { user_id, .. } | Event::InvitationSent { user_id, .. } => Some(user_id.0),
            _ => None,
        })
    }

    /// The details of the invitations that were sent; of those that were pending already nothing is kept.
    fn sent(&self) -> impl Iterator<Item = &InvitationDetails> {
        self.details.iter().filter(|details| {
            self.events.iter().any(|recorded| {
                matches!(&recorded.event, Event::InvitationSent { invitation_id, .. }
                    if *invitation_id == details.invitation)
            })
        })
    }

    /// The letter that an event is told by.
    fn letter(&self, recorded: &Recorded) -> Option<outbox::NewLetter> {
        let (kind, subject, generation) = match &recorded.event {
            Event::InvitationSent { invitation_id, .. } => (outbox::Kind::Invitation, invitation_id.0, 1),
            Event::InvitationResent { invitation_id, generation, .. } => {
                (outbox::Kind::Invitation, invitation_id.0, u64::from(*generation))
            }
            // Who changed their own membership knows.
            event => match event.concerned_member() {
                Some(user) if self.actor != Actor::User(user) => (outbox::Kind::Membership, user.0, recorded.sequence),
                _ => return None,
            },
        };
        Some(outbox::NewLetter { kind, organization: Some(self.organization), subject, generation })
    }
}

/// Moves heads. One that somebody else holds does not move: whoever wants to move it waits for it in a transaction of
/// their own, and nobody here waits with them.
fn move_heads(unless_locked: &str) -> String {
    format!(
        ", held AS (SELECT s.organization_id FROM v JOIN streams s ON s.organization_id = v.organization_id \
             AND s.version = v.before AND s.head_hash = v.before_hash ORDER BY s.organization_id{unless_locked}) \
         UPDATE streams AS t SET version = v.version, head_hash = v.becomes, recorded_at = v.recorded_at, \
             state = v.state \
         FROM v JOIN held ON held.organization_id = v.organization_id WHERE t.organization_id = v.organization_id"
    )
}

/// Writes what many commands have decided, each of another organization; the caller commits. Says of each whether it
/// was written: it was not, where the head was not the one that it was decided on, or where somebody who joins is gone.
pub(super) async fn run(transaction: &mut Transaction, appends: &[&Append]) -> Result<Vec<bool>, Error> {
    let arriving: BTreeSet<_> = appends.iter().flat_map(|append| append.arriving()).collect();
    let present = users::hold(transaction, &arriving).await?;
    let possible = |append: &&Append| append.arriving().all(|user| present.contains(&user));
    let possible: Vec<&Append> = appends.iter().copied().filter(possible).collect();
    let (new, moved): (Vec<_>, Vec<_>) = possible.into_iter().partition(|append| append.before.version == 0);
    let mut heads: Vec<(Vec<u8>,)> = Vec::with_capacity(appends.len());
    for appends in [new, moved] {
        let unless_locked = transaction.rows_unless_locked();
        let writes = appends.into_iter().map(|append| append.head(unless_locked)).collect();
        heads.extend(write::run_returning(transaction, writes, " RETURNING head_hash").await?);
    }
    let heads: HashSet<_> = heads.into_iter().map(|(hash,)| hash).collect();
    let written: Vec<_> = appends.iter().map(|append| heads.contains(&append.head.hash)).collect();
    let writing = || appends.iter().zip(&written).filter_map(|(append, written)| written.then_some(*append));
    let mut batches = writing().map(Append::batches).collect::<Result<Vec<_>, _>>()?;
    while batches.iter().any(|batches| !batches.is_empty()) {
        if let [batches] = &mut batches[..] {
            write::run_one(transaction, batches.pop_front().unwrap_or_default()).await?;
        } else {
            write::run_all(transaction, batches.iter_mut().filter_map(VecDeque::pop_front).flatten()).await?;
        }
    }
    for append in writing() {
        for recorded in &append.events {
            if let Event::OrganizationDataExportRequested { export_id } = recorded.event {
                let owner = data_exports::Owner::Organization(append.organization);
                data_exports::insert(transaction, owner, export_id, append.now).await?;
            }
        }
    }
    Ok(written)
}
