//! Subscriptions over WebSockets: how soon an event is on every socket, and how fast one catches up.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use orgledger::domain::GlobalId;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    clients::{Connection, Failure, Load},
    machine::Meters,
    operations::{bearer, changing},
    seed::{CLIENTS, CROWD_EVENTS, World},
};

const EVENTS: &str = "subscription OrganizationEvents($id: ID!, $after: String) { organizationEvents(organizationId: $id, after: $after) { cursor node { id sequence type version occurredAt actor { kind displayName } data } } }";
const PATIENCE: Duration = Duration::from_secs(30);

/// An open subscription to an organization's events.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(address: &str, bearer: &str, variables: Value) -> Result<Self, Failure> {
        let mut request = format!("{}/graphql", address.replace("http://", "ws://")).into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (stream, _) = connect_async(request).await?;
        let mut socket = Self(stream);
        socket.say(json!({ "type": "connection_init", "payload": { "authorization": bearer } })).await?;
        let acknowledged = socket.hear().await?;
        if !acknowledged.contains("connection_ack") {
            return Err(format!("the socket was not opened: {acknowledged}").into());
        }
        let payload = json!({ "query": EVENTS, "variables": variables });
        socket.say(json!({ "type": "subscribe", "id": "1", "payload": payload })).await?;
        Ok(socket)
    }

    async fn say(&mut self, message: Value) -> Result<(), Failure> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    async fn hear(&mut self) -> Result<Utf8Bytes, Failure> {
        loop {
            match timeout(PATIENCE, self.0.next()).await?.ok_or("a socket was closed")?? {
                Message::Text(text) => return Ok(text),
                Message::Close(why) => return Err(format!("a socket was closed: {why:?}").into()),
                _ => {}
            }
        }
    }

    /// Waits for the next event; what only moves the cursor is passed over.
    async fn event(&mut self) -> Result<(), Failure> {
        loop {
            let text = self.hear().await?;
            if text.contains("\"type\":\"next\"") && text.contains("\"node\":{") {
                return Ok(());
            }
            if text.contains("\"errors\"") || text.contains("\"type\":\"error\"") {
                return Err(format!("a subscription was answered {text}").into());
            }
        }
    }
}

/// One writes, 64 listen at a server that may be another one; the next command is given when all have heard. How long it
/// took counts from the moment the command was sent, so it has the command and its commit in it.
pub async fn fan_out(
    world: &World,
    (writing, listening): (&str, &str),
    (seconds, meters): (f64, &Meters),
) -> Result<Load, Failure> {
    let mut next = changing(vec![(world.one, world.people[150])]);
    let mut writer = Connection::open(writing).await?;
    let first = writer.graphql(&bearer(world, 0), next(), "\"userErrors\":[]").await?;
    let first: Value = serde_json::from_slice(&first)?;
    let cursor = &first["data"]["changeMemberRole"]["cursor"];
    let (heard, mut arrivals) = mpsc::unbounded_channel();
    for number in 0..CLIENTS {
        let variables = json!({ "id": GlobalId::Organization(world.one).to_string(), "after": cursor });
        let mut socket = Socket::open(listening, &bearer(world, number), variables).await?;
        let heard = heard.clone();
        tokio::spawn(async move {
            loop {
                let event = socket.event().await.map(|()| Instant::now());
                let failed = event.is_err();
                if heard.send(event).is_err() || failed {
                    break;
                }
            }
        });
    }
    let mut latencies = Vec::new();
    let (mut before, mut begun) = (meters.read()?, Instant::now());
    let mut warm = false;
    while !warm || begun.elapsed().as_secs_f64() < seconds {
        let sent = Instant::now();
        writer.graphql(&bearer(world, 0), next(), "\"userErrors\":[]").await?;
        for _ in 0..CLIENTS {
            let arrived = arrivals.recv().await.ok_or("nobody listens any more")??;
            latencies.push(arrived.saturating_duration_since(sent));
        }
        if !warm {
            // Whoever subscribed last may still have been on the way.
            (warm, before, begun) = (true, meters.read()?, Instant::now());
            latencies.clear();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Load::new(latencies, seconds, meters.read()?.since(before)))
}

/// One subscriber reads a ledger from its beginning.
pub async fn catch_up(world: &World, address: &str, (seconds, meters): (f64, &Meters)) -> Result<Load, Failure> {
    let variables = json!({ "id": GlobalId::Organization(world.crowd).to_string() });
    // The documents and rows that are read first are read before anything counts.
    let mut connection = Connection::open(address).await?;
    let viewer = Bytes::from_static(b"{\"query\":\"{ viewer { user { id } } }\"}");
    connection.graphql(&bearer(world, 0), viewer, "\"viewer\"").await?;
    let mut socket = Socket::open(address, &bearer(world, 0), variables).await?;
    let (before, begun) = (meters.read()?, Instant::now());
    let mut events = 0;
    while events < CROWD_EVENTS && begun.elapsed().as_secs_f64() < 4.0 * seconds {
        socket.event().await?;
        events += 1;
    }
    let (taken, spent) = (begun.elapsed(), meters.read()?.since(before));
    Ok(Load::counted(events, taken.as_secs_f64(), spent))
}
