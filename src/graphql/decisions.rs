//! "May I?": the same rules that decide a command tell a page which buttons to disable, and why.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::{
    context::Access,
    errors::{UserErrorCode, code},
    roles::Role,
};
use crate::domain::{
    Refusal, RoleId, UserId,
    organization::{self, Ask},
};

/// What can be done in an organization, each in the name of its mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::OrganizationAction")]
pub enum OrganizationAction {
    /// `updateOrganization`
    UpdateOrganization,
    /// `leaveOrganization`
    LeaveOrganization,
    /// `deleteOrganization`
    DeleteOrganization,
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
}

impl MemberDecisions {
    async fn decide(&self, ctx: &Context<'_>, action: organization::OrganizationAction) -> Result<Decision> {
        let ask = Ask::about(action).member(self.member);
        Ok(self.access.may(ctx, &ask).await?.into())
    }
}

/// What the caller may do to a member.
#[Object]
impl MemberDecisions {
    /// Give them another role, whichever it is.
    async fn change_role(&self, ctx: &Context<'_>) -> Result<Decision> {
        let decision = self.decide(ctx, organization::OrganizationAction::ChangeMemberRole).await?;
        if decision.allowed || !self.assignable_roles(ctx).await?.is_empty() {
            return Ok(Decision { allowed: true, code: None, message: None });
        }
        Ok(decision)
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

    /// The roles that the caller may give them.
    async fn assignable_roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        let mut assignable = Vec::new();
        for row in self.access.roles(ctx).await? {
            let ask = Ask::about(organization::OrganizationAction::ChangeMemberRole)
                .member(self.member)
                .role(RoleId(row.role_id));
            if self.access.may(ctx, &ask).await?.is_ok() {
                assignable.push(Role { access: Arc::clone(&self.access), row: row.clone() });
            }
        }
        Ok(assignable)
    }
}
