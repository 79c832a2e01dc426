//! Who acts on an organization.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ids::{ApiKeyId, UserId};

/// Who gave a command, as every event names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Actor {
    /// A person of the directory.
    User(UserId),
    /// An API key of the organization; it acts as itself, not as its creator.
    ApiKey(ApiKeyId),
    /// Who runs the service, on the command line.
    Operator,
}

impl Actor {
    /// The permanent name of the kind, as stored and as shown.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::ApiKey(_) => "API_KEY",
            Self::Operator => "OPERATOR",
        }
    }

    /// The bare id, which together with the kind names the actor; the operator has none, so it is all zeros.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::User(UserId(id)) | Self::ApiKey(ApiKeyId(id)) => id,
            Self::Operator => Uuid::nil(),
        }
    }

    /// The actor of a stored kind and id; `None` for a kind nobody has written.
    #[must_use]
    pub fn from_parts(kind: &str, id: Uuid) -> Option<Self> {
        match kind {
            "USER" => Some(Self::User(UserId(id))),
            "API_KEY" => Some(Self::ApiKey(ApiKeyId(id))),
            "OPERATOR" => Some(Self::Operator),
            _ => None,
        }
    }

    /// The person, where a person acts.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::ApiKey(_) | Self::Operator => None,
        }
    }
}
