//! Wake-ups between servers that share a PostgreSQL database, so that a subscriber of one learns at once of what another
//! wrote. Each is a hint and nothing depends on it: what is lost is found by the poll, a second later at most.
//!
//! *Shape.* What was committed here is told by one NOTIFY for all organizations of the moment, outside of every append:
//! inside one, PostgreSQL has all commits wait for each other. *Limits.* One NOTIFY tells of [`AT_ONCE`] organizations, and
//! the next comes [`PAUSE`] later at the earliest.

use std::{collections::HashMap, time::Duration};

use sqlx::{
    Acquire as _, Connection as _,
    postgres::{PgListener, PgNotification},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{sleep, timeout},
};

use super::{
    Database, Store,
    connection::heard,
    feed::{Feed, POLL},
    in_time,
};
use crate::domain::OrganizationId;

/// How many organizations one notification names: PostgreSQL takes 8,000 bytes.
const AT_ONCE: usize = 128;
/// How long nothing is heard before the connection is asked whether it lives.
const QUIET: Duration = Duration::from_secs(10);
/// How long it has to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long news is gathered after a notification.
const PAUSE: Duration = Duration::from_millis(10);

/// Tells the other servers of what is committed here, for as long as there is a store. It does nothing on SQLite, which has
/// no other servers.
pub fn tell(store: Store) -> impl Future<Output = ()> {
    // What is committed before the first look counts, too.
    let news = store.feed.news();
    async move {
        if let Database::Postgres { .. } = store.database {
            tell_all(&store, news).await;
        }
    }
}

async fn tell_all(store: &Store, mut news: Receiver<(OrganizationId, u64)>) {
    while let Some(heads) = gather(&mut news).await {
        let heads: Vec<_> = heads.into_iter().collect();
        for some in heads.chunks(AT_ONCE) {
            if let Err(error) = in_time(store.database.notify(&payload(some))).await {
                tracing::warn!(?error, "other servers were not told of new events");
            }
        }
        sleep(PAUSE).await;
    }
}

/// The heads that there is news of; `None` at the end of the store.
async fn gather(news: &mut Receiver<(OrganizationId, u64)>) -> Option<HashMap<OrganizationId, u64>> {
    let mut heads = HashMap::new();
    // Commands of one organization tell of themselves in any order.
    let mut note = |(organization, version): (OrganizationId, u64)| {
        heads.entry(organization).and_modify(|known| *known = version.max(*known)).or_insert(version);
    };
    match news.recv().await {
        Ok(told) => note(told),
        Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => return None,
    }
    while let Ok(told) = news.try_recv() {
        note(told);
    }
    Some(heads)
}

fn payload(heads: &[(OrganizationId, u64)]) -> String {
    let told: Vec<_> = heads.iter().map(|(organization, version)| format!("{organization} {version}")).collect();
    told.join("\n")
}

/// Wakes who waits here for what other servers tell of. It ends at once on SQLite.
pub async fn listen(store: Store) {
    loop {
        match in_time(store.database.listener()).await {
            Ok(None) => return,
            Ok(Some(mut listener)) => {
                while let Ok(notification) = next(&mut listener).await {
                    if let Some(notification) = notification {
                        publish(&store.feed, notification.payload());
                    }
                }
                tracing::warn!("the connection that hears of other servers' events was lost");
            }
            Err(error) => tracing::warn!(?error, "other servers' events are not heard of"),
        }
        sleep(POLL).await;
    }
}

/// What is heard next, if anything is for a while. Then the connection is asked whether it lives: one that the network has
/// forgotten looks like one on which nothing is told.
async fn next(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    if let Ok(told) = timeout(QUIET, listener.recv()).await {
        return told.map(Some);
    }
    heard(PING_TIMEOUT, async { listener.acquire().await?.ping().await }).await.map(|()| None)
}

fn publish(feed: &Feed, payload: &str) {
    for line in payload.lines() {
        if let Some((organization, version)) = line.split_once(' ')
            && let (Ok(organization), Ok(version)) = (organization.parse(), version.parse())
        {
            feed.publish(OrganizationId(organization), version);
        }
    }
}
