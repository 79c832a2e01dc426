//! What is asked of the provider: where its keys are, and its keys. They are kept for as long as they are young, asked
//! for again when a token names one that is not among them, and used on for a day while the provider is down.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::TimeDelta;
use jsonwebtoken::Header;
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::keys::{KeySet, Keys};
use crate::{auth::Error, domain::Timestamp};

/// How old keys may be before they are asked for again.
const YOUNG: TimeDelta = TimeDelta::hours(1);
/// How old keys may be at all, if the provider does not answer.
const OLDEST: TimeDelta = TimeDelta::hours(24);
/// How long nothing is asked after the provider was, whatever tokens name.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// How long the provider may take for both of its answers.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The largest answer of the provider, in bytes.
const SIZE_LIMIT: usize = 256 * 1024;

/// Why an issuer or an audience cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The issuer is not an address.
    #[error("the issuer has to be an https address without query, or http on this machine")]
    Issuer,
    /// There is no audience.
    #[error("the audience is empty")]
    Audience,
    /// No client could be made.
    #[error("no HTTP client could be made")]
    Client(#[from] reqwest::Error),
}

/// Why keys were not read. It is for the log.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the request failed")]
    Http(#[from] reqwest::Error),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer came too late")]
    TooLate,
    #[error("the answer is not what it has to be")]
    Json(#[from] serde_json::Error),
    #[error("the provider calls itself by another issuer")]
    OtherIssuer,
    #[error("the address of the keys is not a safe one")]
    Address,
}

/// A provider, and what is known of its keys.
pub(super) struct Provider {
    issuer: String,
    configuration: Url,
    client: Client,
    known: RwLock<Option<Arc<Known>>>,
    /// The last time that the provider was asked. Who holds it is the only one who asks.
    asked: Arc<Mutex<Option<Asked>>>,
}

struct Known {
    keys: Arc<Keys>,
    read_at: Timestamp,
}

struct Asked {
    at: Timestamp,
    answered: bool,
}

/// What the provider says of itself; everything else it says is not needed.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub fn new(issuer: &str) -> Result<Self, SettingsError> {
        let configuration = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let safe = Url::parse(issuer).is_ok_and(|url| is_safe(&url, &url) && url.query().is_none());
        let configuration = Url::parse(&configuration).ok().filter(|_| safe).ok_or(SettingsError::Issuer)?;
        let mut client =
            Client::builder().user_agent(concat!("orgledger/", env!("CARGO_PKG_VERSION"))).redirect(Policy::none());
        if is_local(&configuration) {
            client = client.no_proxy();
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            configuration,
            client: client.build()?,
            known: RwLock::default(),
            asked: Arc::default(),
        })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys, among them one that may have signed a token with this header.
    pub async fn keys_for(self: &Arc<Self>, header: &Header, now: Timestamp) -> Result<Arc<Keys>, Error> {
        let found = self.known(now).filter(|known| known.keys.have_one_for(header));
        let answered = match &found {
            Some(known) if now - known.read_at < YOUNG => true,
            // One request looks whether the key is still there; the others go on with it.
            Some(_) => match Arc::clone(&self.asked).try_lock_owned() {
                Ok(turn) => self.ask(turn, now).await,
                Err(_) => true,
            },
            None => self.ask(Arc::clone(&self.asked).lock_owned().await, now).await,
        };
        match self.known(now) {
            Some(known) if known.keys.have_one_for(header) => Ok(Arc::clone(&known.keys)),
            Some(_) if answered => Err(Error::Invalid),
            _ => Err(Error::Provider),
        }
    }

    /// The keys that were read last, unless that is too long ago.
    fn known(&self, now: Timestamp) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| now - known.read_at < OLDEST)
    }

    /// Asks for the keys, unless that was done a moment ago; tells whether the provider answered. It goes on if the
    /// request that began it is given up, so that nobody keeps the others from an answer by hanging up.
    async fn ask(self: &Arc<Self>, mut turn: OwnedMutexGuard<Option<Asked>>, now: Timestamp) -> bool {
        if let Some(asked) = &*turn
            && (now - asked.at).abs() < PAUSE
        {
            return asked.answered;
        }
        let provider = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let fetched = tokio::time::timeout(TIME_LIMIT, provider.fetch()).await.unwrap_or(Err(Fault::TooLate));
            let answered = fetched.is_ok();
            match fetched {
                Ok(keys) => {
                    let known = Known { keys: Arc::new(keys), read_at: now };
                    *provider.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
                }
                Err(error) => {
                    tracing::warn!(issuer = provider.issuer, ?error, "the identity provider's keys were not read");
                }
            }
            *turn = Some(Asked { at: now, answered });
            answered
        });
        asking.await.unwrap_or(false)
    }

    async fn fetch(&self) -> Result<Keys, Fault> {
        let configuration: Configuration = self.get(self.configuration.clone()).await?;
        if configuration.issuer != self.issuer {
            return Err(Fault::OtherIssuer);
        }
        let keys = Url::parse(&configuration.jwks_uri).ok().filter(|url| is_safe(url, &self.configuration));
        let set: KeySet = self.get(keys.ok_or(Fault::Address)?).await?;
        Ok(set.into())
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, Fault> {
        let mut response = self.client.get(url).header("accept", "application/json").send().await?;
        if response.status() != StatusCode::OK {
            return Err(Fault::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            if body.len() + part.len() > SIZE_LIMIT {
                return Err(Fault::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Whether nobody on the way can change what comes from an address: it is encrypted, or like its issuer on this machine.
fn is_safe(url: &Url, issuer: &Url) -> bool {
    let nobody_between = url.scheme() == "https" || (url.scheme() == "http" && is_local(url) && is_local(issuer));
    nobody_between && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
