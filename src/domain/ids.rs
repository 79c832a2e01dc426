//! Identifiers: distinct types inside, opaque readable text outside.
//!
//! An id inside an organization carries the organization, so that nothing ever searches across tenants. The text
//! is a prefix, then each UUID as 22 base-62 characters, then (where there is one) a sequence of 11.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String")] pub Uuid);

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
id!(
    /// An export of the data of an organization or a person.
    DataExportId
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
    /// `rol_…@123`: a role as of that sequence.
    RoleAsOf(OrganizationId, RoleId, u64),
    /// `inv_…`
    Invitation(OrganizationId, InvitationId),
    /// `key_…`
    ApiKey(OrganizationId, ApiKeyId),
    /// `evt_…`: an event by its sequence.
    Event(OrganizationId, u64),
    /// `ref_…`: a refused command by the sequence it stands behind, and its number there.
    Refusal(OrganizationId, u64, u64),
    /// `ses_…`
    Session(SessionId),
    /// `exp_…`: an export of an organization's data.
    DataExport(OrganizationId, DataExportId),
    /// `own_…`: an export of a person's own data.
    ViewerDataExport(DataExportId),
}

const UUID_WIDTH: usize = 22;
const SEQUENCE_WIDTH: usize = 11;

/// Writes a number in base 62 with zeros before it. A page of members has two hundred of them, so it takes no memory.
fn write_number(f: &mut fmt::Formatter<'_>, number: u128, width: usize) -> fmt::Result {
    let mut digits = [b'0'; UUID_WIDTH];
    let length = base62::encode_bytes(number, &mut digits).map_err(|_| fmt::Error)?;
    digits.rotate_left(length);
    let padded = &digits[UUID_WIDTH - width.max(length)..];
    f.write_str(str::from_utf8(padded).map_err(|_| fmt::Error)?)
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
            Self::RoleAsOf(organization, role, sequence) => {
                uuids("rol_", &[organization.0, role.0])?;
                write!(f, "@{sequence}")
            }
            Self::Invitation(organization, invitation) => uuids("inv_", &[organization.0, invitation.0]),
            Self::ApiKey(organization, key) => uuids("key_", &[organization.0, key.0]),
            Self::Session(session) => uuids("ses_", &[session.0]),
            Self::DataExport(organization, export) => uuids("exp_", &[organization.0, export.0]),
            Self::ViewerDataExport(export) => uuids("own_", &[export.0]),
            Self::Event(organization, sequence) => {
                uuids("evt_", &[organization.0])?;
                write_number(f, u128::from(sequence), SEQUENCE_WIDTH)
            }
            Self::Refusal(organization, sequence, attempt) => {
                uuids("ref_", &[organization.0])?;
                write_number(f, u128::from(sequence), SEQUENCE_WIDTH)?;
                write_number(f, u128::from(attempt), SEQUENCE_WIDTH)
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
            Self::Member(organization, user) | Self::MemberAsOf(organization, user, _) if organization == own => {
                Some(user.0)
            }
            Self::Invitation(organization, id) if organization == own => Some(id.0),
            Self::Role(organization, id) | Self::RoleAsOf(organization, id, _) if organization == own => Some(id.0),
            Self::ApiKey(organization, id) if organization == own => Some(id.0),
            _ => None,
        }
    }
}

/// The text is not an id that this product ever wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct MalformedId;

/// The sequence behind an `@` at the end of an id, where there is one.
fn read_as_of(text: &mut &str) -> Result<Option<u64>, MalformedId> {
    let Some(sequence) = text.strip_prefix('@') else { return Ok(None) };
    *text = "";
    sequence.parse().map(Some).map_err(|_| MalformedId)
}

/// A sequence in base 62.
fn read_sequence(text: &mut &str) -> Result<u64, MalformedId> {
    u64::try_from(read_number(text, SEQUENCE_WIDTH)?).map_err(|_| MalformedId)
}

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
            "own_" => Self::ViewerDataExport(DataExportId(first)),
            "exp_" => Self::DataExport(organization, DataExportId(uuid()?)),
            "rol_" => {
                let role = RoleId(uuid()?);
                match read_as_of(&mut rest)? {
                    None => Self::Role(organization, role),
                    Some(sequence) => Self::RoleAsOf(organization, role, sequence),
                }
            }
            "inv_" => Self::Invitation(organization, InvitationId(uuid()?)),
            "key_" => Self::ApiKey(organization, ApiKeyId(uuid()?)),
            "mem_" => {
                let user = UserId(uuid()?);
                match read_as_of(&mut rest)? {
                    None => Self::Member(organization, user),
                    Some(sequence) => Self::MemberAsOf(organization, user, sequence),
                }
            }
            "evt_" => Self::Event(organization, read_sequence(&mut rest)?),
            "ref_" => Self::Refusal(organization, read_sequence(&mut rest)?, read_sequence(&mut rest)?),
            _ => return Err(MalformedId),
        };
        // One id has one text: what does not come out again as it came in was never ours.
        if rest.is_empty() && id.to_string() == text { Ok(id) } else { Err(MalformedId) }
    }
}
