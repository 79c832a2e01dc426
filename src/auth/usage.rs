//! When sessions and keys were last used: noted in memory, written in batches by [`Usage::flush`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;

use crate::{
    domain::{ApiKeyId, OrganizationId, SessionId, Timestamp},
    store::{
        self, Store, api_keys,
        append::Origin,
        sessions::{self, Seen, SessionRow},
    },
};

/// How often what was noted is written; the specification asks for a minute at most.
pub const FLUSH_EVERY: Duration = Duration::from_secs(20);
/// How old a session's last use may be before it is noted again.
const SESSION_PRECISION: TimeDelta = TimeDelta::minutes(1);
/// How many uses one statement writes: four values each, far below what either database takes.
const BATCH: usize = 500;

#[derive(Debug, Default)]
struct Noted {
    api_keys: HashMap<(OrganizationId, ApiKeyId), Timestamp>,
    sessions: HashMap<SessionId, Seen>,
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

    /// Notes a use of a session, if its last one was a while ago or from elsewhere.
    pub fn session_used(&self, session: &SessionRow, origin: &Origin, now: Timestamp) {
        let elsewhere = session.ip != origin.ip || session.user_agent != origin.user_agent;
        if elsewhere || now - session.last_seen_at >= SESSION_PRECISION {
            let id = SessionId(session.session_id);
            let seen = Seen { session: id, at: now, ip: origin.ip.clone(), user_agent: origin.user_agent.clone() };
            self.with(|noted| noted.sessions.insert(id, seen));
        }
    }

    /// Writes what was noted. What cannot be written is lost: it is a convenience, not a record.
    pub async fn flush(&self, store: &Store) -> Result<(), store::Error> {
        let Noted { api_keys, sessions } = self.with(std::mem::take);
        let used: Vec<_> = api_keys.into_iter().map(|((organization, key), at)| (organization, key, at)).collect();
        for some in used.chunks(BATCH) {
            api_keys::note_usage(&store.database, some.to_vec()).await?;
        }
        let seen: Vec<_> = sessions.into_values().collect();
        for some in seen.chunks(BATCH) {
            sessions::note_seen(&store.database, some).await?;
        }
        Ok(())
    }
}
