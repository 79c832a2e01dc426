//! What the service costs: clients in closed loops against the running server over HTTP, the same inside the process, and
//! what it is compared with in the same run. It reports, and never says that something was too slow.
//!
//! `cargo bench --bench load`, with `-- --only page --seconds 2` for one thing, with `-- --write docs/performance.md` to
//! keep what it found.

#![expect(clippy::cast_precision_loss, reason = "what is counted here fits many times")]

mod clients;
mod cluster;
mod inside;
mod ledgers;
mod machine;
mod operations;
mod pgbench;
mod report;
mod seed;
mod server;
mod stand_ins;
mod stock;
mod subscriptions;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use mimalloc::MiMalloc;
use orgledger::store::{Database, statement::Statement};
use tempfile::TempDir;

use self::{
    clients::{Asker, Client, Failure, drive},
    cluster::Cluster,
    machine::Meters,
    operations::{MEMBERS, OPERATIONS, operation, page_variables},
    report::{Report, Row},
    seed::{CLIENTS, World},
    server::Server,
};

/// The server's own, so that what it is compared with, which this program serves, has no worse one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What to measure, and for how long.
#[derive(Parser)]
struct Options {
    /// Measure only what has this in its name; may be given again
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only on this database: sqlite or postgres
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    /// How long each thing is measured
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    seconds: f64,
    /// The page to keep a whole run in
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "database"])]
    write: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    /// Serve what the server is compared with.
    #[arg(long, hide = true, requires = "answer")]
    stand_in: Option<String>,
    /// What that answers.
    #[arg(long, hide = true)]
    answer: Option<PathBuf>,
}

