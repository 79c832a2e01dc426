//! Changes of API keys. A secret is in an answer once.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::graphql::{
    api_keys::{ApiKey, ApiKeyType},
    context::{access, access_after, caller, services},
    errors::{Stop, UserError, answer, payloads},
    fields::{Fields, GivenTerms, moment, permission_set},
    paging::ledger_cursor,
    roles::Permission,
};
use crate::{
    commands::{NewApiKey, Terms},
    domain::{
        ApiKeyId, OrganizationId,
        organization::{
            Action,
            api_keys::{KeyType, RateLimit},
        },
    },
};

/// How much a key may ask for.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct RateLimitInput {
    /// Cost units a minute; 1 to 1,000,000.
    units_per_minute: i32,
    /// Cost units at once; as many as a minute's, unless told otherwise.
    burst: Option<i32>,
}

impl RateLimitInput {
    fn parse(self, fields: &mut Fields) -> Option<RateLimit> {
        fields.rate_limit("rateLimit", self.units_per_minute, self.burst)
    }
}

/// A key to make.
#[derive(Debug, InputObject)]
pub struct CreateApiKeyInput {
    /// The organization.
    organization_id: ID,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// What kind of caller it is for; STANDARD, unless told otherwise.
    #[graphql(name = "type")]
    key_type: Option<ApiKeyType>,
    /// What it may do; nothing, unless told otherwise, and nothing that the caller does not hold.
    permissions: Option<Vec<Permission>>,
    /// How much it may ask for.
    rate_limit: Option<RateLimitInput>,
    /// When its time is over.
    expires_at: Option<DateTime<Utc>>,
    /// Do it once, however often it is sent, for 24 hours; a repetition has no secret in its answer.
    idempotency_key: Option<String>,
}

/// What changes of a key; what is left out stays, null clears.
#[derive(Debug, InputObject)]
pub struct UpdateApiKeyInput {
    /// The organization.
    organization_id: ID,
    /// The key.
    api_key_id: ID,
    /// Its name.
    name: Option<String>,
    /// What it is for.
    description: MaybeUndefined<String>,
    /// What it may do; nothing is added that the caller does not hold.
    permissions: Option<Vec<Permission>>,
    /// How much it may ask for.
    rate_limit: MaybeUndefined<RateLimitInput>,
    /// When its time is over.
    expires_at: MaybeUndefined<DateTime<Utc>>,
    /// Refuse if the key is at another version.
    expected_version: Option<i32>,
}

/// A key to switch on or off.
#[derive(Debug, InputObject)]
pub struct ApiKeyInput {
    /// The organization.
    organization_id: ID,
    /// The key.
    api_key_id: ID,
    /// Refuse if the key is at another version.
    expected_version: Option<i32>,
}

/// A key to give another secret.
#[derive(Debug, InputObject)]
pub struct RotateApiKeyInput {
    /// The organization.
    organization_id: ID,
    /// The key.
    api_key_id: ID,
    /// How long the old secret still works; 0 to 604,800 seconds, 0 unless told otherwise.
    grace_seconds: Option<i32>,
}

/// A key to end for good.
#[derive(Debug, InputObject)]
pub struct RevokeApiKeyInput {
    /// The organization.
    organization_id: ID,
    /// The key.
    api_key_id: ID,
    /// Why; shown in the audit log.
    reason: Option<String>,
}

