//! The pages behind the links in letters. A GET shows and uses nothing up; a button sends a POST. No page relies on
//! a cookie: what acts is a token in the form, so another site has nothing to ride on.

use std::fmt::Display;

use axum::{
    Form,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Api, Client,
    pages::{self, InvitationPage, InvitationState, PendingInvitation, SignedIn},
};
use crate::{
    auth::{self, Principal, authenticate, sign_in},
    commands::{Answer, Caller, Received},
    domain::{
        GlobalId, InvitationId, OrganizationId, Timestamp, UserId,
        values::{Email, mask_email},
    },
    store::{
        self,
        invitations::{self, PreviewRow},
        ledger::Failure,
        users,
    },
};

/// A page, or the page that says why there is none.
type Page = Result<Response, Problem>;

/// Why there is no page.
pub(super) struct Problem {
    status: StatusCode,
    title: &'static str,
    sentence: String,
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, title, sentence: sentence.into() }
    }

    fn dead_link() -> Self {
        let sentence = "It has been used, is too old, or was not copied whole. Ask for a new one.";
        Self::new(StatusCode::NOT_FOUND, "This link does not work", sentence)
    }

    fn not_signed_in() -> Self {
        let sentence = "This session token is not valid. Sign in again and use the new one.";
        Self::new(StatusCode::UNAUTHORIZED, "You are not signed in", sentence)
    }

    fn unavailable(error: impl Display) -> Self {
        tracing::error!(%error, "a page could not be made");
        let sentence = "Please try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The service is not available now", sentence)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        Self::unavailable(format!("{error:?}"))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::new(StatusCode::CONFLICT, "This could not be done", refusal.to_string()),
            Failure::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, page(pages::problem(self.title, &self.sentence))).into_response()
    }
}

fn page(html: String) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, pages::CONTENT_SECURITY_POLICY)], Html(html)).into_response()
}

pub(super) async fn welcome(State(api): State<Api>) -> Response {
    page(pages::welcome(&api.settings.public_url))
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
}

/// The page of a sign-in link; without a token, the form that asks for one.
pub(super) async fn sign_in(State(api): State<Api>, Query(Token { token }): Query<Token>) -> Page {
    let Some(token) = token else { return Ok(page(pages::sign_in_form(None))) };
    let account = sign_in::account_of(api.store(), &token).await?;
    let email = account.ok_or_else(Problem::dead_link)?;
    Ok(page(pages::sign_in_confirm(&email, &token)))
}

#[derive(Deserialize)]
pub(super) struct Address {
    email: String,
}

/// Sends a sign-in link.
pub(super) async fn request_sign_in(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    Form(Address { email }): Form<Address>,
) -> Page {
    let Ok(email) = email.parse::<Email>() else {
        return Ok(page(pages::sign_in_form(Some("This is not an email address."))));
    };
    sign_in::request(api.store(), email, &api.client_address(&headers, client)).await?;
    Ok(page(pages::sign_in_sent(api.settings.letters)))
}

/// Uses a sign-in link up, and shows the session's token.
pub(super) async fn complete_sign_in(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    Form(Token { token }): Form<Token>,
) -> Page {
    let origin = api.origin(&headers, client);
    let signed_in = sign_in::complete(api.store(), &token.unwrap_or_default(), &origin).await?;
    let signed_in = signed_in.ok_or_else(Problem::dead_link)?;
    let user = UserId(signed_in.user.user_id);
    show_session(&api, user, signed_in.token.expose(), signed_in.expires_at, None).await
}

/// The page of a session: its token, and the invitations that wait for its person.
async fn show_session(
    api: &Api,
    user: UserId,
    session_token: &str,
    expires_at: Timestamp,
    answered: Option<(&str, pages::Answer)>,
) -> Page {
    let store = api.store();
    let person = users::find(&store.database, user).await?.ok_or_else(Problem::not_signed_in)?;
    let now = store.now();
    let waiting = invitations::previews_of_user(&store.database, user, now).await?;
    let ids: Vec<_> = waiting.iter().map(invitation_id).collect();
    let shown: Vec<_> = waiting
        .iter()
        .zip(&ids)
        .map(|(row, id)| PendingInvitation {
            organization_name: &row.organization_name,
            role_name: row.role_name.as_deref().unwrap_or_default(),
            invitation_id: id,
        })
        .collect();
    Ok(page(pages::signed_in(SignedIn {
        public_url: &api.settings.public_url,
        email: &person.email,
        session_token,
        expires_at,
        invitations: &shown,
        answered,
    })))
}

fn invitation_id(row: &PreviewRow) -> String {
    GlobalId::Invitation(OrganizationId(row.organization_id), InvitationId(row.invitation_id)).to_string()
}

async fn preview(api: &Api, token: &str) -> Result<(u32, PreviewRow), Problem> {
    let found = api.commands.preview(token).await?;
    found.map(|(link, row)| (link.generation, row)).ok_or_else(Problem::dead_link)
}

