//! People, and who acted: the directory as members of an organization see it.

use async_graphql::{ComplexObject, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{self, ApiKeyId, GlobalId, OrganizationId, UserId},
    store::{NEVER, names::Names, users::UserRow},
};

/// A person.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct User {
    /// Who they are.
    #[graphql(skip)]
    pub person: UserId,
    /// What they are called, if anybody said.
    pub name: Option<String>,
    /// Their email address.
    pub email: String,
    /// Their picture.
    pub avatar_url: Option<String>,
    /// When they last signed in; none, if they never did.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// A person.
#[ComplexObject]
impl User {
    /// Their id.
    pub async fn id(&self) -> ID {
        GlobalId::User(self.person).to_string().into()
    }
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            person: UserId(row.user_id),
            name: row.name,
            email: row.email,
            avatar_url: row.avatar_url,
            last_login_at: happened(row.last_login_at),
        }
    }
}

/// A moment, unless it stands for never.
pub fn happened(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (at != NEVER).then_some(at)
}

/// What acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ActorKind {
    /// A person.
    User,
    /// An API key of the organization.
    ApiKey,
    /// Who runs the service, on the command line.
    Operator,
    /// The service itself.
    System,
}

impl ActorKind {
    /// The permanent name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::ApiKey => "API_KEY",
            Self::Operator => "OPERATOR",
            Self::System => "SYSTEM",
        }
    }
}

/// Who acted. The name is today's.
#[derive(Clone, Debug, SimpleObject)]
pub struct Actor {
    /// What acted.
    pub kind: ActorKind,
    /// Its id; `operator` for who runs the service.
    pub id: ID,
    /// What it is called today: a person by name or else email, a key by name.
    pub display_name: Option<String>,
}

impl Actor {
    /// The actor with today's name.
    pub fn new(organization: OrganizationId, actor: domain::Actor, names: &Names) -> Self {
        let (kind, id) = match actor {
            domain::Actor::User(user) => (ActorKind::User, GlobalId::User(user)),
            domain::Actor::ApiKey(key) => (ActorKind::ApiKey, GlobalId::ApiKey(organization, key)),
            domain::Actor::Operator => {
                let display_name = Some("Operator".to_owned());
                return Self { kind: ActorKind::Operator, id: "operator".into(), display_name };
            }
        };
        Self { kind, id: id.to_string().into(), display_name: names.get(actor.id()) }
    }

    /// The actor of a row's columns; none, where they name none.
    pub fn of_row(organization: OrganizationId, kind: Option<&str>, id: Option<Uuid>, names: &Names) -> Option<Self> {
        let actor = domain::Actor::from_parts(kind?, id?)?;
        Some(Self::new(organization, actor, names))
    }
}

/// The id of a key.
pub fn api_key_id(organization: Uuid, id: Uuid) -> ID {
    GlobalId::ApiKey(OrganizationId(organization), ApiKeyId(id)).to_string().into()
}
