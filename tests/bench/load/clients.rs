//! Closed loops: each client asks, waits for the answer, and asks again. An answer that is not what it should be ends
//! the run with what it said.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Method, Request, header},
};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::{JoinSet, yield_now},
    time::{sleep_until, timeout},
};

use super::machine::{Meters, Spent};

/// Why a run ends early.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// Somebody who asks the same kind of thing again and again.
pub trait Client: Send + 'static {
    /// Asks once, and is content with the answer.
    fn ask(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What a load came to.
pub struct Load {
    /// How many were answered in the time that was measured.
    pub requests: usize,
    /// That time, in seconds.
    pub seconds: f64,
    /// How long each took, sorted.
    latencies: Vec<Duration>,
    /// What it took of the processors.
    pub spent: Spent,
}

impl Load {
    /// A load of these latencies.
    pub fn new(mut latencies: Vec<Duration>, seconds: f64, spent: Spent) -> Self {
        latencies.sort_unstable();
        Self { requests: latencies.len(), seconds, latencies, spent }
    }

    /// A load of which only the number is known.
    pub fn counted(requests: usize, seconds: f64, spent: Spent) -> Self {
        Self { requests, seconds, latencies: Vec::new(), spent }
    }

    /// How long the given part of a hundred took at most, in milliseconds.
    pub fn percentile(&self, percent: usize) -> Option<f64> {
        let at = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(at).map(|latency| latency.as_secs_f64() * 1e3)
    }
}

/// Runs clients. Each asks once before anything counts, so that what is loaded first is loaded; then all of them warm
/// up for a fifth of the time.
pub async fn drive<C: Client>(clients: Vec<C>, seconds: f64, meters: &Meters) -> Result<Load, Failure> {
    let mut touching = JoinSet::new();
    for mut client in clients {
        touching.spawn(async move { client.ask().await.map(|()| client) });
    }
    let mut ready = Vec::new();
    while let Some(client) = touching.join_next().await {
        ready.push(client??);
    }
    let begin = Instant::now() + Duration::from_secs_f64(seconds / 5.0);
    let end = begin + Duration::from_secs_f64(seconds);
    let mut running = JoinSet::new();
    for mut client in ready {
        running.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let asked = Instant::now();
                if asked >= end {
                    return Ok::<_, Failure>(latencies);
                }
                client.ask().await?;
                let answered = Instant::now();
                if answered >= begin && answered <= end {
                    latencies.push(answered - asked);
                }
                // What never waits would let nobody else run, and nobody read the meters.
                yield_now().await;
            }
        });
    }
    sleep_until(begin.into()).await;
    let before = meters.read()?;
    sleep_until(end.into()).await;
    let spent = meters.read()?.since(before);
    let seconds = begin.elapsed().as_secs_f64();
    let mut latencies = Vec::new();
    while let Some(of_one) = running.join_next().await {
        latencies.append(&mut of_one??);
    }
    if latencies.is_empty() {
        return Err("nothing was answered in the time that was measured: give it more --seconds".into());
    }
    Ok(Load::new(latencies, seconds, spent))
}

/// One connection to a server, which is kept.
pub struct Connection {
    sender: SendRequest<Body>,
    host: String,
}

impl Connection {
    /// Connects to `http://…`.
    pub async fn open(address: &str) -> Result<Self, Failure> {
        let host = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host })
    }

    /// Asks, and gives the body of an answer with status 200.
    pub async fn send(&mut self, method: Method, path: &str, bearer: &str, body: Bytes) -> Result<Bytes, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if !bearer.is_empty() {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body))?;
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, Failure>((status, to_bytes(Body::new(response.into_body()), LONGEST).await?))
        };
        let (status, body) = timeout(PATIENCE, answer).await??;
        if status.as_u16() != 200 {
            return Err(format!("{path} was answered {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(body)
    }

    /// Sends a GraphQL request, and wants to find a text in an answer without errors.
    pub async fn graphql(&mut self, bearer: &str, body: Bytes, wanted: &str) -> Result<Bytes, Failure> {
        let asked = body.clone();
        let answer = self.send(Method::POST, "/graphql", bearer, body).await?;
        let text = std::str::from_utf8(&answer)?;
        if !text.contains(wanted) || text.contains("\"errors\":[") {
            let asked = String::from_utf8_lossy(&asked);
            return Err(format!("{asked} was answered without {wanted}, or with an error: {text}").into());
        }
        Ok(answer)
    }
}

/// Makes one request after the other.
pub type Next = Box<dyn FnMut() -> Bytes + Send>;

/// A client of a server's GraphQL.
pub struct Asker {
    /// Where it asks.
    pub connection: Connection,
    /// `Bearer` and its credential; empty, if it has none.
    pub bearer: String,
    /// What it asks.
    pub next: Next,
    /// What has to be in every answer.
    pub wanted: &'static str,
}

impl Client for Asker {
    async fn ask(&mut self) -> Result<(), Failure> {
        self.connection.graphql(&self.bearer, (self.next)(), self.wanted).await.map(|_| ())
    }
}
