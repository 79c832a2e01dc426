//! What resolvers stand on: the services, who is calling, and what the caller may see of an organization.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use async_graphql::{Context, Result};
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

use super::errors::{self, OrInternal, top};
use crate::{
    auth::{Principal, limits::Limits, usage::Usage, watch::Watch},
    commands::{Caller, Commands, erasure::Erasure},
    domain::{
        Actor, OrganizationId, Refusal, Timestamp,
        organization::{Ask, Kind, Permission, Permissions, profile::Certification},
    },
    store::{
        self, Database, Store,
        append::Origin,
        hot,
        ledger::Freshness,
        profile::{self, OrganizationRow},
        roles::{self, RoleRow},
    },
};

/// What every request shares.
pub struct Services {
    /// Commands, and the store behind them.
    pub commands: Commands,
    /// The end of people.
    pub erasure: Erasure,
    /// When credentials were last used.
    pub usage: Usage,
    /// What keys and addresses have spent.
    pub limits: Limits,
    /// What addresses of ours begin with, without a slash at the end.
    pub public_url: String,
    /// The access that open subscriptions stand on.
    pub watch: Watch,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In the body of a POST.
    Post,
    /// In the address of a GET, which ends up in logs.
    Get,
    /// Over a socket.
    Socket,
}

/// One request or operation.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who is calling.
    pub principal: Principal,
    /// From where.
    pub origin: Origin,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// The `Last-Event-ID` header: where a stream of events broke.
    pub last_event_id: Option<String>,
    /// How it came.
    pub transport: Transport,
    /// Whose turn it is to verify a key: one after the other, so that one document does not try a thousand.
    pub verifying: Arc<Mutex<()>>,
}

impl RequestContext {
    /// A request with nothing said beside it.
    pub fn new(principal: Principal, origin: Origin, transport: Transport) -> Self {
        let verifying = Arc::default();
        Self { principal, origin, idempotency_key: None, last_event_id: None, transport, verifying }
    }
}

/// The services of the schema.
pub fn services<'a>(ctx: &Context<'a>) -> Result<&'a Services> {
    ctx.data::<Services>()
}

/// The store.
pub fn store<'a>(ctx: &Context<'a>) -> Result<&'a Store> {
    Ok(&services(ctx)?.commands.store)
}

/// This request.
pub fn request<'a>(ctx: &Context<'a>) -> Result<&'a RequestContext> {
    ctx.data::<RequestContext>()
}

/// Who gives a command; nobody who is anonymous.
pub fn caller(ctx: &Context<'_>) -> Result<Caller> {
    let request = request(ctx)?;
    let actor = request.principal.actor().ok_or_else(errors::unauthenticated)?;
    Ok(Caller { actor, origin: request.origin.clone() })
}

/// An organization as this caller meets it.
pub struct Access {
    /// Its id.
    pub organization: OrganizationId,
    /// Its row.
    pub row: OrganizationRow,
    /// Its kind.
    pub kind: Kind,
    /// Who is calling.
    pub principal: Principal,
    /// Who is calling, as an actor.
    pub actor: Actor,
    /// What they may do.
    pub permissions: Permissions,
    /// Their role; a key has none.
    pub role: Option<RoleRow>,
    compared: OnceCell<()>,
    roles: OnceCell<Vec<RoleRow>>,
    member_counts: OnceCell<HashMap<Uuid, i64>>,
    invitation_counts: OnceCell<HashMap<Uuid, i64>>,
    past_counts: Mutex<HashMap<u64, HashMap<Uuid, i64>>>,
    /// The standby, where its pages are read there.
    standby: Option<Database>,
}

impl Access {
    /// The organization, if this principal has access to it: an active member, or one of its keys.
    pub async fn load(
        store: &Store,
        principal: Principal,
        organization: OrganizationId,
    ) -> Result<Option<Self>, store::Error> {
        let user = match principal {
            Principal::Anonymous => return Ok(None),
            Principal::ApiKey { organization: own, .. } if own != organization => return Ok(None),
            Principal::ApiKey { .. } => None,
            Principal::User { user, .. } => Some(user),
        };
        let row = store.lookups.organizations.find((organization, user)).await?;
        Ok(row.and_then(|row| Self::of(principal, row)))
    }

    /// The access that a row gives; `None` where it gives none.
    pub fn of(principal: Principal, row: OrganizationRow) -> Option<Self> {
        let role = row.role.row();
        let permissions = match principal {
            Principal::ApiKey { permissions, .. } => permissions,
            _ if row.member_status.as_deref() != Some("ACTIVE") => return None,
            _ => role.as_ref().map_or(Permissions::NONE, |role| Permissions::from_bits(role.permissions)),
        };
        Some(Self {
            organization: OrganizationId(row.organization_id),
            kind: Kind::from_name(&row.kind)?,
            actor: principal.actor()?,
            principal,
            permissions,
            role,
            row,
            compared: OnceCell::new(),
            roles: OnceCell::new(),
            member_counts: OnceCell::new(),
            invitation_counts: OnceCell::new(),
            past_counts: Mutex::default(),
            standby: None,
        })
    }

    /// Where its pages are read: the primary, or for a query perhaps a standby. What is read of it never decides anything.
    pub fn database<'a>(&'a self, ctx: &Context<'a>) -> Result<&'a Database> {
        self.standby.as_ref().map_or_else(|| Ok(&store(ctx)?.database), Ok)
    }

    /// Whether that is the primary.
    pub const fn reads_primary(&self) -> bool {
        self.standby.is_none()
    }

