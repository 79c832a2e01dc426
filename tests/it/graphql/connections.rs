//! Clients that are slow, silent, gone, or say other than they send: each is cut off within its limit. The clock is
//! stopped, and goes on to the next limit whenever nothing else happens, so none of them is waited for.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Duration, Instant, pause, sleep, timeout},
};

use serde_json::json;

use super::{server::Server, socket::Socket};
use crate::support::databases::on_sqlite;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// A connection that the system keeps little for.
async fn small(server: &Server, set: impl FnOnce(&TcpSocket, u32) -> std::io::Result<()>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    set(&socket, 4096).unwrap();
    socket.connect(server.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap()
}

/// Everything the server still says, until it closes the connection.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut said = Vec::new();
    // A server that leaves something unread resets the connection when it closes it.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// Sends this and tells the status of each answer, until the server closes the connection.
async fn statuses(server: &Server, text: &str) -> Vec<u16> {
    let mut stream = connect(server).await;
    // The server may have refused it before all is sent.
    let _ = stream.write_all(text.as_bytes()).await;
    let said = rest(&mut stream).await;
    said.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}

/// A POST to the API with these lines in its head.
fn post(lines: &str, body: &str) -> String {
    format!("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}\r\n\r\n{body}")
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_head_has_to_come_in_time_and_a_connection_does_not_idle_for_ever() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        for (sent, answers) in [("", 0), ("GET", 0), ("GET / HTTP/1.1\r\nHost: x\r\n", 0), (HEALTH, 1)] {
            let began = Instant::now();
            assert_eq!(statuses(&server, sent).await, vec![200; answers], "{sent}");
            assert_eq!(began.elapsed().as_secs(), 75, "{sent}");
        }
        // One line after the other does not make it longer.
        let began = Instant::now();
        let (mut from, mut to) = connect(&server).await.into_split();
        let drip = async {
            to.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            while to.write_all(b"A: b\r\n").await.is_ok() {
                sleep(Duration::from_secs(7)).await;
            }
        };
        let (said, ()) = tokio::join!(rest(&mut from), drip);
        assert!(said.is_empty() && (75..90).contains(&began.elapsed().as_secs()), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_body_has_to_come_in_time() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        let form = "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nemail=";
        let chunked = post("Transfer-Encoding: chunked", "");
        for (sent, limit) in [(post("Content-Length: 99", "{"), 10), (chunked.clone(), 10), (form.to_owned(), 60)] {
            let began = Instant::now();
            assert_eq!(statuses(&server, &sent).await, [408], "{sent}");
            assert_eq!(began.elapsed().as_secs(), limit, "{sent}");
        }
        // One that comes in small pieces and has no end.
        let began = Instant::now();
        let (mut from, mut to) = connect(&server).await.into_split();
        let drip = async {
            to.write_all(chunked.as_bytes()).await.unwrap();
            while to.write_all(b"1\r\n \r\n").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let said = tokio::select! {
            said = rest(&mut from) => said,
            () = drip => panic!("nothing was answered"),
        };
        assert!(said.starts_with("HTTP/1.1 408") && began.elapsed().as_secs() < 15, "{said}");
    })
    .await;
}

#[tokio::test]
async fn an_early_answer_says_that_the_connection_closes_and_who_is_still_sending_gets_to_read_it() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let body = " ".repeat(900_000);
        let length = format!("Content-Length: {}", body.len());
        let elsewhere = format!("POST /nowhere HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n");
        let plain = elsewhere.replace("/nowhere", "/graphql");
        let nonsense = post("Transfer-Encoding: chunked", "nonsense\r\n");
        for (sent, status) in [(elsewhere, 404), (plain, 415), ("nonsense\r\n\r\n".to_owned(), 400)] {
            let mut stream = small(&server, TcpSocket::set_send_buffer_size).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")) && said.contains("connection: close"), "{said}");
            stream.write_all(body.as_bytes()).await.expect("what comes later is still taken, so the answer stands");
        }
        // Nobody is listened to for ever.
        let mut stream = connect(&server).await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        while stream.write_all(body.as_bytes()).await.is_ok() {}
    })
    .await;
}

/// A connection that keeps its place: the server answers on it as soon as there is one.
async fn placed(server: &Server) -> TcpStream {
    let placed = async {
        loop {
            let (mut stream, mut said) = (connect(server).await, [0; 12]);
            // One that has no place may be closed before it asks.
            let _ = stream.write_all(HEALTH.as_bytes()).await;
            if stream.read_exact(&mut said).await.is_ok() && &said == b"HTTP/1.1 200" {
                return stream;
            }
        }
    };
    timeout(Duration::from_secs(30), placed).await.expect("a place is free")
}

#[tokio::test]
async fn who_finds_no_place_is_told_so_and_one_that_was_freed_is_given_again() {
    on_sqlite(async |url| {
        let server = Server::start_with_room(url, 1).await;
        let socket = Socket::open(&server.anonymous()).await;
        assert_eq!(statuses(&server, "").await, [503], "a socket keeps its place");
        socket.close().await;
        for _ in 0..3 {
            let stream = placed(&server).await;
            assert_eq!(statuses(&server, "").await, [503]);
            drop(stream);
        }
    })
    .await;
}

#[tokio::test]
async fn who_does_not_take_the_answers_is_let_go() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        let mut stream = small(&server, TcpSocket::set_recv_buffer_size).await;
        let began = Instant::now();
        let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
        while stream.write_all(requests.as_bytes()).await.is_ok() {}
        assert_eq!(began.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test]
