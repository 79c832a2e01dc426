//! Changes of organizations themselves.

use async_graphql::{Context, ID, InputObject, InputType, MaybeUndefined, Object, Result, SimpleObject};

use super::members::CreatedKeys;
use crate::commands::Terms;
use crate::domain::{
    OrganizationId,
    organization::{Action, Kind},
};
use crate::graphql::{
    api_keys::ApiKey,
    context::{access, access_after, caller, services},
    errors::{Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms},
    organization::{Organization, OrganizationKind},
    paging::ledger_cursor,
};

/// An organization to make.
#[derive(Debug, InputObject)]
pub struct CreateOrganizationInput {
    /// Its name.
    name: String,
    /// What it is for; TEAM, WORKSPACE or ENTERPRISE.
    kind: OrganizationKind,
    /// What it is, in its own words.
    description: Option<String>,
    /// Do it once, however often it is sent, for 24 hours.
    idempotency_key: Option<String>,
}

/// What changes of an organization; what is left out stays, null clears.
#[derive(Debug, InputObject)]
pub struct UpdateOrganizationInput {
    /// The organization.
    organization_id: ID,
    /// Its name.
    name: Option<String>,
    /// What it is, in its own words.
    description: MaybeUndefined<String>,
    /// The role that invitations give unless told otherwise.
    default_invitation_role_id: Option<ID>,
    /// Refuse if the organization is at another version.
    expected_version: Option<i32>,
}

/// An organization to leave.
#[derive(Debug, InputObject)]
pub struct LeaveOrganizationInput {
    /// The organization.
    organization_id: ID,
    /// What happens to the keys the caller created; they are kept, unless told otherwise.
    created_keys: Option<CreatedKeys>,
}

/// An enterprise to have certified.
#[derive(Debug, InputObject)]
pub struct RequestCertificationInput {
    /// The organization.
    organization_id: ID,
}

/// An ownership to hand over.
#[derive(Debug, InputObject)]
pub struct TransferOwnershipInput {
    /// The organization.
    organization_id: ID,
    /// Who becomes the owner; an active member.
    member_id: ID,
    /// The role that the caller takes; MEMBER, unless told otherwise.
    former_owner_role_id: Option<ID>,
    /// Why; shown in the audit log.
    reason: Option<String>,
    /// Refuse if the member is at another version.
    expected_version: Option<i32>,
}

/// An organization to delete.
#[derive(Debug, InputObject)]
pub struct DeleteOrganizationInput {
    /// The organization.
    organization_id: ID,
    /// Its name, typed again.
    confirm_name: String,
}

/// A new or changed organization.
#[derive(Default, SimpleObject)]
pub struct OrganizationPayload {
    /// The organization, as it is now.
    organization: Option<Organization>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A membership that the caller ended.
#[derive(Default, SimpleObject)]
pub struct LeaveOrganizationPayload {
    /// The keys that the caller had created, as they are now.
    api_keys_created: Vec<ApiKey>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A deleted organization.
#[derive(Default, SimpleObject)]
pub struct DeleteOrganizationPayload {
    /// Its id, which is never used again.
    deleted_organization_id: Option<ID>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(OrganizationPayload, LeaveOrganizationPayload, DeleteOrganizationPayload);

/// Mutations of organizations.
#[derive(Default)]
pub struct OrganizationMutations;

/// Mutations of organizations.
#[Object]
impl OrganizationMutations {
    /// Makes an organization; the caller becomes its owner.
    async fn create_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is.")] input: CreateOrganizationInput,
    ) -> Result<OrganizationPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let name = fields.name("name", &input.name);
            let description = fields.text("description", input.description.as_deref());
            let given = GivenTerms { idempotency_key: input.idempotency_key.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let Some(name) = name else { return Err(fields.stop()) };
            fields.check()?;
            let new = (Kind::from(input.kind), name, description);
            let (organization, receipt) =
                services(ctx)?.commands.create_organization(&caller(ctx)?, new, terms).await?;
            Ok(OrganizationPayload {
                organization: Some(Organization(access_after(ctx, organization).await?)),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Changes an organization's name, description or default role.
    async fn update_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes.")] input: UpdateOrganizationInput,
    ) -> Result<OrganizationPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let name = input.name.as_deref().and_then(|name| fields.name("name", name));
            let description = fields.edited_text("description", &input.description);
            let default_role = input
                .default_invitation_role_id
                .as_ref()
                .and_then(|id| fields.role("defaultInvitationRoleId", organization, id));
            let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let Some(organization) = organization else { return Err(fields.stop()) };
            fields.check()?;
            let action = Action::UpdateOrganization { name, description, default_role };
            change(ctx, organization, action, terms).await
        })
        .await
    }

