//! When sessions and keys were last used: noted in memory, written in batches by [`Usage::flush`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;

use crate::{
    domain::{ApiKeyId, OrganizationId, SessionId, Timestamp},
    store::{self, Store, api_keys, sessions},
};

/// How often what was noted is written; the specification asks for a minute at most.
pub const FLUSH_EVERY: Duration = Duration::from_secs(20);
/// How old a session's last use may be before it is noted again.
const SESSION_PRECISION: TimeDelta = TimeDelta::minutes(1);
/// How many keys one statement writes: three values each, far below what either database takes.
const BATCH: usize = 500;

#[derive(Debug, Default)]
struct Noted {
    api_keys: HashMap<(OrganizationId, ApiKeyId), Timestamp>,
    sessions: HashMap<SessionId, Timestamp>,
}

/// What was used since the last flush.
#[derive(Clone, Debug, Default)]
pub struct Usage(Arc<Mutex<Noted>>);

impl Usage {
    fn with<T>(&self, act: impl FnOnce(&mut Noted) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a use of a key.
    pub fn key_used(&self, organization: OrganizationId, api_key: ApiKeyId, now: Timestamp) {
        self.with(|noted| noted.api_keys.insert((organization, api_key), now));
    }

    /// Notes a use of a session, if its last one was a while ago.
    pub fn session_used(&self, session: SessionId, last_seen: Timestamp, now: Timestamp) {
        if now - last_seen >= SESSION_PRECISION {
            self.with(|noted| noted.sessions.insert(session, now));
        }
    }

    /// Writes what was noted. What cannot be written is lost: it is a convenience, not a record.
    pub async fn flush(&self, store: &Store) -> Result<(), store::Error> {
        let Noted { api_keys, sessions } = self.with(std::mem::take);
        let used: Vec<_> = api_keys.into_iter().map(|((organization, key), at)| (organization, key, at)).collect();
        for some in used.chunks(BATCH) {
            api_keys::note_usage(&store.database, some.to_vec()).await?;
        }
        let seen: Vec<_> = sessions.into_iter().collect();
        for some in seen.chunks(BATCH) {
            sessions::note_seen(&store.database, some.to_vec()).await?;
        }
        Ok(())
    }
}
