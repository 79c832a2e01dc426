//! API keys: their rows, the registry that finds one by its public id, and when they were last used.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    database::{Transaction, like_pattern},
    page::{Direction, Key, Page, Position, Window},
    statement::{Statement, Value},
};
use crate::{
    domain::{
        ApiKeyId, OrganizationId, Timestamp,
        organization::{
            Event,
            api_keys::{KeyStatus, RateLimit},
            event::{Change, ExpiryChange, SecretRecord},
        },
        values::normalize,
    },
    secrets::unhex,
};

/// An API key, without its secret.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct ApiKeyRow {
    pub organization_id: Uuid,
    pub api_key_id: Uuid,
    pub name: String,
    pub description: Option<String>,
    pub public_id: String,
    pub key_type: String,
    pub status: String,
    pub permissions: i64,
    pub units_per_minute: Option<i64>,
    pub burst: Option<i64>,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub created_by_kind: String,
    pub created_by_id: Uuid,
    pub revoked_at: Option<Timestamp>,
    pub version: i64,
    pub last_used_at: Option<Timestamp>,
}

const SELECT: &str = "SELECT k.organization_id, k.api_key_id, k.name, k.description, k.public_id, k.key_type, k.status, \
     k.permissions, k.units_per_minute, k.burst, k.expires_at, k.created_at, k.created_by_kind, k.created_by_id, \
     k.revoked_at, k.version, s.last_used_at FROM api_keys k \
     LEFT JOIN api_key_usage s ON s.organization_id = k.organization_id AND s.api_key_id = k.api_key_id \
     WHERE k.organization_id = ";

/// What a key is at a moment; that it has expired follows from the clock.
pub fn status_at(status: &str, expires_at: Option<Timestamp>, now: Timestamp) -> &str {
    let over = expires_at.is_some_and(|end| end <= now);
    if over && status == KeyStatus::Active.name() { KeyStatus::Expired.name() } else { status }
}

/// Which keys are meant.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose.
    pub organization: OrganizationId,
    /// In one of these states, EXPIRED included; all but REVOKED, if empty.
    pub statuses: Vec<String>,
    /// Of one of these types; any, if empty.
    pub types: Vec<String>,
    /// A part of the name or description.
    pub search: Option<String>,
    /// When it is asked, to tell what has expired.
    pub now: Timestamp,
}

impl Filter {
    fn push_to(&self, statement: &mut Statement) {
        statement.push_value(self.organization.0);
        if self.statuses.is_empty() {
            statement.push(" AND k.status <> 'REVOKED'");
        } else {
            statement.push(" AND CASE WHEN k.status = 'ACTIVE' AND k.expires_at <= ").push_value(self.now);
            statement.push(" THEN 'EXPIRED' ELSE k.status END IN ").push_list(self.statuses.iter());
        }
        if !self.types.is_empty() {
            statement.push(" AND k.key_type IN ").push_list(self.types.iter());
        }
        if let Some(search) = &self.search {
            statement.push(" AND k.search_key LIKE ").push_value(like_pattern(search)).push(" ESCAPE '\\'");
        }
    }

    /// Reads a page, newest first.
    pub async fn page(&self, database: &Database, window: &Window) -> Result<Page<ApiKeyRow>, Error> {
        let mut statement = Statement::new(SELECT);
        self.push_to(&mut statement);
        window.push_to(&mut statement, &["k.created_at", "k.api_key_id"], Direction::Descending);
        Ok(window.page(statement.all(database).await?))
    }

    /// Counts which are meant.
    pub async fn count(&self, database: &Database) -> Result<u64, Error> {
        let mut statement = Statement::new("SELECT COUNT(*) FROM api_keys k WHERE k.organization_id = ");
        self.push_to(&mut statement);
        statement.count(database).await
    }
}

impl ApiKeyRow {
    /// Where the row stands in the list.
    pub fn position(&self) -> Position {
        Position { key: Key::Time(self.created_at), id: Some(self.api_key_id) }
    }
}

