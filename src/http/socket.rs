//! GraphQL over WebSocket: graphql-transport-ws. The credential of the connection is resolved anew for every
//! operation, so that a socket does not outlive what it was opened with.

use std::{sync::Arc, time::Duration};

use async_graphql::{
    Data, Executor, Request, Response as Answer,
    futures_util::stream::{BoxStream, StreamExt},
};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    extract::{FromRequestParts, WebSocketUpgrade, ws::WebSocket},
    http::{HeaderValue, StatusCode, header::SEC_WEBSOCKET_PROTOCOL, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    Api,
    graphql::{bearer, problem, read_bearer, refused, weighed, with_codes},
};
use crate::{
    auth::{self, authenticate, limits::Exceeded},
    graphql::context::{RequestContext, Transport},
    store::append::Origin,
};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";
/// The buffers of a connection, in bytes; the default would hold 130 KiB for each.
const BUFFER: usize = 4 * 1024;
/// The largest message, in bytes.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// How long a connection may say nothing before it is closed; clients answer or send pings.
const SILENCE: Duration = Duration::from_mins(5);

/// The credential that a connection was opened with.
struct Credential(Option<SecretString>);

/// Answers the request for a WebSocket.
pub(super) async fn serve(api: Api, mut parts: Parts, origin: Origin) -> Response {
    let offered = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        return problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The subprotocol is graphql-transport-ws.");
    }
    // Of several protocols that are offered this one is taken, so the extractors are shown no other.
    parts.headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let Ok(protocol) = GraphQLProtocol::from_request_parts(&mut parts, &()).await else {
        return problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The subprotocol is graphql-transport-ws.");
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let header = match bearer(&parts.headers) {
        Some(Err(())) => {
            return problem(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "The credential is not valid.");
        }
        Some(Ok(credential)) => Some(SecretString::from(credential)),
        None => None,
    };
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(MESSAGE_LIMIT)
        .on_upgrade(move |socket| speak(api, socket, protocol, origin, header))
}

async fn speak(api: Api, socket: WebSocket, protocol: GraphQLProtocol, origin: Origin, header: Option<SecretString>) {
    let executor = Operations { api, origin };
    GraphQLWebSocket::new(socket, executor, protocol)
        .on_connection_init(move |payload: Value| async move {
            let given = payload.get("authorization").and_then(Value::as_str).map(read_bearer);
            let credential = match given {
                None => header,
                Some(Some(credential)) => Some(credential.into()),
                Some(None) => return Err("authorization must be Bearer and a credential".into()),
            };
            let mut data = Data::default();
            data.insert(Credential(credential));
            Ok(data)
        })
        .keepalive_timeout(SILENCE)
        .serve()
        .await;
}

/// Runs the operations of one socket.
#[derive(Clone)]
struct Operations {
    api: Api,
    origin: Origin,
}

impl Operations {
    async fn admit(&self, request: Request, credential: Option<&SecretString>) -> Result<Request, Answer> {
        let Self { api, origin } = self;
        let (units, request) = weighed(request);
        let bearer = credential.map(ExposeSecret::expose_secret);
        match authenticate(api.store(), &api.usage, api.oidc.as_ref(), bearer, origin).await {
            Ok(principal) => {
                api.limits.admit(&principal, units, api.store().now()).map_err(|exceeded| too_many(&exceeded))?;
                let request = request.map_err(|answer| *answer)?;
                Ok(request.data(RequestContext::new(principal, origin.clone(), Transport::Socket)))
            }
            Err(auth::Error::Invalid) => Err(refused("UNAUTHENTICATED", "The credential is not valid.")),
            Err(error) => {
                tracing::error!(reference = origin.request_id, ?error, "a credential could not be checked");
                Err(refused("UNAVAILABLE", "The service is not available now."))
            }
        }
    }
}

/// The refusal of an operation that costs more than its caller has left. A socket has no headers to say when to come
/// back, so the error does.
fn too_many(exceeded: &Exceeded) -> Answer {
    let mut answer = refused("RATE_LIMITED", exceeded.to_string());
    let extensions = answer.errors.iter_mut().filter_map(|error| error.extensions.as_mut());
    for extensions in extensions {
        extensions.set("retryAfter", exceeded.retry_after);
    }
    answer
}

impl Executor for Operations {
    async fn execute(&self, request: Request) -> Answer {
        match self.admit(request, None).await {
            Ok(request) => with_codes(self.api.schema.execute(request).await),
            Err(answer) => answer,
        }
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        let operations = self.clone();
        async_stream::stream! {
            let credential = session.as_ref().and_then(|data| {
                data.get(&std::any::TypeId::of::<Credential>())?.downcast_ref::<Credential>()?.0.clone()
            });
            match operations.admit(request, credential.as_ref()).await {
                Ok(request) => {
                    let mut answers = operations.api.schema.execute_stream(request);
                    while let Some(answer) = answers.next().await {
                        yield with_codes(answer);
                    }
                }
                Err(answer) => yield answer,
            }
        }
        .boxed()
    }
}
