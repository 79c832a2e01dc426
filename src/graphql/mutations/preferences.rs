//! What callers choose to be written to about. It is no event: it is theirs, and nothing of the organization changes.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use crate::graphql::{
    context::{access, caller, store},
    errors::{Stop, UserError, answer, payloads},
    fields::Fields,
    preferences::{self, NotificationCategory, NotificationPreference},
};
use crate::{
    domain::{
        OrganizationId, Refusal, UserId,
        organization::notices::{Categories, Category},
    },
    store::notices::{self, Choice},
};

/// A choice about one category.
#[derive(Debug, InputObject)]
pub struct NotificationPreferenceInput {
    /// The category.
    category: NotificationCategory,
    /// Whether to be told by letter.
    email: bool,
}

/// What the caller wants to be written to about; categories that are left out stay as they are.
#[derive(Debug, InputObject)]
pub struct UpdateNotificationPreferencesInput {
    /// The organization that it is about.
    organization_id: ID,
    /// The choices, one a category at most.
    preferences: Vec<NotificationPreferenceInput>,
}

/// The caller's choice.
#[derive(Default, SimpleObject)]
pub struct UpdateNotificationPreferencesPayload {
    /// Every category, as it is now.
    preferences: Option<Vec<NotificationPreference>>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(UpdateNotificationPreferencesPayload);

/// Mutations of what callers are written to about.
#[derive(Default)]
pub struct PreferenceMutations;

/// Mutations of what callers are written to about.
#[Object]
impl PreferenceMutations {
    /// Changes what the caller is written to about in an organization; a person's own choice, and nobody else's.
    async fn update_notification_preferences(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to be told.")] input: UpdateNotificationPreferencesInput,
    ) -> Result<UpdateNotificationPreferencesPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let choice = choice(&mut fields, &input.preferences);
            let Some(organization) = organization else { return Err(fields.stop()) };
            fields.check()?;
            let user = member(ctx, organization).await?;
            let chosen = notices::choose(&store(ctx)?.database, organization, user, choice).await?;
            // Whose membership ended a moment ago is told what the next request would tell them.
            let muted = chosen.ok_or(Refusal::NotFound { field: "organizationId" })?;
            Ok(UpdateNotificationPreferencesPayload {
                preferences: Some(preferences::list(muted)),
                user_errors: Vec::new(),
            })
        })
        .await
    }
}

/// The choice that a list of preferences makes.
fn choice(fields: &mut Fields, preferences: &[NotificationPreferenceInput]) -> Choice {
    let mut choice = Choice::default();
    for NotificationPreferenceInput { category, email } in preferences {
        let category = Category::from(*category);
        if choice.heard.or(choice.muted).has(category) {
            // More than one mistake of this kind says no more than one, and a list may be long.
            fields.refuse(Refusal::invalid("preferences", "names a category twice"));
            break;
        }
        let chosen: &mut Categories = if *email { &mut choice.heard } else { &mut choice.muted };
        *chosen = chosen.with(category);
        if !email && !category.can_be_muted() {
            fields.refuse(Refusal::invalid("preferences", "cannot switch SECURITY off"));
        }
    }
    choice
}

/// The caller as an active member of the organization.
async fn member(ctx: &Context<'_>, organization: OrganizationId) -> Result<UserId, Stop> {
    let user = caller(ctx)?.actor.user();
    let has_access = access(ctx, organization).await?.is_some();
    match user {
        Some(user) if has_access => Ok(user),
        None if has_access => Err(Refusal::UserRequired.into()),
        Some(user) => {
            let row = store(ctx)?.lookups.organizations.find((organization, Some(user))).await?;
            let status = row.and_then(|row| row.member_status);
            let inactive = status.as_deref() == Some("INACTIVE");
            Err(if inactive { Refusal::MemberInactive } else { Refusal::NotFound { field: "organizationId" } }.into())
        }
        None => Err(Refusal::NotFound { field: "organizationId" }.into()),
    }
}
