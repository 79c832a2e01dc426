//! Commands as callers give them: what only this layer can know (new ids, secrets, the directory) is put beside
//! what the caller asked, and the ledger decides. No rule stands here.

mod data_exports;
pub mod erasure;
pub mod logos;

use chrono::TimeDelta;

use crate::{
    domain::{
        Actor, ApiKeyId, InvitationId, Organization, OrganizationId, Refusal, RoleId, Timestamp, UserId,
        organization::{
            Action, Ask, Command, InvitationRow, Kind, OrganizationAction, Permissions, Target,
            api_keys::{Grace, KeyType, RateLimit},
            event::SecretRecord,
            roles::Level,
        },
        values::{Email, Name, Text, mask_email},
    },
    secrets::{self, ApiKeySecret, InvitationLink},
    store::{
        self, Store,
        append::{Origin, Reason},
        commands::Idempotency,
        invitations::{self, InvitationDetails, PreviewRow},
        ledger::{Failure, Freshness, Receipt, Request},
        profile,
        refusals::Attempt,
        users::{self, NewUser, UserRow},
    },
};

/// How long an invitation is good unless the operator says otherwise.
pub const INVITATION_LIFETIME: TimeDelta = TimeDelta::days(7);

/// Who gives a command, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
}

/// What a caller may say beside the command itself.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Why.
    pub reason: Option<Text>,
    /// On which version of the changed object.
    pub expected_version: Option<u64>,
    /// The idempotency key, with the whole input that it stands for.
    pub idempotency: Option<(String, String)>,
}

/// Somebody to invite.
#[derive(Clone, Debug)]
pub struct Invitee {
    /// Their address.
    pub email: Email,
    /// Their name, as the inviter knows it.
    pub name: Option<Name>,
    /// The role to give.
    pub role: Option<RoleId>,
    /// Whether a pending invitation with another role is replaced.
    pub replace: bool,
}

/// How an invited person names the invitation.
#[derive(Clone, Debug)]
pub enum Received {
    /// By the token of its link.
    Token(String),
    /// From one's own list.
    Listed(OrganizationId, InvitationId),
}

/// What an invited person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accept,
    /// No.
    Decline,
}

/// A key to make.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the mutation")]
pub struct NewApiKey {
    pub name: Name,
    pub description: Option<Text>,
    pub key_type: KeyType,
    pub permissions: Permissions,
    pub rate_limit: Option<RateLimit>,
    pub expires_at: Option<Timestamp>,
}

/// Gives commands.
#[derive(Clone)]
pub struct Commands {
    /// Where they are decided and kept.
    pub store: Store,
    /// How long an invitation is good.
    pub invitation_lifetime: TimeDelta,
}

impl Commands {
    /// Gives a command that needs nothing beside what the caller said.
    pub async fn execute(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        action: Action,
        terms: Terms,
    ) -> Result<Receipt, Failure> {
        self.execute_with(caller, organization, action, terms, Vec::new()).await
    }

    async fn execute_with(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        action: Action,
        terms: Terms,
        details: Vec<InvitationDetails>,
    ) -> Result<Receipt, Failure> {
        let Terms { reason, expected_version, idempotency } = terms;
        let ends_access = action.ends_own_access();
        let reason = reason.map(|text| Reason { text, salt: self.store.entropy.bytes() });
        let idempotency =
            idempotency.map(|(key, input)| Idempotency { key, fingerprint: self.store.server_key.fingerprint(&input) });
        let command = Command { actor: caller.actor, now: self.store.now(), expected_version, action };
        let origin = Origin { reason, ..caller.origin.clone() };
        let receipt =
            self.store.ledger.execute(Request { organization, command, origin, details, idempotency }).await?;
        // Whoever has lost access since is told nothing; but for those who gave it up by this very command.
        if receipt.replayed && !ends_access {
            let (actor, now) = (caller.actor, self.store.now());
            self.store.ledger.view(organization, Freshness::Compared, |state| state.admits(actor, now)).await??;
        }
        Ok(receipt)
    }

    /// Whether the actor may do each of these things, by the rules that would decide the commands; in one look.
    pub async fn may(
        &self,
        actor: Actor,
        organization: OrganizationId,
        asks: &[Ask],
        freshness: Freshness,
    ) -> Result<Vec<Result<(), Refusal>>, store::Error> {
        let now = self.store.now();
        let look = |state: &Organization| asks.iter().map(|ask| state.may(actor, ask, now).map(|_| ())).collect();
        self.store.ledger.view(organization, freshness, look).await
    }

