//! An SMTP server on loopback that takes every message and hands it to the test.
//!
//! The protocol (RFC 5321 with 8BITMIME, dots unstuffed) is the crate `mailin`'s; the socket is ours, because
//! `mailin-embedded` brings a second TLS stack and a thread that never ends. It stops when the test's runtime does.
//! It knows no TLS and no sign-in, as a relay on loopback does.

use std::{io, net::SocketAddr, time::Duration};

use mailin::{Action, Handler, Response, Session, SessionBuilder, response};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// Mail to this local part is refused for good: 550.
pub const NO_MAILBOX: &str = "no-mailbox";

/// Mail to this local part is refused for now: 451.
pub const TRY_LATER: &str = "try-later";

/// A running server and the messages it has taken that nobody has asked for yet.
pub struct SmtpServer {
    address: SocketAddr,
    messages: UnboundedReceiver<Received>,
}

/// One message as it came: the envelope, and the bytes of header and body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: Vec<u8>,
}

impl SmtpServer {
    /// Starts on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, messages) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let mailbox = Mailbox { message: Received::default(), taken: sender.clone() };
                tokio::spawn(converse(stream, SessionBuilder::new("localhost").build(peer.ip(), mailbox)));
            }
        });
        Self { address, messages }
    }

    /// What the server under test gets as `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The next message, in the order in which they were taken.
    ///
    /// # Panics
    /// When none comes within ten seconds.
    pub async fn next_message(&mut self) -> Received {
        timeout(Duration::from_secs(10), self.messages.recv()).await.expect("no mail came in 10 seconds").unwrap()
    }

    /// Whether every message taken so far has been asked for.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// Answers one client until it says QUIT or hangs up.
async fn converse(mut stream: TcpStream, mut session: Session<Mailbox>) -> io::Result<()> {
    let (input, mut output) = stream.split();
    let mut input = BufReader::new(input);
    let mut answer = session.greeting();
    loop {
        if answer.action != Action::NoReply {
            let mut text = Vec::new();
            answer.write_to(&mut text)?;
            output.write_all(&text).await?;
        }
        let mut line = Vec::new();
        if answer.action == Action::Close || input.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        answer = session.process(&line);
    }
}

/// The message that one connection is about to send.
struct Mailbox {
    message: Received,
    taken: UnboundedSender<Received>,
}

impl Handler for Mailbox {
    fn rcpt(&mut self, to: &str) -> Response {
        match to.split('@').next() {
            Some(NO_MAILBOX) => response::NO_MAILBOX,
            Some(TRY_LATER) => response::INTERNAL_ERROR,
            _ => response::OK,
        }
    }

    fn data_start(&mut self, _domain: &str, from: &str, _is8bit: bool, to: &[String]) -> Response {
        self.message = Received { from: from.to_owned(), to: to.to_vec(), data: Vec::new() };
        response::OK
    }

    fn data(&mut self, line: &[u8]) -> io::Result<()> {
        self.message.data.extend_from_slice(line);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        // A test that has its answer may have let go of the server; the client is told the truth all the same.
        match self.taken.send(std::mem::take(&mut self.message)) {
            Ok(()) => response::OK,
            Err(_) => response::NO_SERVICE,
        }
    }
}

#[cfg(test)]
mod tests {
    use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

    use super::{NO_MAILBOX, SmtpServer, TRY_LATER};

    fn letter(to: &str) -> Message {
        let letter = Message::builder().from("Acme <acme@example.com>".parse().unwrap()).to(to.parse().unwrap());
        letter
            .subject("Welcome, Zoë")
            .body("A line\r\n.a line that starts with a dot\r\n.\r\nGrüße\r\n".to_owned())
            .unwrap()
    }

    fn transport(server: &SmtpServer) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::from_url(&server.url()).unwrap().build()
    }

    #[tokio::test]
    async fn what_lettre_sends_is_what_the_test_gets() {
        let mut server = SmtpServer::start().await;
        let (letter, transport) = (letter("zoe@example.com"), transport(&server));
        for _ in 0..2 {
            transport.send(letter.clone()).await.unwrap();
        }

        for _ in 0..2 {
            let received = server.next_message().await;
            assert_eq!(received.from, "acme@example.com");
            assert_eq!(received.to, ["zoe@example.com"]);
            // lettre ends every message with one line break more.
            assert_eq!(
                String::from_utf8(received.data),
                String::from_utf8([&letter.formatted()[..], b"\r\n"].concat())
            );
        }
        assert!(server.is_empty());
    }

    #[tokio::test]
    async fn a_refused_recipient_is_refused_for_good_or_for_now() {
        let server = SmtpServer::start().await;
        let transport = transport(&server);
        let gone = transport.send(letter(&format!("{NO_MAILBOX}@example.com"))).await.unwrap_err();
        assert!(gone.is_permanent(), "{gone}");
        let later = transport.send(letter(&format!("{TRY_LATER}@example.com"))).await.unwrap_err();
        assert!(later.is_transient(), "{later}");
        assert!(server.is_empty());
    }
}
