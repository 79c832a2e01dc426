//! The two kinds of no: user errors, which are data, and top-level errors, which are not the caller's business
//! decision. Neither ever carries the words of a database.

use std::future::Future;

use async_graphql::{Context, Enum, Error, ErrorExtensions, ID, Result, SimpleObject, Value, resolver_utils::EnumType};
use futures_util::future::BoxFuture;

use super::roles::Permission;
use crate::{
    domain::{
        GlobalId, Refusal,
        organization::{Permissions, kinds::OwnerRule},
    },
    store::{self, ledger::Failure},
};

/// Why a mutation was refused; permanent, so that programs can switch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// Unknown, deleted, or not for this caller; the three are never told apart.
    NotFound,
    /// The caller's membership is inactive.
    MemberInactive,
    /// Only a signed-in person can do this, and an API key tried.
    UserRequired,
    /// This ends a session, and the caller came with a token of their identity provider.
    SessionRequired,
    /// A personal organization has no member management.
    MembersNotAvailable,
    /// The organization must be certified first.
    NotCertified,
    /// The caller lacks a permission.
    PermissionRequired,
    /// The target stands as high as the caller, or higher.
    RankTooLow,
    /// There is always exactly one owner: ownership is transferred first, or the organization deleted.
    OwnerMustTransfer,
    /// The role is not below the giver's own, or not theirs to give.
    RoleNotAssignable,
    /// The giver does not hold what they would give.
    PermissionNotHeld,
    /// There would be no active owner left.
    LastOwner,
    /// Members hold the role, invitations give it or it is their default: it goes only with one to take its place.
    RoleInUse,
    /// Another role or living key has the name.
    NameTaken,
    /// The invited person is a member already.
    AlreadyAMember,
    /// Another invitation of the person is pending, with another role.
    InvitationPending,
    /// The invitation's time is over.
    InvitationExpired,
    /// The invitation has ended, or the link is an old one.
    InvitationClosed,
    /// Somebody else was invited.
    WrongRecipient,
    /// Who invited can no longer give the role.
    InviterCannotGrant,
    /// A limit is reached.
    LimitReached,
    /// An input is not what it has to be.
    InvalidInput,
    /// The object has changed since the caller looked.
    VersionMismatch,
    /// The idempotency key was used with another input.
    IdempotencyMismatch,
    /// Others kept changing the organization.
    Conflict,
}

impl UserErrorCode {
    /// The code of a permanent name; none for a name that no rule has.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::items().iter().find(|item| item.name == name).map(|item| item.value)
    }
}

/// A rule said no, or an input is wrong; nothing was written.
#[derive(Clone, Debug, SimpleObject)]
pub struct UserError {
    /// The rule.
    pub code: UserErrorCode,
    /// One sentence for the person.
    pub message: String,
    /// The input to point at.
    pub field: Option<Vec<String>>,
    /// The limit that is reached.
    pub limit: Option<i64>,
    /// The key of the role that cannot be given.
    pub role: Option<String>,
    /// How many members hold the role that is in use.
    pub member_count: Option<i64>,
    /// How many pending invitations give the role that is in use.
    pub invitation_count: Option<i64>,
    /// The permission that is required.
    pub permission: Option<Permission>,
    /// The permissions that are not held.
    pub missing: Option<Vec<Permission>>,
    /// The version that the caller expected.
    pub expected: Option<i64>,
    /// The version that the object is at.
    pub actual: Option<i64>,
    /// The organization that the rule is about, where the input names none.
    pub organization_id: Option<ID>,
}

