//! Programs that listen: the server as it is built, and this program itself as what it is compared with. Dropping one
//! ends it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use axum::{body::Bytes, http::Method};
use tempfile::TempDir;

use super::clients::{Connection, Failure};

/// A program that listens.
pub struct Server {
    child: Child,
    /// `http://` and where.
    pub address: String,
    /// From its start until it answered that it is well.
    pub ready_in: Duration,
    // A program that writes where nobody listens any more would fail.
    _out: BufReader<ChildStdout>,
    _data: Option<TempDir>,
}

impl Server {
    /// Starts the server on a database; without one, on the embedded database of the data directory.
    pub async fn start(data: &Path, database_url: Option<&str>) -> Result<Self, Failure> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orgledger"));
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data).env_clear();
        command.envs(database_url.map(|url| ("DATABASE_URL", url)));
        fs::create_dir_all(data)?;
        command.stderr(fs::File::create(data.join("log"))?);
        Self::launch(command, None).await
    }

    /// Starts this program as what the server is compared with.
    pub async fn stand_in(which: &str, answer: &[u8]) -> Result<Self, Failure> {
        let data = tempfile::tempdir()?;
        let file = data.path().join("answer");
        fs::write(&file, answer)?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["--stand-in", which, "--answer"]).arg(file);
        Self::launch(command, Some(data)).await
    }

    async fn launch(mut command: Command, data: Option<TempDir>) -> Result<Self, Failure> {
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        let Some((_, address)) = line.trim().split_once("listens on ") else {
            let _ = child.kill();
            return Err(format!("a program did not say where it listens: {line:?} ({command:?})").into());
        };
        let address = address.to_owned();
        Connection::open(&address).await?.send(Method::GET, "/health", "", Bytes::new()).await?;
        Ok(Self { child, address, ready_in: started.elapsed(), _out: out, _data: data })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
