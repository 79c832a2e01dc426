//! Connections: how many there may be, what each may send, and how long it may take over it.
//!
//! *Limits.* See the constants. What a body, an operation or a socket may take has its limits where it is read. *Promises.*
//! A client that is slow, silent or gone gives its place back; one that keeps busy does not keep the service from ending.
//! An answer that is given before a request was read to its end arrives, and says that the connection closes.

use std::{
    io::Write,
    net::{Shutdown, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, serve::Listener};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_io_timeout::TimeoutWriter;

use super::{Api, Stopping, lingering::Lingering, router};

/// How many connections there are at most; those beyond are told so and closed.
const CONNECTIONS: u32 = 20_000;
/// How long the head of a request may take, counted from the end of the answer before it. This is also how long a
/// connection may idle: longer than the minute for which many a proxy keeps one, so that it is the proxy who closes it.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(75);
/// How many headers a request may have.
const HEADERS: usize = 100;
/// How long the head of a request may be before its end is seen, its address included, in bytes.
const HEAD_LIMIT: usize = 32 * 1024;
/// How long a client may take nothing of what is sent to it.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// How long requests may go on after the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What is said to a client that there is no place for.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// The right to a connection. A socket keeps it for as long as it is open.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "it is held, not read")] Arc<OwnedSemaphorePermit>);

/// Serves so many connections at once, until it is told to stop. A client that keeps its connection busy does not keep
/// the service.
pub async fn serve(mut listener: TcpListener, api: Api, room: u32, stop: impl Future<Output = ()>) {
    let (stop_all, stopping) = (api.stop.clone(), api.stopping());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_LIMIT).max_headers(HEADERS).max_buf_size(HEAD_LIMIT);
    let service = TowerToHyperService::new(router(api));
    let places = Arc::new(Semaphore::new(room as usize));
    let accepting = async {
        loop {
            let (stream, client) = Listener::accept(&mut listener).await;
            match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let place = Place(Arc::new(place));
                    tokio::spawn(converse(http.clone(), stream, client, service.clone(), place, stopping.clone()));
                }
                Err(_) => refuse(stream),
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop => {}
    }
    drop(listener);
    // Streams and sockets end by themselves.
    stop_all.send_replace(true);
    // All places are free once everybody has gone; who has not by then is left behind.
    let _ = timeout(GRACE, places.acquire_many(room)).await;
}

/// Tells a client that there is no place for it, and closes. Nobody waits for it: what it does not take now, it misses.
fn refuse(stream: TcpStream) {
    let told = stream.into_std().and_then(|mut stream| {
        stream.write_all(NO_PLACE)?;
        stream.shutdown(Shutdown::Write)
    });
    if let Err(error) = told {
        tracing::debug!(?error, "a client was not told that there is no place for it");
    }
}

/// Answers the requests of one connection, until it ends or becomes a socket.
async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    client: SocketAddr,
    service: TowerToHyperService<Router>,
    place: Place,
    mut stopping: Stopping,
) {
    // Answers are written whole; waiting for more would only delay the small messages of sockets.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutWriter::new(Lingering::new(stream));
    stream.set_timeout(Some(WRITE_LIMIT));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        request.extensions_mut().insert(place.clone());
        let answer = service.call(request);
        async move {
            let answer = answer.await;
            if answer.as_ref().is_ok_and(|answer| answer.status().is_client_error()) {
                // The connection gets to see that nobody reads the rest of a body, so that the answer says that it closes.
                tokio::task::yield_now().await;
            }
            answer
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(Box::pin(stream)), service).with_upgrades());
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopping.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(?error, "a connection broke");
    }
}

/// How many connections there are file descriptors for: as many as the system allows, less some for databases and files.
pub fn room() -> u32 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Most systems start programs with a thousand, and let them ask for more.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let files = if raised.is_ok() { maximum } else { current };
    let files = files.and_then(|files| u32::try_from(files).ok()).unwrap_or(u32::MAX);
    CONNECTIONS.min(files - files / 8)
}