/// A key with its secret.
#[derive(Default, SimpleObject)]
pub struct ApiKeySecretPayload {
    /// The key.
    api_key: Option<ApiKey>,
    /// The whole key, this once: it cannot be read again. Null in the answer to a repetition.
    secret: Option<String>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// A changed key.
#[derive(Default, SimpleObject)]
pub struct ApiKeyPayload {
    /// The key, as it is now.
    api_key: Option<ApiKey>,
    /// The place in the ledger to wait for.
    cursor: Option<String>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(ApiKeySecretPayload, ApiKeyPayload);

/// Mutations of API keys.
#[derive(Default)]
pub struct ApiKeyMutations;

/// Mutations of API keys.
#[Object]
impl ApiKeyMutations {
    /// Makes an API key. The secret is in this answer and nowhere else.
    async fn create_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the key is.")] input: CreateApiKeyInput,
    ) -> Result<ApiKeySecretPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let name = fields.name("name", &input.name);
            let description = fields.text("description", input.description.as_deref());
            let rate_limit = input.rate_limit.and_then(|limit| limit.parse(&mut fields));
            let given = GivenTerms { idempotency_key: input.idempotency_key.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(name)) = (organization, name) else { return Err(fields.stop()) };
            fields.check()?;
            let key = NewApiKey {
                name,
                description,
                key_type: input.key_type.unwrap_or_default().into(),
                permissions: permission_set(input.permissions.as_deref().unwrap_or_default()),
                rate_limit,
                expires_at: input.expires_at.map(moment),
            };
            let (secret, receipt) =
                services(ctx)?.commands.create_api_key(&caller(ctx)?, organization, key, terms).await?;
            access_after(ctx, organization).await?;
            Ok(ApiKeySecretPayload {
                api_key: ApiKey::read(ctx, organization, receipt.objects).await?.pop(),
                secret: (!receipt.replayed).then(|| secret.expose().to_owned()),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Changes a key's name, description, permissions, limit or expiry.
    async fn update_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes.")] input: UpdateApiKeyInput,
    ) -> Result<ApiKeyPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let api_key = fields.api_key("apiKeyId", organization, &input.api_key_id);
            let name = input.name.as_deref().and_then(|name| fields.name("name", name));
            let description = fields.edited_text("description", &input.description);
            let rate_limit = match &input.rate_limit {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(limit) => Some(limit.parse(&mut fields)),
            };
            let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(api_key)) = (organization, api_key) else { return Err(fields.stop()) };
            fields.check()?;
            let expires_at = match input.expires_at {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(at) => Some(Some(moment(at))),
            };
            let permissions = input.permissions.as_deref().map(permission_set);
            let action = Action::UpdateApiKey { api_key, name, description, permissions, rate_limit, expires_at };
            change(ctx, organization, api_key, action, terms).await
        })
        .await
    }

    /// Switches a key off; its next use is refused.
    async fn disable_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: ApiKeyInput,
    ) -> Result<ApiKeyPayload> {
        switch(ctx, &input, |api_key| Action::DisableApiKey { api_key }).await
    }

    /// Switches a key on again.
    async fn enable_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: ApiKeyInput,
    ) -> Result<ApiKeyPayload> {
        switch(ctx, &input, |api_key| Action::EnableApiKey { api_key }).await
    }

    /// Gives a key another secret and keeps everything else of it. The secret is in this answer and nowhere else.
    async fn rotate_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RotateApiKeyInput,
    ) -> Result<ApiKeySecretPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let api_key = fields.api_key("apiKeyId", organization, &input.api_key_id);
            let grace = fields.grace("graceSeconds", input.grace_seconds);
            let terms = fields.terms(ctx, &input, GivenTerms::default())?;
            let (Some(organization), Some(api_key), Some(grace)) = (organization, api_key, grace) else {
                return Err(fields.stop());
            };
            fields.check()?;
            let caller = caller(ctx)?;
            // What a key is for stays the same for ever, so reading it before the command is safe.
            let before = ApiKey::read(ctx, organization, vec![api_key.0]).await?.pop();
            let key_type = before.is_some_and(|key| key.row.key_type == "AI_AGENT");
            let key_type = if key_type { KeyType::AiAgent } else { KeyType::Standard };
            let commands = &services(ctx)?.commands;
            let (secret, receipt) =
                commands.rotate_api_key(&caller, organization, (api_key, key_type), grace, terms).await?;
            access_after(ctx, organization).await?;
            Ok(ApiKeySecretPayload {
                api_key: ApiKey::read(ctx, organization, vec![api_key.0]).await?.pop(),
                secret: (!receipt.replayed).then(|| secret.expose().to_owned()),
                cursor: Some(ledger_cursor(receipt.version)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Ends a key for good; its next use is refused.
    async fn revoke_api_key(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RevokeApiKeyInput,
    ) -> Result<ApiKeyPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let organization = fields.organization("organizationId", &input.organization_id);
            let api_key = fields.api_key("apiKeyId", organization, &input.api_key_id);
            let given = GivenTerms { reason: input.reason.as_deref(), ..GivenTerms::default() };
            let terms = fields.terms(ctx, &input, given)?;
            let (Some(organization), Some(api_key)) = (organization, api_key) else { return Err(fields.stop()) };
            fields.check()?;
            change(ctx, organization, api_key, Action::RevokeApiKey { api_key }, terms).await
        })
        .await
    }
}

async fn switch(
    ctx: &Context<'_>,
    input: &ApiKeyInput,
    action: impl FnOnce(ApiKeyId) -> Action + Send,
) -> Result<ApiKeyPayload> {
    answer(ctx, async {
        let mut fields = Fields::default();
        let organization = fields.organization("organizationId", &input.organization_id);
        let api_key = fields.api_key("apiKeyId", organization, &input.api_key_id);
        let given = GivenTerms { expected_version: input.expected_version, ..GivenTerms::default() };
        let terms = fields.terms(ctx, input, given)?;
        let (Some(organization), Some(api_key)) = (organization, api_key) else { return Err(fields.stop()) };
        fields.check()?;
        change(ctx, organization, api_key, action(api_key), terms).await
    })
    .await
}

/// Gives a command about a key, and reads the key back. A key that ended itself sees itself no more.
async fn change(
    ctx: &Context<'_>,
    organization: OrganizationId,
    api_key: ApiKeyId,
    action: Action,
    terms: Terms,
) -> Result<ApiKeyPayload, Stop> {
    let receipt = services(ctx)?.commands.execute(&caller(ctx)?, organization, action, terms).await?;
    let api_key = match access(ctx, organization).await? {
        Some(_) => ApiKey::read(ctx, organization, vec![api_key.0]).await?.pop(),
        None => None,
    };
    Ok(ApiKeyPayload { api_key, cursor: Some(ledger_cursor(receipt.version)), user_errors: Vec::new() })
}
