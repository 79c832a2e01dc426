//! Invitations: as the organization sees them, and as the invited person does.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    context::{Access, access, access_after, caller, services, store},
    errors::{self, Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms},
    members::{Member, filter_list, search_text, selects_on_nodes},
    organization::Organization,
    paging::{self, Connection, Edge, Paging, ledger_cursor},
    people::Actor,
    roles::Role,
};
use crate::{
    commands::{Answer, Invitee, Received, Terms},
    domain::{
        self, GlobalId, InvitationId, OrganizationId, Refusal, UserId,
        organization::{Action, Permission, invitations::INVITATIONS_AT_ONCE},
        values::mask_email,
    },
    store::{
        invitations::{self, Filter, InvitationRow, PreviewRow},
        names::{Names, Wanted},
    },
};

/// What an invitation is; the last four are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InvitationState {
    /// Waiting for an answer.
    Pending,
    /// The person joined by it.
    Accepted,
    /// The person said no.
    Declined,
    /// It was withdrawn, or replaced by one with another role.
    Revoked,
    /// Its time is over.
    Expired,
}

impl InvitationState {
    fn of(state: &str, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        match invitations::state_at(state, expires_at, now) {
            "PENDING" => Self::Pending,
            "ACCEPTED" => Self::Accepted,
            "DECLINED" => Self::Declined,
            "EXPIRED" => Self::Expired,
            _ => Self::Revoked,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// How far a letter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum DeliveryState {
    /// It waits to be sent, for the first time or again.
    Pending,
    /// It was handed over to the mail server.
    Sent,
    /// It was given up.
    Failed,
}

/// How the delivery of an invitation's latest letter went.
#[derive(Clone, Debug, SimpleObject)]
pub struct Delivery {
    /// How far it has come.
    state: DeliveryState,
    /// How often it was tried.
    attempts: i64,
    /// Why the last attempt failed, in words that name nobody.
    last_error: Option<String>,
}

/// An invitation of a person with a role.
pub struct Invitation {
    /// The organization, as the caller meets it.
    pub access: Arc<Access>,
    /// The row.
    pub row: InvitationRow,
    names: Arc<Names>,
}

/// A page of invitations.
pub type InvitationConnection = Connection<Edge<Invitation>>;

/// What a list of invitations was asked for.
pub struct InvitationsQuestion {
    /// Which page.
    pub paging: Paging,
    /// In which states.
    pub states: Option<Vec<InvitationState>>,
    /// A part of the address or name.
    pub search: Option<String>,
}

/// Lists invitations, newest first.
pub async fn list(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    question: InvitationsQuestion,
) -> Result<InvitationConnection> {
    access.require(Permission::MembersInvite)?;
    let store = store(ctx)?;
    let InvitationsQuestion { paging, states, search } = question;
    let filter = Filter {
        organization: access.organization,
        states: filter_list(states)?.into_iter().map(|state| state.name().to_owned()).collect(),
        search: search_text(search)?,
        now: store.now(),
    };
    let window = paging.window("invitations")?;
    let page = filter.page(&store.database, &window).await.map_err(|error| errors::internal(ctx, &error))?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(&store.database).await.map_err(|error| errors::internal(ctx, &error))?)
    } else {
        None
    };
    let names =
        if selects_on_nodes(ctx, "invitedBy") { inviters(ctx, access, &page.rows).await? } else { Names::default() };
    let names = Arc::new(names);
    Ok(Connection::new(page, total, |row| Edge {
        cursor: paging::encode("invitations", &row.position()),
        node: Invitation { access: Arc::clone(access), row, names: Arc::clone(&names) },
    }))
}

async fn inviters(ctx: &Context<'_>, access: &Access, rows: &[InvitationRow]) -> Result<Names> {
    let mut wanted = Wanted::default();
    for row in rows {
        if let Some(actor) = domain::Actor::from_parts(&row.invited_by_kind, row.invited_by_id) {
            wanted.actor(actor);
        }
    }
    wanted.load(&store(ctx)?.database, access.organization).await.map_err(|error| errors::internal(ctx, &error))
}

impl Invitation {
    /// The invitations with these ids, in the order of the ids.
    pub async fn find_all(ctx: &Context<'_>, access: &Arc<Access>, ids: Vec<Uuid>) -> Result<Vec<Option<Self>>> {
        let rows = invitations::find(&store(ctx)?.database, access.organization, ids.iter().copied()).await;
        let rows = rows.map_err(|error| errors::internal(ctx, &error))?;
        let names = Arc::new(inviters(ctx, access, &rows).await?);
        let invitation = |id: Uuid| {
            let row = rows.iter().find(|row| row.invitation_id == id)?.clone();
            Some(Self { access: Arc::clone(access), row, names: Arc::clone(&names) })
        };
        Ok(ids.into_iter().map(invitation).collect())
    }

