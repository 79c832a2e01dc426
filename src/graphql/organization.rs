//! Organizations: what their members and keys see, and what changes the organization itself.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    access_changes::{self, AccessChanges},
    api_keys::{self, ApiKeyConnection, ApiKeyFilter, ApiKeysQuestion},
    context::{Access, access_to_read, services},
    data_exports::DataExport,
    decisions::{Decision, OrganizationAction},
    errors::{self, UserErrorCode, code},
    events::{self, EventConnection},
    fields::moment,
    history::{self, AuditEntryConnection, AuditFilter},
    invitations::{self, InvitationConnection, InvitationState, InvitationsQuestion},
    ledger_head::{self, LedgerHead},
    members::{self, Member, MemberConnection, MemberFilter, MemberOrder, MembersQuestion},
    overview::Overview,
    paging::{ConnectionEdge, Paging, ledger_sequence},
    preferences::{self, NotificationPreference},
    roles::{Permission, PermissionGroup, Role, permission_groups},
};
use crate::{
    domain::{
        GlobalId, Refusal, RoleId,
        organization::{self, Ask, Kind},
    },
    store::data_exports::Owner,
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
    /// An enterprise with exactly one super admin; its members are managed once the operator has certified it.
    Enterprise,
}

/// How far the certification of an enterprise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::profile::Certification")]
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

    /// Its logo, for everybody who has this address; it is another address for another logo.
    async fn logo_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let Some(Ok(logo)) = self.0.row.logo.as_deref().map(str::parse::<organization::Logo>) else { return Ok(None) };
        let id = GlobalId::Organization(self.0.organization);
        Ok(Some(format!("{}/logos/{id}/{}", services(ctx)?.public_url, logo.hash)))
    }

    /// What it is for.
    async fn kind(&self) -> OrganizationKind {
        self.0.kind.into()
    }

    /// How far its certification is; null for kinds that need none.
    async fn certification(&self) -> Option<Certification> {
        self.0.kind.rules().needs_certification().then(|| self.0.certification().into())
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
        self.0.role.clone().map(|row| Role::now(&self.0, row))
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
        #[graphql(desc = "With which role, or which role.")] role_id: Option<ID>,
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
        match self.0.kind.rules().members.available(self.0.certification()) {
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
        #[graphql(
            desc = "As it was at that moment, roles included; names of people are today's. Nobody before the organization began; now, for a moment to come."
        )]
        as_of: Option<DateTime<Utc>>,
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

    /// One member, former ones included, or as of an id's moment. Needs MEMBERS_READ; one's own is there for everybody.
    async fn member(&self, ctx: &Context<'_>, #[graphql(desc = "The member's id.")] id: ID) -> Option<Result<Member>> {
        let (organization, user, as_of) = match id.parse() {
            Ok(GlobalId::Member(organization, user)) => (organization, user, None),
            Ok(GlobalId::MemberAsOf(organization, user, sequence)) => (organization, user, Some(sequence)),
            _ => return None,
        };
        if organization != self.0.organization {
            return None;
        }
        if self.0.actor.user() != Some(user)
            && let Err(error) = self.0.require(organization::Permission::MembersRead)
        {
            return Some(Err(error));
        }
        Member::find_at(ctx, &self.0, user, as_of).await.transpose()
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
    async fn roles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "As they were at that moment: names, levels, permissions, and how many held them.")]
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Vec<Role>> {
        if let Some(at) = as_of {
            return Role::all_at(ctx, &self.0, at).await;
        }
        let roles = self.0.roles(ctx).await?.iter();
        Ok(roles.map(|row| Role::now(&self.0, row.clone())).collect())
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

    /// What the caller is written to about, category by category: a person's own choice, all of it unless they said
    /// otherwise. A key has none: USER_REQUIRED.
    async fn notification_preferences(&self, ctx: &Context<'_>) -> Option<Result<Vec<NotificationPreference>>> {
        Some(preferences::own(ctx, &self.0).await)
    }

    /// Counts and the latest changes.
    async fn overview(&self, ctx: &Context<'_>) -> Option<Result<Overview>> {
        Some(Overview::read(ctx, &self.0).await)
    }

    /// An export of the organization's data; null, where there is none with this id. Needs DATA_EXPORT.
    async fn data_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The export's id.")] id: ID,
    ) -> Option<Result<DataExport>> {
        if let Err(error) = self.0.require(organization::Permission::DataExport) {
            return Some(Err(error));
        }
        let Ok(GlobalId::DataExport(organization, export)) = id.parse() else { return None };
        if organization != self.0.organization {
            return None;
        }
        DataExport::find(ctx, Owner::Organization(organization), export).await.transpose()
    }

    /// Who got, changed and lost access between two moments, change by change; more than 2,000 are an error. Needs
    /// MEMBERS_READ.
    async fn access_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "From then on.")] from: DateTime<Utc>,
        #[graphql(desc = "Before then; later than from.")] to: DateTime<Utc>,
    ) -> Option<Result<AccessChanges>> {
        Some(access_changes::between(ctx, &self.0, moment(from), moment(to)).await)
    }

    /// What was changed, or refused if that is asked for, by whom and when; newest first. Needs AUDIT_READ.
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
        Some(events::page(ctx, &self.0, Paging { first, after, last, before }).await)
    }

    /// Where the chain of its events ends, signed. Needs AUDIT_READ.
    async fn ledger_head(&self, ctx: &Context<'_>) -> Option<Result<LedgerHead>> {
        Some(ledger_head::find(ctx, &self.0).await)
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

/// The organization with this id, if the caller has access to it, to read a state that has at least this event in it.
pub async fn find(ctx: &Context<'_>, id: &ID, min_cursor: Option<&str>) -> Result<Option<Organization>> {
    let at_least = min_cursor.map(ledger_sequence).transpose()?.unwrap_or_default();
    match id.parse() {
        Ok(GlobalId::Organization(id)) => Ok(access_to_read(ctx, id, at_least).await?.map(Organization)),
        _ => Ok(None),
    }
}