/// The page of an invitation's link.
pub(super) async fn invitation(State(api): State<Api>, Path(token): Path<String>) -> Page {
    let (generation, row) = preview(&api, &token).await?;
    let current = row.generation == i64::from(generation);
    let state = match invitations::state_at(&row.state, row.expires_at, api.store().now()) {
        "PENDING" if current => InvitationState::Pending,
        "ACCEPTED" => InvitationState::Accepted,
        "DECLINED" => InvitationState::Declined,
        "EXPIRED" => InvitationState::Expired,
        _ => InvitationState::Revoked,
    };
    Ok(page(pages::invitation(InvitationPage {
        organization_name: &row.organization_name,
        role_name: row.role_name.as_deref().unwrap_or_default(),
        inviter_name: row.inviter_name.as_deref(),
        masked_email: &mask_email(row.email.as_deref().unwrap_or_default()),
        state,
        expires_at: row.expires_at,
        token: &token,
    })))
}

/// Sends a sign-in link to the invited address, to whoever holds the invitation's link.
pub(super) async fn sign_in_to_answer(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Page {
    let (_, row) = preview(&api, &token).await?;
    let email = row.email.and_then(|email| email.parse().ok()).ok_or_else(Problem::dead_link)?;
    sign_in::request(api.store(), email, &api.client_address(&headers, client)).await?;
    Ok(page(pages::sign_in_sent(api.settings.letters)))
}

#[derive(Deserialize)]
pub(super) struct AnswerForm {
    session_token: String,
    answer: String,
    invitation_id: Option<String>,
}

impl AnswerForm {
    /// What the button said; a form that says neither yes nor no decides nothing.
    fn answer(&self) -> Result<(Answer, pages::Answer), Problem> {
        match self.answer.as_str() {
            "accept" => Ok((Answer::Accept, pages::Answer::Accepted)),
            "decline" => Ok((Answer::Decline, pages::Answer::Declined)),
            _ => {
                let sentence = "The form has to say accept or decline.";
                Err(Problem::new(StatusCode::BAD_REQUEST, "Nothing was decided", sentence))
            }
        }
    }
}

/// Answers an invitation by its link, with a session's token.
pub(super) async fn answer(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(form): Form<AnswerForm>,
) -> Page {
    let (_, row) = preview(&api, &token).await?;
    let (answer, shown) = form.answer()?;
    let (caller, _) = person(&api, &headers, client, &form.session_token).await?;
    api.commands.answer_invitation(&caller, &Received::Token(token), answer).await?;
    Ok(page(pages::invitation_answered(&row.organization_name, shown)))
}

/// Answers an invitation from the page of a new session, and shows that page again.
pub(super) async fn respond(
    State(api): State<Api>,
    ConnectInfo(client): Client,
    headers: HeaderMap,
    Form(form): Form<AnswerForm>,
) -> Page {
    let id = form.invitation_id.as_deref().unwrap_or_default();
    let Ok(GlobalId::Invitation(organization, invitation)) = id.parse() else { return Err(Problem::dead_link()) };
    let (answer, shown) = form.answer()?;
    let (caller, user) = person(&api, &headers, client, &form.session_token).await?;
    let store = api.store();
    let row = invitations::preview(&store.database, organization, invitation).await?;
    let name = row.ok_or_else(Problem::dead_link)?.organization_name;
    api.commands.answer_invitation(&caller, &Received::Listed(organization, invitation), answer).await?;
    let expires_at = session_end(&api, &form.session_token).await?;
    show_session(&api, user, &form.session_token, expires_at, Some((&name, shown))).await
}

async fn session_end(api: &Api, token: &str) -> Result<Timestamp, Problem> {
    let token = crate::secrets::SessionToken::parse(token).ok_or_else(Problem::not_signed_in)?;
    let session = api.store().lookups.sessions.find(token.hash()).await?;
    Ok(session.ok_or_else(Problem::not_signed_in)?.expires_at)
}

/// The person behind a session's token, as who gives a command.
async fn person(
    api: &Api,
    headers: &HeaderMap,
    client: std::net::SocketAddr,
    token: &str,
) -> Result<(Caller, UserId), Problem> {
    let origin = api.origin(headers, client);
    // The pages are for sessions of ours: whoever has a token of an identity provider has a program that uses it.
    match authenticate(api.store(), &api.usage, None, Some(token.trim()), &origin).await {
        Ok(principal @ Principal::User { user, .. }) => {
            let actor = principal.actor().ok_or_else(Problem::not_signed_in)?;
            Ok((Caller { actor, origin }, user))
        }
        Ok(_) | Err(auth::Error::Invalid) => Err(Problem::not_signed_in()),
        Err(error) => Err(Problem::unavailable(format!("{error:?}"))),
    }
}