    /// The invitation with this id.
    pub async fn find(ctx: &Context<'_>, access: &Arc<Access>, id: InvitationId) -> Result<Option<Self>> {
        Ok(Self::find_all(ctx, access, vec![id.0]).await?.pop().flatten())
    }
}

/// An invitation of a person with a role.
#[Object]
impl Invitation {
    /// Its id.
    pub async fn id(&self) -> ID {
        let id = InvitationId(self.row.invitation_id);
        GlobalId::Invitation(self.access.organization, id).to_string().into()
    }

    /// The address, as it was typed.
    async fn email(&self) -> Option<&str> {
        self.row.email.as_deref()
    }

    /// The name, as the inviter gave it.
    async fn name(&self) -> Option<&str> {
        self.row.name.as_deref()
    }

    /// What it is.
    async fn state(&self, ctx: &Context<'_>) -> Result<InvitationState> {
        Ok(InvitationState::of(&self.row.state, self.row.expires_at, store(ctx)?.now()))
    }

    /// The role it gives.
    async fn role(&self) -> Option<Role> {
        self.row.role.row().map(|row| Role { access: Arc::clone(&self.access), row })
    }

    /// Who invited, or sent it again at last.
    async fn invited_by(&self) -> Option<Actor> {
        let kind = Some(self.row.invited_by_kind.as_str());
        Actor::of_row(self.access.organization, kind, Some(self.row.invited_by_id), &self.names)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Until when it can be accepted.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.row.expires_at
    }

    /// The sequence of the last event about it.
    async fn version(&self) -> i64 {
        self.row.version
    }

    /// How the delivery of its latest letter went.
    async fn delivery(&self) -> Option<Delivery> {
        let state = match self.row.delivery_state.as_deref()? {
            "SENT" => DeliveryState::Sent,
            "FAILED" => DeliveryState::Failed,
            _ => DeliveryState::Pending,
        };
        let attempts = self.row.delivery_attempts.unwrap_or_default();
        Some(Delivery { state, attempts, last_error: self.row.delivery_error.clone() })
    }
}

/// An invitation as the invited person meets it, before they belong to anything.
#[derive(Clone, Debug, SimpleObject)]
pub struct InvitationPreview {
    /// Its id, to accept it from one's own list.
    id: ID,
    /// The organization that invites.
    organization_name: String,
    /// The role it gives.
    role_name: Option<String>,
    /// Who invites, if they have a name.
    inviter_name: Option<String>,
    /// The invited address, masked.
    masked_email: String,
    /// What it is.
    state: InvitationState,
    /// Until when it can be accepted.
    expires_at: DateTime<Utc>,
}

impl InvitationPreview {
    /// The preview of a row. The link of an earlier sending is dead.
    pub fn of(row: PreviewRow, generation: Option<u32>, now: DateTime<Utc>) -> Self {
        let organization = OrganizationId(row.organization_id);
        let id = GlobalId::Invitation(organization, InvitationId(row.invitation_id)).to_string().into();
        let state = InvitationState::of(&row.state, row.expires_at, now);
        let old = generation.is_some_and(|generation| i64::from(generation) != row.generation);
        Self {
            id,
            organization_name: row.organization_name,
            role_name: row.role_name,
            inviter_name: row.inviter_name,
            masked_email: mask_email(row.email.as_deref().unwrap_or_default()),
            state: if old && state == InvitationState::Pending { InvitationState::Revoked } else { state },
            expires_at: row.expires_at,
        }
    }
}

/// Somebody to invite.
#[derive(Clone, Debug, InputObject)]
pub struct InvitationInput {
    /// Their address.
    email: String,
    /// Their name.
    name: Option<String>,
    /// The role to give; the organization's default one, unless told otherwise.
    role_id: Option<ID>,
}

/// One person to invite.
#[derive(Debug, InputObject)]
pub struct InviteMemberInput {
    /// The organization.
    organization_id: ID,
    /// Their address.
    email: String,
    /// Their name.
    name: Option<String>,
    /// The role to give; the organization's default one, unless told otherwise.
    role_id: Option<ID>,
    /// Whether a pending invitation with another role is replaced.
    replace: Option<bool>,
    /// Do it once, however often it is sent, for 24 hours.
    idempotency_key: Option<String>,
}

/// Several people to invite.
#[derive(Debug, InputObject)]
pub struct InviteMembersInput {
    /// The organization.
    organization_id: ID,
    /// Who; 1 to 50.
    invitations: Vec<InvitationInput>,
}

/// An invitation to send again.
#[derive(Debug, InputObject)]
pub struct ResendInvitationInput {
    /// The organization.
    organization_id: ID,
    /// The invitation.
    invitation_id: ID,
}

