//! Watches the access that open subscriptions stand on: twice a second, all of them in one statement a kind of
//! credential. Whoever watches is told when there is none any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{Principal, Proof};
use crate::{
    domain::{OrganizationId, organization::Permissions},
    store::{
        self, Store,
        standing::{Asked, Credential, standings},
    },
};

/// How often access is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The access that is watched: what each credential may do in an organization, or none.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<HashMap<Asked, watch::Sender<Option<Permissions>>>>>);

/// The credential behind a principal; none, where nobody has signed in.
pub const fn credential(principal: &Principal) -> Option<Credential> {
    match principal {
        Principal::Anonymous => None,
        Principal::User { proof: Proof::Session(session), .. } => Some(Credential::Session(*session)),
        Principal::User { user, proof: Proof::Token { expires_at } } => {
            Some(Credential::Token { user: *user, expires_at: *expires_at })
        }
        Principal::ApiKey { api_key, secret, .. } => Some(Credential::ApiKey { api_key: *api_key, secret: *secret }),
    }
}

impl Watch {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Asked, watch::Sender<Option<Permissions>>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Watches what a credential may do in an organization, from what it may do now.
    pub fn follow(
        &self,
        credential: Credential,
        organization: OrganizationId,
        now: Permissions,
    ) -> watch::Receiver<Option<Permissions>> {
        self.with(|watched| {
            let standing = watched.entry((credential, organization)).or_insert_with(|| watch::channel(None).0);
            standing.send_if_modified(|known| known.replace(now) != Some(now));
            standing.subscribe()
        })
    }

    /// Looks again and again, until the task is dropped.
    pub async fn run(self, store: Store) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look(&store).await {
                tracing::warn!(?error, "the access of subscriptions was not looked at");
            }
        }
    }

    /// Looks at everything that is watched, and forgets what nobody watches any more.
    pub async fn look(&self, store: &Store) -> Result<(), store::Error> {
        let asked: Vec<_> = self.with(|watched| {
            watched.retain(|_, standing| standing.receiver_count() > 0);
            watched.keys().copied().collect()
        });
        let found = standings(&store.database, &asked, store.now()).await?;
        self.with(|watched| {
            for asked in asked {
                if let Some(standing) = watched.get(&asked) {
                    let now = found.get(&asked).copied();
                    standing.send_if_modified(|known| std::mem::replace(known, now) != now);
                }
            }
        });
        Ok(())
    }
}

/// What a credential may do in an organization at this moment; none, where it has no access any more. What is asked at one
/// moment is looked up together.
pub async fn standing(
    store: &Store,
    credential: Credential,
    organization: OrganizationId,
) -> Result<Option<Permissions>, store::Error> {
    store.lookups.standings.find((credential, organization)).await
}
