//! PostgreSQL for tests: one server for the test process, one schema for each test.
//!
//! `TEST_DATABASE_URL` names the server to use. Without it the machine's own `initdb` and `postgres`, 15 or newer,
//! make a cluster under the temporary directory, as another user when we are root. It listens on a socket in that
//! directory only, so it needs no free port and no password. A shell keeps it and reads a pipe that this process
//! holds: when this process ends, in whatever way, the pipe closes, the server stops and the directory goes.
//!
//! Schemas share what PostgreSQL keeps for the whole database: advisory locks and the names of NOTIFY channels.
//! The cluster's own order of text is English by ICU, so that a column which forgets `COLLATE "C"` is found out.

use std::{
    cmp::Reverse,
    env, fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::databases::{announce, on_postgres};

/// The oldest major version that the product runs on.
const OLDEST: u32 = 15;

/// How long a new cluster may take until it answers; it takes about two seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// Keeps a cluster of the programs in `$1` in the directory `$2`, at the port `$3` of the addresses `$4`, until the pipe
/// on its input closes: an empty one, or a standby of the cluster in the directory `$5`. Until then it is stopped, started,
/// paused and resumed as the pipe says, and says when it is.
///
/// A shell starts background programs with SIGQUIT ignored until they say otherwise, hence the loop: a server that
/// is asked to stop while it starts would not hear it.
const KEEPER: &str = r#"
bin=$1 home=$2 primary=$5
trap 'cd /; rm -rf "$home"' EXIT
make() {
    "$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --no-sync --no-instructions "$@" >"$home/log" 2>&1
}
begin() {
    if [ "$primary" ]; then
        PATH="$bin:$PATH" pg_basebackup -h "$primary" -U postgres -D "$home/data" -R -c fast --no-sync >"$home/log" 2>&1
    else
        make --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US || make --no-locale
    fi
}
begin || { cat "$home/log" >&2; exit 1; }
start() {
    "$bin/postgres" -D "$home/data" -k "$home" -p "$3" -c listen_addresses="$4" -c max_connections=200 \
        -c max_locks_per_transaction=512 -c fsync=off -c synchronous_commit=off -c full_page_writes=off >>"$home/log" 2>&1 </dev/null &
    server=$!
}
stop() { while kill "-$1" "$server" 2>/dev/null; do sleep 0.1; done; }
all() { kill "-$1" "$server" $(cat "/proc/$server/task/$server/children") 2>/dev/null; }
start "$@"
while read -r word; do
    case $word in
        start) start "$@" ;;
        stop) stop INT ;;
        pause) all STOP ;;
        resume) all CONT ;;
    esac
    echo "$word"
done
all CONT
stop QUIT
"#;

/// What every test's migrations would make at the same moment, and trip over each other.
const EXTENSIONS: &str = "
    select pg_advisory_xact_lock(hashtext('orgledger tests'));
    create extension if not exists pg_trgm schema public;
    create extension if not exists btree_gin schema public;
";

/// A PostgreSQL server that tests may fill with schemas.
pub struct Server {
    /// Where it is reached, as its superuser or as `TEST_DATABASE_URL` says.
    pub url: String,
    /// The cluster made for this process; `None` where `TEST_DATABASE_URL` named a server.
    cluster: Option<Cluster>,
}

/// The shell that keeps a throw-away cluster for as long as this is not dropped.
struct Cluster {
    keeper: Child,
    directory: PathBuf,
}

/// The server of this process, started when first asked for; `None` where the machine has no PostgreSQL.
pub fn server() -> Option<&'static Server> {
    static SERVER: LazyLock<Option<Server>> = LazyLock::new(Server::start);
    SERVER.as_ref()
}

