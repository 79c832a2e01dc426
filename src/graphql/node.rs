//! Objects by their ids, as clients that keep caches refetch them.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Result};

use super::{
    api_keys::ApiKey,
    context::{Access, access, request, store},
    errors::OrInternal,
    events::{self, Event},
    invitations::Invitation,
    members::Member,
    organization::Organization,
    people::User,
    roles::Role,
};
use crate::{
    domain::{GlobalId, OrganizationId, organization::Permission},
    store::users,
};

/// An object with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Its id."))]
pub enum Node {
    /// An organization.
    Organization(Organization),
    /// A person; only oneself.
    User(User),
    /// A member.
    Member(Member),
    /// A role.
    Role(Role),
    /// An invitation.
    Invitation(Invitation),
    /// An API key.
    ApiKey(ApiKey),
    /// An event.
    Event(Event),
}

/// The object with this id. What is malformed, unknown, of elsewhere or not for this caller is nothing alike.
pub async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Ok(id) = id.parse::<GlobalId>() else { return Ok(None) };
    Ok(match id {
        GlobalId::Organization(organization) => {
            access(ctx, organization).await?.map(Organization).map(Node::Organization)
        }
        GlobalId::User(user) if request(ctx)?.principal.user() == Some(user) => {
            let row = users::find(&store(ctx)?.database, user).await.or_internal(ctx)?;
            row.map(User::from).map(Node::User)
        }
        GlobalId::Member(organization, user) => {
            let own = request(ctx)?.principal.user() == Some(user);
            let permission = if own { None } else { Some(Permission::MembersRead) };
            match admitted(ctx, organization, permission).await? {
                Some(access) => Member::find(ctx, &access, user).await?.map(Node::Member),
                None => None,
            }
        }
        GlobalId::MemberAsOf(organization, user, sequence) => {
            let own = request(ctx)?.principal.user() == Some(user);
            let permission = if own { None } else { Some(Permission::MembersRead) };
            match admitted(ctx, organization, permission).await? {
                Some(access) => Member::find_at(ctx, &access, user, Some(sequence)).await?.map(Node::Member),
                None => None,
            }
        }
        GlobalId::RoleAsOf(organization, role, sequence) => match admitted(ctx, organization, None).await? {
            Some(access) => Role::find_at(ctx, &access, role, sequence).await?.map(Node::Role),
            None => None,
        },
        GlobalId::Role(organization, role) => match admitted(ctx, organization, None).await? {
            Some(access) => Role::find(ctx, &access, role).await?.map(Node::Role),
            None => None,
        },
        GlobalId::Invitation(organization, invitation) => {
            match admitted(ctx, organization, Some(Permission::MembersInvite)).await? {
                Some(access) => Invitation::find(ctx, &access, invitation).await?.map(Node::Invitation),
                None => None,
            }
        }
        GlobalId::ApiKey(organization, api_key) => {
            match admitted(ctx, organization, Some(Permission::ApiKeysRead)).await? {
                Some(_) => ApiKey::read(ctx, organization, vec![api_key.0]).await?.pop().map(Node::ApiKey),
                None => None,
            }
        }
        GlobalId::Event(organization, sequence) => {
            match admitted(ctx, organization, Some(Permission::AuditRead)).await? {
                Some(access) => events::event(ctx, &access, sequence).await?.map(Node::Event),
                None => None,
            }
        }
        GlobalId::User(_)
        | GlobalId::Session(_)
        | GlobalId::Refusal(..)
        | GlobalId::DataExport(..)
        | GlobalId::ViewerDataExport(_) => None,
    })
}

/// The organization, if the caller has access to it and the permission.
async fn admitted(
    ctx: &Context<'_>,
    organization: OrganizationId,
    permission: Option<Permission>,
) -> Result<Option<Arc<Access>>> {
    let access = access(ctx, organization).await?;
    Ok(access.filter(|access| permission.is_none_or(|permission| access.permissions.has(permission))))
}
