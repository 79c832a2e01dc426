//! Organizations: what their members and keys see, and what changes the organization itself.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    api_keys::{self, ApiKeyConnection, ApiKeyFilter, ApiKeysQuestion},
    context::{Access, access, access_after, caller, services, store},
    decisions::{Decision, OrganizationAction},
    errors::{self, UserError, UserErrorCode, answer, code, payloads},
    fields::{Fields, GivenTerms},
    history::{self, AuditEntryConnection, AuditFilter, EventConnection},
    invitations::{self, InvitationConnection, InvitationState, InvitationsQuestion},
    members::{self, CreatedKeys, Member, MemberConnection, MemberFilter, MemberOrder, MembersQuestion},
    paging::{ConnectionEdge, Paging, ledger_cursor},
    people::Actor,
    roles::{Permission, PermissionGroup, Role, permission_groups},
};
use crate::{
    domain::{
        GlobalId, Refusal, RoleId,
        organization::{self, Action, Ask, Kind},
    },
    store::profile,
};

/// What an organization is for, fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Kind")]
pub enum OrganizationKind {
    /// One person's own; it comes with the person.
    Personal,
    /// A small group: admins, members, auditors.
    Team,
    /// A company's workspace, with ranks.
    Workspace,
    /// An enterprise with exactly one super admin; it waits for certification.
    Enterprise,
}

/// How far the certification of an enterprise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Certification {
    /// Nobody has asked for it.
    NotRequested,
    /// It was asked for.
    Requested,
    /// It was given.
    Certified,
    /// It was refused; it can be asked for again.
    Rejected,
}

/// Whether members can be managed, and why not.
#[derive(SimpleObject)]
pub struct MemberManagementInfo {
    /// Whether they can.
    available: bool,
    /// The rule that says no.
    reason: Option<UserErrorCode>,
    /// One sentence for the person.
    message: Option<String>,
}

/// What an overview shows.
#[derive(SimpleObject)]
pub struct Overview {
    /// Members, former ones not counted.
    member_count: i64,
    /// Members with access.
    active_member_count: i64,
    /// Invitations that wait for an answer.
    pending_invitation_count: i64,
    /// API keys that are not revoked.
    api_key_count: i64,
    /// The latest ten changes; null without AUDIT_READ.
    recent_activity: Option<Vec<ActivityEntry>>,
}

/// A change, in short.
#[derive(SimpleObject)]
pub struct ActivityEntry {
    /// Its permanent name.
    #[graphql(name = "type")]
    event_type: String,
    /// When.
    occurred_at: DateTime<Utc>,
    /// Who.
    actor: Option<Actor>,
}

/// An organization, as this caller meets it.
#[derive(Clone)]
pub struct Organization(pub Arc<Access>);

/// An organization: its members, invitations, roles, API keys and history.
#[Object]
impl Organization {
    /// Its id.
    pub async fn id(&self) -> ID {
        GlobalId::Organization(self.0.organization).to_string().into()
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.row.name
    }

    /// What it is, in its own words.
    async fn description(&self) -> Option<&str> {
        self.0.row.description.as_deref()
    }

    /// Its logo; none yet.
    async fn logo_url(&self) -> Option<String> {
        None
    }

    /// What it is for.
    async fn kind(&self) -> OrganizationKind {
        self.0.kind.into()
    }

    /// How far its certification is; null for kinds that need none.
    async fn certification(&self) -> Option<Certification> {
        let needed = self.0.kind.rules().members == organization::kinds::MemberManagement::OnceCertified;
        needed.then_some(Certification::NotRequested)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.row.created_at
    }

    /// The sequence of the last event about its name, description or settings; what `expectedVersion` of
    /// `updateOrganization` is compared with.
    async fn version(&self) -> i64 {
        self.0.row.version
    }

    /// The role that invitations give unless told otherwise.
    async fn default_invitation_role(&self, ctx: &Context<'_>) -> Result<Option<Role>> {
        Role::find(ctx, &self.0, RoleId(self.0.row.default_role_id)).await
    }

    /// The caller's role; an API key has none.
    async fn viewer_role(&self) -> Option<Role> {
        self.0.role.clone().map(|row| Role { access: Arc::clone(&self.0), row })
    }

    /// What the caller may do.
    async fn viewer_permissions(&self) -> Vec<Permission> {
        errors::permissions(self.0.permissions)
    }