/// The URL of a new, empty schema, with the extensions of `public` in reach.
pub async fn fresh_schema() -> Option<String> {
    let server = server()?;
    let mut connection = PgConnection::connect(&server.url).await.unwrap();
    let name = "select 'test_' || replace(gen_random_uuid()::text, '-', '')";
    let schema: String = sqlx::query_scalar(name).fetch_one(&mut connection).await.unwrap();
    sqlx::raw_sql(&format!("create schema {schema}")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let joint = if server.url.contains('?') { '&' } else { '?' };
    Some(format!("{}{joint}options=-c%20search_path%3D{schema}%2Cpublic", server.url))
}

/// Removes a schema that a passed test leaves on a server which outlives us. A failed test's schema stays, to be
/// looked at.
pub async fn drop_schema(url: &str) {
    if server().is_some_and(|server| server.cluster.is_some()) {
        return;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let schema: String = sqlx::query_scalar("select current_schema()").fetch_one(&mut connection).await.unwrap();
    let statement =
        format!("set client_min_messages = warning; set lock_timeout = '10s'; drop schema {schema} cascade");
    sqlx::raw_sql(&statement).execute(&mut connection).await.unwrap();
}

/// A cluster for one test, to be stopped by it; `None` where the machine cannot make one.
pub fn cluster_of_its_own() -> Option<Server> {
    server()?;
    let mut server = Server::of(Cluster::start(&programs()?, 5432, "", None));
    server.prepare();
    Some(server)
}

impl Server {
    /// A standby of a cluster that was made here.
    pub fn standby(&self) -> Self {
        let mut standby = Self::of(Cluster::start(&programs().unwrap(), 5432, "", Some(self.directory())));
        standby.wait();
        standby
    }

    /// The directory of a cluster that was made here, which has its socket.
    pub fn directory(&self) -> &Path {
        &self.cluster.as_ref().unwrap().directory
    }

    /// Ends a cluster that was made here, as a power failure would.
    pub fn stop(self) {
        let mut keeper = self.cluster.unwrap().keeper;
        drop(keeper.stdin.take());
        keeper.wait().unwrap();
    }

    fn of(cluster: Cluster) -> Self {
        let url = format!("postgres://postgres@localhost:5432/postgres?host={}", cluster.directory.display());
        Self { url, cluster: Some(cluster) }
    }

    fn start() -> Option<Self> {
        let mut server = if let Ok(url) = env::var("TEST_DATABASE_URL") {
            Self { url, cluster: None }
        } else if let Some(programs) = programs() {
            Self::of(Cluster::start(&programs, 5432, "", None))
        } else {
            let missing = format!("no PostgreSQL {OLDEST} or newer here and no TEST_DATABASE_URL");
            assert!(env::var("CI").as_deref() != Ok("true"), "{missing}, and with CI=true that is a failure");
            announce(&format!("{missing}: every test on_postgres is skipped"));
            return None;
        };
        server.prepare();
        Some(server)
    }

    /// A server that nobody else uses, on a port of the loopback; `None` where the machine has no PostgreSQL of its own.
    pub fn alone() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        let mut server = Self { url, cluster: Some(Cluster::start(&programs()?, port, "127.0.0.1", None)) };
        server.prepare();
        Some(server)
    }

    /// Has a server that is alone do this: `stop`, `start`, `pause` or `resume`.
    pub fn tell(&mut self, word: &str) {
        let keeper = &mut self.cluster.as_mut().unwrap().keeper;
        writeln!(keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
        let mut said = vec![0; word.len() + 1];
        keeper.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(said, format!("{word}\n").into_bytes());
    }

    /// Waits until the server answers, and makes what all schemas share.
    fn prepare(&mut self) {
        self.once_up(async |mut connection| {
            let version = "select current_setting('server_version_num')::integer / 10000";
            let version: i32 = sqlx::query_scalar(version).fetch_one(&mut connection).await.unwrap();
            assert!(version.cast_unsigned() >= OLDEST, "PostgreSQL {version} is older than {OLDEST}");
            sqlx::raw_sql(EXTENSIONS).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    /// Waits until the server answers.
    fn wait(&mut self) {
        self.once_up(async |connection| connection.close().await.unwrap());
    }

    /// Does something with the first connection. On a thread of its own, because the test that comes first is already
    /// inside a runtime.
    fn once_up(&mut self, body: impl AsyncFnOnce(PgConnection) + Send) {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { body(self.connect().await).await });
        };
        thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)));
    }

    async fn connect(&mut self) -> PgConnection {
        let started = Instant::now();
        loop {
            let error = match PgConnection::connect(&self.url).await {
                Ok(connection) => return connection,
                Err(error) => error,
            };
            let Some(cluster) = &mut self.cluster else { panic!("TEST_DATABASE_URL: {error}") };
            if cluster.keeper.try_wait().unwrap().is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(cluster.directory.join("log")).unwrap_or_default();
                panic!("the throw-away PostgreSQL did not start: {error}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Cluster {
    fn start(programs: &Path, port: u16, addresses: &str, primary: Option<&Path>) -> Self {
        let directory = tempfile::Builder::new().prefix("orgledger-postgres-").tempdir().unwrap().keep();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).args([programs, &directory]).args([&port.to_string(), addresses]);
        keeper.args(primary).current_dir(&directory).stdout(Stdio::piped());
        // Ctrl-C ends the tests; the keeper must outlive that to clean up.
        keeper.stdin(Stdio::piped()).process_group(0);
        as_ordinary_user(&mut keeper, &directory);
        Self { keeper: keeper.spawn().unwrap(), directory }
    }
}

/// The directory of `initdb` and `postgres`: on the PATH, or where Debian keeps them, newest first.
fn programs() -> Option<PathBuf> {
    let mut debian: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|v| v.path().join("bin")).collect();
    debian.sort_by_key(|bin| Reverse(version(bin)));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain(debian);
    places.find(|bin| bin.join("initdb").is_file() && version(bin) >= Some(OLDEST))
}

/// The major version of the `postgres` in a directory, which says `postgres (PostgreSQL) 15.18 (Debian …)`.
fn version(bin: &Path) -> Option<u32> {
    let answer = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let answer = String::from_utf8_lossy(&answer.stdout);
    answer.split_whitespace().find_map(|word| word.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
}

/// Has a program run as the owner of this directory; where we are root, as an ordinary user, who owns it from then on.
pub fn as_ordinary_user(program: &mut Command, directory: &Path) {
    let mut owner = fs::metadata(directory).map(|directory| (directory.uid(), directory.gid())).unwrap();
    if owner.0 == 0 {
        owner = ordinary_user();
        chown(directory, Some(owner.0), Some(owner.1)).unwrap();
    }
    // Whoever is nobody special may not change who they are, and need not.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        program.uid(owner.0).gid(owner.1);
    }
}

/// The user and group to run as when we are root, because PostgreSQL refuses root.
fn ordinary_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = |name| {
        let mut fields = users.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    user("postgres").or_else(|| user("nobody")).expect("a user `postgres` or `nobody` to run PostgreSQL as")
}

/// Two tests never see each other's tables, and both find the extensions.
#[tokio::test]
async fn two_fresh_schemas_do_not_see_each_others_tables() {
    on_postgres("two_fresh_schemas_do_not_see_each_others_tables", async |one| {
        let other = &fresh_schema().await.unwrap();
        let mut connections = [PgConnection::connect(one).await.unwrap(), PgConnection::connect(other).await.unwrap()];
        let table = "create table members (id uuid, name text)";
        sqlx::raw_sql(table).execute(&mut connections[0]).await.unwrap();
        let mut seen = Vec::new();
        for connection in &mut connections {
            let members = "select to_regclass('members') is not null";
            seen.push(sqlx::query_scalar::<_, bool>(members).fetch_one(&mut *connection).await.unwrap());
            let index = "create table t (id uuid, name text); create index on t using gin (id, name gin_trgm_ops)";
            sqlx::raw_sql(index).execute(&mut *connection).await.unwrap();
        }
        assert_eq!(seen, [true, false]);
        drop_schema(other).await;
    })
    .await;
}

/// Text of a throw-away cluster is not ordered by its bytes unless a statement or column says so.
#[tokio::test]
async fn the_clusters_own_order_is_not_that_of_bytes() {
    let Some(Server { url, cluster: Some(_) }) = server() else { return };
    let mut connection = PgConnection::connect(url).await.unwrap();
    let orders = "select 'a' < 'B', 'a' < 'B' collate \"C\"";
    let orders: (bool, bool) = sqlx::query_as(orders).fetch_one(&mut connection).await.unwrap();
    assert_eq!(orders, (true, false));
}
