//! Sending, answering and ending invitations.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use uuid::Uuid;

use crate::graphql::{
    context::{access, access_after, caller, services},
    errors::{Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms},
    invitations::Invitation,
    members::Member,
    organization::Organization,
    paging::ledger_cursor,
};
use crate::{
    commands::{Answer, Invitee, Received, Terms},
    domain::{
        GlobalId, InvitationId, OrganizationId, Refusal, UserId,
        organization::{Action, invitations::INVITATIONS_AT_ONCE},
    },
};

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