    /// Whether the caller may do something, by the rules that would decide the command.
    async fn viewer_can(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What.")] action: OrganizationAction,
        #[graphql(desc = "To which member.")] member_id: Option<ID>,
        #[graphql(desc = "With which role.")] role_id: Option<ID>,
    ) -> Result<Decision> {
        let mut ask = Ask::about(action.into());
        if let Some(id) = member_id {
            match id.parse() {
                Ok(GlobalId::Member(organization, user)) if organization == self.0.organization => {
                    ask = ask.member(user);
                }
                _ => return Ok(Err(Refusal::NotFound { field: "memberId" }).into()),
            }
        }
        if let Some(id) = role_id {
            match id.parse() {
                Ok(GlobalId::Role(organization, role)) if organization == self.0.organization => ask = ask.role(role),
                _ => return Ok(Err(Refusal::NotFound { field: "roleId" }).into()),
            }
        }
        Ok(self.0.may(ctx, &ask).await?.into())
    }

    /// Whether this organization has members to manage.
    async fn member_management(&self) -> MemberManagementInfo {
        match self.0.kind.rules().members.available() {
            Ok(()) => MemberManagementInfo { available: true, reason: None, message: None },
            Err(refusal) => MemberManagementInfo {
                available: false,
                reason: Some(code(&refusal)),
                message: Some(refusal.to_string()),
            },
        }
    }

    /// Members. Needs MEMBERS_READ.
    #[expect(clippy::too_many_arguments, reason = "the arguments are those of the schema")]
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
        #[graphql(desc = "So many from the end; 100 at most.")] last: Option<i32>,
        #[graphql(desc = "Before this place.")] before: Option<String>,
        #[graphql(desc = "A part of the name or email, in any case; % and _ stand for themselves.")] search: Option<
            String,
        >,
        #[graphql(desc = "Which members.")] filter: Option<MemberFilter>,
        #[graphql(desc = "In which order; by name, unless told otherwise.")] order_by: Option<MemberOrder>,
        #[graphql(desc = "As it was at that moment; names are today's.")] as_of: Option<DateTime<Utc>>,
    ) -> Option<Result<MemberConnection>> {
        let question = MembersQuestion {
            paging: Paging { first, after, last, before },
            search,
            filter: filter.unwrap_or_default(),
            order: order_by.unwrap_or_default(),
            as_of,
        };
        Some(members::list(ctx, &self.0, question).await)
    }

    /// One member, former ones included. Needs MEMBERS_READ; one's own is there for everybody.
    async fn member(&self, ctx: &Context<'_>, #[graphql(desc = "The member's id.")] id: ID) -> Option<Result<Member>> {
        let Ok(GlobalId::Member(organization, user)) = id.parse() else { return None };
        if organization != self.0.organization {
            return None;
        }
        if self.0.actor.user() != Some(user)
            && let Err(error) = self.0.require(organization::Permission::MembersRead)
        {
            return Some(Err(error));
        }
        Member::find(ctx, &self.0, user).await.transpose()
    }

    /// Invitations, newest first. Needs MEMBERS_INVITE.
    #[expect(clippy::too_many_arguments, reason = "the arguments are those of the schema")]
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
        #[graphql(desc = "So many from the end; 100 at most.")] last: Option<i32>,
        #[graphql(desc = "Before this place.")] before: Option<String>,
        #[graphql(desc = "In one of these states; in any, unless told otherwise.")] states: Option<
            Vec<InvitationState>,
        >,
        #[graphql(desc = "A part of the address or name.")] search: Option<String>,
    ) -> Option<Result<InvitationConnection>> {
        let paging = Paging { first, after, last, before };
        Some(invitations::list(ctx, &self.0, InvitationsQuestion { paging, states, search }).await)
    }

    /// Every role, highest first.
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        let roles = self.0.roles(ctx).await?.iter();
        Ok(roles.map(|row| Role { access: Arc::clone(&self.0), row: row.clone() }).collect())
    }

    /// Every permission there is, group by group.
    async fn permission_groups(&self) -> Vec<PermissionGroup> {
        permission_groups()
    }

    /// API keys, newest first; never their secrets. Needs API_KEYS_READ.
    #[expect(clippy::too_many_arguments, reason = "the arguments are those of the schema")]
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
        #[graphql(desc = "So many from the end; 100 at most.")] last: Option<i32>,
        #[graphql(desc = "Before this place.")] before: Option<String>,
        #[graphql(desc = "A part of the name or description.")] search: Option<String>,
        #[graphql(desc = "Which keys.")] filter: Option<ApiKeyFilter>,
    ) -> Option<Result<ApiKeyConnection>> {
        let paging = Paging { first, after, last, before };
        let filter = filter.unwrap_or_default();
        Some(api_keys::list(ctx, &self.0, ApiKeysQuestion { paging, search, filter }).await)
    }

    /// Counts and the latest changes.
    async fn overview(&self, ctx: &Context<'_>) -> Option<Result<Overview>> {
        Some(overview(ctx, &self.0).await)
    }

    /// What was changed, by whom, and when; newest first. Needs AUDIT_READ.
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
        #[graphql(desc = "So many from the end; 100 at most.")] last: Option<i32>,
        #[graphql(desc = "Before this place.")] before: Option<String>,
        #[graphql(desc = "Which entries.")] filter: Option<AuditFilter>,
    ) -> Option<Result<AuditEntryConnection>> {
        let paging = Paging { first, after, last, before };
        Some(history::audit_log(ctx, &self.0, paging, filter.unwrap_or_default()).await)
    }

    /// The events of the ledger, oldest first. Needs AUDIT_READ.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
        #[graphql(desc = "So many from the end; 100 at most.")] last: Option<i32>,
        #[graphql(desc = "Before this place.")] before: Option<String>,
    ) -> Option<Result<EventConnection>> {
        Some(history::events(ctx, &self.0, Paging { first, after, last, before }).await)
    }
}

