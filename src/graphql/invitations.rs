//! Invitations: as the organization sees them, and as the invited person does.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    context::{Access, store},
    errors::OrInternal,
    members::{filter_list, search_text, selects_on_nodes},
    paging::{self, Connection, Edge, Paging},
    people::Actor,
    roles::Role,
};
use crate::{
    domain::{self, GlobalId, InvitationId, OrganizationId, organization::Permission, values::mask_email},
    store::{
        invitations::{self, Filter, InvitationRow, PreviewRow},
        names::{Names, Wanted},
    },
};

/// What an invitation is; the last four are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum InvitationState {
    /// Waiting for an answer.
    Pending,
    /// The person joined by it.
    Accepted,
    /// The person said no.
    Declined,
    /// It was withdrawn, or replaced by one with another role.
    Revoked,
    /// Its time is over.
    Expired,
}

impl InvitationState {
    fn of(state: &str, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        match invitations::state_at(state, expires_at, now) {
            "PENDING" => Self::Pending,
            "ACCEPTED" => Self::Accepted,
            "DECLINED" => Self::Declined,
            "EXPIRED" => Self::Expired,
            _ => Self::Revoked,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Declined => "DECLINED",
            Self::Revoked => "REVOKED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// How far a letter has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum DeliveryState {
    /// It waits to be sent, for the first time or again.
    Pending,
    /// It was handed over to the mail server.
    Sent,
    /// It was given up.
    Failed,
}

/// How the delivery of an invitation's latest letter went.
#[derive(Clone, Debug, SimpleObject)]
pub struct Delivery {
    /// How far it has come.
    state: DeliveryState,
    /// How often it was tried.
    attempts: i64,
    /// Why the last attempt failed, in words that name nobody.
    last_error: Option<String>,
}

/// An invitation of a person with a role.
pub struct Invitation {
    /// The organization, as the caller meets it.
    pub access: Arc<Access>,
    /// The row.
    pub row: InvitationRow,
    names: Arc<Names>,
}

/// A page of invitations.
pub type InvitationConnection = Connection<Edge<Invitation>>;

/// What a list of invitations was asked for.
pub struct InvitationsQuestion {
    /// Which page.
    pub paging: Paging,
    /// In which states.
    pub states: Option<Vec<InvitationState>>,
    /// A part of the address or name.
    pub search: Option<String>,
}

/// Lists invitations, newest first.
pub async fn list(
    ctx: &Context<'_>,
    access: &Arc<Access>,
    question: InvitationsQuestion,
) -> Result<InvitationConnection> {
    access.require(Permission::MembersInvite)?;
    let database = access.database(ctx)?;
    let InvitationsQuestion { paging, states, search } = question;
    let filter = Filter {
        organization: access.organization,
        states: filter_list(states)?.into_iter().map(|state| state.name().to_owned()).collect(),
        search: search_text(search)?,
        now: store(ctx)?.now(),
    };
    let window = paging.window("invitations")?;
    let page = filter.page(database, &window).await.or_internal(ctx)?;
    let total = if ctx.look_ahead().field("totalCount").exists() {
        Some(filter.count(database).await.or_internal(ctx)?)
    } else {
        None
    };
    let names =
        if selects_on_nodes(ctx, "invitedBy") { inviters(ctx, access, &page.rows).await? } else { Names::default() };
    let names = Arc::new(names);
    Ok(Connection::new(page, total, |row| Edge {
        cursor: paging::encode("invitations", &row.position()),
        node: Invitation { access: Arc::clone(access), row, names: Arc::clone(&names) },
    }))
}

async fn inviters(ctx: &Context<'_>, access: &Access, rows: &[InvitationRow]) -> Result<Names> {
    let mut wanted = Wanted::default();
    for row in rows {
        if let Some(actor) = domain::Actor::from_parts(&row.invited_by_kind, row.invited_by_id) {
            wanted.actor(actor);
        }
    }
    wanted.load(access.database(ctx)?, access.organization).await.or_internal(ctx)
}

impl Invitation {
    /// The invitations with these ids, in the order of the ids.
    pub async fn find_all(ctx: &Context<'_>, access: &Arc<Access>, ids: Vec<Uuid>) -> Result<Vec<Option<Self>>> {
        let rows = invitations::find(access.database(ctx)?, access.organization, ids.iter().copied())
            .await
            .or_internal(ctx)?;
        let names = Arc::new(inviters(ctx, access, &rows).await?);
        let invitation = |id: Uuid| {
            let row = rows.iter().find(|row| row.invitation_id == id)?.clone();
            Some(Self { access: Arc::clone(access), row, names: Arc::clone(&names) })
        };
        Ok(ids.into_iter().map(invitation).collect())
    }

    /// The invitation with this id.
    pub async fn find(ctx: &Context<'_>, access: &Arc<Access>, id: InvitationId) -> Result<Option<Self>> {
        Ok(Self::find_all(ctx, access, vec![id.0]).await?.pop().flatten())
    }
}

/// An invitation of a person with a role.
#[Object]
impl Invitation {
    /// Its id.
    pub async fn id(&self) -> ID {
        let id = InvitationId(self.row.invitation_id);
        GlobalId::Invitation(self.access.organization, id).to_string().into()
    }

    /// The address, as it was typed.
    async fn email(&self) -> Option<&str> {
        self.row.email.as_deref()
    }

    /// The name, as the inviter gave it.
    async fn name(&self) -> Option<&str> {
        self.row.name.as_deref()
    }

    /// What it is.
    async fn state(&self, ctx: &Context<'_>) -> Result<InvitationState> {
        Ok(InvitationState::of(&self.row.state, self.row.expires_at, store(ctx)?.now()))
    }

    /// The role it gives.
    async fn role(&self) -> Option<Role> {
        self.row.role.row().map(|row| Role::now(&self.access, row))
    }

    /// Who invited, or sent it again at last.
    async fn invited_by(&self) -> Option<Actor> {
        let kind = Some(self.row.invited_by_kind.as_str());
        Actor::of_row(self.access.organization, kind, Some(self.row.invited_by_id), &self.names)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Until when it can be accepted.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.row.expires_at
    }

    /// The sequence of the last event about it.
    async fn version(&self) -> i64 {
        self.row.version
    }

    /// How the delivery of its latest letter went.
    async fn delivery(&self) -> Option<Delivery> {
        let state = match self.row.delivery_state.as_deref()? {
            "SENT" => DeliveryState::Sent,
            "FAILED" => DeliveryState::Failed,
            _ => DeliveryState::Pending,
        };
        let attempts = self.row.delivery_attempts.unwrap_or_default();
        Some(Delivery { state, attempts, last_error: self.row.delivery_error.clone() })
    }
}

/// An invitation as the invited person meets it, before they belong to anything.
#[derive(Clone, Debug, SimpleObject)]
pub struct InvitationPreview {
    /// Its id, to accept it from one's own list.
    id: ID,
    /// The organization that invites.
    organization_name: String,
    /// The role it gives.
    role_name: Option<String>,
    /// Who invites, if they have a name.
    inviter_name: Option<String>,
    /// The invited address, masked.
    masked_email: String,
    /// What it is.
    state: InvitationState,
    /// Until when it can be accepted.
    expires_at: DateTime<Utc>,
}

impl InvitationPreview {
    /// The preview of a row. The link of an earlier sending is dead.
    pub fn of(row: PreviewRow, generation: Option<u32>, now: DateTime<Utc>) -> Self {
        let organization = OrganizationId(row.organization_id);
        let id = GlobalId::Invitation(organization, InvitationId(row.invitation_id)).to_string().into();
        let state = InvitationState::of(&row.state, row.expires_at, now);
        let old = generation.is_some_and(|generation| i64::from(generation) != row.generation);
        Self {
            id,
            organization_name: row.organization_name,
            role_name: row.role_name,
            inviter_name: row.inviter_name,
            masked_email: mask_email(row.email.as_deref().unwrap_or_default()),
            state: if old && state == InvitationState::Pending { InvitationState::Revoked } else { state },
            expires_at: row.expires_at,
        }
    }
}
