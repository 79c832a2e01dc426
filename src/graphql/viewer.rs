//! The caller: who they are, what they belong to, how they sign in and out.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    api_keys::ApiKey,
    context::{Access, store},
    data_exports::DataExport,
    devices,
    errors::OrInternal,
    invitations::InvitationPreview,
    organization::{Organization, OrganizationEdge},
    paging::{self, Connection, Paging},
    people::User,
    roles::Role,
};
use crate::{
    auth::{Principal, Proof},
    domain::{GlobalId, SessionId},
    store::{
        data_exports::Owner,
        invitations,
        page::{Key, Page, Position},
        profile, sessions, users,
    },
};

/// Who is calling: a person, or an API key.
pub struct Viewer(pub Principal);

/// Who is calling: a person, or an API key.
#[Object]
impl Viewer {
    /// The person, where a person calls.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(user) = self.0.user() else { return Ok(None) };
        let row = users::find(&store(ctx)?.database, user).await.or_internal(ctx)?;
        Ok(row.map(User::from))
    }

    /// The key, where a key calls.
    async fn api_key(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        let Principal::ApiKey { organization, api_key, .. } = self.0 else { return Ok(None) };
        Ok(ApiKey::read(ctx, organization, vec![api_key.0]).await?.pop())
    }

    /// The organizations that the caller has access to: a person's in the order of joining, a key's own one.
    async fn organizations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the beginning; 50 unless told otherwise, 100 at most.")] first: Option<i32>,
        #[graphql(desc = "Behind this place.")] after: Option<String>,
    ) -> Result<Connection<OrganizationEdge>> {
        let window = Paging::forwards(first, after).window("organizations")?;
        let database = &store(ctx)?.database;
        let (page, total) = match self.0 {
            Principal::Anonymous => return Ok(Connection::empty()),
            Principal::ApiKey { organization, .. } => {
                let own = store(ctx)?.lookups.organizations.find((organization, None)).await;
                let rows: Vec<_> = own.or_internal(ctx)?.into_iter().collect();
                let total = rows.len() as u64;
                (Page { rows, has_next: false, has_previous: false, total: None }, Some(total))
            }
            Principal::User { user, .. } => {
                let page = profile::page_of_user(database, user, &window).await.or_internal(ctx)?;
                let total = if ctx.look_ahead().field("totalCount").exists() {
                    let count = profile::count_of_user(database, user).await;
                    Some(count.or_internal(ctx)?)
                } else {
                    None
                };
                (page, total)
            }
        };
        let rows = page.rows.into_iter().filter_map(|row| Access::of(self.0, row)).map(Arc::new).collect();
        let page = Page { rows, has_next: page.has_next, has_previous: page.has_previous, total: None };
        Ok(Connection::new(page, total, organization_edge))
    }

    /// The invitations that wait for the caller's answer.
    async fn invitations(&self, ctx: &Context<'_>) -> Result<Vec<InvitationPreview>> {
        let Some(user) = self.0.user() else { return Ok(Vec::new()) };
        let store = store(ctx)?;
        let now = store.now();
        let open = invitations::previews_of_user(&store.database, user, now).await.or_internal(ctx)?;
        Ok(open.into_iter().map(|row| InvitationPreview::of(row, None, now)).collect())
    }

    /// An export of the caller's own data; null, where there is none with this id. A key has none.
    async fn data_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The export's id.")] id: ID,
    ) -> Result<Option<DataExport>> {
        match (self.0.user(), id.parse()) {
            (Some(user), Ok(GlobalId::ViewerDataExport(export))) => {
                DataExport::find(ctx, Owner::Person(user), export).await
            }
            _ => Ok(None),
        }
    }

    /// The caller's sessions, newest first.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>> {
        let Principal::User { user, proof } = self.0 else { return Ok(Vec::new()) };
        let store = store(ctx)?;
        let rows = sessions::list(&store.database, user, store.now()).await.or_internal(ctx)?;
        let session = |row: sessions::SessionRow| Session {
            id: GlobalId::Session(SessionId(row.session_id)).to_string().into(),
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            device: row.user_agent.as_deref().map(devices::name),
            ip_address: row.ip,
            current: proof == Proof::Session(SessionId(row.session_id)),
        };
        Ok(rows.into_iter().map(session).collect())
    }
}

fn organization_edge(access: Arc<Access>) -> OrganizationEdge {
    let key = Key::Time(access.row.joined_at.unwrap_or(access.row.created_at));
    OrganizationEdge {
        cursor: paging::encode("organizations", &Position { key, id: Some(access.organization.0) }),
        role: access.role.clone().map(|row| Role::now(&access, row)),
        joined_at: access.row.joined_at,
        node: Organization(access),
    }
}

/// A signed-in session.
#[derive(Clone, Debug, SimpleObject)]
pub struct Session {
    /// Its id.
    id: ID,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    last_seen_at: DateTime<Utc>,
    /// When it ends at the latest. It ends earlier where it is not used for 14 days.
    expires_at: DateTime<Utc>,
    /// With what it was last used, as far as that can be told: a browser and its system, or another program.
    device: Option<String>,
    /// The address that it was last used from.
    ip_address: Option<String>,
    /// Whether this request uses it.
    current: bool,
}
