//! API keys: lists, and what makes, changes and ends them. A secret is in an answer once.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    context::{Access, store},
    errors::{self, OrInternal},
    members::{filter_list, search_text, selects_on_nodes},
    paging::{self, Connection, Edge, Paging},
    people::{Actor, api_key_id},
    roles::Permission,
};
use crate::{
    domain::{
        self, OrganizationId,
        organization::{self, Permissions, api_keys::KeyType},
    },
    secrets::prefix,
    store::{
        Database,
        api_keys::{self, ApiKeyRow, Filter},
        names::{Names, Wanted},
    },
};

/// What a key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "KeyType")]
pub enum ApiKeyType {
    /// For services.
    #[default]
    Standard,
    /// For AI agents and automated tools; always with a rate limit.
    AiAgent,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "organization::api_keys::KeyStatus")]
pub enum ApiKeyStatus {
    /// It works.
    Active,
    /// It is switched off, and can be switched on.
    Disabled,
    /// It has ended for good; listed only when asked for.
    Revoked,
    /// Its time is over.
    Expired,
}

/// How much a key may ask for.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct RateLimit {
    /// Cost units a minute.
    units_per_minute: i64,
    /// Cost units at once.
    burst: i64,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ApiKeyFilter {
    /// In one of these states; all but revoked, unless told otherwise.
    statuses: Option<Vec<ApiKeyStatus>>,
    /// Of one of these types.
    types: Option<Vec<ApiKeyType>>,
}

/// A key, without its secret.
pub struct ApiKey {
    /// The row.
    pub row: ApiKeyRow,
    names: Arc<Names>,
}

/// A page of keys.
pub type ApiKeyConnection = Connection<Edge<ApiKey>>;

/// What a list of keys was asked for.
pub struct ApiKeysQuestion {
    /// Which page.
    pub paging: Paging,
    /// A part of the name or description.
    pub search: Option<String>,
    /// Which keys.
    pub filter: ApiKeyFilter,
}

/// Lists keys, newest first.
pub async fn list(ctx: &Context<'_>, access: &Arc<Access>, question: ApiKeysQuestion) -> Result<ApiKeyConnection> {
    access.require(organization::Permission::ApiKeysRead)?;
    let (database, now) = (access.database(ctx)?, store(ctx)?.now());
    let ApiKeysQuestion { paging, search, filter } = question;
    let statuses = filter_list(filter.statuses)?.into_iter();
    let types = filter_list(filter.types)?.into_iter();
    let filter = Filter {
        organization: access.organization,
        statuses: statuses.map(|status| organization::api_keys::KeyStatus::from(status).name().to_owned()).collect(),
        types: types.map(|key_type| KeyType::from(key_type).name().to_owned()).collect(),
        search: search_text(search)?,
        now,
    };
    let window = paging.window("api_keys")?;
    let page = filter.page(database, &window).await.or_internal(ctx)?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database).await.or_internal(ctx)?)
    } else {
        None
    };
    let names = if selects_on_nodes(ctx, "createdBy") {
        creators(ctx, database, access.organization, &page.rows).await?
    } else {
        Names::default()
    };
    let names = Arc::new(names);
    Ok(Connection::new(page, total, |row| Edge {
        cursor: paging::encode("api_keys", &row.position()),
        node: ApiKey { row, names: Arc::clone(&names) },
    }))
}

async fn creators(
    ctx: &Context<'_>,
    database: &Database,
    organization: OrganizationId,
    rows: &[ApiKeyRow],
) -> Result<Names> {
    let mut wanted = Wanted::default();
    for row in rows {
        if let Some(actor) = domain::Actor::from_parts(&row.created_by_kind, row.created_by_id) {
            wanted.actor(actor);
        }
    }
    wanted.load(database, organization).await.or_internal(ctx)
}

impl ApiKey {
    /// The keys with these ids, oldest first.
    pub async fn find_all(ctx: &Context<'_>, access: &Access, ids: Vec<Uuid>) -> Result<Vec<Self>> {
        Self::read(ctx, access.organization, ids).await
    }

    /// The keys with these ids, for a caller who is known to have access.
    pub async fn read(ctx: &Context<'_>, organization: OrganizationId, ids: Vec<Uuid>) -> Result<Vec<Self>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let database = &store(ctx)?.database;
        let rows = api_keys::find(database, organization, ids).await.or_internal(ctx)?;
        let names = Arc::new(creators(ctx, database, organization, &rows).await?);
        Ok(rows.into_iter().map(|row| Self { row, names: Arc::clone(&names) }).collect())
    }
}

/// An API key of an organization, without its secret.
#[Object]
impl ApiKey {
    /// Its id.
    pub async fn id(&self) -> ID {
        api_key_id(self.row.organization_id, self.row.api_key_id)
    }

    /// Its name, unique among the keys that are not revoked.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.row.description.as_deref()
    }

    /// How the key begins, so that one who has it can tell it from others.
    async fn prefix(&self) -> String {
        let key_type = if self.row.key_type == "AI_AGENT" { KeyType::AiAgent } else { KeyType::Standard };
        format!("{}{}", prefix(key_type), self.row.public_id)
    }

    /// What it is for.
    #[graphql(name = "type")]
    async fn key_type(&self) -> ApiKeyType {
        if self.row.key_type == "AI_AGENT" { ApiKeyType::AiAgent } else { ApiKeyType::Standard }
    }

    /// What it is.
    async fn status(&self, ctx: &Context<'_>) -> Result<ApiKeyStatus> {
        let now = store(ctx)?.now();
        Ok(match api_keys::status_at(&self.row.status, self.row.expires_at, now) {
            "ACTIVE" => ApiKeyStatus::Active,
            "DISABLED" => ApiKeyStatus::Disabled,
            "EXPIRED" => ApiKeyStatus::Expired,
            _ => ApiKeyStatus::Revoked,
        })
    }

    /// What it may do.
    async fn permissions(&self) -> Vec<Permission> {
        errors::permissions(Permissions::from_bits(self.row.permissions))
    }

    /// How much it may ask for; no limit, if none.
    async fn rate_limit(&self) -> Option<RateLimit> {
        Some(RateLimit { units_per_minute: self.row.units_per_minute?, burst: self.row.burst? })
    }

    /// When its time is over; never, if none.
    async fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.row.expires_at
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Who made it.
    async fn created_by(&self) -> Option<Actor> {
        let organization = OrganizationId(self.row.organization_id);
        let kind = Some(self.row.created_by_kind.as_str());
        Actor::of_row(organization, kind, Some(self.row.created_by_id), &self.names)
    }

    /// When it was last used, to the minute; never, if none.
    async fn last_used_at(&self) -> Option<DateTime<Utc>> {
        self.row.last_used_at
    }

    /// When it was revoked.
    async fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.row.revoked_at
    }

    /// The sequence of the last event about it; what `expectedVersion` is compared with.
    async fn version(&self) -> i64 {
        self.row.version
    }
}
