//! The program as a process. A child never outlives its test: dropping it kills it.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    ops::Deref,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::callers::Caller;

/// How long anything may take that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a look finds something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the program stands on: a data directory that goes with the test, a database, and its environment.
pub struct Installation {
    data: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Installation {
    /// With the embedded database of the data directory.
    pub fn embedded() -> Self {
        Self { data: tempfile::Builder::new().prefix("orgledger-data-").tempdir().unwrap(), environment: Vec::new() }
    }

    /// With this database.
    pub fn on(url: &str) -> Self {
        Self::embedded().with("DATABASE_URL", url)
    }

    /// With one more variable in its environment.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// With one variable less.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| *known != name);
        self
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// Starts the program in an environment that holds nothing else: the one that was built with the tests, or the one
    /// that `ORGLEDGER_BIN` names, for long runs.
    pub fn start(&self, arguments: &[&str]) -> Process {
        let built = env!("CARGO_BIN_EXE_orgledger").into();
        let mut command = Command::new(env::var_os("ORGLEDGER_BIN").unwrap_or(built));
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.current_dir(self.data.path());
        Process::start(command)
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended().await
    }

    /// Serves on a free port.
    pub async fn serve(&self) -> Server {
        self.serve_with(&["--listen", "127.0.0.1:0"]).await
    }

    /// Serves with these arguments, and waits until the program says where.
    pub async fn serve_with(&self, arguments: &[&str]) -> Server {
        let started = Instant::now();
        let process = self.start(arguments);
        let line = process.line("orgledger listens on http://").await;
        let address = line.trim_start_matches("orgledger listens on ").to_owned();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Server { process, address, mail: self.data().join("mail"), http, started_in: started.elapsed() }
    }
}

/// A running program.
pub struct Process {
    child: Child,
    out: Stream,
    err: Stream,
}

/// A program that has ended, with all it said.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// What a program has written to one of its outputs so far.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn follow(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Stream::follow(child.stdout.take().unwrap());
        let err = Stream::follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.err.text()
    }

    /// The first line of its output that begins so.
    pub async fn line(&self, beginning: &str) -> String {
        let started = Instant::now();
        loop {
            let out = self.out.text();
            if let Some(line) = out.lines().find(|line| line.starts_with(beginning)) {
                return line.to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "no line begins with {beginning:?}\n{out}\n{}", self.err.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends it a signal, as somebody in front of a terminal would.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it as a power failure would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end\n{}\n{}", self.out.text(), self.err.text());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        for stream in [&mut self.out, &mut self.err] {
            stream.reader.take().unwrap().join().unwrap();
        }
        Ended { status, out: self.out.text(), err: self.err.text() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = [self.out.text(), self.err.text()].concat();
            let lines: Vec<_> = said.lines().filter(|line| !line.contains("mail::courier")).collect();
            eprintln!("---- a program said\n{}", lines.join("\n"));
        }
    }
}

/// A server that listens.
pub struct Server {
    process: Process,
    /// `http://` and where it listens.
    pub address: String,
    /// Where its letters are.
    pub mail: PathBuf,
    /// How long it took until it listened.
    pub started_in: Duration,
    http: reqwest::Client,
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Server {
    /// Somebody nobody knows.
    pub fn anybody(&self) -> Caller {
        self.caller(None)
    }

    /// Whoever has this session or key.
    pub fn bearer(&self, credential: &str) -> Caller {
        self.caller(Some(credential.to_owned()))
    }

    /// The same person or key as of another server.
    pub fn same(&self, caller: &Caller) -> Caller {
        self.caller(caller.credential.clone())
    }

    fn caller(&self, credential: Option<String>) -> Caller {
        Caller { http: self.http.clone(), address: self.address.clone(), credential }
    }

    /// Signs somebody in by the link in their letter.
    pub async fn sign_in(&self, email: &str) -> Caller {
        let read = self.letters_to(email).len();
        self.anybody().change("requestSignIn", serde_json::json!({ "email": email }), "").await.done();
        let link = until("a letter", async || self.letters_to(email).get(read..)?.iter().find_map(|text| link(text)));
        let link = link.await;
        let (_, token) = link.split_once("/sign-in?token=").unwrap();
        let answer = self.anybody().complete_sign_in(token).await;
        self.bearer(answer["sessionToken"].as_str().unwrap())
    }

    /// The letters to an address, oldest first.
    pub fn letters_to(&self, email: &str) -> Vec<String> {
        let mut letters = Vec::new();
        for entry in fs::read_dir(&self.mail).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "eml") {
                letters
                    .push((entry.metadata().unwrap().modified().unwrap(), fs::read_to_string(entry.path()).unwrap()));
            }
        }
        letters.sort();
        let to = format!("To: {email}");
        letters.into_iter().map(|(_, text)| text).filter(|text| text.lines().any(|line| line == to)).collect()
    }

    /// Stops it as an operator does, and expects it to end well.
    pub async fn stop(self) {
        self.signal("TERM");
        let ended = self.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.out.ends_with("orgledger has stopped.\n"), "{ended:?}");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(self) -> Ended {
        self.process.ended().await
    }

    /// Ends it as a power failure would.
    pub fn kill(self) {
        self.process.kill();
    }
}

/// The link of a letter, which stands alone on its line.
pub fn link(letter: &str) -> Option<String> {
    letter.lines().find(|line| line.starts_with("http") && !line.contains(' ')).map(str::to_owned)
}
