//! Identifiers: distinct types inside, opaque readable text outside.
//!
//! An id inside an organization carries the organization, so that nothing ever searches across tenants. The text
//! is a prefix, then each UUID as 22 base-62 characters, then (where there is one) a sequence of 11.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

id!(
    /// An organization; also the id of its stream.
    OrganizationId
);
id!(
    /// A person of the directory (UUIDv4, so that an id does not tell when somebody first appeared).
    UserId
);
id!(
    /// A role inside an organization; the built-in roles have the same id in every organization.
    RoleId
);
id!(
    /// An invitation inside an organization.
    InvitationId
);
id!(
    /// An API key inside an organization.
    ApiKeyId
);
id!(
    /// A signed-in session of a person.
    SessionId
);

impl OrganizationId {
    /// The PERSONAL organization of a person: the same whenever it is asked for (UUIDv5, RFC 9562, section 5.5).
    #[must_use]
    pub fn personal(user: UserId) -> Self {
        const PERSONAL: Uuid = Uuid::from_u128(0x6f72_676c_6564_6765_725f_7065_7273_6f6e);
        Self(Uuid::new_v5(&PERSONAL, user.0.as_bytes()))
    }
}

/// An id as clients see it: `org_…`, `mem_…` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GlobalId {
    /// `org_…`
    Organization(OrganizationId),
    /// `usr_…`
    User(UserId),
    /// `mem_…`: a person in an organization, the same over all periods of membership.
    Member(OrganizationId, UserId),
    /// `mem_…@123`: a member as of that sequence, distinct so that no client cache takes the past for the present.
    MemberAsOf(OrganizationId, UserId, u64),
    /// `rol_…`
    Role(OrganizationId, RoleId),
    /// `inv_…`
    Invitation(OrganizationId, InvitationId),
    /// `key_…`
    ApiKey(OrganizationId, ApiKeyId),
    /// `evt_…`: an event by its sequence.
    Event(OrganizationId, u64),
    /// `ses_…`
    Session(SessionId),
}

const UUID_WIDTH: usize = 22;
const SEQUENCE_WIDTH: usize = 11;

fn write_number(f: &mut fmt::Formatter<'_>, number: u128, width: usize) -> fmt::Result {
    write!(f, "{:0>width$}", base62::encode(number))
}

impl fmt::Display for GlobalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uuids = |prefix: &str, parts: &[Uuid]| {
            f.write_str(prefix)?;
            parts.iter().try_for_each(|part| write_number(f, part.as_u128(), UUID_WIDTH))
        };
        match *self {
            Self::Organization(organization) => uuids("org_", &[organization.0]),
            Self::User(user) => uuids("usr_", &[user.0]),
            Self::Member(organization, user) => uuids("mem_", &[organization.0, user.0]),
            Self::MemberAsOf(organization, user, sequence) => {
                uuids("mem_", &[organization.0, user.0])?;
                write!(f, "@{sequence}")
            }
            Self::Role(organization, role) => uuids("rol_", &[organization.0, role.0]),
            Self::Invitation(organization, invitation) => uuids("inv_", &[organization.0, invitation.0]),
            Self::ApiKey(organization, key) => uuids("key_", &[organization.0, key.0]),
            Self::Session(session) => uuids("ses_", &[session.0]),
            Self::Event(organization, sequence) => {
                uuids("evt_", &[organization.0])?;
                write_number(f, u128::from(sequence), SEQUENCE_WIDTH)
            }
        }
    }
}

impl GlobalId {
    /// The bare id of a person, of an organization, or of what is in it; `None` for what is elsewhere or has none.
    #[must_use]
    pub fn bare_in(self, own: OrganizationId) -> Option<Uuid> {
        match self {
            Self::User(user) => Some(user.0),
            Self::Organization(organization) if organization == own => Some(organization.0),
            Self::Member(organization, user) if organization == own => Some(user.0),
            Self::Invitation(organization, id) if organization == own => Some(id.0),
            Self::Role(organization, id) if organization == own => Some(id.0),
            Self::ApiKey(organization, id) if organization == own => Some(id.0),
            _ => None,
        }
    }
}

/// The text is not an id that this product ever wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct MalformedId;

/// Cuts the next number of `width` base-62 characters off the front of `text`.
fn read_number(text: &mut &str, width: usize) -> Result<u128, MalformedId> {
    let (digits, rest) = text.split_at_checked(width).ok_or(MalformedId)?;
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(MalformedId);
    }
    *text = rest;
    base62::decode(digits).map_err(|_| MalformedId)
}

impl FromStr for GlobalId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let (prefix, mut rest) = text.split_at_checked(4).ok_or(MalformedId)?;
        let mut uuid = || read_number(&mut rest, UUID_WIDTH).map(Uuid::from_u128);
        let first = uuid()?;
        let organization = OrganizationId(first);
        let id = match prefix {
            "org_" => Self::Organization(organization),
            "usr_" => Self::User(UserId(first)),
            "ses_" => Self::Session(SessionId(first)),
            "rol_" => Self::Role(organization, RoleId(uuid()?)),
            "inv_" => Self::Invitation(organization, InvitationId(uuid()?)),
            "key_" => Self::ApiKey(organization, ApiKeyId(uuid()?)),
            "mem_" => {
                let user = UserId(uuid()?);
                match rest.strip_prefix('@') {
                    None => Self::Member(organization, user),
                    Some(sequence) => {
                        rest = "";
                        Self::MemberAsOf(organization, user, sequence.parse().map_err(|_| MalformedId)?)
                    }
                }
            }
            "evt_" => {
                let sequence = read_number(&mut rest, SEQUENCE_WIDTH)?;
                Self::Event(organization, u64::try_from(sequence).map_err(|_| MalformedId)?)
            }
            _ => return Err(MalformedId),
        };
        // One id has one text: what does not come out again as it came in was never ours.
        if rest.is_empty() && id.to_string() == text { Ok(id) } else { Err(MalformedId) }
    }
}
