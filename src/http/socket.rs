//! GraphQL over WebSocket: graphql-transport-ws. The credential of the connection is resolved anew for every operation,
//! so that a socket does not outlive what it was opened with.
//!
//! *Promises.* One task serves a connection: its operations are streams that take turns, none of which waits for another,
//! and a client that does not read holds up nobody but itself. Every close has the protocol's own code. *Limits.* See the
//! constants.

use std::{collections::HashMap, panic::AssertUnwindSafe, time::Duration};

use async_graphql::{
    Response as Answer, ServerError,
    futures_util::{
        FutureExt, SinkExt, StreamExt,
        stream::{AbortHandle, BoxStream, SelectAll, abortable, once},
    },
};
use axum::{
    extract::{
        FromRequestParts, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Api,
    answer::{mistake, not_run, refused, says},
    connections::Place,
    cost,
    graphql::{bearer, problem, read_bearer},
    operation::Operation,
    params::Params,
};
use crate::{
    auth::{self, Principal, authenticate, limits::Exceeded},
    graphql::context::{RequestContext, Transport},
    store::append::Origin,
};

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";
/// What a connection reads at once, in bytes; the default would hold 130 KiB for each.
const READ_BUFFER: usize = 512;
/// How many bytes are gathered for one write, of small messages that are there at once. It takes no memory before.
const WRITE_BUFFER: usize = 4 * 1024;
/// How many messages are sent before the client is heard again.
const AT_ONCE: usize = 64;
/// The largest message, in bytes.
const MESSAGE_LIMIT: usize = 256 * 1024;
/// How long a client may take to begin.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// How long a message may take to be taken by the client.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How many operations a connection runs at once.
const OPERATIONS: usize = 50;
/// The longest id of an operation, in bytes.
const ID_LIMIT: usize = 128;

/// Why a connection is closed: the protocol's code and words.
type Close = (u16, &'static str);

const BAD_MESSAGE: Close = (4400, "Invalid message");
const UNAUTHORIZED: Close = (4401, "Unauthorized");
const FORBIDDEN: Close = (4403, "Forbidden");
const INIT_TIMEOUT: Close = (4408, "Connection initialisation timeout");
const DUPLICATE: Close = (4409, "Subscriber already exists");
const TOO_MANY_INITS: Close = (4429, "Too many initialisation requests");
const GOING_AWAY: Close = (1001, "The service is stopping");
const INTERNAL: Close = (1011, "The service is not available now");

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    ConnectionInit { payload: Option<Value> },
    Ping {},
    Pong {},
    Subscribe { id: String, payload: Params },
    Complete { id: String },
}

/// What is said to a client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Says<'a> {
    ConnectionAck {},
    Pong {},
    Next { id: &'a str, payload: &'a Answer },
    Error { id: &'a str, payload: &'a [ServerError] },
    Complete { id: &'a str },
}

impl Says<'_> {
    fn message(&self) -> Message {
        Message::Text(serde_json::to_string(self).unwrap_or_default().into())
    }
}