    /// Asks the operator to certify an enterprise, after which its members can be managed.
    async fn request_certification(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organization.")] input: RequestCertificationInput,
    ) -> Result<OrganizationPayload> {
        answer(ctx, async {
            let (organization, terms) = about_organization(ctx, &input, &input.organization_id)?;
            change(ctx, organization, Action::RequestCertification, terms).await
        })
        .await
    }

    /// Makes a member the owner in the caller's place; the caller takes another role. It is one event, so there is
    /// always an owner.
    async fn transfer_ownership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "To whom.")] input: TransferOwnershipInput,
    ) -> Result<OrganizationPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let member = fields.member("memberId", organization, &input.member_id);
            let named = input.former_owner_role_id.as_ref();
            let former_owner_role = named.and_then(|id| fields.role("formerOwnerRoleId", organization, id));
            let given = GivenTerms {
                reason: input.reason.as_deref(),
                expected_version: input.expected_version,
                ..GivenTerms::default()
            };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(member)) = (organization, member) else { return Err(fields.stop()) };
            fields.check()?;
            change(ctx, organization, Action::TransferOwnership { member, former_owner_role }, terms).await
        })
        .await
    }

    /// Ends the caller's membership: access ends at once, and coming back needs an invitation.
    async fn leave_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organization.")] input: LeaveOrganizationInput,
    ) -> Result<LeaveOrganizationPayload> {
        answer(ctx, async {
            let (organization, terms) = about_organization(ctx, &input, &input.organization_id)?;
            let action = Action::LeaveOrganization { created_keys: input.created_keys.unwrap_or_default().into() };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            Ok(LeaveOrganizationPayload {
                api_keys_created: ApiKey::read(ctx, organization, receipt.objects).await?,
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Deletes an organization for good, with its members, keys and settings.
    async fn delete_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organization.")] input: DeleteOrganizationInput,
    ) -> Result<DeleteOrganizationPayload> {
        answer(ctx, async {
            let (organization, terms) = about_organization(ctx, &input, &input.organization_id)?;
            let action = Action::DeleteOrganization { confirm_name: input.confirm_name.clone() };
            services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            Ok(DeleteOrganizationPayload {
                deleted_organization_id: Some(input.organization_id.clone()),
                user_errors: Vec::new(),
            })
        })
        .await
    }
}

/// Parses what every command about an organization names.
fn about_organization(
    ctx: &Context<'_>,
    input: &impl InputType,
    organization_id: &ID,
) -> Result<(OrganizationId, Terms), Stop> {
    let mut fields = Fields::default();
    let organization = fields.organization("organizationId", organization_id);
    let terms = fields.terms(ctx, input, GivenTerms::default())?;
    let Some(organization) = organization else { return Err(fields.stop()) };
    fields.check()?;
    Ok((organization, terms))
}

/// Gives a command about an organization, and reads the organization back.
async fn change(
    ctx: &Context<'_>,
    organization: OrganizationId,
    action: Action,
    terms: Terms,
) -> Result<OrganizationPayload, Stop> {
    let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
    Ok(OrganizationPayload {
        organization: access(ctx, organization).await?.map(Organization),
        cursor: Some(ledger_cursor(receipt.version)),
        user_errors: Vec::new(),
    })
}
