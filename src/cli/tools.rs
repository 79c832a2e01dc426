//! The tools of who runs the service. They may run while servers do.

use super::{Failure, StoreArguments};
use crate::{
    graphql,
    store::{Database, rebuild, verify},
};

/// Opens the database that the arguments name.
pub(super) async fn connect(arguments: &StoreArguments) -> Result<Database, Failure> {
    let url = if let Some(url) = arguments.database_url.as_ref().filter(|url| !url.is_empty()) {
        url.clone()
    } else {
        std::fs::create_dir_all(&arguments.data_dir)
            .map_err(|error| format!("the data directory {}: {error}", arguments.data_dir.display()))?;
        Database::embedded_url(&arguments.data_dir)
    };
    Ok(Database::connect(&url).await?)
}

async fn migrated(arguments: &StoreArguments) -> Result<Database, Failure> {
    let database = connect(arguments).await?;
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

pub(super) async fn rebuild(arguments: &StoreArguments) -> Result<(), Failure> {
    let database = migrated(arguments).await?;
    let report = rebuild::rebuild(&database).await?;
    println!("Rebuilt {} organizations from {} events.", report.organizations, report.events);
    database.close().await;
    Ok(())
}

pub(super) async fn verify(arguments: &StoreArguments) -> Result<(), Failure> {
    let database = migrated(arguments).await?;
    let report = verify::verify(&database).await?;
    println!("The chain holds: {} organizations, {} events.", report.organizations, report.events);
    database.close().await;
    Ok(())
}