async fn a_body_is_as_long_as_its_head_says_or_no_request() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        let body = r#"{"query":"{ viewer { user { id } } }"}"#;
        let length = format!("Content-Length: {}", body.len());
        for (sent, answers) in [
            (post(&length, &format!("{body}{HEALTH}")), &[200, 200][..]),
            (post(&length, &format!("{body}and more\r\n\r\n")), &[200, 400]),
            (post(&format!("Content-Length: {}", body.len() - 1), body), &[400, 400]),
            (post("Content-Length: -1", body), &[400]),
            (post("Content-Length: 99999999999999999999", body), &[400]),
            (post(&format!("{length}\r\nContent-Length: 5"), body), &[400]),
            (post("Transfer-Encoding: chunked", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())), &[200]),
            (post("Transfer-Encoding: chunked", "nonsense\r\n"), &[400]),
            (post("Transfer-Encoding: chunked", "fffffffffffffffff\r\n"), &[400]),
            (post("Transfer-Encoding: identity", body), &[400]),
        ] {
            assert_eq!(statuses(&server, &sent).await, answers, "{sent}");
        }
        // A client that ends too soon is gone, and nothing is run for it.
        let began = Instant::now();
        let mut stream = connect(&server).await;
        stream.write_all(post("Content-Length: 99", body).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(!rest(&mut stream).await.contains("data"));
        assert_eq!(began.elapsed().as_secs(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_head_has_so_many_lines_and_bytes() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        let lines = |count: usize| format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(count));
        let value = |length: usize| format!("GET /health HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(length));
        let address = |length: usize| format!("GET /health?{} HTTP/1.1\r\nHost: x\r\n\r\n", "b".repeat(length));
        for (sent, status) in [
            (lines(99), 200),
            (lines(100), 431),
            (value(30_000), 200),
            (value(100_000), 431),
            (value(1_000_000), 431),
            (address(30_000), 200),
            (address(100_000), 431),
            ("GET /health HTTP/1.1\r\nHost: x\r\nA\u{0}: b\r\n\r\n".to_owned(), 400),
            ("nonsense\r\n\r\n".to_owned(), 400),
        ] {
            assert_eq!(statuses(&server, &sent).await, [status], "{}", &sent[..20]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_socket_begins_in_time_and_lives_as_long_as_somebody_is_there() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let client = server.anonymous();
        pause();
        let began = Instant::now();
        let closed = Socket::connect(&client).await.receive().await;
        assert_eq!((closed, began.elapsed().as_secs()), (json!({ "type": "closed", "code": 4408 }), 10));
        let mut socket = Socket::open(&client).await;
        // Half a minute after its last word a client is asked whether it lives, and half a minute later it is gone.
        sleep(Duration::from_secs(55)).await;
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.receive().await["type"], "pong");
        sleep(Duration::from_secs(61)).await;
        assert_eq!(socket.receive().await, json!({ "type": "closed" }));
    })
    .await;
}

/// A frame as a client sends it, with a mask that changes nothing.
fn frame(first: u8, claimed: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | 127];
    frame.extend(claimed.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn frames_that_are_none_or_too_long_end_a_socket_and_pings_do_not() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        pause();
        let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        let init = br#"{"type":"connection_init"}"#;
        let short = |first: u8, payload: &[u8]| [&[first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat();
        let init = short(0x81, init);
        let long = vec![b' '; 256 * 1024 + 1];
        let half = frame(0x01, 200_000, &long[..200_000]);
        for (name, frames, is_answered) in [
            ("one message", init.clone(), true),
            ("many pings, then a message", [short(0x89, b"?").repeat(20_000), init.clone()].concat(), true),
            ("pings between the parts of a message", [short(0x01, &init[6..10]), short(0x89, b"?").repeat(1000), short(0x80, &init[10..])].concat(), true),
            ("a ping in parts", [short(0x09, b"?"), short(0x80, b"!"), init.clone()].concat(), false),
            ("a ping that is too long", [frame(0x89, 126, &[0; 126]), init.clone()].concat(), false),
            ("a part of no message", [short(0x80, b"!"), init.clone()].concat(), false),
            ("a message within another", [short(0x01, b"{"), init.clone()].concat(), false),
            ("a frame that is too long", [frame(0x81, 256 * 1024 + 1, &long), init.clone()].concat(), false),
            ("a frame that says so", [frame(0x81, 1 << 40, b"{"), init.clone()].concat(), false),
            ("parts that are too long together", [half.clone(), frame(0x80, 200_000, &long[..200_000]), init.clone()].concat(), false),
            ("no UTF-8", [short(0x81, b"\xff"), init.clone()].concat(), false),
            ("no mask", [&[0x81, 2], &b"{}"[..], &init].concat(), false),
            ("no kind of frame there is", [short(0x83, b"{}"), init.clone()].concat(), false),
        ] {
            let mut stream = connect(&server).await;
            stream.write_all(upgrade.as_bytes()).await.unwrap();
            // The server may have closed it before all is sent.
            let _ = stream.write_all(&frames).await;
            let said = rest(&mut stream).await;
            assert!(said.starts_with("HTTP/1.1 101"), "{name}: {said}");
            assert_eq!(said.contains("connection_ack"), is_answered, "{name}");
        }
    })
    .await;
}