    /// The refusal of what would have made something new in the organization, once it is kept.
    async fn refused(&self, by: &Caller, organization: OrganizationId, action: &'static str, no: Refusal) -> Failure {
        let (actor, origin, now) = (by.actor, by.origin.clone(), self.store.now());
        let attempt = Attempt { organization, actor, action, target: Target::Organization, now, origin };
        self.store.ledger.refused(attempt, no.clone()).await.map_or_else(Failure::from, |()| no.into())
    }

    async fn person(&self, actor: Actor) -> Result<(UserId, UserRow), Failure> {
        let user = actor.user().ok_or(Refusal::UserRequired)?;
        let row = users::find(&self.store.database, user).await?.filter(UserRow::is_present);
        let row = row.ok_or(Refusal::UserRequired)?;
        Ok((user, row))
    }

    /// Makes an organization; the caller becomes its owner. With an idempotency key the id follows from the person
    /// and the key, so that a repetition finds what the first one made.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        (kind, name, description): (Kind, Name, Option<Text>),
        terms: Terms,
    ) -> Result<(OrganizationId, Receipt), Failure> {
        let (user, row) = self.person(caller.actor).await?;
        let organization = OrganizationId(match &terms.idempotency {
            Some((key, _)) => self.store.server_key.derived_uuid(user.0, key),
            None => self.store.entropy.ordered_uuid(self.store.now()),
        });
        let action = Action::CreateOrganization {
            kind,
            name,
            description,
            email_commitment: secrets::commitment(&row.salt, &row.email_key),
            organizations: profile::memberships(&self.store.database, user).await?,
        };
        Ok((organization, self.execute(caller, organization, action, terms).await?))
    }

    /// Makes a custom role; the receipt's first object is its id.
    pub async fn create_role(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        (name, level, permissions, description): (Name, Level, Permissions, Option<Text>),
        terms: Terms,
    ) -> Result<Receipt, Failure> {
        let role = RoleId(self.store.entropy.ordered_uuid(self.store.now()));
        let action = Action::CreateRole { role, name, description, level, permissions };
        self.execute(caller, organization, action, terms).await
    }

    /// Invites people; the receipt's notes answer row by row.
    pub async fn invite(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        invitees: Vec<Invitee>,
        terms: Terms,
    ) -> Result<Receipt, Failure> {
        let now = self.store.now();
        // Nobody is looked up or made for a caller who cannot invite.
        let ask = Ask::about(OrganizationAction::InviteMember);
        let answers = self.may(caller.actor, organization, &[ask], Freshness::Compared).await?;
        if let Some(Err(refusal)) = answers.into_iter().next()
            && !matches!(refusal, Refusal::RoleNotAssignable { .. } | Refusal::PermissionNotHeld { .. })
        {
            return Err(self.refused(caller, organization, "invitation.send", refusal).await);
        }
        let people = self.resolve(&invitees, now).await?;
        if !people.iter().all(UserRow::is_present) {
            return Err(Refusal::Conflict.into());
        }
        let mut rows = Vec::with_capacity(invitees.len());
        let mut details = Vec::with_capacity(invitees.len());
        for Invitee { email, name, role, replace } in invitees {
            let found = people.iter().find(|row| row.email_key == email.key());
            let person = found.ok_or(Failure::Store(store::Error::Stopped))?;
            let invitation = InvitationId(self.store.entropy.ordered_uuid(now));
            let email_commitment = secrets::commitment(&person.salt, email.key());
            rows.push(InvitationRow { invitation, user: UserId(person.user_id), role, replace, email_commitment });
            details.push(InvitationDetails { invitation, email, name });
        }
        let action = Action::InviteMembers { rows, expires_at: now + self.invitation_lifetime };
        self.execute_with(caller, organization, action, terms, details).await
    }

    async fn resolve(&self, invitees: &[Invitee], now: Timestamp) -> Result<Vec<UserRow>, store::Error> {
        let entropy = &self.store.entropy;
        let wanted: Vec<_> = invitees
            .iter()
            .map(|invitee| NewUser { id: UserId(entropy.uuid()), salt: entropy.bytes(), email: invitee.email.clone() })
            .collect();
        users::resolve(&self.store.database, &wanted, now).await
    }

    /// Sends an invitation again.
    pub async fn resend_invitation(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        invitation: InvitationId,
    ) -> Result<Receipt, Failure> {
        let expires_at = self.store.now() + self.invitation_lifetime;
        let action = Action::ResendInvitation { invitation, expires_at };
        self.execute(caller, organization, action, Terms::default()).await
    }

    /// The invitation behind a link, as the invited person meets it; `None` where the link is not ours or is an old
    /// one of an invitation that was sent again.
    pub async fn preview(&self, token: &str) -> Result<Option<(InvitationLink, PreviewRow)>, store::Error> {
        let Some(link) = self.store.server_key.read_invitation_token(token) else { return Ok(None) };
        let row = invitations::preview(&self.store.database, link.organization, link.invitation).await?;
        Ok(row.map(|row| (link, row)))
    }

    /// Accepts or declines an invitation; the answer names the organization.
    pub async fn answer_invitation(
        &self,
        caller: &Caller,
        received: &Received,
        answer: Answer,
    ) -> Result<(OrganizationId, Receipt), Failure> {
        let (user, person) = self.person(caller.actor).await?;
        let (organization, invitation, generation, preview) = match received {
            Received::Token(token) => {
                let found = self.preview(token).await?;
                let (link, preview) = found.ok_or(Refusal::NotFound { field: "token" })?;
                (link.organization, link.invitation, Some(link.generation), preview)
            }
            Received::Listed(organization, invitation) => {
                let found = invitations::preview(&self.store.database, *organization, *invitation).await?;
                let preview = found.filter(|preview| preview.user_id == user.0);
                let preview = preview.ok_or(Refusal::NotFound { field: "invitationId" })?;
                (*organization, *invitation, None, preview)
            }
        };
        let masked_email = mask_email(preview.email.as_deref().unwrap_or_default());
        let action = match answer {
            Answer::Decline => Action::DeclineInvitation { invitation, generation, masked_email },
            Answer::Accept => Action::AcceptInvitation {
                invitation,
                generation,
                email_commitment: secrets::commitment(&person.salt, &person.email_key),
                organizations: profile::memberships(&self.store.database, user).await?,
                masked_email,
            },
        };
        let receipt = self.execute(caller, organization, action, Terms::default()).await?;
        // Who has no name yet is called what the inviter called them, until they say otherwise.
        if answer == Answer::Accept
            && person.name.is_none()
            && let Some(Ok(name)) = preview.name.map(|name| name.parse())
        {
            users::suggest_name(&self.store.database, user, &name).await?;
        }
        Ok((organization, receipt))
    }

    fn new_secret(&self, key_type: KeyType) -> (ApiKeySecret, SecretRecord) {
        let public_id = self.store.entropy.base62(ApiKeySecret::PUBLIC_LENGTH);
        let random = self.store.entropy.base62(ApiKeySecret::SECRET_LENGTH);
        let secret = ApiKeySecret::new(key_type, &public_id, &random);
        let record = SecretRecord { public_id, hash: secret.hash().hex() };
        (secret, record)
    }

    /// Makes an API key. The secret is here and nowhere else.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        key: NewApiKey,
        terms: Terms,
    ) -> Result<(ApiKeySecret, Receipt), Failure> {
        let NewApiKey { name, description, key_type, permissions, rate_limit, expires_at } = key;
        let (secret, record) = self.new_secret(key_type);
        let action = Action::CreateApiKey {
            api_key: ApiKeyId(self.store.entropy.ordered_uuid(self.store.now())),
            name,
            description,
            key_type,
            permissions,
            rate_limit,
            expires_at,
            secret: record,
        };
        let receipt = self.execute(caller, organization, action, terms).await?;
        Ok((secret, receipt))
    }

    /// Gives a key another secret; the old one lives on for the grace.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        organization: OrganizationId,
        (api_key, key_type): (ApiKeyId, KeyType),
        grace: Grace,
        terms: Terms,
    ) -> Result<(ApiKeySecret, Receipt), Failure> {
        let (secret, record) = self.new_secret(key_type);
        let action = Action::RotateApiKey { api_key, secret: record, grace };
        let receipt = self.execute(caller, organization, action, terms).await?;
        Ok((secret, receipt))
    }
}
