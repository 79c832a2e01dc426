//! The files of organizations: in a folder, or in a bucket that every server shares.
//!
//! *Shape.* A file stands with its organization, `organizations/{organization}/logo/{hash}.{png or jpg}`, and is named
//! after its content. The ledger says which file is the logo; what the ledger does not name is served to nobody.
//!
//! *Promises.* A file is written before the event that names it, so an event never names what is not there. What no
//! event names any more is swept, an hour after it was written at the earliest: nobody is about to name it then.
//! No part of a path is ever text that a caller gave.

use std::{collections::HashMap, os::unix::fs::DirBuilderExt, path::Path as Folder, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};

use super::{Database, Error, profile};
use crate::domain::{OrganizationId, Timestamp, organization::Logo};

/// How often a server looks for files that nothing names.
pub const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// How long a file that nothing names is left alone: its event may be on its way.
pub const GRACE: TimeDelta = TimeDelta::hours(1);
/// How many files are compared with the ledger at once.
const BATCH: usize = 500;
/// What every path begins with.
const ROOT: &str = "organizations";

/// Where files are.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// Why there is no place for files.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// The folder cannot be made.
    #[error("the folder {0}")]
    Folder(String, #[source] std::io::Error),
    /// The place cannot be opened.
    #[error("the place of files")]
    Store(#[from] object_store::Error),
    /// The address is none of a bucket, or this program was built without buckets.
    #[error("{0}")]
    Address(&'static str),
}

impl Files {
    /// Files in a folder, which is made if it is not there.
    pub fn folder(folder: &Folder) -> Result<Self, NoPlace> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| NoPlace::Folder(folder.display().to_string(), error))?;
        // An organization that is gone leaves no empty folder behind.
        let store = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), prefix: Path::default() })
    }

    /// Files in a bucket, `s3://bucket/prefix`. Credentials, region and endpoint come from the usual `AWS_…` variables.
    #[cfg(feature = "s3")]
    pub fn bucket(address: &str) -> Result<Self, NoPlace> {
        let rest = address.strip_prefix("s3://").ok_or(NoPlace::Address("it has to begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket).build()?;
        let prefix = Path::parse(prefix).map_err(object_store::Error::from)?;
        Ok(Self { store: Arc::new(store), prefix })
    }

    /// This program knows no buckets.
    #[cfg(not(feature = "s3"))]
    pub fn bucket(_: &str) -> Result<Self, NoPlace> {
        Err(NoPlace::Address("this program was built without buckets: build it with --features s3"))
    }

    fn all(&self) -> Path {
        self.prefix.clone().join(ROOT)
    }

    fn of(&self, organization: OrganizationId) -> Path {
        self.all().join(organization.to_string())
    }

    fn path(&self, organization: OrganizationId, logo: Logo) -> Path {
        self.of(organization).join("logo").join(logo.to_string())
    }

    /// The logo that a path is the file of.
    fn read(&self, path: &Path) -> Option<(OrganizationId, Logo)> {
        let mut parts = path.prefix_match(&self.all())?;
        let organization = OrganizationId(parts.next()?.as_ref().parse().ok()?);
        let _ = parts.next().filter(|part| part.as_ref() == "logo")?;
        let logo = parts.next()?.as_ref().parse().ok()?;
        parts.next().is_none().then_some((organization, logo))
    }

    /// Keeps a logo. What is there already is written anew, so that it counts as new for the sweep.
    pub async fn put(&self, organization: OrganizationId, logo: Logo, bytes: Vec<u8>) -> Result<(), Error> {
        self.store.put(&self.path(organization, logo), PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// The bytes of a logo; `None` where there is no such file.
    pub async fn get(&self, organization: OrganizationId, logo: Logo) -> Result<Option<Vec<u8>>, Error> {
        let found = async { self.store.get(&self.path(organization, logo)).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.store.delete(path).await {
            // Another server was faster.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes everything of an organization that has ended.
    pub async fn erase(&self, organization: OrganizationId) -> Result<(), Error> {
        let mut files = self.store.list(Some(&self.of(organization)));
        while let Some(file) = files.try_next().await? {
            self.delete(&file.location).await?;
        }
        Ok(())
    }

    /// Deletes what is older than the moment and is nobody's logo: replaced and removed ones, those of organizations
    /// that have ended, and those whose event never came. Says how many went.
    pub async fn sweep(&self, database: &Database, written_before: Timestamp) -> Result<u64, Error> {
        let mut gone = 0;
        let mut batches = self.store.list(Some(&self.all())).try_ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(|error| Error::from(error.1))?;
            let old = batch.into_iter().filter(|file| file.last_modified < written_before);
            let old: HashMap<Path, _> =
                old.filter_map(|file| self.read(&file.location).map(|named| (file.location, named))).collect();
            if old.is_empty() {
                continue;
            }
            let current = profile::logos(database, old.values().map(|(organization, _)| *organization)).await?;
            for (path, (organization, logo)) in &old {
                if current.get(organization) != Some(logo) {
                    self.delete(path).await?;
                    gone += 1;
                }
            }
        }
        Ok(gone)
    }
}
