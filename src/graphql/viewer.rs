//! The caller: who they are, what they belong to, how they sign in and out.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    api_keys::ApiKey,
    context::{Access, request, services, store},
    errors::{self, UserError, answer, payloads, unauthenticated},
    fields::Fields,
    invitations::InvitationPreview,
    organization::{Organization, OrganizationEdge},
    paging::{self, Connection, Paging},
    people::User,
    roles::Role,
};
use crate::{
    auth::{Principal, sign_in},
    domain::{GlobalId, Refusal, SessionId, UserId},
    store::{
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
        let row = users::find(&store(ctx)?.database, user).await.map_err(|error| errors::internal(ctx, &error))?;
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
                let row = profile::find(database, organization, None).await;
                let rows: Vec<_> = row.map_err(|error| errors::internal(ctx, &error))?.into_iter().collect();
                let total = rows.len() as u64;
                (Page { rows, has_next: false, has_previous: false }, Some(total))
            }
            Principal::User { user, .. } => {
                let page = profile::page_of_user(database, user, &window).await;
                let page = page.map_err(|error| errors::internal(ctx, &error))?;
                let total = if ctx.look_ahead().field("totalCount").exists() {
                    let count = profile::count_of_user(database, user).await;
                    Some(count.map_err(|error| errors::internal(ctx, &error))?)
                } else {
                    None
                };
                (page, total)
            }
        };
        let rows = page.rows.into_iter().filter_map(|row| Access::of(self.0, row)).map(Arc::new).collect();
        let page = Page { rows, has_next: page.has_next, has_previous: page.has_previous };
        Ok(Connection::new(page, total, organization_edge))
    }

    /// The invitations that wait for the caller's answer.
    async fn invitations(&self, ctx: &Context<'_>) -> Result<Vec<InvitationPreview>> {
        let Some(user) = self.0.user() else { return Ok(Vec::new()) };
        let store = store(ctx)?;
        let rows = invitations::previews_of_user(&store.database, user).await;
        let rows = rows.map_err(|error| errors::internal(ctx, &error))?;
        let now = store.now();
        let open = rows.into_iter().filter(|row| now < row.expires_at);
        Ok(open.map(|row| InvitationPreview::of(row, None, now)).collect())
    }

    /// The caller's sessions, newest first.
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>> {
        let Principal::User { user, session: current } = self.0 else { return Ok(Vec::new()) };
        let store = store(ctx)?;
        let rows = sessions::list(&store.database, user, store.now()).await;
        let rows = rows.map_err(|error| errors::internal(ctx, &error))?;
        let session = |row: sessions::SessionRow| Session {
            id: GlobalId::Session(SessionId(row.session_id)).to_string().into(),
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            current: row.session_id == current.0,
        };
        Ok(rows.into_iter().map(session).collect())
    }
}

