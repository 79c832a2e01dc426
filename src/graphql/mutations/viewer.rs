//! Signing in and out, and what callers change of themselves.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use crate::graphql::{
    context::{request, store},
    errors::{UserError, answer, payloads, unauthenticated},
    fields::Fields,
    people::User,
    viewer::Viewer,
};
use crate::{
    auth::{Principal, Proof, sign_in},
    domain::{Refusal, UserId},
    store::{sessions, users},
};

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

/// The ended sessions.
#[derive(Default, SimpleObject)]
pub struct EndOtherSessionsPayload {
    /// How many sessions have ended.
    ended_count: Option<i64>,
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

/// The ended session of this request.
#[derive(Default, SimpleObject)]
pub struct SignOutPayload {
    /// Why nothing was written.
    user_errors: Vec<UserError>,
}

payloads!(
    RequestSignInPayload,
    CompleteSignInPayload,
    UpdateViewerPayload,
    EndSessionPayload,
    EndOtherSessionsPayload,
    SignOutPayload
);

/// Mutations of the caller.
#[derive(Default)]
pub struct ViewerMutations;

/// The signed-in person of this request.
pub(super) fn person(ctx: &Context<'_>) -> Result<Result<(UserId, Proof), Refusal>> {
    match request(ctx)?.principal {
        Principal::Anonymous => Err(unauthenticated()),
        Principal::ApiKey { .. } => Ok(Err(Refusal::UserRequired)),
        Principal::User { user, proof } => Ok(Ok((user, proof))),
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
            let signed_in = sign_in::complete(store(ctx)?, &input.token, &request(ctx)?.origin).await?;
            let Some(signed_in) = signed_in else {
                return Err(Refusal::invalid("token", "is not a sign-in link that is still good").into());
            };
            let proof = Proof::Session(signed_in.session);
            let principal = Principal::User { user: UserId(signed_in.user.user_id), proof };
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

    /// Ends the session of this request. A token of the identity provider is not ours to end: SESSION_REQUIRED.
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<SignOutPayload> {
        answer(ctx, async {
            let (user, Proof::Session(session)) = person(ctx)?? else { return Err(Refusal::SessionRequired.into()) };
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

    /// Ends every session of the caller but the one of this request: all of them, for who came with a token of the
    /// identity provider.
    async fn end_other_sessions(&self, ctx: &Context<'_>) -> Result<EndOtherSessionsPayload> {
        answer(ctx, async {
            let (user, proof) = person(ctx)??;
            let kept = match proof {
                Proof::Session(session) => Some(session),
                Proof::Token { .. } => None,
            };
            let ended = sessions::end_others(&store(ctx)?.database, user, kept).await?;
            Ok(EndOtherSessionsPayload { ended_count: i64::try_from(ended).ok(), user_errors: Vec::new() })
        })
        .await
    }
}
