//! What a person is written to about: their own choice, organization by organization.

use async_graphql::{Context, Enum, Result, SimpleObject};

use super::{
    context::{Access, store},
    errors::{OrInternal, top},
};
use crate::{
    domain::{
        Refusal,
        organization::notices::{Categories, Category},
    },
    store::notices,
};

/// What a letter about changes can be about. Who can manage something is told of it, unless they did it themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Category")]
pub enum NotificationCategory {
    /// Members and invitations; for who holds MEMBERS_UPDATE, MEMBERS_READ and MEMBERS_INVITE.
    Members,
    /// Roles; for who holds ROLES_MANAGE.
    Roles,
    /// API keys; for who holds API_KEYS_MANAGE and API_KEYS_READ.
    ApiKeys,
    /// Who controls the organization; for who may delete it. These letters cannot be switched off.
    Security,
    /// Billing, which is told nothing of yet; for who holds BILLING_READ.
    Billing,
}

/// Whether the caller is written to about a category.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct NotificationPreference {
    /// The category.
    category: NotificationCategory,
    /// Whether it is told by letter, where the caller's role lets them know of it.
    email: bool,
}

/// Every category, and whether it is told.
pub fn list(muted: Categories) -> Vec<NotificationPreference> {
    let preference = |category: Category| {
        let email = !(category.can_be_muted() && muted.has(category));
        NotificationPreference { category: category.into(), email }
    };
    Category::ALL.into_iter().map(preference).collect()
}

/// The caller's own choice; a key has none.
pub async fn own(ctx: &Context<'_>, access: &Access) -> Result<Vec<NotificationPreference>> {
    let Some(user) = access.actor.user() else {
        return Err(top(Refusal::UserRequired.code(), Refusal::UserRequired.to_string()));
    };
    let muted = notices::muted(&store(ctx)?.database, access.organization, user).await.or_internal(ctx)?;
    Ok(list(muted))
}
