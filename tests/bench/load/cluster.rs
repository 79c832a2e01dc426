//! A throw-away PostgreSQL with everything as it comes: durable, and no setting changed but how many may connect.
//!
//! A shell keeps it and reads a pipe that this process holds: when this process ends, in whatever way, the pipe closes,
//! the server stops and the directory goes.

use std::{
    cmp::Reverse,
    env, fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::clients::Failure;

const PATIENCE: Duration = Duration::from_mins(1);

/// Keeps a cluster of the programs in `$1` in the directory `$2` until the pipe on its input closes.
const KEEPER: &str = r#"
bin=$1 home=$2
trap 'cd /; rm -rf "$home"' EXIT
"$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --no-locale --no-sync --no-instructions >"$home/log" 2>&1 || exit 1
sync -f "$home" 2>/dev/null
"$bin/postgres" -D "$home/data" -k "$home" -p 5432 -c listen_addresses= -c max_connections=200 >>"$home/log" 2>&1 </dev/null &
cat >/dev/null
while kill -QUIT $! 2>/dev/null; do sleep 0.1; done
"#;

/// A running cluster.
pub struct Cluster {
    keeper: Child,
    /// Its programs.
    programs: PathBuf,
    directory: PathBuf,
    /// Its first process.
    pub postmaster: u32,
    /// What it calls itself.
    pub version: String,
}

impl Cluster {
    /// Starts one; none where the machine has no PostgreSQL.
    pub async fn start() -> Result<Option<Self>, Failure> {
        let Some(programs) = programs() else { return Ok(None) };
        let directory = tempfile::Builder::new().prefix("orgledger-bench-postgres-").tempdir()?.keep();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).args([&programs, &directory]).current_dir(&directory);
        keeper.stdin(Stdio::piped()).process_group(0);
        // PostgreSQL refuses root.
        if fs::metadata(&directory)?.uid() == 0 {
            let (user, group) = ordinary_user().ok_or("no user `postgres` or `nobody` to run PostgreSQL as")?;
            chown(&directory, Some(user), Some(group))?;
            keeper.uid(user).gid(group);
        }
        let keeper = keeper.spawn()?;
        let mut cluster = Self { keeper, programs, directory, postmaster: 0, version: String::new() };
        let mut connection = cluster.connect().await?;
        cluster.version = sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
            .fetch_one(&mut connection)
            .await?;
        let pid = fs::read_to_string(cluster.directory.join("data/postmaster.pid"))?;
        cluster.postmaster = pid.lines().next().unwrap_or_default().parse()?;
        Ok(Some(cluster))
    }

    async fn connect(&mut self) -> Result<PgConnection, Failure> {
        let started = Instant::now();
        loop {
            match PgConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return Ok(connection),
                Err(error) if self.keeper.try_wait()?.is_some() || started.elapsed() > PATIENCE => {
                    let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                    return Err(format!("PostgreSQL did not start: {error}\n{log}").into());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Where a database of it is reached.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost:5432/{database}?host={}", self.directory.display())
    }

    /// Runs statements in a database.
    pub async fn run(&self, database: &str, statements: &str) -> Result<(), Failure> {
        let mut connection = PgConnection::connect(&self.url(database)).await?;
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// A program of it, told how to reach it.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg("-h").arg(&self.directory).args(["-p", "5432", "-U", "postgres"]);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The directory of `initdb`, `postgres` and `pgbench`: on the PATH, or where Debian keeps them, newest first.
fn programs() -> Option<PathBuf> {
    let mut debian: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|v| v.path().join("bin")).collect();
    debian.sort_by_key(|bin| Reverse(bin.clone()));
    let path = env::var_os("PATH").unwrap_or_default();
    let whole = |bin: &Path| ["initdb", "postgres", "pgbench"].iter().all(|program| bin.join(program).is_file());
    env::split_paths(&path).chain(debian).find(|bin| whole(bin))
}

/// The user and group to run as when we are root.
fn ordinary_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = |name| {
        let mut fields = users.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    user("postgres").or_else(|| user("nobody"))
}
