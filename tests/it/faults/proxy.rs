//! A proxy between the service and PostgreSQL that makes one statement fail. It speaks just enough of the protocol to
//! tell statements apart; what it refuses, PostgreSQL itself refuses: it asks for something that is not there.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// What PostgreSQL's error says, and no answer may.
pub const MARKER: &str = "secret_database_text";
/// How long a connection that went silent is kept open: longer than any test.
const SILENCE: Duration = Duration::from_hours(1);

/// How a statement fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// PostgreSQL answers with an error, to this statement and to all that follow.
    Refused,
    /// The connection is gone before the statement arrives, and so is each that it is tried on again.
    CutOff,
    /// The same, but once.
    CutOffOnce,
    /// The connection is gone after a COMMIT arrived, so that nobody knows what became of it. Nothing else fails.
    Unanswered,
    /// The same behind a pooler, which answers in the place of a database that it has lost.
    LostBehindPooler,
    /// The same, but nobody is told: the network says nothing any more.
    Silent,
}

/// What is to happen, and what has happened.
#[derive(Default)]
struct Plan {
    failure: Option<Failure>,
    /// How many statements still pass, unless there is one that has to fail.
    passing: usize,
    text: Option<String>,
    fired: bool,
    /// The text of what has failed last.
    last: String,
    /// The texts that came by while something was to fail, and those of them that have failed.
    seen: BTreeSet<String>,
    failed: BTreeSet<String>,
}

impl Plan {
    /// How this statement fails, if it does.
    fn next(&mut self, text: &str) -> Option<Failure> {
        // A connection is asked whether it lives before it is used; one that does not is replaced.
        if text.is_empty() || text.starts_with("/*") {
            return None;
        }
        let failure = self.failure?;
        let text = &shape(text);
        // PostgreSQL never refuses to roll back.
        let passes = match failure {
            Failure::Refused => text == "ROLLBACK",
            Failure::CutOff | Failure::CutOffOnce => false,
            Failure::Unanswered | Failure::LostBehindPooler | Failure::Silent => text != "COMMIT",
        };
        if passes {
            return None;
        }
        self.seen.insert(text.to_owned());
        // From then on PostgreSQL refuses everything, so that nothing is mended by trying again.
        let goes_on = match failure {
            Failure::Refused => self.fired,
            Failure::CutOff => self.fired && self.last == *text,
            Failure::CutOffOnce | Failure::Unanswered | Failure::LostBehindPooler | Failure::Silent => false,
        };
        if self.fired && !goes_on {
            return None;
        }
        match &self.text {
            _ if goes_on => {}
            Some(wanted) if wanted != text => return None,
            None if self.passing > 0 => {
                self.passing -= 1;
                return None;
            }
            _ => {}
        }
        self.fired = true;
        self.last.clone_from(text);
        self.failed.insert(text.to_owned());
        Some(failure)
    }
}

/// A text without its numbers, so that lists of any length are one statement.
fn shape(text: &str) -> String {
    let mut shape: String = text.chars().filter(|character| !character.is_ascii_digit()).collect();
    for (many, one) in [("$, $", "$"), ("($), ($)", "($)")] {
        while shape.contains(many) {
            shape = shape.replace(many, one);
        }
    }
    shape
}

