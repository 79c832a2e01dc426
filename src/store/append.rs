//! The append: one transaction that moves the head and writes the events, their rows, their letters and the
//! command's idempotency key, or nothing at all.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    Error,
    aggregate::Recorded,
    commands::{self, Idempotency},
    data_exports,
    database::Transaction,
    hot::Head,
    invitations::{self, InvitationDetails},
    notices, outbox, profile, projection,
    statement::Statement,
    users,
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
    /// Writes it; the caller commits.
    pub(super) async fn run(&self, transaction: &mut Transaction) -> Result<(), Error> {
        self.move_head(transaction).await?;
        users::hold(transaction, &self.arriving()).await?;
        self.insert_events(transaction).await?;
        self.insert_context(transaction).await?;
        invitations::insert_details(transaction, self.organization, &self.sent()).await?;
        for recorded in &self.events {
            projection::project(transaction, recorded).await?;
        }
        self.enqueue_letters(transaction).await?;
        for recorded in &self.events {
            if let Event::OrganizationDataExportRequested { export_id } = recorded.event {
                let owner = data_exports::Owner::Organization(self.organization);
                data_exports::insert(transaction, owner, export_id, self.now).await?;
            }
        }
        if self.head.deleted {
            profile::erase_facts(transaction, self.organization).await?;
        }
        if let Some(idempotency) = &self.idempotency {
            let done = (self.head.version, &self.objects[..]);
            commands::keep(transaction, self.organization, self.actor, idempotency, done, self.now).await?;
        }
        Ok(())
    }

    /// Moves the head from the version and the hash that the command was decided on, or finds that it has moved.
    async fn move_head(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let state = if self.head.deleted { "DELETED" } else { "LIVING" };
        let mut statement = if self.before.version == 0 {
            Statement::new(
                "INSERT INTO streams (organization_id, version, head_hash, recorded_at, state) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
        } else {
            Statement::new(
                "UPDATE streams SET version = $2, head_hash = $3, recorded_at = $4, state = $5 \
                 WHERE organization_id = $1",
            )
        }
        .bind(self.organization.0)
        .bind(self.head.version)
        .bind(&self.head.hash[..])
        .bind(self.head.recorded_at)
        .bind(state);
        if self.before.version > 0 {
            statement.push(" AND version = ").push_value(self.before.version);
            statement.push(" AND head_hash = ").push_value(&self.before.hash[..]);
        }
        if statement.run_in(transaction).await? == 1 { Ok(()) } else { Err(Error::Conflict) }
    }

    async fn insert_events(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let mut statement = Statement::new(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
             organization_id, recorded_at, prev_hash, hash) VALUES ",
        );
        for (index, recorded) in self.events.iter().enumerate() {
            let metadata = serde_json::to_value(&recorded.metadata)
                .map_err(|error| Error::corrupt(self.organization, recorded.sequence, error.to_string()))?;
            statement.push(if index == 0 { "" } else { ", " }).push_list([
                super::statement::Value::from("organization"),
                self.organization.to_string().into(),
                recorded.sequence.into(),
                recorded.event.name().into(),
                Event::VERSION.to_string().into(),
                recorded.payload.clone().into(),
                metadata.into(),
                self.organization.0.into(),
                recorded.recorded_at.into(),
                recorded.prev_hash.clone().into(),
                recorded.hash.clone().into(),
            ]);
        }
        statement.run_in(transaction).await.map(|_| ())
    }

    async fn insert_context(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let Origin { ip, user_agent, reason, .. } = &self.origin;
        if ip.is_none() && user_agent.is_none() && reason.is_none() {
            return Ok(());
        }
        let mut statement = Statement::new(
            "INSERT INTO event_context \
             (organization_id, sequence, ip, user_agent, reason, reason_key, reason_salt) VALUES ",
        );
        for (index, recorded) in self.events.iter().enumerate() {
            let text = reason.as_ref().map(|reason| reason.text.as_str());
            statement.push(if index == 0 { "" } else { ", " }).push_list([
                super::statement::Value::from(self.organization.0),
                recorded.sequence.into(),
                ip.clone().into(),
                user_agent.clone().into(),
                text.map(str::to_owned).into(),
                text.map(normalize).into(),
                reason.as_ref().map(|reason| reason.salt.to_vec()).into(),
            ]);
        }
        statement.run_in(transaction).await.map(|_| ())
    }

    /// Who joins or is invited.
    fn arriving(&self) -> BTreeSet<Uuid> {
        let arriving = self.events.iter().filter_map(|recorded| match recorded.event {
            Event::MemberJoined { user_id, .. } | Event::InvitationSent { user_id, .. } => Some(user_id.0),
            _ => None,
        });
        arriving.collect()
    }

    /// The details of the invitations that were sent; of those that were pending already nothing is kept.
    fn sent(&self) -> Vec<&InvitationDetails> {
        let sent = |details: &&InvitationDetails| {
            self.events.iter().any(|recorded| {
                matches!(&recorded.event, Event::InvitationSent { invitation_id, .. }
                    if *invitation_id == details.invitation)
            })
        };
        self.details.iter().filter(sent).collect()
    }

    async fn enqueue_letters(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let letter = |recorded: &Recorded| {
            let (kind, subject, generation) = match &recorded.event {
                Event::InvitationSent { invitation_id, .. } => (outbox::Kind::Invitation, invitation_id.0, 1),
                Event::InvitationResent { invitation_id, generation, .. } => {
                    (outbox::Kind::Invitation, invitation_id.0, u64::from(*generation))
                }
                // Who changed their own membership knows.
                event => match event.concerned_member() {
                    Some(user) if self.actor != Actor::User(user) => {
                        (outbox::Kind::Membership, user.0, recorded.sequence)
                    }
                    _ => return None,
                },
            };
            Some(outbox::NewLetter { kind, organization: Some(self.organization), subject, generation })
        };
        let letters: Vec<_> = self.events.iter().filter_map(letter).collect();
        outbox::enqueue(transaction, &letters, self.now).await?;
        if self.events.iter().any(|recorded| !recorded.event.categories().is_empty()) {
            notices::gather(transaction, self.organization, self.actor, (self.head.recorded_at, self.now)).await?;
        }
        Ok(())
    }
}