/// An invitation to withdraw.
#[derive(Debug, InputObject)]
pub struct RevokeInvitationInput {
    /// The organization.
    organization_id: ID,
    /// The invitation.
    invitation_id: ID,
}

/// An invitation to answer: by the token of its link, or by its id from one's own list.
#[derive(Debug, InputObject)]
pub struct AnswerInvitationInput {
    /// The token of the link.
    token: Option<String>,
    /// The id.
    invitation_id: Option<ID>,
}

/// A sent invitation.
#[derive(Default, SimpleObject)]
pub struct InviteMemberPayload {
    /// The invitation that is pending now.
    invitation: Option<Invitation>,
    /// Whether it was pending before, so that nothing was sent.
    already_pending: bool,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// What became of one row.
#[derive(SimpleObject)]
pub struct InviteMembersResult {
    /// The address, as it was typed.
    email: String,
    /// The invitation that is pending now.
    invitation: Option<Invitation>,
    /// Why this person was not invited.
    user_errors: Vec<UserError>,
}

/// What became of each row.
#[derive(Default, SimpleObject)]
pub struct InviteMembersPayload {
    /// Row by row, in the order of the input.
    results: Vec<InviteMembersResult>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nobody was invited; nothing was written.
    user_errors: Vec<UserError>,
}

/// A changed invitation.
#[derive(Default, SimpleObject)]
pub struct InvitationPayload {
    /// The invitation, as it is now.
    invitation: Option<Invitation>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A new membership.
#[derive(Default, SimpleObject)]
pub struct AcceptInvitationPayload {
    /// The organization that the caller belongs to now.
    organization: Option<Organization>,
    /// The caller's membership.
    member: Option<Member>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A declined invitation.
#[derive(Default, SimpleObject)]
pub struct DeclineInvitationPayload {
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(
    InviteMemberPayload,
    InviteMembersPayload,
    InvitationPayload,
    AcceptInvitationPayload,
    DeclineInvitationPayload
);

/// Mutations of invitations.
#[derive(Default)]
pub struct InvitationMutations;

/// Mutations of invitations.
#[Object]
impl InvitationMutations {
    /// Invites a person by email.
    async fn invite_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom, and as what.")] input: InviteMemberInput,
    ) -> Result<InviteMemberPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let row = InvitationInput {
                email: input.email.clone(),
                name: input.name.clone(),
                role_id: input.role_id.clone(),
            };
            let invitee = invitee(&mut fields, organization, &row, input.replace.unwrap_or_default());
            let given = GivenTerms { idempotency_key: input.idempotency_key.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(invitee)) = (organization, invitee) else { return Err(fields.stop()) };
            fields.check()?;
            let receipt = services(ctx)?.commands.invite(&caller(ctx)?, organization, vec![invitee], terms).await?;
            let mut already_pending = false;
            if let Some(row) = receipt.notes.invited.into_iter().next() {
                already_pending = row?.already_pending;
            }
            let access = access_after(ctx, organization).await?;
            Ok(InviteMemberPayload {
                invitation: Invitation::find_all(ctx, &access, receipt.objects).await?.pop().flatten(),
                already_pending,
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Invites up to 50 people by email, and answers for each.
    async fn invite_members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whom, and as what.")] input: InviteMembersInput,
    ) -> Result<InviteMembersPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let count = input.invitations.len();
            if count == 0 || count > INVITATIONS_AT_ONCE {
                fields.refuse(Refusal::invalid("invitations", "must have 1 to 50 rows"));
            }
            let Some(organization) = organization else { return Err(fields.stop()) };
            let terms = fields.terms(ctx, &input, GivenTerms::default())?;
            fields.check()?;
            invite_rows(ctx, organization, &input.invitations, terms).await
        })
        .await
    }

    /// Sends an invitation again: the older links die, the time begins anew, and the caller becomes the inviter.
    async fn resend_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: ResendInvitationInput,
    ) -> Result<InvitationPayload> {
        answer(ctx, async {
            let (organization, invitation) = named(&input.organization_id, &input.invitation_id)?;
            let commands = &services(ctx)?.commands;
            let receipt = commands.resend_invitation(&caller(ctx)?, organization, invitation).await?;
            read_back(ctx, organization, invitation, receipt.version).await
        })
        .await
    }

