//! What is kept outside the database: the files of organizations and people, in a folder or in a bucket that every server
//! shares, and letters, where they are kept and not sent.
//!
//! *Shape.* A logo stands with its organization, `organizations/{organization}/logo/{hash}.{png or jpg}`, and is named
//! after its content. The ledger says which file is the logo; what the ledger does not name is served to nobody. Exports
//! of data stand beside it, and in `people/{person}/exports`; their table says which they are.
//!
//! *Promises.* A file is written before the event that names it, so an event never names what is not there. What no
//! event names any more is swept, an hour after it was written at the earliest: nobody is about to name it then.
//! No part of a path is ever text that a caller gave.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path as Folder, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart, local::LocalFileSystem, path::Path};

use uuid::Uuid;

use super::{
    Database, Error,
    data_exports::{Owner, Taken},
    profile,
};
use crate::domain::{DataExportId, OrganizationId, Timestamp, organization::Logo, values::normalize};

/// How often a server looks for files that nothing names.
pub const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// How long a file that nothing names is left alone: its event may be on its way.
pub const GRACE: TimeDelta = TimeDelta::hours(1);
/// How many files are compared with the ledger at once.
const BATCH: usize = 500;
/// What every path of an organization begins with.
const ROOT: &str = "organizations";
/// What every path of a person begins with.
const PEOPLE: &str = "people";

/// The bytes of a file, piece by piece.
pub type Content = BoxStream<'static, Result<Vec<u8>, Error>>;

/// Where files are.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Where files that were begun and never finished stand; a bucket keeps them to itself.
    folder: Option<PathBuf>,
    letters: Option<PathBuf>,
}

/// Why there is no place for files.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// The folder cannot be made.
    #[error("the folder {0}")]
    Folder(String, #[source] io::Error),
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
        Ok(Self { store: Arc::new(store), prefix: Path::default(), folder: Some(folder.to_owned()), letters: None })
    }

    /// Files in a bucket, `s3://bucket/prefix`. Credentials, region and endpoint come from the usual `AWS_…` variables.
    #[cfg(feature = "s3")]
    pub fn bucket(address: &str) -> Result<Self, NoPlace> {
        let rest = address.strip_prefix("s3://").ok_or(NoPlace::Address("it has to begin with s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket).build()?;
        let prefix = Path::parse(prefix).map_err(object_store::Error::from)?;
        Ok(Self { store: Arc::new(store), prefix, folder: None, letters: None })
    }

    /// This program knows no buckets.
    #[cfg(not(feature = "s3"))]
    pub fn bucket(_: &str) -> Result<Self, NoPlace> {
        Err(NoPlace::Address("this program was built without buckets: build it with --features s3"))
    }

    /// The same, with the folder where letters are kept that are not sent.
    #[must_use]
    pub fn with_letters(self, folder: impl Into<PathBuf>) -> Self {
        Self { letters: Some(folder.into()), ..self }
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
        self.erase_unfinished(self.of(organization)).await
    }

    fn export(&self, owner: Owner, export: DataExportId, fence: u64) -> Path {
        let of = match owner {
            Owner::Organization(organization) => self.of(organization),
            Owner::Person(user) => self.prefix.clone().join(PEOPLE).join(user.to_string()),
        };
        of.join("exports").join(export.to_string()).join(format!("{fence}.zip"))
    }

    /// Begins the file of an export; who takes the same export later writes another one.
    pub(super) async fn begin_export(&self, taken: &Taken) -> Result<WriteMultipart, Error> {
        let path = self.export(taken.owner, taken.export, taken.fence);
        Ok(WriteMultipart::new(self.store.put_multipart(&path).await?))
    }

    /// The bytes of an export with their number; `None` where the file is gone.
    pub async fn read_export(
        &self,
        owner: Owner,
        export: DataExportId,
        fence: u64,
    ) -> Result<Option<(u64, Content)>, Error> {
        match self.store.get(&self.export(owner, export, fence)).await {
            Ok(found) => {
                Ok(Some((found.meta.size, found.into_stream().map_ok(Vec::from).map_err(Error::from).boxed())))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the files of an export, finished or not.
    pub(super) async fn erase_export(&self, owner: Owner, export: DataExportId) -> Result<(), Error> {
        let under = self.export(owner, export, 0).parent().unwrap_or_default();
        let mut files = self.store.list(Some(&under));
        while let Some(file) = files.try_next().await? {
            self.delete(&file.location).await?;
        }
        self.erase_unfinished(under).await
    }

    /// Deletes the file of who took an export, and not that of who took it later.
    pub(super) async fn erase_taken(&self, taken: &Taken) -> Result<(), Error> {
        self.delete(&self.export(taken.owner, taken.export, taken.fence)).await
    }

    /// Deletes files under a path that were begun and never finished, which no list shows.
    async fn erase_unfinished(&self, under: Path) -> Result<(), Error> {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join(under.as_ref())) else { return Ok(()) };
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Io(error)),
            _ => Ok(()),
        }
    }

    /// Deletes letters that are kept as files: those with these ids, and those that name one of these addresses, which
    /// are normalized.
    pub async fn erase_letters(&self, ids: impl IntoIterator<Item = Uuid>, addresses: &[String]) -> Result<(), Error> {
        let Some(folder) = self.letters.clone() else { return Ok(()) };
        let (ids, addresses) = (ids.into_iter().collect::<HashSet<_>>(), addresses.to_vec());
        if ids.is_empty() && addresses.is_empty() {
            return Ok(());
        }
        let erasing = tokio::task::spawn_blocking(move || burn(&folder, &ids, &addresses));
        erasing.await.map_err(|_| Error::Stopped)?.map_err(Error::Io)
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

fn burn(folder: &Folder, ids: &HashSet<Uuid>, addresses: &[String]) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let id = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
        let named = || std::fs::read(&path).is_ok_and(|letter| names_address(&letter, addresses));
        if id.is_some_and(|id| ids.contains(&id)) || (!addresses.is_empty() && named()) {
            match std::fs::remove_file(&path) {
                // Another server was faster.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether a letter has one of the addresses in it, and not as a part of another one.
fn names_address(letter: &[u8], addresses: &[String]) -> bool {
    let letter = normalize(&String::from_utf8_lossy(letter));
    let continues = |character: char| character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '+' | '%');
    let alone = |address: &String| {
        letter.match_indices(address.as_str()).any(|(at, _)| {
            let before = letter[..at].chars().next_back();
            let mut after = letter[at + address.len()..].chars();
            // A full stop may end a sentence.
            let next = after.next().filter(|next| *next != '.').or_else(|| after.next());
            !before.is_some_and(continues) && !next.is_some_and(continues)
        })
    };
    addresses.iter().any(alone)
}
