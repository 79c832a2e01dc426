//! A WebSocket client that speaks graphql-transport-ws, with a bounded wait for everything.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::server::Client;

/// How long an expected message may take; a stream looks by itself every second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection. Dropping it cuts it off without a word.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Messages of other operations that came while one was waited for.
    waiting: VecDeque<Value>,
}

impl Socket {
    /// Connects and begins; the credential goes in the payload of `connection_init`, as browsers have to do it.
    pub async fn open(client: &Client) -> Self {
        let payload =
            client.credential.as_ref().map(|credential| json!({ "authorization": format!("Bearer {credential}") }));
        let mut socket = Self::connect(client).await;
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.receive().await["type"], "connection_ack");
        socket
    }

    /// Connects and begins with a credential that opens nothing; tells the code with which the connection is closed.
    pub async fn refused(client: &Client) -> u64 {
        let credential = client.credential.as_ref().unwrap();
        let mut socket = Self::connect(client).await;
        let payload = json!({ "authorization": format!("Bearer {credential}") });
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        socket.receive().await["code"].as_u64().unwrap()
    }

    /// Connects and says nothing.
    pub async fn connect(client: &Client) -> Self {
        let mut request = format!("{}/graphql", client.url.replace("http://", "ws://")).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (stream, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Self { stream, waiting: VecDeque::new() }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.say(&message.to_string()).await;
    }

    /// Sends a text that need not be a message.
    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// Begins an operation.
    pub async fn subscribe(&mut self, id: &str, document: &str, variables: Value) {
        let payload = json!({ "query": document, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// The next message, whichever it is; `{"type": "closed", "code": …}` where the server closes the connection.
    pub async fn receive(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(frame))) => {
                    return json!({ "type": "closed", "code": frame.map(|frame| u16::from(frame.code)) });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return json!({ "type": "closed" }),
            }
        }
    }

    /// The next message of one operation.
    pub async fn next(&mut self, id: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|message| message["id"] == id) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            let message = self.receive().await;
            if message["id"] == id || message["type"] == "closed" {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// What one operation says next under its one field; it must be an answer without errors.
    pub async fn answer(&mut self, id: &str) -> Value {
        let message = self.next(id).await;
        assert!(message["type"] == "next" && message["payload"].get("errors").is_none(), "{message:#}");
        message["payload"]["data"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// The code of the error with which one operation ends; answers before it are skipped.
    pub async fn ends_with(&mut self, id: &str) -> String {
        loop {
            let message = self.next(id).await;
            let errors = match message["type"].as_str() {
                Some("error") => &message["payload"],
                Some("next") => &message["payload"]["errors"],
                kind => panic!("{kind:?}: {message:#}"),
            };
            if let Some(error) = errors.get(0) {
                return error["extensions"]["code"].as_str().unwrap_or("(no code)").to_owned();
            }
        }
    }

    /// Ends the connection with a word.
    pub async fn close(mut self) {
        self.stream.close(None).await.unwrap();
    }
}

/// Reads events of one operation until the one with this sequence has come; the last one included.
pub async fn events_until(socket: &mut Socket, id: &str, last: u64) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let edge = socket.answer(id).await;
        let done = edge["node"]["sequence"] == last;
        events.push(edge);
        if done {
            return events;
        }
    }
}