/// Answers the request for a WebSocket.
pub(super) async fn serve(api: Api, mut parts: Parts, origin: Origin) -> Response {
    if !api.admits_origin(&parts.headers) {
        return problem(StatusCode::FORBIDDEN, "BAD_USER_INPUT", "Pages of this origin may not open a socket here.");
    }
    let offered = parts.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if !offered.unwrap_or_default().split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        return problem(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The subprotocol is graphql-transport-ws.");
    }
    parts.headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    let header = match bearer(&parts.headers) {
        Some(Err(())) => {
            return problem(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "The credential is not valid.");
        }
        Some(Ok(credential)) => Some(SecretString::from(credential)),
        None => None,
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let mut connection = Box::new(Connection {
        api,
        origin,
        credential: header,
        begun: false,
        operations: SelectAll::new(),
        running: HashMap::new(),
        started: 0,
        _place: parts.extensions.remove(),
    });
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(MESSAGE_LIMIT)
        .max_frame_size(MESSAGE_LIMIT)
        // Not an async closure: that one would keep room for the socket twice.
        .on_upgrade(move |mut socket| async move { connection.speak(&mut socket).await })
}

/// What an operation has to say, with the number under which it runs; none at its end.
/// The answer is boxed because every connection that waits keeps room for a turn.
type Turn = (u64, String, Option<Box<Answer>>);

/// An operation that runs.
struct Running {
    number: u64,
    stop: AbortHandle,
}

struct Connection {
    api: Api,
    origin: Origin,
    credential: Option<SecretString>,
    begun: bool,
    operations: SelectAll<BoxStream<'static, Turn>>,
    running: HashMap<String, Running>,
    started: u64,
    _place: Option<Place>,
}

impl Connection {
    async fn speak(&mut self, socket: &mut WebSocket) {
        let close = match AssertUnwindSafe(self.converse(socket)).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(close)) => close,
            Err(panic) => {
                mistake(&self.origin.request_id, &*panic);
                INTERNAL
            }
        };
        let frame = CloseFrame { code: close.0, reason: close.1.into() };
        let _ = tokio::time::timeout(WRITE_LIMIT, socket.send(Message::Close(Some(frame)))).await;
    }

    /// Listens and answers until the client goes, or until there is a reason to close.
    async fn converse(&mut self, socket: &mut WebSocket) -> Result<(), Close> {
        let init = Instant::now() + INIT_LIMIT;
        let mut stopping = self.api.stopping();
        let mut answered = true;
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let mut reply = None;
            tokio::select! {
                message = socket.recv() => {
                    answered = true;
                    match message {
                        None | Some(Err(_)) => return Ok(()),
                        Some(Ok(Message::Close(_))) => {
                            // The reply goes out with the next read; without it the client takes the end for a failure.
                            let _ = tokio::time::timeout(WRITE_LIMIT, socket.recv()).await;
                            return Ok(());
                        }
                        Some(Ok(Message::Text(text))) => {
                            // What hearing takes is given back before waiting: thousands of sockets wait at a time.
                            reply = Box::pin(self.hear(text.as_bytes())).await?;
                        }
                        Some(Ok(Message::Binary(_))) => return Err(BAD_MESSAGE),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    }
                }
                Some(turn) = self.operations.next(), if !self.operations.is_empty() => reply = self.tell(turn),
                () = tokio::time::sleep_until(init), if !self.begun => return Err(INIT_TIMEOUT),
                () = stopping.stopped() => return Err(GOING_AWAY),
                _ = ping.tick() => {
                    if !std::mem::replace(&mut answered, false) {
                        return Ok(());
                    }
                    in_time(socket.send(Message::Ping(Vec::new().into()))).await?;
                }
            }
            if let Some(reply) = reply {
                Box::pin(self.say(socket, reply)).await?;
            }
        }
    }

    /// Sends a message, and with it what else there is to say already: many small ones are few writes.
    async fn say(&mut self, socket: &mut WebSocket, first: Message) -> Result<(), Close> {
        in_time(socket.feed(first)).await?;
        for _ in 1..AT_ONCE {
            let Some(Some(turn)) = self.operations.next().now_or_never() else { break };
            if let Some(more) = self.tell(turn) {
                in_time(socket.feed(more)).await?;
            }
        }
        in_time(socket.flush()).await
    }

    async fn hear(&mut self, text: &[u8]) -> Result<Option<Message>, Close> {
        match serde_json::from_slice(text).map_err(|_| BAD_MESSAGE)? {
            Said::Ping {} => Ok(Some(Says::Pong {}.message())),
            Said::Pong {} => Ok(None),
            Said::ConnectionInit { payload } => self.begin(payload.as_ref()).await.map(Some),
            Said::Subscribe { .. } | Said::Complete { .. } if !self.begun => Err(UNAUTHORIZED),
            Said::Complete { id } => {
                if let Some(running) = self.running.remove(&id) {
                    running.stop.abort();
                }
                Ok(None)
            }
            Said::Subscribe { id, payload } => {
                if id.is_empty() || id.len() > ID_LIMIT {
                    return Err(BAD_MESSAGE);
                }
                if self.running.contains_key(&id) {
                    return Err(DUPLICATE);
                }
                match self.start(&id, payload) {
                    Ok(()) => Ok(None),
                    Err(answer) => Ok(Some(Says::Error { id: &id, payload: &answer.errors }.message())),
                }
            }
        }
    }

    /// The client begins, with the credential of the connection. One that is not valid opens nothing.
    async fn begin(&mut self, payload: Option<&Value>) -> Result<Message, Close> {
        if std::mem::replace(&mut self.begun, true) {
            return Err(TOO_MANY_INITS);
        }
        match payload.and_then(|payload| payload.get("authorization")) {
            None | Some(Value::Null) => {}
            Some(given) => {
                let credential = given.as_str().and_then(read_bearer).ok_or(FORBIDDEN)?;
                self.credential = Some(credential.into());
            }
        }
        match principal(&self.api, self.credential.as_ref(), &self.origin).await {
            Ok(_) => Ok(Says::ConnectionAck {}.message()),
            Err(auth::Error::Invalid) => Err(FORBIDDEN),
            Err(error) => {
                tracing::error!(reference = self.origin.request_id, ?error, "a credential could not be checked");
                Err(INTERNAL)
            }
        }
    }

    /// Begins an operation; what it says comes in turn with the others. Nothing is waited for here: what other operations
    /// hold, such as a connection to the database, they could not let go of meanwhile.
    fn start(&mut self, id: &str, params: Params) -> Result<(), Box<Answer>> {
        if self.running.len() >= OPERATIONS {
            let message = format!("A connection runs at most {OPERATIONS} operations at once.");
            return Err(refused("TOO_MANY_OPERATIONS", message));
        }
        // An id may be used again; the number may not.
        self.started += 1;
        let number = self.started;
        // What beginning takes is given back once it has begun.
        let begun = begin(self.api.clone(), self.credential.clone(), self.origin.clone(), params).boxed();
        let answers = once(begun).flat_map(|begun| match begun {
            Ok(answers) => answers,
            Err(answer) => once(async move { *answer }).boxed(),
        });
        let (answers, stop) = abortable(answers);
        let (named, end) = (id.to_owned(), id.to_owned());
        let turns = answers
            .map(move |answer| (number, named.clone(), Some(Box::new(answer))))
            .chain(once(async move { (number, end, None) }));
        self.running.insert(id.to_owned(), Running { number, stop });
        self.operations.push(turns.boxed());
        Ok(())
    }

    /// What an operation says, in the words of the protocol. Of one that the client has completed nothing is said.
    fn tell(&mut self, (number, id, answer): Turn) -> Option<Message> {
        if self.running.get(&id).is_none_or(|running| running.number != number) {
            return None;
        }
        let Some(answer) = answer else {
            self.running.remove(&id);
            return Some(Says::Complete { id: &id }.message());
        };
        if not_run(&answer) || says(&answer, "ACCESS_ENDED") {
            // An error is the last word of an operation.
            if let Some(running) = self.running.remove(&id) {
                running.stop.abort();
            }
            return Some(Says::Error { id: &id, payload: &answer.errors }.message());
        }
        Some(Says::Next { id: &id, payload: &answer }.message())
    }
}