/// See the module.
pub struct Proxy {
    /// Where the service finds it.
    pub url: String,
    plan: Arc<Mutex<Plan>>,
    /// Changes when the connections of the moment go silent.
    hush: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Stands in front of the database of this URL.
    pub async fn before(url: &str) -> Self {
        let behind: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        let (hush, hushed) = watch::channel(());
        let socket = behind.get_socket().cloned();
        // A directory as the host is that of a socket.
        let (host, upstream_port) = (behind.get_host().to_owned(), behind.get_port());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = Arc::clone(&shared);
                let directory = socket.clone().or_else(|| host.starts_with('/').then(|| host.clone().into()));
                let host = host.clone();
                let mut hushed = hushed.clone();
                hushed.mark_unchanged();
                // What breaks off is what this is for.
                tokio::spawn(async move {
                    let carried = async {
                        match directory {
                            Some(directory) => {
                                let path = directory.join(format!(".s.PGSQL.{upstream_port}"));
                                between(client, UnixStream::connect(path).await?, &plan).await
                            }
                            None => between(client, TcpStream::connect((host, upstream_port)).await?, &plan).await,
                        }
                    };
                    tokio::pin!(carried);
                    tokio::select! {
                        ended = &mut carried => ended,
                        Ok(()) = hushed.changed() => {
                            sleep(SILENCE).await;
                            Ok::<(), io::Error>(())
                        }
                    }
                });
            }
        });
        let (before, after) = url.split_once('@').unwrap();
        let (_, rest) = after.split_once('/').unwrap();
        let kept = rest.split(['?', '&']).filter(|part| !part.starts_with("host=") && !part.starts_with("sslmode="));
        let (name, options): (Vec<_>, Vec<_>) = kept.partition(|part| !part.contains('='));
        let url = format!("{before}@127.0.0.1:{port}/{}?{}&sslmode=disable", name.concat(), options.join("&"));
        Self { url, plan, hush, task }
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, one statement fails in this way, after so many have passed.
    pub fn arm(&self, failure: Failure, passing: usize) {
        let mut plan = self.plan();
        (plan.failure, plan.passing, plan.text, plan.fired) = (Some(failure), passing, None, false);
    }

    /// From now on, the statement of this text fails in this way.
    pub fn arm_text(&self, failure: Failure, text: String) {
        let mut plan = self.plan();
        (plan.failure, plan.text, plan.fired) = (Some(failure), Some(text), false);
    }

    /// Nothing fails any more; tells whether something did.
    pub fn disarm(&self) -> bool {
        let mut plan = self.plan();
        plan.failure = None;
        plan.fired
    }

    /// Nothing comes through the connections of this moment any more, and none of them ends. New ones work.
    pub fn silence(&self) {
        self.hush.send_replace(());
    }

    /// How many texts of requests have failed, and those that never did.
    pub fn told(&self) -> (usize, Vec<String>) {
        let plan = self.plan();
        (plan.failed.len(), plan.seen.difference(&plan.failed).cloned().collect())
    }
}

/// Carries messages both ways until one side is gone, or is to be.
async fn between(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite + Send + 'static,
    plan: &Mutex<Plan>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    // Nobody hears what comes after this was sent.
    let (silence, silent) = watch::channel(None);
    let answers = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            match *silent.borrow() {
                None => {}
                Some(Failure::Silent) => continue,
                Some(Failure::LostBehindPooler) => break,
                Some(_) => return Ok(()),
            }
            to_client.write_all(&buffer[..length]).await?;
        }
        // What pgbouncer says.
        let said = b"SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0";
        let length = u32::try_from(said.len() + 4).unwrap().to_be_bytes();
        to_client.write_all(&[b"E", &length[..], &said[..]].concat()).await
    };
    let questions = async {
        // The first message has no kind.
        let length = from_client.read_u32().await?;
        let mut start = vec![0; length as usize - 4];
        from_client.read_exact(&mut start).await?;
        to_server.write_all(&[&length.to_be_bytes()[..], &start].concat()).await?;
        let mut statements = HashMap::new();
        loop {
            let kind = from_client.read_u8().await?;
            let length = from_client.read_u32().await?;
            let mut body = vec![0; length as usize - 4];
            from_client.read_exact(&mut body).await?;
            let text = statement(kind, &body, &mut statements);
            let failure = text.and_then(|text| plan.lock().unwrap_or_else(PoisonError::into_inner).next(&text));
            match failure {
                None => {}
                Some(Failure::Refused) => body = refused(kind, &body),
                Some(Failure::CutOff | Failure::CutOffOnce) => return Ok(()),
                Some(failure) => drop(silence.send(Some(failure))),
            }
            let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            to_server.write_all(&[&[kind][..], &length, &body].concat()).await?;
        }
    };
    tokio::select! {
        ended = answers => ended,
        ended = questions => ended,
    }
}

/// The text of the statement that a message runs. Preparing it is not counted: each connection does so once, and which
/// one a request gets is chance.
fn statement(kind: u8, body: &[u8], prepared: &mut HashMap<String, String>) -> Option<String> {
    let mut parts = body.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    match kind {
        b'Q' => parts.next(),
        b'P' => {
            prepared.insert(parts.next()?, parts.next()?);
            None
        }
        b'B' => prepared.get(&parts.nth(1)?).cloned(),
        _ => None,
    }
}

/// The message, asking for what is not there: another text, or another prepared statement.
fn refused(kind: u8, body: &[u8]) -> Vec<u8> {
    let marker = [MARKER.as_bytes(), &[0]].concat();
    if kind == b'Q' {
        return marker;
    }
    let mut parts = body.splitn(3, |byte| *byte == 0);
    let (portal, _, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    [portal, &[0], &marker, rest].concat()
}
