//! The tools of who runs the service. They may run while servers do.

use std::{
    os::unix::fs::DirBuilderExt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Failure, RebuildArguments, StoreArguments, organization, sentence};
use crate::{
    clock::Clock,
    domain::GlobalId,
    entropy::Entropy,
    graphql,
    store::{
        Database, Store,
        database::Pooling,
        files::Files,
        rebuild::{self, Progress, Which},
        server_keys::OperatorSecret,
        standby::Standby,
        verify,
    },
};

/// Opens the database that the arguments name; the embedded one is made if it is not there.
pub(super) async fn connect(arguments: &StoreArguments) -> Result<Database, Failure> {
    let folder = &arguments.data_dir;
    // Whoever reads this folder could act as everybody in it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| format!("the data directory {}: {error}", folder.display()))?;
    connected(&url_of(arguments), arguments).await
}

async fn connected(url: &str, arguments: &StoreArguments) -> Result<Database, Failure> {
    let pooling = Pooling::from(arguments.database_pooling);
    Database::connect_through(url, pooling).await.map_err(|error| match sentence(&error) {
        said if pooling == Pooling::Session && said.contains("unsupported startup parameter") => {
            format!("{said} (a pooler such as pgbouncer needs --database-pooling transaction)").into()
        }
        _ => error.into(),
    })
}

fn url_of(arguments: &StoreArguments) -> String {
    let given = arguments.database_url.as_ref().filter(|url| !url.is_empty());
    given.cloned().unwrap_or_else(|| Database::embedded_url(&arguments.data_dir))
}

/// The standby of the database, if one is named.
pub(super) fn standby(arguments: &StoreArguments, url: Option<&str>) -> Result<Option<Arc<Standby>>, Failure> {
    let Some(standby) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
    if url_of(arguments).starts_with("sqlite:") {
        return Err("--database-read-url: only PostgreSQL has standbys, and --database-url names none".into());
    }
    let standby = Standby::at(standby, arguments.database_pooling.into());
    Ok(Some(Arc::new(standby.map_err(|error| format!("--database-read-url: {}", sentence(&error)))?)))
}

async fn migrated(arguments: &StoreArguments) -> Result<Database, Failure> {
    let database = connect(arguments).await?;
    database.migrate().await?;
    Ok(database)
}

/// Where files are.
pub(super) fn files(arguments: &StoreArguments, url: Option<&str>) -> Result<Files, Failure> {
    match url.filter(|url| !url.is_empty()) {
        Some(url) => Ok(Files::bucket(url).map_err(|error| format!("--files-url: {error}"))?),
        None => Ok(Files::folder(&arguments.data_dir.join("files"))?),
    }
}

/// Opens the store, whose keys may be wrapped.
pub(super) async fn open(arguments: &StoreArguments, database: Database) -> Result<Store, Failure> {
    let secret = secret(arguments)?;
    Ok(Store::open_with(database, Clock::System, Entropy::from_machine(), secret.as_ref()).await?)
}

/// The secret that the server's keys are wrapped with, if there is one.
pub(super) fn secret(arguments: &StoreArguments) -> Result<Option<OperatorSecret>, Failure> {
    let given = arguments.secret.clone().map(OperatorSecret::try_from).transpose();
    Ok(given.map_err(|error| format!("ORGLEDGER_SECRET: {error}"))?)
}

/// The database, which has to be there: nothing good can be said of one that was made a moment ago.
pub(super) async fn existing(arguments: &StoreArguments) -> Result<Database, Failure> {
    let url = url_of(arguments);
    if url == Database::embedded_url(&arguments.data_dir) && !arguments.data_dir.join("orgledger.db").exists() {
        return Err(format!("there is no database in {}", arguments.data_dir.display()).into());
    }
    let database = connected(&url, arguments).await?;
    database.migrate().await?;
    Ok(database)
}

pub(super) async fn migrate(arguments: &StoreArguments) -> Result<(), Failure> {
    migrated(arguments).await?.close().await;
    println!("The database is at this version.");
    Ok(())
}

pub(super) fn export_schema() {
    print!("{}", graphql::schema_text());
}

pub(super) async fn rebuild(arguments: &RebuildArguments) -> Result<(), Failure> {
    let which = match (&arguments.organization, &arguments.after) {
        (Some(id), _) => Which::Only(organization::parse(id)?),
        (None, Some(id)) => Which::After(organization::parse(id)?),
        (None, None) => Which::Every,
    };
    let database = existing(&arguments.store).await?;
    let (mut last, mut told) = (Progress::default(), Instant::now());
    let rebuilding = rebuild::rebuild(&database, which, |progress| {
        last = *progress;
        if told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            tell(progress);
        }
    });
    let result = rebuilding.await;
    if result.is_err() {
        tell(&last);
    }
    let report = result?;
    if matches!(which, Which::Only(_)) && report.organizations == 0 {
        return Err("there is no such organization".into());
    }
    println!("Rebuilt {} organizations from {} events.", report.organizations, report.events);
    database.close().await;
    Ok(())
}

/// Says how far a rebuild is, and how to go on there.
fn tell(Progress { done, of, last }: &Progress) {
    let organizations = format!("{} of {} organizations", done.organizations, of.organizations);
    let go_on = last.map(|last| format!("; go on with --after {}", GlobalId::Organization(last))).unwrap_or_default();
    eprintln!("Rebuilding: {organizations}, {} of {} events{go_on}", done.events, of.events);
}

pub(super) async fn verify(arguments: &StoreArguments) -> Result<(), Failure> {
    let database = existing(arguments).await?;
    let report = verify::verify(&database).await?;
    println!("The chain holds: {} organizations, {} events.", report.organizations, report.events);
    database.close().await;
    Ok(())
}