    /// Withdraws an invitation: its links die.
    async fn revoke_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: RevokeInvitationInput,
    ) -> Result<InvitationPayload> {
        answer(ctx, async {
            let (organization, invitation) = named(&input.organization_id, &input.invitation_id)?;
            let action = Action::RevokeInvitation { invitation };
            let commands = &services(ctx)?.commands;
            let receipt = commands.execute(&caller(ctx)?, organization, action, Terms::default()).await?;
            read_back(ctx, organization, invitation, receipt.version).await
        })
        .await
    }

    /// Accepts an invitation; the caller's verified address has to be the invited one.
    async fn accept_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: AnswerInvitationInput,
    ) -> Result<AcceptInvitationPayload> {
        answer(ctx, async {
            let received = received(&input)?;
            let caller = caller(ctx)?;
            let (organization, receipt) =
                services(ctx)?.commands.answer_invitation(&caller, &received, Answer::Accept).await?;
            let access = access_after(ctx, organization).await?;
            let user = caller.actor.user().unwrap_or(UserId(Uuid::nil()));
            Ok(AcceptInvitationPayload {
                member: Member::find(ctx, &access, user).await?,
                organization: Some(Organization(access)),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Declines an invitation.
    async fn decline_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which invitation.")] input: AnswerInvitationInput,
    ) -> Result<DeclineInvitationPayload> {
        answer(ctx, async {
            let received = received(&input)?;
            services(ctx)?.commands.answer_invitation(&caller(ctx)?, &received, Answer::Decline).await?;
            Ok(DeclineInvitationPayload::default())
        })
        .await
    }
}

fn invitee(
    fields: &mut Fields,
    organization: Option<OrganizationId>,
    row: &InvitationInput,
    replace: bool,
) -> Option<Invitee> {
    let email = fields.email("email", &row.email);
    let name = fields.optional_name("name", row.name.as_deref());
    let role = match &row.role_id {
        None => None,
        Some(id) => Some(fields.role("roleId", organization, id)?),
    };
    Some(Invitee { email: email?, name, role, replace })
}

/// Invites the rows that are well formed, and puts the answers of all in the order of the input.
async fn invite_rows(
    ctx: &Context<'_>,
    organization: OrganizationId,
    rows: &[InvitationInput],
    terms: Terms,
) -> Result<InviteMembersPayload, Stop> {
    let mut invitees = Vec::new();
    let mut mistakes: Vec<Option<Vec<Refusal>>> = Vec::new();
    for row in rows {
        let mut fields = Fields::default();
        let invitee = invitee(&mut fields, Some(organization), row, false);
        match (invitee, fields.check()) {
            (Some(invitee), Ok(())) => {
                invitees.push(invitee);
                mistakes.push(None);
            }
            (_, Err(Stop::Refused(refusals))) => mistakes.push(Some(refusals)),
            _ => mistakes.push(Some(Vec::new())),
        }
    }
    let receipt = services(ctx)?.commands.invite(&caller(ctx)?, organization, invitees, terms).await?;
    let access = access_after(ctx, organization).await?;
    let mut found = Invitation::find_all(ctx, &access, receipt.objects).await?.into_iter();
    let mut decided = receipt.notes.invited.into_iter();
    let mut results = Vec::with_capacity(rows.len());
    for (row, mistakes) in rows.iter().zip(mistakes) {
        let (invitation, refusals) = match mistakes {
            Some(refusals) => (None, refusals),
            None => (found.next().flatten(), decided.next().and_then(Result::err).into_iter().collect()),
        };
        let user_errors = refusals.iter().map(UserError::from).collect();
        results.push(InviteMembersResult { email: row.email.clone(), invitation, user_errors });
    }
    Ok(InviteMembersPayload { results, cursor: Some(ledger_cursor(receipt.version)), user_errors: Vec::new() })
}

fn named(organization_id: &ID, invitation_id: &ID) -> Result<(OrganizationId, InvitationId), Stop> {
    let mut fields = Fields::default();
    let organization = fields.organization("organizationId", organization_id);
    let invitation = fields.invitation("invitationId", organization, invitation_id);
    match (organization, invitation) {
        (Some(organization), Some(invitation)) => Ok((organization, invitation)),
        _ => Err(fields.stop()),
    }
}

async fn read_back(
    ctx: &Context<'_>,
    organization: OrganizationId,
    invitation: InvitationId,
    version: u64,
) -> Result<InvitationPayload, Stop> {
    let invitation = match access(ctx, organization).await? {
        Some(access) => Invitation::find(ctx, &access, invitation).await?,
        None => None,
    };
    Ok(InvitationPayload { invitation, cursor: Some(ledger_cursor(version)), user_errors: Vec::new() })
}

fn received(input: &AnswerInvitationInput) -> Result<Received, Stop> {
    match (&input.token, &input.invitation_id) {
        (Some(token), None) => Ok(Received::Token(token.clone())),
        (None, Some(id)) => match id.parse() {
            Ok(GlobalId::Invitation(organization, invitation)) => Ok(Received::Listed(organization, invitation)),
            _ => Err(Refusal::NotFound { field: "invitationId" }.into()),
        },
        _ => Err(Refusal::invalid("token", "or invitationId must be given, and not both").into()),
    }
}