    /// How many members there were when access was looked up, former ones not counted.
    pub fn member_count(&self) -> u64 {
        u64::try_from(self.row.member_count).unwrap_or_default()
    }

    /// Refuses a guarded field to who lacks the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.permissions.has(permission) {
            return Ok(());
        }
        Err(top("PERMISSION_REQUIRED", Refusal::PermissionRequired(permission).to_string()))
    }

    /// Whether the caller may do something.
    pub async fn may(&self, ctx: &Context<'_>, ask: &Ask) -> Result<Result<(), Refusal>> {
        let mut answers = self.may_each(ctx, std::slice::from_ref(ask)).await?;
        Ok(answers.pop().unwrap_or(Ok(())))
    }

    /// Whether the caller may do each of these things. The state is compared with the head once a request; everything
    /// after that is answered from memory.
    pub async fn may_each(&self, ctx: &Context<'_>, asks: &[Ask]) -> Result<Vec<Result<(), Refusal>>> {
        let Services { commands, .. } = services(ctx)?;
        // The questions of a request are asked at once: one of them compares, and the others wait for it. In a box, because
        // the future of any field of a role or a member is as large as the largest of them.
        Box::pin(async {
            let compare = || commands.store.ledger.view(self.organization, Freshness::Compared, |_| ());
            self.compared.get_or_try_init(compare).await.or_internal(ctx)?;
            commands.may(self.actor, self.organization, asks, Freshness::Cached).await.or_internal(ctx)
        })
        .await
    }

    /// Every role, read once a request.
    pub async fn roles(&self, ctx: &Context<'_>) -> Result<&[RoleRow]> {
        let database = self.database(ctx)?;
        let load = || roles::list(database, self.organization);
        let roles = self.roles.get_or_try_init(load).await.or_internal(ctx)?;
        Ok(roles)
    }

    /// How many members hold a role; all are counted in one statement, once a request.
    pub async fn members_with(&self, ctx: &Context<'_>, role: Uuid) -> Result<i64> {
        let database = self.database(ctx)?;
        let load =
            async || roles::member_counts(database, self.organization).await.map(|counts| counts.into_iter().collect());
        let counts: &HashMap<Uuid, i64> = self.member_counts.get_or_try_init(load).await.or_internal(ctx)?;
        Ok(counts.get(&role).copied().unwrap_or_default())
    }

    /// How many members held a role at a sequence; all are counted in one statement, once a request and sequence.
    pub async fn members_with_at(&self, ctx: &Context<'_>, role: Uuid, sequence: u64) -> Result<i64> {
        let mut known = self.past_counts.lock().await;
        let counts = match known.entry(sequence) {
            Entry::Occupied(counts) => counts.into_mut(),
            Entry::Vacant(place) => {
                let database = self.database(ctx)?;
                let counts = roles::member_counts_at(database, self.organization, sequence).await.or_internal(ctx)?;
                place.insert(counts.into_iter().collect())
            }
        };
        Ok(counts.get(&role).copied().unwrap_or_default())
    }

    /// The last sequence that was recorded at a moment; 0 before the first.
    pub async fn sequence_at(&self, ctx: &Context<'_>, at: Timestamp) -> Result<u64> {
        profile::sequence_at(self.database(ctx)?, self.organization, at).await.or_internal(ctx)
    }

    /// Whether the ledger has got to a sequence: of what comes later nothing is known.
    pub async fn has_sequence(&self, ctx: &Context<'_>, sequence: u64) -> Result<bool> {
        let head = hot::head(self.database(ctx)?, self.organization).await.or_internal(ctx)?;
        Ok(head.is_some_and(|head| sequence <= head.version))
    }

    /// How many pending invitations give a role; all are counted in one statement, once a request.
    pub async fn invitations_with(&self, ctx: &Context<'_>, role: Uuid) -> Result<i64> {
        let (database, now) = (self.database(ctx)?, store(ctx)?.now());
        let load = async || {
            let counts = roles::invitation_counts(database, self.organization, now).await;
            counts.map(|counts| counts.into_iter().collect())
        };
        let counts: &HashMap<Uuid, i64> = self.invitation_counts.get_or_try_init(load).await.or_internal(ctx)?;
        Ok(counts.get(&role).copied().unwrap_or_default())
    }

    /// How far the organization's certification is.
    pub fn certification(&self) -> Certification {
        Certification::from_name(&self.row.certification).unwrap_or_default()
    }
}

/// The organization, if the caller has access to it.
pub async fn access(ctx: &Context<'_>, organization: OrganizationId) -> Result<Option<Arc<Access>>> {
    let principal = request(ctx)?.principal;
    Ok(Access::load(store(ctx)?, principal, organization).await.or_internal(ctx)?.map(Arc::new))
}

/// The same to read its pages, of the standby where there is one that has come to this sequence. Who may come in is asked
/// of the primary all the same.
pub async fn access_to_read(
    ctx: &Context<'_>,
    organization: OrganizationId,
    at_least: u64,
) -> Result<Option<Arc<Access>>> {
    let store = store(ctx)?;
    let Some(mut access) = Access::load(store, request(ctx)?.principal, organization).await.or_internal(ctx)? else {
        return Ok(None);
    };
    if let Some(standby) = &store.standby {
        access.standby = standby.reader(organization, at_least).await.cloned();
    }
    Ok(Some(Arc::new(access)))
}

/// The organization after a command on it: the caller has access, or has just lost it.
pub async fn access_after(ctx: &Context<'_>, organization: OrganizationId) -> Result<Arc<Access>> {
    access(ctx, organization).await?.ok_or_else(errors::not_found)
}
