//! Changes of members.

use async_graphql::{Context, Enum, ID, InputObject, InputType, Object, Result, SimpleObject};

use crate::commands::Terms;
use crate::domain::{
    GlobalId, OrganizationId, UserId,
    organization::{self, Action},
};
use crate::graphql::{
    api_keys::ApiKey,
    context::{access, access_after, caller, services},
    errors::{Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms},
    members::Member,
    paging::ledger_cursor,
};

/// What happens to the API keys that a person created when their membership ends or rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::CreatedKeys")]
pub enum CreatedKeys {
    /// They live on: a key belongs to the organization.
    #[default]
    Keep,
    /// They are switched off.
    Disable,
    /// They end for good.
    Revoke,
}

/// A change of a member's role.
#[derive(Debug, InputObject)]
pub struct ChangeMemberRoleInput {
    /// The organization.
    organization_id: ID,
    /// The member.
    member_id: ID,
    /// The role to give.
    role_id: ID,
    /// Why; shown in the audit log.
    reason: Option<String>,
    /// Refuse if the member is at another version.
    expected_version: Option<i32>,
    /// Do it once, however often it is sent, for 24 hours.
    idempotency_key: Option<String>,
}

/// A member to deactivate.
#[derive(Debug, InputObject)]
pub struct DeactivateMemberInput {
    /// The organization.
    organization_id: ID,
    /// The member.
    member_id: ID,
    /// Why; shown in the audit log.
    reason: Option<String>,
    /// What happens to the keys they created; they are kept, unless told otherwise.
    created_keys: Option<CreatedKeys>,
    /// Refuse if the member is at another version.
    expected_version: Option<i32>,
}

/// A member to reactivate.
#[derive(Debug, InputObject)]
pub struct ReactivateMemberInput {
    /// The organization.
    organization_id: ID,
    /// The member.
    member_id: ID,
    /// Refuse if the member is at another version.
    expected_version: Option<i32>,
}

/// A member to remove.
#[derive(Debug, InputObject)]
pub struct RemoveMemberInput {
    /// The organization.
    organization_id: ID,
    /// The member.
    member_id: ID,
    /// Why; shown in the audit log.
    reason: Option<String>,
    /// What happens to the keys they created; they are kept, unless told otherwise.
    created_keys: Option<CreatedKeys>,
    /// Refuse if the member is at another version.
    expected_version: Option<i32>,
}

/// A changed member.
#[derive(Default, SimpleObject)]
pub struct MemberPayload {
    /// The member, as they are now.
    member: Option<Member>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A deactivated member.
#[derive(Default, SimpleObject)]
pub struct DeactivateMemberPayload {
    /// The member, as they are now.
    member: Option<Member>,
    /// The keys they had created, as they are now.
    api_keys_created: Vec<ApiKey>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A removed member.
#[derive(Default, SimpleObject)]
pub struct RemoveMemberPayload {
    /// The member who was removed.
    removed_member_id: Option<ID>,
    /// The keys they had created, as they are now.
    api_keys_created: Vec<ApiKey>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(MemberPayload, DeactivateMemberPayload, RemoveMemberPayload);

/// Mutations of members.
#[derive(Default)]
pub struct MemberMutations;

/// Mutations of members.
#[Object]
impl MemberMutations {
    /// Gives a member another role, with effect at once.
    async fn change_member_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who gets which role.")] input: ChangeMemberRoleInput,
    ) -> Result<MemberPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let member = fields.member("memberId", organization, &input.member_id);
            let role = fields.role("roleId", organization, &input.role_id);
            let given = GivenTerms {
                reason: input.reason.as_deref(),
                expected_version: input.expected_version,
                idempotency_key: input.idempotency_key.as_deref(),
            };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(member), Some(role)) = (organization, member, role) else {
                return Err(fields.stop());
            };
            fields.check()?;
            change(ctx, organization, member, Action::ChangeMemberRole { member, role }, terms).await
        })
        .await
    }

    /// Takes a member's access and keeps the membership.
    async fn deactivate_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose access is taken.")] input: DeactivateMemberInput,
    ) -> Result<DeactivateMemberPayload> {
        answer(ctx, async {
            let given = GivenTerms {
                reason: input.reason.as_deref(),
                expected_version: input.expected_version,
                ..GivenTerms::default()
            };
            let ids = (&input.organization_id, &input.member_id);
            let (organization, member, terms) = about_member(ctx, &input, ids, given)?;
            let created_keys = input.created_keys.unwrap_or_default().into();
            let action = Action::DeactivateMember { member, created_keys };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            let access = access_after(ctx, organization).await?;
            Ok(DeactivateMemberPayload {
                member: Member::find(ctx, &access, member).await?,
                api_keys_created: ApiKey::read(ctx, organization, receipt.objects).await?,
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Gives a deactivated member their access back.
    async fn reactivate_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who gets access back.")] input: ReactivateMemberInput,
    ) -> Result<MemberPayload> {
        answer(ctx, async {
            let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
            let ids = (&input.organization_id, &input.member_id);
            let (organization, member, terms) = about_member(ctx, &input, ids, given)?;
            change(ctx, organization, member, Action::ReactivateMember { member }, terms).await
        })
        .await
    }

    /// Removes a member, who loses access at once.
    async fn remove_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who is removed.")] input: RemoveMemberInput,
    ) -> Result<RemoveMemberPayload> {
        answer(ctx, async {
            let given = GivenTerms {
                reason: input.reason.as_deref(),
                expected_version: input.expected_version,
                ..GivenTerms::default()
            };
            let ids = (&input.organization_id, &input.member_id);
            let (organization, member, terms) = about_member(ctx, &input, ids, given)?;
            let created_keys = input.created_keys.unwrap_or_default().into();
            let action = Action::RemoveMember { member, created_keys };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            let access = access_after(ctx, organization).await?;
            Ok(RemoveMemberPayload {
                removed_member_id: Some(GlobalId::Member(organization, member).to_string().into()),
                api_keys_created: ApiKey::find_all(ctx, &access, receipt.objects).await?,
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }
}

/// Parses what every command about a member names.
fn about_member(
    ctx: &Context<'_>,
    input: &impl InputType,
    (organization_id, member_id): (&ID, &ID),
    given: GivenTerms<'_>,
) -> Result<(OrganizationId, UserId, Terms), Stop> {
    let mut fields = Fields::default();
    let organization = fields.organization("organizationId", organization_id);
    let member = fields.member("memberId", organization, member_id);
    let terms = fields.terms(ctx, input, given)?;
    let (Some(organization), Some(member)) = (organization, member) else { return Err(fields.stop()) };
    fields.check()?;
    Ok((organization, member, terms))
}

/// Gives a command about a member, and reads the member back. Who just lowered their own role may see less now.
async fn change(
    ctx: &Context<'_>,
    organization: OrganizationId,
    member: UserId,
    action: Action,
    terms: Terms,
) -> Result<MemberPayload, Stop> {
    let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
    let member = match access(ctx, organization).await? {
        Some(access) => Member::find(ctx, &access, member).await?,
        None => None,
    };
    Ok(MemberPayload { member, cursor: Some(ledger_cursor(receipt.version)), user_errors: Vec::new() })
}
