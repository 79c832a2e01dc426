//! What every request looks up before it does anything: who comes in, and what they are in an organization.
//!
//! *Shape.* Look-ups of one moment are one statement: while a statement is under way, those that come wait, and the next
//! one reads for all of them. A quiet server reads each at once; a busy one reads many for the price of one.
//!
//! *Promises.* A look-up is answered by a statement that began after it was asked, so what was taken away before is not
//! found. Nothing is kept from one statement to the next. A statement that fails fails those that waited for it, and
//! nobody after them.
//!
//! *Limits.* One statement of each kind at a time, for [`AT_ONCE`] look-ups; who comes while more wait, waits too.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::{
    Database, Error,
    api_keys::{self, SecretRow},
    identities::{self, Subject},
    in_time,
    profile::{self, OrganizationRow},
    sessions::{self, SessionRow},
    standing::{Asked, standings},
    users::UserRow,
};
use crate::{
    clock::Clock,
    domain::{OrganizationId, Timestamp, UserId, organization::Permissions},
    secrets::SecretHash,
};

/// How many look-ups one statement answers.
pub const AT_ONCE: usize = 128;

/// What something is looked up by.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    /// What is found.
    type Row: Clone + Send;

    /// Reads everything that is there of these keys, in one statement.
    fn read(
        database: &Database,
        keys: &[Self],
        now: Timestamp,
    ) -> impl Future<Output = Result<HashMap<Self, Self::Row>, Error>> + Send;
}

/// The living session of a token.
impl Key for SecretHash {
    type Row = SessionRow;

    async fn read(database: &Database, tokens: &[Self], now: Timestamp) -> Result<HashMap<Self, SessionRow>, Error> {
        sessions::find(database, tokens, now).await
    }
}

/// The API key behind the public id of a secret.
impl Key for String {
    type Row = SecretRow;

    async fn read(database: &Database, public_ids: &[Self], _: Timestamp) -> Result<HashMap<Self, SecretRow>, Error> {
        api_keys::find_secrets(database, public_ids).await
    }
}

/// The person behind a provider's name of them.
impl Key for Subject {
    type Row = UserRow;

    async fn read(database: &Database, subjects: &[Self], _: Timestamp) -> Result<HashMap<Self, UserRow>, Error> {
        identities::find(database, subjects).await
    }
}

/// An organization, as somebody meets it.
impl Key for (OrganizationId, Option<UserId>) {
    type Row = OrganizationRow;

    async fn read(database: &Database, asked: &[Self], _: Timestamp) -> Result<HashMap<Self, OrganizationRow>, Error> {
        profile::find(database, asked).await
    }
}

/// What a credential may do in an organization, where it has access.
impl Key for Asked {
    type Row = Permissions;

    async fn read(database: &Database, asked: &[Self], now: Timestamp) -> Result<HashMap<Self, Permissions>, Error> {
        standings(database, asked, now).await
    }
}

/// The look-ups of a store.
#[derive(Clone)]
pub struct Lookups {
    /// Sessions, by the hash of their token.
    pub sessions: Lookup<SecretHash>,
    /// Secrets of API keys, by their public id.
    pub secrets: Lookup<String>,
    /// People, by an identity of theirs.
    pub identities: Lookup<Subject>,
    /// Organizations, with the membership of who asks.
    pub organizations: Lookup<(OrganizationId, Option<UserId>)>,
    /// What credentials may do, of those that something was opened with.
    pub standings: Lookup<Asked>,
}

impl Lookups {
    /// Starts them. Their tasks end with the last clone.
    pub fn start(database: &Database, clock: &Clock) -> Self {
        Self {
            sessions: Lookup::start(database.clone(), clock.clone()),
            secrets: Lookup::start(database.clone(), clock.clone()),
            identities: Lookup::start(database.clone(), clock.clone()),
            organizations: Lookup::start(database.clone(), clock.clone()),
            standings: Lookup::start(database.clone(), clock.clone()),
        }
    }
}

/// Look-ups of one kind.
#[derive(Clone)]
pub struct Lookup<K: Key>(mpsc::Sender<Waiting<K>>);

struct Waiting<K: Key> {
    key: K,
    answer: oneshot::Sender<Result<Option<K::Row>, Error>>,
}

impl<K: Key> Lookup<K> {
    fn start(database: Database, clock: Clock) -> Self {
        let (sender, mut waiting) = mpsc::channel(AT_ONCE);
        tokio::spawn(async move {
            let mut some = Vec::with_capacity(AT_ONCE);
            while waiting.recv_many(&mut some, AT_ONCE).await > 0 {
                let answered = AssertUnwindSafe(answer(&database, clock.now(), &mut some)).catch_unwind().await;
                if answered.is_err() {
                    some.clear();
                }
            }
        });
        Self(sender)
    }

    /// What is there by this key.
    pub async fn find(&self, key: K) -> Result<Option<K::Row>, Error> {
        let (answer, found) = oneshot::channel();
        in_time(async { self.0.send(Waiting { key, answer }).await.map_err(|_| Error::Stopped) }).await?;
        match in_time(async { Ok(found.await) }).await? {
            Ok(found) => found,
            Err(_) if self.0.is_closed() => Err(Error::Stopped),
            // A mistake of ours ends whoever waited for it, as if each had made it, and nobody after them.
            Err(_) => resume_unwind(Box::new("a look-up ended without an answer")),
        }
    }
}

/// Answers everybody who waits by one statement. Who has gone away meanwhile is not asked for.
async fn answer<K: Key>(database: &Database, now: Timestamp, waiting: &mut Vec<Waiting<K>>) {
    waiting.retain(|waiting| !waiting.answer.is_closed());
    let keys: HashSet<_> = waiting.iter().map(|waiting| waiting.key.clone()).collect();
    let mut keys: Vec<_> = keys.into_iter().collect();
    let Some(last) = keys.last().cloned() else { return };
    // Lists of eight lengths are eight statements that a connection has to keep prepared, not a hundred.
    keys.resize(keys.len().next_power_of_two(), last);
    match K::read(database, &keys, now).await {
        Ok(found) => {
            for Waiting { key, answer } in waiting.drain(..) {
                let _ = answer.send(Ok(found.get(&key).cloned()));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for Waiting { answer, .. } in waiting.drain(..) {
                let _ = answer.send(Err(Error::Shared(Arc::clone(&error))));
            }
        }
    }
}
