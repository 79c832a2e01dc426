//! What credentials may do in organizations at this moment, many in one statement: for what goes on after it was
//! opened, and has to end when its access does.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Error,
    sessions::IDLE_LIFETIME,
    statement::{Statement, Value},
};
use crate::{
    domain::{ApiKeyId, OrganizationId, SessionId, Timestamp, UserId, organization::Permissions},
    secrets::SecretHash,
};

/// A credential that something was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A person's session.
    Session(SessionId),
    /// An API key, by one of its secrets.
    ApiKey {
        /// The key.
        api_key: ApiKeyId,
        /// What was shown: it may end before the key does.
        secret: SecretHash,
    },
    /// A token of the identity provider.
    Token {
        /// The person it is of.
        user: UserId,
        /// From when on it is not taken any more.
        expires_at: Timestamp,
    },
}

/// A credential, and the organization that it is used in.
pub type Asked = (Credential, OrganizationId);

/// How many one statement asks about.
const AT_ONCE: usize = 500;

/// What each of them may do now. Who is not there has no access any more.
pub async fn standings(
    database: &Database,
    asked: &[Asked],
    now: Timestamp,
) -> Result<HashMap<Asked, Permissions>, Error> {
    let mut sessions = Vec::new();
    let mut api_keys = Vec::new();
    let mut tokens = Vec::new();
    for (credential, organization) in asked {
        match credential {
            Credential::Session(id) => sessions.push((id.0, organization.0)),
            Credential::ApiKey { api_key, secret } => api_keys.push((*api_key, *secret, organization.0)),
            Credential::Token { user, expires_at } if now < *expires_at => tokens.push((user.0, organization.0)),
            Credential::Token { .. } => {}
        }
    }
    let mut standings = HashMap::with_capacity(asked.len());
    for some in sessions.chunks(AT_ONCE) {
        let rows = read(database, of_sessions(some, now)).await?;
        standings.extend(rows.map(|(id, organization, may)| ((Credential::Session(SessionId(id)), organization), may)));
    }
    for some in api_keys.chunks(AT_ONCE) {
        let rows: Vec<(Uuid, Vec<u8>, Uuid, i64)> = of_api_keys(some, now).all(database).await?;
        standings.extend(rows.into_iter().filter_map(|(id, hash, organization, bits)| {
            let secret = SecretHash::from_column(hash)?;
            let credential = Credential::ApiKey { api_key: ApiKeyId(id), secret };
            Some(((credential, OrganizationId(organization)), Permissions::from_bits(bits)))
        }));
    }
    let mut people = HashMap::new();
    for some in tokens.chunks(AT_ONCE) {
        let rows = read(database, of_people(some)).await?;
        people.extend(rows.map(|(id, organization, may)| ((id, organization), may)));
    }
    for asked in asked {
        if let (Credential::Token { user, expires_at }, organization) = asked
            && now < *expires_at
            && let Some(may) = people.get(&(user.0, *organization))
        {
            standings.insert(*asked, *may);
        }
    }
    Ok(standings)
}

async fn read(
    database: &Database,
    statement: Statement,
) -> Result<impl Iterator<Item = (Uuid, OrganizationId, Permissions)>, Error> {
    let rows: Vec<(Uuid, Uuid, i64)> = statement.all(database).await?;
    Ok(rows
        .into_iter()
        .map(|(id, organization, bits)| (id, OrganizationId(organization), Permissions::from_bits(bits))))
}

/// The list of pairs that a statement begins with, joined to these tables.
fn pairs(statement: &mut Statement, pairs: &[(Uuid, Uuid)], tables: &str) {
    let rows = pairs.iter().map(|(id, organization)| [Value::from(*id), (*organization).into()]);
    statement.push(" FROM ").push_asked(rows).push(tables).push(" WHERE ");
}

/// The statement about sessions.
fn of_sessions(asked: &[(Uuid, Uuid)], now: Timestamp) -> Statement {
    let mut statement = Statement::new("SELECT s.session_id, m.organization_id, r.permissions");
    pairs(&mut statement, asked, " CROSS JOIN sessions s CROSS JOIN members m CROSS JOIN roles r");
    statement
        .push("s.session_id = asked.column1 AND s.expires_at > ")
        .push_value(now)
        .push(" AND s.last_seen_at > ")
        .push_value(now - IDLE_LIFETIME)
        .push(" AND m.organization_id = asked.column2 AND m.user_id = s.user_id AND m.status = 'ACTIVE'")
        .push(" AND r.organization_id = m.organization_id AND r.role_id = m.role_id");
    statement
}

/// The statement about people with an identity.
fn of_people(asked: &[(Uuid, Uuid)]) -> Statement {
    let mut statement = Statement::new("SELECT m.user_id, m.organization_id, r.permissions");
    pairs(&mut statement, asked, " CROSS JOIN members m CROSS JOIN roles r");
    statement
        .push("m.organization_id = asked.column2 AND m.user_id = asked.column1 AND m.status = 'ACTIVE'")
        .push(" AND EXISTS (SELECT 1 FROM identities i CROSS JOIN users u WHERE i.user_id = m.user_id")
        .push(" AND u.user_id = i.user_id AND u.erasure IS NULL)")
        .push(" AND r.organization_id = m.organization_id AND r.role_id = m.role_id");
    statement
}

/// The statement about API keys.
fn of_api_keys(asked: &[(ApiKeyId, SecretHash, Uuid)], now: Timestamp) -> Statement {
    let mut statement = Statement::new("SELECT k.api_key_id, s.hash, k.organization_id, k.permissions FROM ");
    let rows = asked
        .iter()
        .map(|(id, secret, organization)| [Value::from(id.0), (*organization).into(), secret.bytes().into()]);
    statement
        .push_asked(rows)
        .push(" CROSS JOIN api_keys k CROSS JOIN api_key_secrets s")
        .push(" WHERE k.organization_id = asked.column2 AND k.api_key_id = asked.column1 AND k.status = 'ACTIVE'")
        .push(" AND (k.expires_at IS NULL OR k.expires_at > ")
        .push_value(now)
        .push(") AND s.organization_id = asked.column2 AND s.api_key_id = asked.column1 AND s.hash = asked.column3")
        .push(" AND (s.expires_at IS NULL OR s.expires_at > ")
        .push_value(now)
        .push(")");
    statement
}