impl Options {
    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == key)
    }

    fn wants_database(&self, name: &str) -> bool {
        self.database.as_ref().is_none_or(|only| name.to_lowercase().starts_with(&only.to_lowercase()))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = match (&options.stand_in, &options.answer) {
        (Some(which), Some(answer)) => stand_ins::serve(which, answer).await,
        _ => run(&options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    let mut report = Report::default();
    let folder = tempfile::Builder::new().prefix("orgledger-bench-").tempdir()?;
    if options.wants_database("sqlite") {
        let stage = Stage::embedded(options, &folder).await?;
        stage.over_http(&mut report).await?;
        stage.inside(&mut report).await?;
        if options.wants("start") {
            start(&folder.path().join("start"), &mut report).await?;
        }
        stage.stand_ins(&mut report).await?;
    }
    let cluster = if options.wants_database("postgres") { Cluster::start().await? } else { None };
    if let Some(cluster) = &cluster {
        let stage = Stage::on_postgres(options, &folder, cluster).await?;
        stage.over_http(&mut report).await?;
        stage.inside(&mut report).await?;
        stage.postgres_alone(cluster, &mut report).await?;
    } else if options.wants_database("postgres") {
        eprintln!("there is no PostgreSQL with pgbench on this machine: nothing is measured on it");
    }
    let machine = machine::described(cluster.as_ref().map(|cluster| cluster.version.as_str()));
    println!("\n{}\n\n{}", machine.join("\n"), report.text());
    options.write.as_ref().map_or(Ok(()), |page| report.write(page, &machine))
}

/// A database with everything in it.
struct Stage<'a> {
    options: &'a Options,
    name: &'static str,
    /// Where the data directories of its servers are.
    folder: PathBuf,
    /// Where the database is.
    url: String,
    /// The first process of PostgreSQL.
    postmaster: Option<u32>,
    world: World,
}

impl<'a> Stage<'a> {
    async fn embedded(options: &'a Options, folder: &TempDir) -> Result<Self, Failure> {
        let folder = folder.path().join("sqlite");
        std::fs::create_dir_all(folder.join("data"))?;
        let url = Database::embedded_url(&folder.join("data"));
        Self::fill(options, ("SQLite", None), folder, url).await
    }

    async fn on_postgres(options: &'a Options, folder: &TempDir, cluster: &Cluster) -> Result<Self, Failure> {
        cluster.run("postgres", "CREATE DATABASE orgledger").await?;
        let (folder, url) = (folder.path().join("postgres"), cluster.url("orgledger"));
        Self::fill(options, ("PostgreSQL", Some(cluster.postmaster)), folder, url).await
    }

    async fn fill(
        options: &'a Options,
        (name, postmaster): (&'static str, Option<u32>),
        folder: PathBuf,
        url: String,
    ) -> Result<Self, Failure> {
        let begun = Instant::now();
        let world = World::make(&url).await?;
        eprintln!("{name} was filled in {:.0?}", begun.elapsed());
        Ok(Self { options, name, folder, url, postmaster, world })
    }

    /// A server with a data directory of this name.
    async fn server(&self, data: &str) -> Result<Server, Failure> {
        Server::start(&self.folder.join(data), self.postmaster.map(|_| self.url.as_str())).await
    }

    fn meters(&self, servers: &[&Server]) -> Meters {
        Meters { servers: servers.iter().map(|server| server.pid()).collect(), postmaster: self.postmaster }
    }

    /// Takes away the letters that still wait, so that nobody sends them while something else is measured.
    async fn quiet(&self) -> Result<(), Failure> {
        let database = Database::connect(&self.url).await?;
        Statement::new("DELETE FROM outbox").run(&database).await?;
        database.close().await;
        Ok(())
    }

    async fn over_http(&self, report: &mut Report) -> Result<(), Failure> {
        for operation in OPERATIONS.iter().filter(|operation| self.options.wants(operation.key)) {
            let server = self.server("data").await?;
            let askers = operation.askers(&server.address, &self.world).await?;
            let load = drive(askers, self.options.seconds, &self.meters(&[&server])).await?;
            let mut row = Row::of(operation.key, operation.what, (self.name, operation.clients), &load);
            row.memory = machine::resident(server.pid());
            drop(server);
            keep(report, row);
            self.quiet().await?;
        }
        if self.options.wants("fan-out") {
            let server = self.server("data").await?;
            let run = (self.options.seconds, &self.meters(&[&server]));
            let places = (server.address.as_str(), server.address.as_str());
            let load = subscriptions::fan_out(&self.world, places, run).await?;
            let mut row = Row::of("fan-out", "an event to 64 subscribers", (self.name, CLIENTS), &load);
            row.memory = machine::resident(server.pid());
            keep(report, row);
        }
        if self.options.wants("fan-out-other") && self.postmaster.is_some() {
            let (one, other) = (self.server("data").await?, self.server("other").await?);
            let run = (self.options.seconds, &self.meters(&[&one, &other]));
            let load = subscriptions::fan_out(&self.world, (&one.address, &other.address), run).await?;
            let what = "an event to 64 subscribers of another instance";
            keep(report, Row::of("fan-out-other", what, (self.name, CLIENTS), &load));
        }
        if self.options.wants("catch-up") {
            let server = self.server("data").await?;
            let run = (self.options.seconds, &self.meters(&[&server]));
            let load = subscriptions::catch_up(&self.world, &server.address, run).await?;
            let mut row = Row::of("catch-up", "events to one subscriber who catches up", (self.name, 1), &load);
            row.memory = machine::resident(server.pid());
            keep(report, row);
        }
        self.quiet().await
    }

    async fn inside(&self, report: &mut Report) -> Result<(), Failure> {
        if !self.options.wants("inside-role") && !self.options.wants("inside-page") {
            return Ok(());
        }
        let store = seed::open(&self.url).await?;
        if self.options.wants("inside-role") {
            let what = "change role, 64 organizations, inside the process";
            let row = self.inside_load("inside-role", what, inside::changers(&store, &self.world)).await?;
            keep(report, row);
        }
        if self.options.wants("inside-page") {
            let readers = inside::readers(&store, &self.world, &self.folder)?;
            keep(report, self.inside_load("inside-page", "the page, inside the process", readers).await?);
        }
        store.database.close().await;
        self.quiet().await
    }

    async fn inside_load<C: Client>(&self, key: &'static str, what: &str, clients: Vec<C>) -> Result<Row, Failure> {
        let meters = Meters { servers: vec![std::process::id()], postmaster: self.postmaster };
        let load = drive(clients, self.options.seconds, &meters).await?;
        Ok(Row::of(key, what, (self.name, CLIENTS), &load))
    }

    /// Measures what the server is compared with, which answers what this server answered.
    async fn stand_ins(&self, report: &mut Report) -> Result<(), Failure> {
        for (key, which, of, what) in [
            ("constant-page", "constant", "page", "axum: the bytes of the page"),
            ("constant-verify", "constant", "verify", "axum: the bytes of a verified key"),
            ("memory-page", "memory", "page", "async-graphql: the page from memory"),
        ] {
            let Some(operation) = operation(of).filter(|_| self.options.wants(key)) else { continue };
            let answer = self.answer(of).await?;
            let server = Server::stand_in(which, &answer).await?;
            let askers = operation.askers(&server.address, &self.world).await?;
            let meters = Meters { servers: vec![server.pid()], postmaster: None };
            let load = drive(askers, self.options.seconds, &meters).await?;
            let mut row = Row::of(key, what, ("none", CLIENTS), &load);
            row.memory = machine::resident(server.pid());
            keep(report, row);
        }
        if self.options.wants("memory-inside") {
            let answer = self.answer("page").await?;
            let readers = stand_ins::readers(&answer, MEMBERS, &page_variables(&self.world), CLIENTS)?;
            let meters = Meters { servers: vec![std::process::id()], postmaster: None };
            let load = drive(readers, self.options.seconds, &meters).await?;
            let what = "async-graphql: the page from memory, inside the process";
            keep(report, Row::of("memory-inside", what, ("none", CLIENTS), &load));
        }
        Ok(())
    }

    /// What a server answers to an operation.
    async fn answer(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let server = self.server("data").await?;
        let operation = operation(key).ok_or("no such operation")?;
        let asker = operation.askers(&server.address, &self.world).await?.into_iter().next();
        let Asker { mut connection, bearer, mut next, wanted } = asker.ok_or("nobody asks")?;
        Ok(connection.graphql(&bearer, next(), wanted).await?.to_vec())
    }

    async fn postgres_alone(&self, cluster: &Cluster, report: &mut Report) -> Result<(), Failure> {
        let meters = self.meters(&[]);
        let run = (self.options.seconds, &meters);
        if self.options.wants("pgbench-insert") {
            let load = pgbench::insert(cluster, "orgledger", run).await?;
            let row = Row::of("pgbench-insert", "pgbench: one event a commit", (self.name, CLIENTS), &load);
            keep(report, row);
        }
        if self.options.wants("pgbench-page") {
            let load = pgbench::page(cluster, "orgledger", self.world.crowd, run)?;
            let what = "pgbench: the statement of the page";
            keep(report, Row::of("pgbench-page", what, (self.name, CLIENTS), &load));
        }
        for (key, shared, what) in [
            ("stock-1", true, "stock cqrs-es and postgres-es, 1 aggregate of 10 to 20 events"),
            ("stock-64", false, "stock cqrs-es and postgres-es, 64 aggregates of 10 to 20 events"),
        ] {
            if self.options.wants(key) {
                stock::prepare(cluster).await?;
                let row = self.inside_load(key, what, stock::clients(cluster, shared).await?).await?;
                keep(report, row);
            }
        }
        Ok(())
    }
}

/// How long a server with 100 organizations takes until it answers, and what it needs then.
async fn start(data: &Path, report: &mut Report) -> Result<(), Failure> {
    std::fs::create_dir_all(data)?;
    World::make_small(&Database::embedded_url(data)).await?;
    let (mut times, mut memory) = (Vec::new(), None);
    for _ in 0..11 {
        let server = Server::start(data, None).await?;
        times.push(server.ready_in);
        memory = machine::resident(server.pid());
    }
    let load = clients::Load::new(times, 1.0, machine::Spent::default());
    let mut row = Row::of("start", "from start to ready, 100 organizations", ("SQLite", 1), &load);
    (row.per_second, row.memory) = (None, memory);
    keep(report, row);
    Ok(())
}

/// Keeps a row, and tells of it at once.
fn keep(report: &mut Report, row: Row) {
    let Row { what, database, per_second, server, postgres, .. } = &row;
    let figures = [("per second", per_second), ("µs of the server", server), ("µs of PostgreSQL", postgres)];
    let figures: Vec<_> =
        figures.iter().filter_map(|(unit, figure)| figure.map(|figure| format!("{figure:.0} {unit}"))).collect();
    eprintln!("{database}: {what}: {}", figures.join(", "));
    report.rows.push(row);
}
