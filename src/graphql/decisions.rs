//! "May I?": the same rules that decide a command tell a page which buttons to disable, and why.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::{
    context::Access,
    errors::{UserErrorCode, code},
    roles::Role,
};
use crate::{
    domain::{
        Refusal, RoleId, UserId,
        organization::{self, Ask},
    },
    store::roles::RoleRow,
};

/// What can be done in an organization, each in the name of its mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::OrganizationAction")]
pub enum OrganizationAction {
    /// `updateOrganization`
    UpdateOrganization,
    /// `createLogoUpload`, and the upload itself
    CreateLogoUpload,
    /// `removeLogo`
    RemoveLogo,
    /// `requestCertification`
    RequestCertification,
    /// `requestDataExport`
    RequestDataExport,
    /// `leaveOrganization`
    LeaveOrganization,
    /// `deleteOrganization`
    DeleteOrganization,
    /// `transferOwnership`; `roleId` is what the old owner becomes
    TransferOwnership,
    /// `changeMemberRole`
    ChangeMemberRole,
    /// `deactivateMember`
    DeactivateMember,
    /// `reactivateMember`
    ReactivateMember,
    /// `removeMember`
    RemoveMember,
    /// `inviteMember` and `inviteMembers`
    InviteMember,
    /// `resendInvitation`
    ResendInvitation,
    /// `revokeInvitation`
    RevokeInvitation,
    /// `createRole`
    CreateRole,
    /// `updateRole`
    UpdateRole,
    /// `deleteRole`
    DeleteRole,
    /// `createApiKey`
    CreateApiKey,
    /// `updateApiKey`
    UpdateApiKey,
    /// `disableApiKey`
    DisableApiKey,
    /// `enableApiKey`
    EnableApiKey,
    /// `rotateApiKey`
    RotateApiKey,
    /// `revokeApiKey`
    RevokeApiKey,
    /// The export of the audit log, `GET /organizations/{id}/audit.jsonl` and `.csv`
    ExportAuditLog,
}

/// Whether something is allowed, and if not, which rule says no.
#[derive(Clone, Debug, SimpleObject)]
pub struct Decision {
    /// Whether it is allowed.
    allowed: bool,
    /// The rule that says no.
    code: Option<UserErrorCode>,
    /// One sentence for the person.
    message: Option<String>,
}

impl From<Result<(), Refusal>> for Decision {
    fn from(answer: Result<(), Refusal>) -> Self {
        match answer {
            Ok(()) => Self { allowed: true, code: None, message: None },
            Err(refusal) => Self { allowed: false, code: Some(code(&refusal)), message: Some(refusal.to_string()) },
        }
    }
}

/// What the caller may do to a member.
pub struct MemberDecisions {
    /// The organization, as the caller meets it.
    pub access: Arc<Access>,
    /// The member.
    pub member: UserId,
    /// The role they hold.
    pub role: Option<RoleId>,
}

impl MemberDecisions {
    async fn decide(&self, ctx: &Context<'_>, action: organization::OrganizationAction) -> Result<Decision> {
        let ask = Ask::about(action).member(self.member);
        Ok(self.access.may(ctx, &ask).await?.into())
    }

    /// Every role, highest first, and whether the caller may give it to them; in one look at the organization.
    async fn roles_to_give(&self, ctx: &Context<'_>) -> Result<Vec<(&RoleRow, Result<(), Refusal>)>> {
        let roles = self.access.roles(ctx).await?;
        let give = Ask::about(organization::OrganizationAction::ChangeMemberRole).member(self.member);
        let asks: Vec<_> = roles.iter().map(|row| give.role(row.id())).collect();
        Ok(roles.iter().zip(self.access.may_each(ctx, &asks).await?).collect())
    }
}

/// What the caller may do to a member.
#[Object]
impl MemberDecisions {
    /// Give them another role, whichever it is. Where it is none, the lowest one says why.
    async fn change_role(&self, ctx: &Context<'_>) -> Result<Decision> {
        let answers = self.roles_to_give(ctx).await?.into_iter().filter(|(role, _)| Some(role.id()) != self.role);
        // Where there is no other role, the kind of organization says why.
        let mut decision = self.decide(ctx, organization::OrganizationAction::ChangeMemberRole).await?;
        for (_, answer) in answers {
            decision = answer.into();
            if decision.allowed {
                break;
            }
        }
        Ok(decision)
    }

    /// Make them the owner in the caller's place.
    async fn transfer_ownership(&self, ctx: &Context<'_>) -> Result<Decision> {
        self.decide(ctx, organization::OrganizationAction::TransferOwnership).await
    }

    /// Take their access and keep the membership.
    async fn deactivate(&self, ctx: &Context<'_>) -> Result<Decision> {
        self.decide(ctx, organization::OrganizationAction::DeactivateMember).await
    }

    /// Give them their access back.
    async fn reactivate(&self, ctx: &Context<'_>) -> Result<Decision> {
        self.decide(ctx, organization::OrganizationAction::ReactivateMember).await
    }

    /// Remove them.
    async fn remove(&self, ctx: &Context<'_>) -> Result<Decision> {
        self.decide(ctx, organization::OrganizationAction::RemoveMember).await
    }

    /// The roles that the caller may give them, with the one they hold.
    async fn assignable_roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        let allowed = self.roles_to_give(ctx).await?.into_iter().filter(|(_, answer)| answer.is_ok());
        let role = |(row, _): (&RoleRow, _)| Role::now(&self.access, row.clone());
        Ok(allowed.map(role).collect())
    }
}