fn organization_edge(access: Arc<Access>) -> OrganizationEdge {
    let key = Key::Time(access.row.joined_at.unwrap_or(access.row.created_at));
    OrganizationEdge {
        cursor: paging::encode("organizations", &Position { key, id: Some(access.organization.0) }),
        role: access.role.clone().map(|row| Role { access: Arc::clone(&access), row }),
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
    /// When it ends at the latest.
    expires_at: DateTime<Utc>,
    /// Whether this request uses it.
    current: bool,
}

/// Whose account to sign in to.
#[derive(Debug, InputObject)]
pub struct RequestSignInInput {
    /// The address of the account; it is made when the sign-in is completed.
    email: String,
}

/// The token of a sign-in link.
#[derive(Debug, InputObject)]
pub struct CompleteSignInInput {
    /// The token.
    token: String,
}

/// What changes of the caller; what is left out stays, null clears.
#[derive(Debug, InputObject)]
pub struct UpdateViewerInput {
    /// Their name.
    name: MaybeUndefined<String>,
}

/// A session to end.
#[derive(Debug, InputObject)]
pub struct EndSessionInput {
    /// The session.
    session_id: ID,
}

/// The same answer whether or not anybody has the address.
#[derive(Default, SimpleObject)]
pub struct RequestSignInPayload {
    /// Why no letter was sent.
    user_errors: Vec<UserError>,
}

/// A new session.
#[derive(Default, SimpleObject)]
pub struct CompleteSignInPayload {
    /// The token of the session, this once: send it as `Authorization: Bearer …`.
    session_token: Option<String>,
    /// When the session ends at the latest.
    expires_at: Option<DateTime<Utc>>,
    /// The person who is signed in now.
    viewer: Option<Viewer>,
    /// Why nobody is signed in.
    user_errors: Vec<UserError>,
}

/// The changed caller.
#[derive(Default, SimpleObject)]
pub struct UpdateViewerPayload {
    /// The person, as they are now.
    user: Option<User>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// An ended session.
#[derive(Default, SimpleObject)]
pub struct EndSessionPayload {
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// The ended session of this request.
#[derive(Default, SimpleObject)]
pub struct SignOutPayload {
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(RequestSignInPayload, CompleteSignInPayload, UpdateViewerPayload, EndSessionPayload, SignOutPayload);

/// Mutations of the caller.
#[derive(Default)]
pub struct ViewerMutations;

/// The signed-in person of this request.
fn person(ctx: &Context<'_>) -> Result<Result<(UserId, SessionId), Refusal>> {
    match request(ctx)?.principal {
        Principal::Anonymous => Err(unauthenticated()),
        Principal::ApiKey { .. } => Ok(Err(Refusal::UserRequired)),
        Principal::User { user, session } => Ok(Ok((user, session))),
    }
}

/// Mutations of the caller.
#[Object]
impl ViewerMutations {
    /// Sends a sign-in link to an address. The answer is the same whether or not anybody has it.
    async fn request_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose account.")] input: RequestSignInInput,
    ) -> Result<RequestSignInPayload> {
        answer(ctx, async {
            let mut fields = Fields::default();
            let Some(email) = fields.email("email", &input.email) else { return Err(fields.stop()) };
            let ip = request(ctx)?.origin.ip.as_deref().unwrap_or_default();
            sign_in::request(store(ctx)?, email, ip).await?;
            Ok(RequestSignInPayload::default())
        })
        .await
    }

    /// Uses a sign-in link up and begins a session.
    async fn complete_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token.")] input: CompleteSignInInput,
    ) -> Result<CompleteSignInPayload> {
        answer(ctx, async {
            let signed_in = sign_in::complete(&services(ctx)?.commands.store, &input.token).await?;
            let Some(signed_in) = signed_in else {
                return Err(Refusal::invalid("token", "is not a sign-in link that is still good").into());
            };
            let principal = Principal::User { user: UserId(signed_in.user.user_id), session: signed_in.session };
            Ok(CompleteSignInPayload {
                session_token: Some(signed_in.token.expose().to_owned()),
                expires_at: Some(signed_in.expires_at),
                viewer: Some(Viewer(principal)),
                user_errors: Vec::new(),
            })
        })
        .await
    }

    /// Changes the caller's own name.
    async fn update_viewer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What changes.")] input: UpdateViewerInput,
    ) -> Result<UpdateViewerPayload> {
        answer(ctx, async {
            let (user, _) = person(ctx)??;
            let database = &store(ctx)?.database;
            let mut fields = Fields::default();
            let name = match &input.name {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(name) => Some(fields.name("name", name)),
            };
            fields.check()?;
            if let Some(name) = name {
                users::rename(database, user, name.as_ref()).await?;
            }
            let row = users::find(database, user).await?;
            Ok(UpdateViewerPayload { user: row.map(User::from), user_errors: Vec::new() })
        })
        .await
    }

    /// Ends the session of this request.
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<SignOutPayload> {
        answer(ctx, async {
            let (user, session) = person(ctx)??;
            sessions::end(&store(ctx)?.database, user, session).await?;
            Ok(SignOutPayload::default())
        })
        .await
    }

    /// Ends one of the caller's sessions.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which session.")] input: EndSessionInput,
    ) -> Result<EndSessionPayload> {
        answer(ctx, async {
            let (user, _) = person(ctx)??;
            let mut fields = Fields::default();
            let Some(session) = fields.session("sessionId", &input.session_id) else { return Err(fields.stop()) };
            if !sessions::end(&store(ctx)?.database, user, session).await? {
                return Err(Refusal::NotFound { field: "sessionId" }.into());
            }
            Ok(EndSessionPayload::default())
        })
        .await
    }
}
