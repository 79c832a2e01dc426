//! The writers: tasks that append what commands have decided, everything that waits in one transaction.
//!
//! *Shape.* SQLite has one, PostgreSQL two. All commands of an organization go to the same, in the order they were decided.
//! While a transaction is under way, the next group gathers.
//!
//! *Promises.* What was given is told of once: written, or not, or not known. A command that fails fails no other.
//!
//! *Limits.* A transaction writes [`AT_ONCE`] commands, and [`WAITING`] wait for it; who has another waits to give it.

use std::{io, iter, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::{
    Database, Error,
    append::{self, Append, Held},
    database::is_lost,
    in_time,
};

const WAITING: usize = 1024;
/// How many commands one transaction writes.
const AT_ONCE: usize = 128;

/// Who writes; see the module. They end with the last of these.
#[derive(Clone)]
pub(super) struct Writers(Arc<[mpsc::Sender<Job>]>);

impl Writers {
    /// Starts them.
    pub(super) fn start(database: &Database) -> Self {
        let writer = |_| {
            let (writer, jobs) = mpsc::channel(WAITING);
            tokio::spawn(write(database.clone(), jobs));
            writer
        };
        Self((0..database.appenders()).map(writer).collect())
    }

    /// Gives one of them a command, and says where it will be told what became of it.
    pub(super) async fn give(&self, append: Append) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let place = append.organization.0.as_u128() % (self.0.len() as u128);
        let writer = self.0.get(place as usize).ok_or(Error::Stopped)?;
        let (done, result) = oneshot::channel();
        writer.send(Job { append, done }).await.map_err(|_| Error::Stopped)?;
        Ok(result)
    }
}

/// An append that waits for the writer.
struct Job {
    append: Append,
    done: oneshot::Sender<Result<(), Error>>,
}

/// Writes what waits until nobody can give any more.
async fn write(database: Database, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(AT_ONCE);
    while jobs.recv_many(&mut group, AT_ONCE).await > 0 {
        // A mistake of ours ends who waited for it, as a command that failed, and nobody after them.
        let _ = AssertUnwindSafe(write_group(&database, std::mem::take(&mut group))).catch_unwind().await;
    }
}

/// Writes a group. Where a head did not move, somebody may only have held it for a moment, to keep a refusal or a snapshot:
/// what would have moved it waits for it, and nobody else with it. What cannot be written then either is decided again.
async fn write_group(database: &Database, group: Vec<Job>) {
    let unmoved = write_jobs(database, group).await;
    if !unmoved.is_empty() {
        let result = commit(database, &unmoved, Held::Awaited).await;
        let unmoved = if may_be_of_one(&result) { unmoved } else { tell(unmoved, result) };
        tell(unmoved, Err(Error::Conflict));
    }
}

/// Writes what it can, and tells what became of it; gives back those whose heads did not move.
async fn write_jobs(database: &Database, group: Vec<Job>) -> Vec<Job> {
    let result = commit(database, &group, Held::PassedOver).await;
    if group.len() == 1 || !may_be_of_one(&result) {
        return tell(group, result);
    }
    // One that fails does not fail its neighbours.
    let mut unmoved = Vec::new();
    let mut jobs = group.into_iter();
    while let Some(job) = jobs.next() {
        let result = commit(database, std::slice::from_ref(&job), Held::PassedOver).await;
        if result.is_err() && !may_be_of_one(&result) {
            tell(iter::once(job).chain(jobs).collect(), result);
            break;
        }
        unmoved.extend(tell(vec![job], result));
    }
    unmoved
}

/// Whether a failure may be that of one command: the database has said no, and nothing is written. Where it was not
/// heard, trying again would keep everybody waiting for a database that is gone, and whether a COMMIT was done is not
/// known: who is decided again after their own command finds it in their way.
const fn may_be_of_one<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(sqlx::Error::Database(_)) | Error::Conflict | Error::Corrupt { .. }))
}

/// Tells each what became of it, and gives back those that were not written. Whoever asked may have given up; what was
/// committed stays committed.
fn tell(group: Vec<Job>, result: Result<Vec<bool>, Error>) -> Vec<Job> {
    let mut unwritten = Vec::new();
    match result {
        Ok(written) => {
            for (job, written) in group.into_iter().zip(written) {
                if written {
                    let _ = job.done.send(Ok(()));
                } else {
                    unwritten.push(job);
                }
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for job in group {
                let _ = job.done.send(Err(match &*error {
                    Error::Conflict => Error::Conflict,
                    _ => Error::Shared(Arc::clone(&error)),
                }));
            }
        }
    }
    unwritten
}

/// Appends in one transaction, and says of each whether it was written. A database that says nothing any more is not waited
/// for longer than whoever asked waits.
async fn commit(database: &Database, group: &[Job], held: Held) -> Result<Vec<bool>, Error> {
    let appends: Vec<_> = group.iter().map(|job| &job.append).collect();
    in_time(async {
        let mut transaction = database.begin_append().await?;
        let written = append::run(&mut transaction, &appends, held).await?;
        match transaction.commit().await {
            // Whoever says that the connection is lost, a pooler too, did not hear how the COMMIT ended.
            Err(Error::Unavailable(error)) if is_lost(&error) => {
                Err(Error::Unavailable(sqlx::Error::Io(io::Error::other(error))))
            }
            done => done.map(|()| written),
        }
    })
    .await
}
