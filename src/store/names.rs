//! Today's names of people, keys, invitations and roles, for lists that hold their ids: one statement a kind and page.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::{Database, Error, number, statement::Statement};
use crate::domain::{Actor, OrganizationId, RoleId};

/// The ids whose names are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    users: BTreeSet<Uuid>,
    api_keys: BTreeSet<Uuid>,
    invitations: BTreeSet<Uuid>,
    roles: BTreeSet<Uuid>,
    joined: BTreeSet<Uuid>,
}

impl Wanted {
    /// Wants an actor's name.
    pub fn actor(&mut self, actor: Actor) {
        match actor {
            Actor::User(user) => self.users.insert(user.0),
            Actor::ApiKey(api_key) => self.api_keys.insert(api_key.0),
            Actor::Operator => false,
        };
    }

    /// Wants a person's name.
    pub fn user(&mut self, id: Uuid) {
        self.users.insert(id);
    }

    /// Wants a key's name.
    pub fn api_key(&mut self, id: Uuid) {
        self.api_keys.insert(id);
    }

    /// Wants the address that an invitation was sent to.
    pub fn invitation(&mut self, id: Uuid) {
        self.invitations.insert(id);
    }

    /// Wants a role's name and key.
    pub fn role(&mut self, id: Uuid) {
        self.roles.insert(id);
    }

    /// Wants to know when a person first was a member.
    pub fn joined(&mut self, user: Uuid) {
        self.joined.insert(user);
    }

    /// Reads them: a person by name or else email, a key by name, an invitation by its address as typed.
    pub async fn load(self, database: &Database, organization: OrganizationId) -> Result<Names, Error> {
        let mut names = HashMap::new();
        for (select, from, id, ids) in [
            ("COALESCE(t.name, t.email)", "users", "user_id", self.users),
            ("t.name", "api_keys", "api_key_id", self.api_keys),
            ("t.email", "invitation_details", "invitation_id", self.invitations),
        ] {
            if !ids.is_empty() {
                let mut statement = asked(&format!("t.{id}, {select}"), from, id, ids);
                if from != "users" {
                    statement.push(" AND t.organization_id = ").push_value(organization.0);
                }
                names.extend(statement.all::<(Uuid, String)>(database).await?);
            }
        }
        let mut role_keys = HashMap::new();
        if !self.roles.is_empty() {
            let mut statement = asked("t.role_id, t.key, t.name", "roles", "role_id", self.roles);
            statement.push(" AND t.organization_id = ").push_value(organization.0);
            for (id, key, name) in statement.all::<(Uuid, String, String)>(database).await? {
                names.insert(id, name);
                role_keys.insert(id, key);
            }
        }
        let mut joined = HashMap::new();
        if !self.joined.is_empty() {
            let mut statement = asked("t.user_id, t.from_sequence", "member_history", "user_id", self.joined);
            statement.push(" AND t.organization_id = ").push_value(organization.0);
            statement.push(" AND t.from_sequence = (SELECT MIN(f.from_sequence) FROM member_history f");
            statement.push(" WHERE f.organization_id = t.organization_id AND f.user_id = t.user_id)");
            joined.extend(statement.all::<(Uuid, i64)>(database).await?);
        }
        Ok(Names { shown: names, role_keys, joined })
    }
}

/// The statement of the rows with these ids. Each is looked up by itself: PostgreSQL would take a list for reason enough to
/// read all rows of the organization.
fn asked(select: &str, table: &str, id: &str, ids: BTreeSet<Uuid>) -> Statement {
    let mut statement = Statement::new(format!("SELECT {select} FROM "));
    statement.push_asked(ids.into_iter().map(|id| [id.into()]));
    statement.push(&format!(" CROSS JOIN {table} t WHERE t.{id} = asked.column1"));
    statement
}

/// Names by id.
#[derive(Clone, Debug, Default)]
pub struct Names {
    shown: HashMap<Uuid, String>,
    role_keys: HashMap<Uuid, String>,
    joined: HashMap<Uuid, i64>,
}

impl Names {
    /// Whether somebody had been a member before the event with this sequence, if that was wanted.
    pub fn was_member(&self, user: Uuid, sequence: u64) -> bool {
        self.joined.get(&user).is_some_and(|first| number(*first) < sequence)
    }

    /// The name, if there is one.
    pub fn get(&self, id: Uuid) -> Option<String> {
        self.shown.get(&id).cloned()
    }

    /// The key of a role, if it was wanted; deleted ones have theirs still.
    pub fn role_key(&self, id: RoleId) -> Option<String> {
        self.role_keys.get(&id.0).cloned()
    }
}
