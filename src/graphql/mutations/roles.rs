//! Changes of custom roles.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use crate::domain::{OrganizationId, RoleId, organization::Action};
use crate::graphql::{
    context::{access, caller, services},
    errors::{Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms, permission_set},
    paging::ledger_cursor,
    roles::{Permission, Role},
};
use crate::store::ledger::Receipt;

/// A custom role to make.
#[derive(Debug, InputObject)]
pub struct CreateRoleInput {
    /// The organization.
    organization_id: ID,
    /// Its name; its permanent key is made of it.
    name: String,
    /// Its rank, 2 to 9, below the caller's own.
    level: i32,
    /// What it allows; nothing that the caller does not hold.
    permissions: Vec<Permission>,
    /// What it is for.
    description: Option<String>,
    /// Do it once, however often it is sent, for 24 hours.
    idempotency_key: Option<String>,
}

/// What changes of a custom role; what is left out stays, null clears.
#[derive(Debug, InputObject)]
pub struct UpdateRoleInput {
    /// The organization.
    organization_id: ID,
    /// The role.
    role_id: ID,
    /// Its name; its key stays.
    name: Option<String>,
    /// Its rank, 2 to 9, below the caller's own.
    level: Option<i32>,
    /// What it allows, all of it; nothing is added that the caller does not hold.
    permissions: Option<Vec<Permission>>,
    /// What it is for.
    description: MaybeUndefined<String>,
    /// Refuse if the role is at another version.
    expected_version: Option<i32>,
}

/// A custom role to delete.
#[derive(Debug, InputObject)]
pub struct DeleteRoleInput {
    /// The organization.
    organization_id: ID,
    /// The role.
    role_id: ID,
    /// The role that takes its place with members and pending invitations, and as the default of invitations.
    reassign_to_role_id: Option<ID>,
    /// Refuse if the role is at another version.
    expected_version: Option<i32>,
}

/// A new or changed role.
#[derive(Default, SimpleObject)]
pub struct RolePayload {
    /// The role, as it is now.
    role: Option<Role>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A deleted role.
#[derive(Default, SimpleObject)]
pub struct DeleteRolePayload {
    /// Its id.
    deleted_role_id: Option<ID>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(RolePayload, DeleteRolePayload);

/// Mutations of custom roles.
#[derive(Default)]
pub struct RoleMutations;

/// Mutations of custom roles.
#[Object]
impl RoleMutations {
    /// Makes a custom role.
    async fn create_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is.")] input: CreateRoleInput,
    ) -> Result<RolePayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let name = fields.name("name", &input.name);
            let level = fields.level("level", input.level);
            let description = fields.text("description", input.description.as_deref());
            let given = GivenTerms { idempotency_key: input.idempotency_key.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(name), Some(level)) = (organization, name, level) else {
                return Err(fields.stop());
            };
            fields.check()?;
            let new = (name, level, permission_set(&input.permissions), description);
            let receipt = services(ctx)?.commands.create_role(&caller(ctx)?, organization, new, terms).await?;
            let role = receipt.objects.first().copied().map(RoleId);
            read_back(ctx, organization, role, &receipt).await
        })
        .await
    }

    /// Changes a custom role, with effect for its holders from their next request on.
    async fn update_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes.")] input: UpdateRoleInput,
    ) -> Result<RolePayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let role = fields.role("roleId", organization, &input.role_id);
            let name = input.name.as_deref().and_then(|name| fields.name("name", name));
            let level = input.level.and_then(|level| fields.level("level", level));
            let description = fields.edited_text("description", &input.description);
            let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(role)) = (organization, role) else { return Err(fields.stop()) };
            fields.check()?;
            let permissions = input.permissions.as_deref().map(permission_set);
            let action = Action::UpdateRole { role, name, description, level, permissions };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            read_back(ctx, organization, Some(role), &receipt).await
        })
        .await
    }

    /// Deletes a custom role. One that is in use needs another to take its place.
    async fn delete_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which role.")] input: DeleteRoleInput,
    ) -> Result<DeleteRolePayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let role = fields.role("roleId", organization, &input.role_id);
            let named = input.reassign_to_role_id.as_ref();
            let reassign_to = named.and_then(|id| fields.role("reassignToRoleId", organization, id));
            let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(role)) = (organization, role) else { return Err(fields.stop()) };
            fields.check()?;
            let action = Action::DeleteRole { role, reassign_to };
            let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
            Ok(DeleteRolePayload {
                deleted_role_id: Some(input.role_id.clone()),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }
}

/// The role after a command on it.
async fn read_back(
    ctx: &Context<'_>,
    organization: OrganizationId,
    role: Option<RoleId>,
    receipt: &Receipt,
) -> Result<RolePayload, Stop> {
    let role = match (access(ctx, organization).await?, role) {
        (Some(access), Some(role)) => Role::find(ctx, &access, role).await?,
        _ => None,
    };
    Ok(RolePayload { role, cursor: Some(ledger_cursor(receipt.version)), user_errors: Vec::new() })
}
