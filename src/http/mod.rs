//! HTTP: one endpoint for GraphQL, and the small pages behind the links in letters.

mod answer;
mod callers;
mod connections;
pub mod cost;
mod data_exports;
pub mod document;
pub mod documents;
mod events;
mod exports;
pub mod graphql;
mod lingering;
mod logos;
pub mod media;
pub mod operation;
pub mod pages;
mod params;
mod people;
mod problem;
mod socket;

pub use connections::{room, serve};

use std::{net::SocketAddr, ops::Deref, panic::AssertUnwindSafe, str::FromStr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{get, post, put},
};
use futures_util::FutureExt;
use tokio::{sync::watch, time::timeout};
use tower_http::cors::CorsLayer;

use documents::Documents;

use crate::{
    auth::{limits::Limits, oidc::Oidc, usage::Usage, watch::Watch},
    commands::{Commands, erasure::Erasure},
    graphql::{ApiSchema, context::Services, schema},
    store::{Store, append::Origin, files::Files},
};

/// The largest body of a request, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;
/// The longest `User-Agent` that is kept, in bytes.
const USER_AGENT_LIMIT: usize = 500;
/// The longest request id that is taken from a caller.
const REQUEST_ID_LIMIT: usize = 64;
/// How long a request may take until its answer begins. Most have less; this is for what has no limit of its own.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// When it is worth trying again what could not be done because the service is not available: in so many seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The header that names a request, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler stands on. A request takes it along some five times on its way, so it is one thing to take.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

/// What an [`Api`] is made of.
pub struct Parts {
    /// The schema.
    pub schema: ApiSchema,
    /// Commands, and the store behind them.
    pub commands: Commands,
    /// When credentials were last used.
    pub usage: Usage,
    /// What keys and addresses have spent.
    pub limits: Limits,
    /// The access that open subscriptions stand on.
    pub watch: Watch,
    /// How it is served.
    pub settings: Settings,
    decoding: logos::Decoding,
    stop: watch::Sender<bool>,
}

/// Where a page comes from, as browsers say it: scheme, host and port, with nothing behind (RFC 6454, section 6.2).
#[derive(Clone, Debug)]
pub struct PageOrigin(HeaderValue);

impl FromStr for PageOrigin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| plain);
        value.map(Self).ok_or("an origin is a scheme and a host, like https://app.example.com")
    }
}

/// How HTTP is served.
pub struct Settings {
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Whether letters are sent or kept in the data directory.
    pub letters: pages::Letters,
    /// The files of organizations.
    pub files: Files,
    /// The identity provider whose tokens are taken, if there is one.
    pub oidc: Option<Oidc>,
    /// The documents that are known.
    pub documents: Documents,
    /// Whether the schema can be asked for.
    pub introspection: bool,
    /// The origins of pages that may send requests and open sockets, beside the service's own.
    pub origins: Vec<PageOrigin>,
    /// How many proxies stand in front, each of which adds the address it was called from to `X-Forwarded-For`.
    pub proxies: usize,
}

/// Tells when the service stops.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits for it.
    async fn stopped(&mut self) {
        // The other end lives as long as the service.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it does.
    fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// What the work gives, unless the service stops first.
    async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.stopped() => None,
        }
    }
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Api {
    /// The handlers' common ground.
    pub fn new(commands: Commands, usage: Usage, settings: Settings) -> Self {
        let (limits, watch) = (Limits::default(), Watch::default());
        let services = Services {
            commands: commands.clone(),
            erasure: Erasure { store: commands.store.clone(), files: settings.files.clone() },
            usage: usage.clone(),
            limits: limits.clone(),
            public_url: settings.public_url.clone(),
            watch: watch.clone(),
        };
        Self(Arc::new(Parts {
            schema: schema(services),
            commands,
            usage,
            limits,
            watch,
            settings,
            decoding: logos::Decoding::default(),
            stop: watch::Sender::new(false),
        }))
    }

    fn stopping(&self) -> Stopping {
        Stopping(self.stop.subscribe())
    }

    /// Whether a page of this origin may open a socket. Programs that are no browser send none.
    fn admits_origin(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let own = |host: &HeaderValue| {
            let hosts = origin.to_str().ok().and_then(|origin| origin.split_once("://")).zip(host.to_str().ok());
            hosts.is_some_and(|((_, of_page), of_service)| of_page == of_service)
        };
        self.settings.origins.iter().any(|known| known.0 == origin) || headers.get(header::HOST).is_some_and(own)
    }

    /// The address of a client. Behind proxies it is the one that the outermost of them was called from: what stands
    /// further to the left in `X-Forwarded-For` anybody can write there.
    fn client_address(&self, headers: &HeaderMap, peer: SocketAddr) -> String {
        let named = self.settings.proxies.checked_sub(1).and_then(|inner| {
            let lists = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
            let addresses: Vec<_> = lists.flat_map(|list| list.split(',')).collect();
            addresses.iter().rev().nth(inner)?.trim().parse().ok()
        });
        named.unwrap_or_else(|| peer.ip()).to_canonical().to_string()
    }

    fn store(&self) -> &Store {
        &self.commands.store
    }

    /// The name of a request: its own, where it has a sound one, or one of ours.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        let sound = |id: &&HeaderValue| {
            (1..=REQUEST_ID_LIMIT).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let own = headers.get(REQUEST_ID).filter(sound).cloned();
        let of_ours = || HeaderValue::try_from(self.store().entropy.base62(22)).ok();
        own.or_else(of_ours).unwrap_or(HeaderValue::from_static("nameless"))
    }

    /// Where a request came from.
    fn origin(&self, headers: &HeaderMap, client: SocketAddr) -> Origin {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let user_agent = text(header::USER_AGENT).map(|agent| agent.chars().take(USER_AGENT_LIMIT).collect());
        Origin {
            request_id: text(REQUEST_ID).unwrap_or_default().to_owned(),
            ip: Some(self.client_address(headers, client)),
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
        .route("/data-exports/{id}", get(data_exports::download))
        .route("/organizations/{id}/{file}", get(exports::show))
        .route("/health", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(cors(&api))
        .layer(from_fn_with_state(api.clone(), frame))
        .with_state(api)
}

/// Which pages of other origins may read answers.
fn cors(api: &Api) -> CorsLayer {
    const NAMES: [&str; 7] = [
        "authorization",
        "content-type",
        "accept",
        "idempotency-key",
        "last-event-id",
        "x-request-id",
        "apollo-require-preflight",
    ];
    const SHOWN: [&str; 5] =
        ["x-request-id", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    CorsLayer::new()
        .allow_origin(api.settings.origins.iter().map(|origin| origin.0.clone()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers(NAMES.map(HeaderName::from_static))
        .expose_headers(SHOWN.map(HeaderName::from_static))
        .max_age(Duration::from_hours(1))
}

/// What every request goes through, whoever answers it: it has a name and comes to an end, and no mistake of ours
/// takes its connection down.
async fn frame(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = api.request_id(request.headers());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match timeout(TIME_LIMIT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let sentence = answer::mistake(id.to_str().unwrap_or_default(), &*panic);
            graphql::problem(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", &sentence)
        }
        Err(_) => graphql::problem(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "This took too long and was given up."),
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(RETRY_AFTER);
    }
    response
}

/// The address of a client.
type Client = ConnectInfo<SocketAddr>;
