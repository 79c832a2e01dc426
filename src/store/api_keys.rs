//! API keys: their rows, the registry that finds one by its public id, and when they were last used.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error,
    aggregate::Recorded,
    page::{Direction, Key, Page, Position, Window},
    statement::{Statement, Value, like_pattern},
    write::Write,
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

pub(super) fn project(recorded: &Recorded) -> Result<Vec<Write>, Error> {
    let organization = recorded.organization;
    Ok(match &recorded.event {
        Event::ApiKeyCreated { api_key_id, secret, .. } => {
            vec![insert_secret(organization, *api_key_id, secret)?, insert(recorded)]
        }
        Event::ApiKeyUpdated { .. } => edit(recorded),
        Event::ApiKeyDisabled { api_key_id } => vec![update(recorded, *api_key_id).with("status", "DISABLED")],
        Event::ApiKeyEnabled { api_key_id } => vec![update(recorded, *api_key_id).with("status", "ACTIVE")],
        Event::ApiKeyRevoked { api_key_id, .. } => {
            vec![update(recorded, *api_key_id).with("status", "REVOKED").with("revoked_at", recorded.recorded_at)]
        }
        Event::ApiKeyRotated { api_key_id, secret, old_secret_until } => {
            let mut writes = rotate(organization, *api_key_id, *old_secret_until);
            writes.push(insert_secret(organization, *api_key_id, secret)?);
            writes.push(update(recorded, *api_key_id).with("public_id", &secret.public_id));
            writes
        }
        _ => Vec::new(),
    })
}

fn insert(recorded: &Recorded) -> Write {
    let write = Write::insert("api_keys");
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
        return write;
    };
    write
        .with("version", recorded.sequence)
        .with("organization_id", recorded.organization.0)
        .with("api_key_id", api_key_id.0)
        .with("name", name)
        .with("description", description.clone())
        .with("search_key", search_key(name, description.as_deref()))
        .with("public_id", &secret.public_id)
        .with("key_type", key_type.name())
        .with("status", "ACTIVE")
        .with("permissions", permissions.bits())
        .with("units_per_minute", rate_limit.map(|limit| i64::from(limit.units_per_minute())))
        .with("burst", rate_limit.map(|limit| i64::from(limit.burst())))
        .with("expires_at", *expires_at)
        .with("created_at", recorded.recorded_at)
        .with("created_by_kind", created_by.kind())
        .with("created_by_id", created_by.id())
}

fn update(recorded: &Recorded, api_key: ApiKeyId) -> Write {
    let key = [("organization_id", recorded.organization.0.into()), ("api_key_id", api_key.0.into())];
    Write::update("api_keys", key).with("version", recorded.sequence)
}

fn edit(recorded: &Recorded) -> Vec<Write> {
    let Event::ApiKeyUpdated { api_key_id, name, description, permissions, rate_limit, expires_at } = &recorded.event
    else {
        return Vec::new();
    };
    let mut write = update(recorded, *api_key_id);
    let mut found = Vec::new();
    let half = |text: &'static str, from: &str, to: &str| {
        Write::text(text)
            .with("organization_id", recorded.organization.0)
            .with("api_key_id", api_key_id.0)
            .with("was", normalize(from))
            .with("becomes", normalize(to))
    };
    if let Some(Change { from, to }) = name {
        write = write.with("name", to);
        found.push(half(FOUND_BY_NAME, from, to));
    }
    if let Some(Change { from, to }) = description {
        write = write.with("description", to.clone());
        let text = |description: &Option<String>| description.clone().unwrap_or_default();
        found.push(half(FOUND_BY_DESCRIPTION, &text(from), &text(to)));
    }
    if let Some(Change { to, .. }) = permissions {
        write = write.with("permissions", to.bits());
    }
    if let Some(Change { to, .. }) = rate_limit {
        write = write.with("units_per_minute", to.map(|limit| i64::from(limit.units_per_minute())));
        write = write.with("burst", to.map(|limit| i64::from(limit.burst())));
    }
    if let Some(ExpiryChange { to, .. }) = expires_at {
        write = write.with("expires_at", *to);
    }
    found.push(write);
    found
}

/// Puts another name at the beginning of what a key is found by.
const FOUND_BY_NAME: &str = "UPDATE api_keys AS t \
     SET search_key = v.becomes || SUBSTR(t.search_key, LENGTH(v.was) + 1) FROM v \
     WHERE t.organization_id = v.organization_id AND t.api_key_id = v.api_key_id";

/// Puts another description at its end.
const FOUND_BY_DESCRIPTION: &str = "UPDATE api_keys AS t \
     SET search_key = SUBSTR(t.search_key, 1, LENGTH(t.search_key) - LENGTH(v.was)) || v.becomes FROM v \
     WHERE t.organization_id = v.organization_id AND t.api_key_id = v.api_key_id";

/// Ends the secret that was in its grace, and gives the current one until then.
fn rotate(organization: OrganizationId, api_key: ApiKeyId, until: Timestamp) -> Vec<Write> {
    let end = Write::text(
        "DELETE FROM api_key_secrets WHERE (organization_id, api_key_id) IN \
         (SELECT v.organization_id, v.api_key_id FROM v) AND expires_at IS NOT NULL",
    );
    let key = [("organization_id", organization.0.into()), ("api_key_id", api_key.0.into())];
    vec![
        end.with("organization_id", organization.0).with("api_key_id", api_key.0),
        Write::update("api_key_secrets", key).with("expires_at", until),
    ]
}

fn insert_secret(organization: OrganizationId, api_key: ApiKeyId, secret: &SecretRecord) -> Result<Write, Error> {
    let hash = unhex(&secret.hash).ok_or_else(|| Error::corrupt(organization, 0, "a key's hash is not hexadecimal"))?;
    Ok(Write::insert("api_key_secrets")
        .with("public_id", &secret.public_id)
        .with("organization_id", organization.0)
        .with("api_key_id", api_key.0)
        .with("hash", hash))
}