/// Reads keys by id, oldest first.
pub async fn find(
    database: &Database,
    organization: OrganizationId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<ApiKeyRow>, Error> {
    let mut statement = Statement::new(SELECT);
    statement.push_value(organization.0).push(" AND k.api_key_id IN ").push_list(ids);
    statement.push(" ORDER BY k.created_at, k.api_key_id");
    statement.all(database).await
}

/// What a shown key is compared with.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns of the tables")]
pub struct SecretRow {
    pub public_id: String,
    pub organization_id: Uuid,
    pub api_key_id: Uuid,
    pub hash: Vec<u8>,
    pub secret_expires_at: Option<Timestamp>,
    pub status: String,
    pub expires_at: Option<Timestamp>,
    pub permissions: i64,
    pub key_type: String,
    pub units_per_minute: Option<i64>,
    pub burst: Option<i64>,
}

impl SecretRow {
    /// How much the key may ask for. A limit that is none is an error: a key that has one never goes without.
    pub fn rate_limit(&self) -> Result<Option<RateLimit>, Error> {
        let (Some(units_per_minute), Some(burst)) = (self.units_per_minute, self.burst) else { return Ok(None) };
        let organization = OrganizationId(self.organization_id);
        let corrupt = |_| Error::corrupt(organization, 0, "a key's rate limit is out of its bounds");
        RateLimit::new(units_per_minute, burst).map(Some).map_err(corrupt)
    }
}

/// Finds keys by the public ids of their secrets.
pub async fn find_secrets(database: &Database, public_ids: &[String]) -> Result<HashMap<String, SecretRow>, Error> {
    let mut statement = Statement::new(
        "SELECT s.public_id, s.organization_id, s.api_key_id, s.hash, s.expires_at AS secret_expires_at, k.status, k.expires_at, \
         k.permissions, k.key_type, k.units_per_minute, k.burst FROM api_key_secrets s \
         JOIN api_keys k ON k.organization_id = s.organization_id AND k.api_key_id = s.api_key_id \
         WHERE s.public_id IN ",
    );
    statement.push_list(public_ids);
    let rows: Vec<SecretRow> = statement.all(database).await?;
    Ok(rows.into_iter().map(|row| (row.public_id.clone(), row)).collect())
}

/// Notes when keys were last used, all in one statement.
pub async fn note_usage(database: &Database, used: Vec<(OrganizationId, ApiKeyId, Timestamp)>) -> Result<(), Error> {
    let mut statement = Statement::new("INSERT INTO api_key_usage (organization_id, api_key_id, last_used_at) VALUES ");
    let mut separator = "";
    for (organization, api_key, at) in used {
        statement.push(separator).push_list([Value::from(organization.0), api_key.0.into(), at.into()]);
        separator = ", ";
    }
    statement.push(
        " ON CONFLICT (organization_id, api_key_id) DO UPDATE SET last_used_at = excluded.last_used_at \
         WHERE api_key_usage.last_used_at < excluded.last_used_at",
    );
    statement.run(database).await.map(|_| ())
}

fn search_key(name: &str, description: Option<&str>) -> String {
    format!("{}\n{}", normalize(name), normalize(description.unwrap_or_default()))
}

pub(super) async fn project(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    let statement = match &recorded.event {
        Event::ApiKeyCreated { api_key_id, secret, .. } => {
            insert_secret(transaction, recorded.organization, *api_key_id, secret).await?;
            insert(recorded)
        }
        Event::ApiKeyUpdated { .. } => return edit(transaction, recorded).await,
        Event::ApiKeyDisabled { api_key_id } => update(recorded, *api_key_id, "status").bind("DISABLED"),
        Event::ApiKeyEnabled { api_key_id } => update(recorded, *api_key_id, "status").bind("ACTIVE"),
        Event::ApiKeyRevoked { api_key_id, .. } => {
            update(recorded, *api_key_id, "status = 'REVOKED', revoked_at").bind(recorded.recorded_at)
        }
        Event::ApiKeyRotated { api_key_id, secret, old_secret_until } => {
            rotate(transaction, recorded, *api_key_id, *old_secret_until).await?;
            insert_secret(transaction, recorded.organization, *api_key_id, secret).await?;
            update(recorded, *api_key_id, "public_id").bind(&secret.public_id)
        }
        _ => return Ok(()),
    };
    statement.run_in(transaction).await.map(|_| ())
}

fn insert(recorded: &Recorded) -> Statement {
    let statement = Statement::new(
        "INSERT INTO api_keys (version, organization_id, api_key_id, name, description, search_key, public_id, \
         key_type, status, permissions, units_per_minute, burst, expires_at, created_at, created_by_kind, \
         created_by_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'ACTIVE', $9, $10, $11, $12, $13, $14, $15)",
    );
    let Event::ApiKeyCreated {
        api_key_id,
        name,
        description,
        key_type,
        permissions,
        rate_limit,
        expires_at,
        created_by,
        secret,
        ..
    } = &recorded.event
    else {
        return statement;
    };
    statement
        .bind(recorded.sequence)
        .bind(recorded.organization.0)
        .bind(api_key_id.0)
        .bind(name)
        .bind(description.clone())
        .bind(search_key(name, description.as_deref()))
        .bind(&secret.public_id)
        .bind(key_type.name())
        .bind(permissions.bits())
        .bind(rate_limit.map(|limit| i64::from(limit.units_per_minute())))
        .bind(rate_limit.map(|limit| i64::from(limit.burst())))
        .bind(*expires_at)
        .bind(recorded.recorded_at)
        .bind(created_by.kind())
        .bind(created_by.id())
}

fn update(recorded: &Recorded, api_key: ApiKeyId, column: &str) -> Statement {
    Statement::new(format!(
        "UPDATE api_keys SET version = $1, {column} = $4 WHERE organization_id = $2 AND api_key_id = $3"
    ))
    .bind(recorded.sequence)
    .bind(recorded.organization.0)
    .bind(api_key.0)
}

async fn edit(transaction: &mut Transaction, recorded: &Recorded) -> Result<(), Error> {
    let Event::ApiKeyUpdated { api_key_id, name, description, permissions, rate_limit, expires_at } = &recorded.event
    else {
        return Ok(());
    };
    let mut statement = Statement::new("UPDATE api_keys SET version = ");
    statement.push_value(recorded.sequence);
    if let Some(Change { to, .. }) = name {
        statement.push(", name = ").push_value(to);
    }
    if let Some(Change { to, .. }) = description {
        statement.push(", description = ").push_value(to.clone());
    }
    if let Some(Change { to, .. }) = permissions {
        statement.push(", permissions = ").push_value(to.bits());
    }
    if let Some(Change { to, .. }) = rate_limit {
        statement.push(", units_per_minute = ").push_value(to.map(|limit| i64::from(limit.units_per_minute())));
        statement.push(", burst = ").push_value(to.map(|limit| i64::from(limit.burst())));
    }
    if let Some(ExpiryChange { to, .. }) = expires_at {
        statement.push(", expires_at = ").push_value(*to);
    }
    statement.push(" WHERE organization_id = ").push_value(recorded.organization.0);
    statement.push(" AND api_key_id = ").push_value(api_key_id.0);
    statement.run_in(transaction).await?;
    if name.is_none() && description.is_none() {
        return Ok(());
    }
    let names: Option<(String, Option<String>)> =
        Statement::new("SELECT name, description FROM api_keys WHERE organization_id = $1 AND api_key_id = $2")
            .bind(recorded.organization.0)
            .bind(api_key_id.0)
            .optional_in(transaction)
            .await?;
    let (name, description) = names.unwrap_or_default();
    update(recorded, *api_key_id, "search_key")
        .bind(search_key(&name, description.as_deref()))
        .run_in(transaction)
        .await
        .map(|_| ())
}

/// Ends the secret that was in its grace, and gives the current one until then.
async fn rotate(
    transaction: &mut Transaction,
    recorded: &Recorded,
    api_key: ApiKeyId,
    until: Timestamp,
) -> Result<(), Error> {
    Statement::new(
        "DELETE FROM api_key_secrets WHERE organization_id = $1 AND api_key_id = $2 AND expires_at IS NOT NULL",
    )
    .bind(recorded.organization.0)
    .bind(api_key.0)
    .run_in(transaction)
    .await?;
    Statement::new("UPDATE api_key_secrets SET expires_at = $3 WHERE organization_id = $1 AND api_key_id = $2")
        .bind(recorded.organization.0)
        .bind(api_key.0)
        .bind(until)
        .run_in(transaction)
        .await
        .map(|_| ())
}

async fn insert_secret(
    transaction: &mut Transaction,
    organization: OrganizationId,
    api_key: ApiKeyId,
    secret: &SecretRecord,
) -> Result<(), Error> {
    let hash = unhex(&secret.hash).ok_or_else(|| Error::corrupt(organization, 0, "a key's hash is not hexadecimal"))?;
    Statement::new("INSERT INTO api_key_secrets (public_id, organization_id, api_key_id, hash) VALUES ($1, $2, $3, $4)")
        .bind(&secret.public_id)
        .bind(organization.0)
        .bind(api_key.0)
        .bind(hash)
        .run_in(transaction)
        .await
        .map(|_| ())
}
