//! The append: one transaction that moves heads and writes the events of many commands, their rows, their letters and
//! the commands' idempotency keys, or nothing at all.
//!
//! *Shape.* Commands of one organization are a [`Chain`]: each was decided on what the one before it leaves. Its head
//! moves once, from the first to the last, and its events are written like those of one command.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque, btree_map::Entry},
    iter,
};

use uuid::Uuid;

use super::{
    Error,
    aggregate::Recorded,
    commands::{self, Idempotency},
    data_exports,
    hot::Head,
    invitations::{self, InvitationDetails},
    notices, outbox, profile,
    projection::{self, Batch},
    transaction::Transaction,
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

/// Commands of one organization, each of which was decided on what the one before it leaves: at least one.
struct Chain<'a> {
    first: &'a Append,
    more: Vec<&'a Append>,
}

impl<'a> Chain<'a> {
    fn appends(&self) -> impl Iterator<Item = &'a Append> {
        iter::once(self.first).chain(self.more.iter().copied())
    }

    fn last(&self) -> &'a Append {
        self.more.last().copied().unwrap_or(self.first)
    }

    /// Whether a command goes on where this ends. A deletion stays alone: nothing may be written beside what it erases. A
    /// repetition does not come behind what it repeats: it would fail them both.
    fn goes_on_with(&self, next: &Append) -> bool {
        let repeats =
            next.repeatable().is_some() && self.appends().any(|append| append.repeatable() == next.repeatable());
        self.last().head.hash == next.before.hash && !next.head.deleted && !repeats
    }

    /// Moves the head from the version and the hash that the first command was decided on to where the last one ends.
    fn head(&self, lock: &str) -> Write {
        let Append { organization, before, .. } = self.first;
        let head = &self.last().head;
        let (write, hash) = match before.version {
            0 => (Write::insert_new("streams"), "head_hash"),
            version => {
                let write = Write::text(move_heads(lock)).with("before", version);
                (write.with("before_hash", &before.hash[..]), "becomes")
            }
        };
        write
            .with("organization_id", organization.0)
            .with("version", head.version)
            .with(hash, &head.hash[..])
            .with("recorded_at", head.recorded_at)
            .with("state", if head.deleted { "DELETED" } else { "LIVING" })
    }

    /// Everything else that it writes: the events and what stands beside them, their rows, and what follows from those.
    fn batches(&self) -> Result<VecDeque<Batch>, Error> {
        let facts = self.appends().map(Append::facts).collect::<Result<Vec<_>, _>>()?;
        let mut batches = projection::batches(self.appends().flat_map(|append| &append.events))?;
        match batches.front_mut() {
            Some(batch) => batch.extend(facts),
            None => batches.push_front(facts),
        }
        if self.last().head.deleted {
            batches.push_back(vec![profile::erase(self.first.organization, &projection::FACTS)]);
        }
        batches.push_back(self.appends().flat_map(Append::consequences).collect());
        Ok(batches)
    }
}

impl Append {
    /// What its repetition would be recognized by.
    fn repeatable(&self) -> Option<(Uuid, &str)> {
        Some((self.actor.id(), &self.idempotency.as_ref()?.key))
    }

    /// The events and what stands beside them.
    fn facts(&self) -> Result<Vec<Write>, Error> {
        let mut facts = self.events.iter().map(|recorded| self.event(recorded)).collect::<Result<Vec<_>, _>>()?;
        let Origin { ip, user_agent, reason, .. } = &self.origin;
        if ip.is_some() || user_agent.is_some() || reason.is_some() {
            facts.extend(self.events.iter().map(|recorded| self.context(recorded)));
        }
        facts.extend(self.sent().map(|details| invitations::insert_details(self.organization, details)));
        Ok(facts)
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

/// What becomes of a head that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It does not move, and nobody waits for it who moves another.
    PassedOver,
    /// It is waited for, as long as the connection waits for a lock.
    Awaited,
}

/// Moves heads.
fn move_heads(lock: &str) -> String {
    format!(
        ", held AS (SELECT s.organization_id FROM v JOIN streams s ON s.organization_id = v.organization_id \
             AND s.version = v.before AND s.head_hash = v.before_hash ORDER BY s.organization_id{lock}) \
         UPDATE streams AS t SET version = v.version, head_hash = v.becomes, recorded_at = v.recorded_at, \
             state = v.state \
         FROM v JOIN held ON held.organization_id = v.organization_id WHERE t.organization_id = v.organization_id"
    )
}

/// One chain of each organization. A command that does not go on with it is in none: it was decided on something else.
fn chains<'a>(appends: impl IntoIterator<Item = &'a Append>) -> Vec<Chain<'a>> {
    let mut chains = BTreeMap::new();
    for append in appends {
        match chains.entry(append.organization) {
            Entry::Vacant(place) => _ = place.insert(Chain { first: append, more: Vec::new() }),
            Entry::Occupied(mut chain) if chain.get().goes_on_with(append) => chain.get_mut().more.push(append),
            Entry::Occupied(_) => {}
        }
    }
    chains.into_values().collect()
}

/// Writes what many commands have decided; the caller commits. Says of each whether it was written: it was not, where the
/// head was not the one that it was decided on, or where somebody who joins is gone.
pub(super) async fn run(transaction: &mut Transaction, appends: &[&Append], held: Held) -> Result<Vec<bool>, Error> {
    let arriving: BTreeSet<_> = appends.iter().flat_map(|append| append.arriving()).collect();
    let present = users::hold(transaction, &arriving).await?;
    let possible = |append: &&Append| append.arriving().all(|user| present.contains(&user));
    let mut chains = chains(appends.iter().copied().filter(possible));
    let (new, moved): (Vec<_>, Vec<_>) = chains.iter().partition(|chain| chain.first.before.version == 0);
    let mut heads: Vec<(Vec<u8>,)> = Vec::with_capacity(chains.len());
    for chains in [new, moved] {
        let lock = transaction.lock_of_rows(held);
        let writes = chains.into_iter().map(|chain| chain.head(lock)).collect();
        heads.extend(write::run_returning(transaction, writes, " RETURNING head_hash").await?);
    }
    let heads: HashSet<_> = heads.into_iter().map(|(hash,)| hash).collect();
    chains.retain(|chain| heads.contains(&chain.last().head.hash));
    let mut batches = chains.iter().map(Chain::batches).collect::<Result<Vec<_>, _>>()?;
    while batches.iter().any(|batches| !batches.is_empty()) {
        match (&mut batches[..], &chains[..]) {
            ([batches], [chain]) if chain.more.is_empty() => {
                write::run_one(transaction, batches.pop_front().unwrap_or_default()).await?;
            }
            (batches, _) => {
                write::run_all(transaction, batches.iter_mut().filter_map(VecDeque::pop_front).flatten()).await?;
            }
        }
    }
    for append in chains.iter().flat_map(Chain::appends) {
        for recorded in &append.events {
            if let Event::OrganizationDataExportRequested { export_id } = recorded.event {
                let owner = data_exports::Owner::Organization(append.organization);
                data_exports::insert(transaction, owner, export_id, append.now).await?;
            }
        }
    }
    let written: HashSet<_> = chains.iter().flat_map(Chain::appends).map(|append| &append.head.hash).collect();
    Ok(appends.iter().map(|append| written.contains(&append.head.hash)).collect())
}