/// The code of a refusal, as the schema names it.
pub const fn code(refusal: &Refusal) -> UserErrorCode {
    match refusal {
        Refusal::NotFound { .. } => UserErrorCode::NotFound,
        Refusal::MemberInactive => UserErrorCode::MemberInactive,
        Refusal::UserRequired => UserErrorCode::UserRequired,
        Refusal::SessionRequired => UserErrorCode::SessionRequired,
        Refusal::MembersNotAvailable => UserErrorCode::MembersNotAvailable,
        Refusal::NotCertified => UserErrorCode::NotCertified,
        Refusal::PermissionRequired(_) => UserErrorCode::PermissionRequired,
        Refusal::RankTooLow => UserErrorCode::RankTooLow,
        Refusal::OwnerMustTransfer | Refusal::StillOwner { rule: OwnerRule::ExactlyOne, .. } => {
            UserErrorCode::OwnerMustTransfer
        }
        Refusal::RoleNotAssignable { .. } => UserErrorCode::RoleNotAssignable,
        Refusal::PermissionNotHeld { .. } => UserErrorCode::PermissionNotHeld,
        Refusal::LastOwner | Refusal::StillOwner { rule: OwnerRule::AtLeastOne, .. } => UserErrorCode::LastOwner,
        Refusal::RoleInUse { .. } => UserErrorCode::RoleInUse,
        Refusal::NameTaken => UserErrorCode::NameTaken,
        Refusal::AlreadyAMember => UserErrorCode::AlreadyAMember,
        Refusal::InvitationPending => UserErrorCode::InvitationPending,
        Refusal::InvitationExpired => UserErrorCode::InvitationExpired,
        Refusal::InvitationClosed => UserErrorCode::InvitationClosed,
        Refusal::WrongRecipient { .. } => UserErrorCode::WrongRecipient,
        Refusal::InviterCannotGrant => UserErrorCode::InviterCannotGrant,
        Refusal::LimitReached { .. } => UserErrorCode::LimitReached,
        Refusal::InvalidInput { .. } | Refusal::NotPossible { .. } => UserErrorCode::InvalidInput,
        Refusal::VersionMismatch { .. } => UserErrorCode::VersionMismatch,
        Refusal::IdempotencyMismatch => UserErrorCode::IdempotencyMismatch,
        Refusal::Conflict => UserErrorCode::Conflict,
    }
}

impl From<&Refusal> for UserError {
    fn from(refusal: &Refusal) -> Self {
        let mut error = Self {
            code: code(refusal),
            message: refusal.to_string(),
            field: refusal.field().map(|field| vec!["input".to_owned(), field.to_owned()]),
            limit: None,
            role: None,
            member_count: None,
            invitation_count: None,
            permission: None,
            missing: None,
            expected: None,
            actual: None,
            organization_id: None,
        };
        match refusal {
            Refusal::LimitReached { limit, .. } => error.limit = Some(i64::from(*limit)),
            Refusal::RoleNotAssignable { role } => error.role = Some(role.clone()),
            Refusal::RoleInUse { member_count, invitation_count } => {
                error.member_count = Some(i64::from(*member_count));
                error.invitation_count = Some(i64::from(*invitation_count));
            }
            Refusal::StillOwner { organization, .. } => {
                error.organization_id = Some(GlobalId::Organization(*organization).to_string().into());
            }
            Refusal::PermissionRequired(permission) => error.permission = Some((*permission).into()),
            Refusal::PermissionNotHeld { missing } => error.missing = Some(permissions(*missing)),
            Refusal::VersionMismatch { expected, actual } => {
                error.expected = i64::try_from(*expected).ok();
                error.actual = i64::try_from(*actual).ok();
            }
            _ => {}
        }
        error
    }
}

/// A set of permissions as a list.
pub fn permissions(set: Permissions) -> Vec<Permission> {
    set.iter().map(Permission::from).collect()
}