async fn overview(ctx: &Context<'_>, access: &Arc<Access>) -> Result<Overview> {
    let store = store(ctx)?;
    let counts = profile::counts(&store.database, access.organization, store.now()).await;
    let counts = counts.map_err(|error| errors::internal(ctx, &error))?;
    let wanted = ctx.look_ahead().field("recentActivity").exists();
    let recent_activity = if wanted && access.require(organization::Permission::AuditRead).is_ok() {
        Some(history::recent(ctx, access, 10).await?)
    } else {
        None
    };
    Ok(Overview {
        member_count: counts.members,
        active_member_count: counts.active_members,
        pending_invitation_count: counts.pending_invitations,
        api_key_count: counts.api_keys,
        recent_activity,
    })
}

impl ActivityEntry {
    /// The entry of an event.
    pub const fn new(event_type: String, occurred_at: DateTime<Utc>, actor: Option<Actor>) -> Self {
        Self { event_type, occurred_at, actor }
    }
}

/// An organization that a person belongs to.
#[derive(SimpleObject)]
pub struct OrganizationEdge {
    /// The place, to go on from.
    pub cursor: String,
    /// The organization.
    pub node: Organization,
    /// The person's role in it.
    pub role: Option<Role>,
    /// When their membership began.
    pub joined_at: Option<DateTime<Utc>>,
}

impl ConnectionEdge for OrganizationEdge {
    type Node = Organization;

    fn cursor(&self) -> &str {
        &self.cursor
    }

    fn node(&self) -> Option<&Organization> {
        Some(&self.node)
    }
}

/// An organization to make.
#[derive(Debug, InputObject)]
pub struct CreateOrganizationInput {
    /// Its name.
    name: String,
    /// What it is for; TEAM or WORKSPACE.
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
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            Ok(OrganizationPayload {
                organization: access(ctx, organization).await?.map(Organization),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
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
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let terms = fields.terms(ctx, &input, GivenTerms::default())?;
            let Some(organization) = organization else { return Err(fields.stop()) };
            fields.check()?;
            let action = Action::LeaveOrganization { created_keys: input.created_keys.unwrap_or_default().into() };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            Ok(LeaveOrganizationPayload { cursor: Some(ledger_cursor(receipt.version)), user_errors: Vec::new() })
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
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let terms = fields.terms(ctx, &input, GivenTerms::default())?;
            let Some(organization) = organization else { return Err(fields.stop()) };
            fields.check()?;
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

/// The organization with this id, if the caller has access to it.
pub async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Organization>> {
    match id.parse() {
        Ok(GlobalId::Organization(organization)) => Ok(access(ctx, organization).await?.map(Organization)),
        _ => Ok(None),
    }
}