/// The answers of an operation, for who calls now and what they have left.
async fn begin(
    api: Api,
    credential: Option<SecretString>,
    origin: Origin,
    params: Params,
) -> Result<BoxStream<'static, Answer>, Box<Answer>> {
    let operation = Operation::prepare(&api, params);
    let principal = principal(&api, credential.as_ref(), &origin).await.map_err(|error| match error {
        auth::Error::Invalid => refused("UNAUTHENTICATED", "The credential is not valid."),
        error => {
            tracing::error!(reference = origin.request_id, ?error, "a credential could not be checked");
            refused("UNAVAILABLE", "The service is not available now.")
        }
    })?;
    let units = operation.as_ref().map_or(cost::LEAST, |operation| operation.units);
    api.limits.admit(&principal, units, api.store().now()).map_err(|exceeded| too_many(&exceeded))?;
    let context = RequestContext::new(principal, origin, Transport::Socket);
    Ok(operation?.stream(&api, context))
}

/// Who calls by the credential of a connection, as of now.
async fn principal(api: &Api, credential: Option<&SecretString>, origin: &Origin) -> Result<Principal, auth::Error> {
    let bearer = credential.map(ExposeSecret::expose_secret);
    authenticate(api.store(), &api.usage, api.settings.oidc.as_ref(), bearer, origin).await
}

/// The refusal of an operation that costs more than its caller has left. A socket has no headers to say when to come
/// back, so the error does.
fn too_many(exceeded: &Exceeded) -> Box<Answer> {
    let mut answer = refused("RATE_LIMITED", exceeded.to_string());
    let extensions = answer.errors.iter_mut().filter_map(|error| error.extensions.as_mut());
    for extensions in extensions {
        extensions.set("retryAfter", exceeded.retry_after);
    }
    answer
}

/// What is sent, if the client takes it in time.
async fn in_time(sending: impl Future<Output = Result<(), axum::Error>>) -> Result<(), Close> {
    match tokio::time::timeout(WRITE_LIMIT, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(GOING_AWAY),
    }
}
