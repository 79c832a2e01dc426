//! HTTP: one endpoint for GraphQL, and the small pages behind the links in letters.

pub mod cost;
pub mod document;
pub mod graphql;
mod logos;
pub mod pages;
mod people;
mod socket;

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{Next, from_fn},
    response::Response,
    routing::{get, post, put},
};

use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    auth::{limits::Limits, oidc::Oidc, usage::Usage},
    commands::Commands,
    graphql::{ApiSchema, context::Services, schema},
    store::{Store, append::Origin, files::Files},
};

/// The largest body of a request, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;
/// The longest `User-Agent` that is kept, in bytes.
const USER_AGENT_LIMIT: usize = 500;
/// The longest request id that is taken from a caller.
const REQUEST_ID_LIMIT: usize = 64;

/// The header that names a request, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler stands on.
#[derive(Clone)]
pub struct Api {
    /// The schema.
    pub schema: ApiSchema,
    /// Commands, and the store behind them.
    pub commands: Commands,
    /// When credentials were last used.
    pub usage: Usage,
    /// The identity provider whose tokens are taken, if there is one.
    pub oidc: Option<Oidc>,
    /// What keys and addresses have spent.
    pub limits: Limits,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Whether letters are sent or kept in the data directory.
    pub letters: pages::Letters,
    /// The files of organizations.
    pub files: Files,
    decoding: logos::Decoding,
}

impl Api {
    /// The handlers' common ground.
    pub fn new(commands: Commands, usage: Usage, public_url: String, letters: pages::Letters, files: Files) -> Self {
        let limits = Limits::default();
        let services = Services {
            commands: commands.clone(),
            usage: usage.clone(),
            limits: limits.clone(),
            public_url: public_url.clone(),
        };
        let (schema, decoding) = (schema(services), logos::Decoding::default());
        Self { schema, commands, usage, oidc: None, limits, public_url, letters, files, decoding }
    }

    /// Takes tokens of this identity provider.
    #[must_use]
    pub fn with_oidc(self, oidc: Option<Oidc>) -> Self {
        Self { oidc, ..self }
    }

    fn store(&self) -> &Store {
        &self.commands.store
    }

    /// Where a request came from. Every request has an id, its own or one of ours.
    fn origin(&self, headers: &HeaderMap, client: SocketAddr) -> Origin {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let wellformed =
            |id: &&str| (1..=REQUEST_ID_LIMIT).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        let request_id = text(REQUEST_ID).filter(wellformed).map(str::to_owned);
        let user_agent = text(header::USER_AGENT).map(|agent| agent.chars().take(USER_AGENT_LIMIT).collect());
        Origin {
            request_id: request_id.unwrap_or_else(|| self.store().entropy.base62(22)),
            ip: Some(client.ip().to_canonical().to_string()),
            user_agent,
            reason: None,
        }
    }
}

/// The whole service.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/graphql", post(graphql::post).get(graphql::get))
        .route("/", get(people::welcome))
        .route("/sign-in", get(people::sign_in).post(people::request_sign_in))
        .route("/sign-in/complete", post(people::complete_sign_in))
        .route("/invitations/respond", post(people::respond))
        .route("/invitations/{token}", get(people::invitation).post(people::answer))
        .route("/invitations/{token}/sign-in", post(people::sign_in_to_answer))
        .route("/logo-uploads/{token}", put(logos::upload))
        .route("/logos/{organization}/{hash}", get(logos::show))
        .route("/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(harden))
        .with_state(api)
}

/// How long requests may go on after the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until it is told to stop. A client that keeps its connection busy does not keep the service.
pub async fn serve(listener: TcpListener, api: Api, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let service = router(api).into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = oneshot::channel();
    let told = async {
        stop.await;
        // The receiver waits below for as long as the server runs.
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, service).with_graceful_shutdown(told);
    tokio::select! {
        result = async { server.await } => result,
        () = async { let _ = stopped.await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// What every answer says to browsers.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The address of a client.
type Client = ConnectInfo<SocketAddr>;
