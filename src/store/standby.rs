//! A standby of PostgreSQL, which takes reads off the primary: it has replayed what was committed there up to a moment ago.
//!
//! *Shape.* Before anything is read of an organization, the standby is asked how far it has come. Where that is not far
//! enough, or there is no answer, the primary is read: nobody waits, and everybody is served.
//!
//! *Limits.* One that does not answer within [`PATIENCE`] is left alone for [`REST`]; then one request tries again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{error::Elapsed, timeout};

use super::{Database, Error, database::Pooling, hot, statement::Statement};
use crate::domain::OrganizationId;

/// How long it may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long it is left alone when it did not.
const REST: Duration = Duration::from_secs(5);

/// A standby, which may be away.
#[derive(Debug)]
pub struct Standby {
    database: Database,
    /// When it is asked again, where it did not answer the last time.
    away_until: Mutex<Option<Instant>>,
}

impl Standby {
    /// The standby at a URL of PostgreSQL. Nothing is connected yet: it need not be there when a server starts.
    ///
    /// # Errors
    /// A URL that is not one of PostgreSQL.
    pub fn at(url: &str, pooling: Pooling) -> Result<Self, Error> {
        Ok(Self { database: Database::standby(url, pooling, PATIENCE)?, away_until: Mutex::default() })
    }

    /// Asks it once, so that the log says if it does not answer.
    pub async fn greet(&self) {
        let answer = timeout(PATIENCE, Statement::new("SELECT COUNT(*)").count(&self.database)).await;
        self.note(answered(answer).err().as_ref());
    }

    /// Where to read an organization, if the standby answers and knows it up to this sequence.
    pub async fn reader(&self, organization: OrganizationId, at_least: u64) -> Option<&Database> {
        if !self.may_be_asked() {
            return None;
        }
        let answer = answered(timeout(PATIENCE, hot::head(&self.database, organization)).await);
        self.note(answer.as_ref().err());
        let head = answer.ok()??;
        (head.version >= at_least).then_some(&self.database)
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.database.close().await;
    }

    fn may_be_asked(&self) -> bool {
        let mut away = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *away {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // This request tries, and the others do not wait for what becomes of it.
                *away = Some(Instant::now() + REST);
                true
            }
            None => true,
        }
    }

    /// Remembers whether it answered, and tells of it when that is new.
    fn note(&self, failure: Option<&Error>) {
        let mut away = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(error) if away.is_none() => {
                let error = error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "the standby does not answer: everything is read from the primary");
            }
            None if away.is_some() => tracing::info!("the standby answers again"),
            _ => {}
        }
        *away = failure.map(|_| Instant::now() + REST);
    }
}

/// What it answered, or that it did not in time.
fn answered<T>(answer: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
    answer.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}