/// Why a mutation has no object to answer with.
pub enum Stop {
    /// Rules said no; all that are known at once.
    Refused(Vec<Refusal>),
    /// The store could not.
    Store(store::Error),
    /// Anything else.
    Failed(Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Store(error) => Self::Store(error),
        }
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a mutation answers: empty, where it was refused.
pub trait Payload: Default {
    /// Where the reasons go.
    fn user_errors(&mut self) -> &mut Vec<UserError>;
}

/// Makes payloads of structs with a field `user_errors`.
macro_rules! payloads {
    ($($payload:ty),+ $(,)?) => {
        $(impl $crate::graphql::errors::Payload for $payload {
            fn user_errors(&mut self) -> &mut Vec<$crate::graphql::errors::UserError> {
                &mut self.user_errors
            }
        })+
    };
}
pub(crate) use payloads;

/// Runs a mutation: refusals become user errors, everything else a top-level error.
pub fn answer<'a, P: Payload + Send + 'a>(
    ctx: &'a Context<'_>,
    work: impl Future<Output = Result<P, Stop>> + Send + 'a,
) -> impl Future<Output = Result<P>> + Send {
    // The engine keeps room for the largest of all mutations, for each of them: what they do stands elsewhere.
    let work: BoxFuture<'a, Result<P, Stop>> = Box::pin(work);
    async move {
        match work.await {
            Ok(payload) => Ok(payload),
            Err(Stop::Refused(refusals)) => {
                let mut payload = P::default();
                payload.user_errors().extend(refusals.iter().map(|refusal| user_error(ctx, refusal)));
                Ok(payload)
            }
            Err(Stop::Store(error)) => Err(internal(ctx, &error)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

/// The refusal as an error that points at an input of the form that was sent: what a rule calls a role or a permission
/// has other names in some forms, and is left out in others.
pub fn user_error(ctx: &Context<'_>, refusal: &Refusal) -> UserError {
    let names: &[&str] = match refusal {
        Refusal::RoleNotAssignable { .. } => {
            &["reassignToRoleId", "formerOwnerRoleId", "defaultInvitationRoleId", "roleId"]
        }
        Refusal::PermissionNotHeld { .. } => {
            &["permissions", "reassignToRoleId", "defaultInvitationRoleId", "roleId", "apiKeyId"]
        }
        Refusal::NotFound { field: "roleId" } => &["roleId", "defaultInvitationRoleId"],
        _ => return refusal.into(),
    };
    let arguments = ctx.field().arguments().unwrap_or_default();
    let sent = |name: &&&str| match arguments.first() {
        Some((_, Value::Object(input))) => input.get(**name).is_some_and(|value| *value != Value::Null),
        _ => false,
    };
    let field = names.iter().find(sent).map(|name| vec!["input".to_owned(), (*name).to_owned()]);
    UserError { field, ..refusal.into() }
}

/// A top-level error.
pub fn top(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// Nobody is signed in.
pub fn unauthenticated() -> Error {
    top("UNAUTHENTICATED", "Sign in, or send an API key.")
}

/// An argument is not what it has to be.
pub fn bad_input(message: impl Into<String>) -> Error {
    top("BAD_USER_INPUT", message)
}

/// The organization went away between the command and the answer.
pub fn not_found() -> Error {
    top("NOT_FOUND", "Not found.")
}

/// The store failed: one sentence and a reference for the caller, everything else for the log.
pub fn internal(ctx: &Context<'_>, error: &store::Error) -> Error {
    let reference = super::context::request(ctx).map(|request| request.origin.request_id.clone()).unwrap_or_default();
    let error = error.root();
    match error {
        store::Error::Closed => tracing::info!(reference, "a request came too late: the service is stopping"),
        error => tracing::error!(reference, ?error, "a request failed"),
    }
    let (code, sentence) = match error {
        store::Error::Unavailable(_)
        | store::Error::Files(_)
        | store::Error::Io(_)
        | store::Error::Conflict
        | store::Error::Closed
        | store::Error::Stopped => ("UNAVAILABLE", "The service is not available now"),
        _ => ("INTERNAL", "Something went wrong here"),
    };
    top(code, format!("{sentence}; the reference is {reference}."))
        .extend_with(|_, extensions| extensions.set("reference", reference))
}

/// What the store answered, or the error that a caller sees of its failure.
pub trait OrInternal<T> {
    /// One sentence and a reference for the caller, everything else for the log.
    fn or_internal(self, ctx: &Context<'_>) -> Result<T>;
}

impl<T> OrInternal<T> for Result<T, store::Error> {
    fn or_internal(self, ctx: &Context<'_>) -> Result<T> {
        self.map_err(|error| internal(ctx, &error))
    }
}
