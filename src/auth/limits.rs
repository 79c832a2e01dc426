//! How much a caller may ask for: the cost units of an API key, and the wrong keys that an address may show.
//!
//! *Shape.* GCRA, decided by `governor`: whoever has spent something owes it, and what is owed wears off at the rate of
//! the limit. All that is kept of a key is when it will owe nothing; a key that owes nothing is not kept at all. The
//! limit itself is not kept: it comes with the look-up that let the key in, so a changed one holds with the next
//! request, and what was spent before stays spent.
//!
//! *Limits.* Each instance counts for itself: with several of them a key may get its limit from each. Nobody is
//! counted over a restart. It never waits, and asks no database.

use std::{
    cell::Cell,
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use governor::{
    Quota, RateLimiter,
    clock::FakeRelativeClock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};

use super::Principal;
use crate::domain::{ApiKeyId, OrganizationId, Timestamp, organization::api_keys::RateLimit};

/// How many wrong keys an address may show, in a minute and at once.
const WRONG_KEYS: u32 = 30;
/// How many debtors are kept at most. Should there be more, all begin anew: a burst too many is better than no memory.
const DEBTORS: usize = 100_000;
/// How many debtors there are before those who have paid are looked for.
const FEW: usize = 1_000;

/// Where somebody stands under their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Cost units at once.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// When all of them are there again, if nothing is asked until then.
    pub reset_at: Timestamp,
    reset_after: u64,
}

impl Standing {
    /// The headers that say so: a name and whole seconds or units.
    pub fn headers(&self) -> [(&'static str, u64); 3] {
        [
            ("ratelimit-limit", self.limit.into()),
            ("ratelimit-remaining", self.remaining.into()),
            ("ratelimit-reset", self.reset_after),
        ]
    }
}

/// A request that costs more than there is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Exceeded {
    /// What it costs.
    pub cost: u32,
    /// Where the caller stands; nothing was taken.
    pub standing: Standing,
    /// In how many seconds it would pass, if nothing else is asked; never, where it costs more than the burst.
    pub retry_after: Option<u64>,
}

impl Exceeded {
    /// The headers of the refusal.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.standing.headers().into_iter().chain(self.retry_after.map(|seconds| ("retry-after", seconds)))
    }

    fn sentence(&self) -> String {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let Standing { limit, remaining, .. } = self.standing;
        let cost = counted(self.cost.into(), "unit");
        match self.retry_after {
            None => format!("This costs {cost}, and the key may spend at most {limit} at once."),
            Some(seconds) => {
                let wait = counted(seconds, "second");
                format!("This costs {cost}, and the key has {remaining} of {limit} now; try again in {wait}.")
            }
        }
    }
}

/// What keys and addresses have spent, shared by everything that serves requests.
#[derive(Clone, Debug, Default)]
pub struct Limits(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    keys: Debts<(OrganizationId, ApiKeyId)>,
    addresses: Debts<IpAddr>,
}

impl Limits {
    fn with<T>(&self, act: impl FnOnce(&mut Spent) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the cost of a request from a key that has a limit; people and other keys have none.
    ///
    /// # Errors
    /// When it costs more than is left, or more than there can ever be; then nothing is taken.
    pub fn admit(&self, principal: &Principal, cost: u32, now: Timestamp) -> Result<Option<Standing>, Exceeded> {
        match *principal {
            Principal::ApiKey { organization, api_key, rate_limit: Some(limit), .. } => {
                self.spend((organization, api_key), limit, cost, now).map(Some)
            }
            Principal::ApiKey { .. } | Principal::Anonymous | Principal::User { .. } => Ok(None),
        }
    }

    /// Takes units from a key.
    pub(super) fn spend(
        &self,
        key: (OrganizationId, ApiKeyId),
        limit: RateLimit,
        cost: u32,
        now: Timestamp,
    ) -> Result<Standing, Exceeded> {
        let quota = quota(limit.units_per_minute(), limit.burst());
        self.with(|spent| spent.keys.spend(key, quota, cost, now))
    }

    /// Whether an address may show another key; looking takes nothing.
    pub(super) fn may_show(&self, ip: Option<&str>, now: Timestamp) -> bool {
        let quota = quota(WRONG_KEYS, WRONG_KEYS);
        self.with(|spent| spent.addresses.decide(&network(ip), quota, 1, now).is_ok())
    }

    /// Notes that an address showed a wrong key.
    pub(super) fn showed_wrong(&self, ip: Option<&str>, now: Timestamp) {
        let quota = quota(WRONG_KEYS, WRONG_KEYS);
        // One more than there may be changes nothing.
        let _ = self.with(|spent| spent.addresses.spend(network(ip), quota, 1, now));
    }

    /// How many keys and addresses are kept in memory.
    pub fn kept(&self) -> usize {
        self.with(|spent| spent.keys.0.len() + spent.addresses.0.len())
    }
}

/// An address as it is counted: who has an IPv6 address has 2^64 of them.
fn network(ip: Option<&str>) -> IpAddr {
    match ip.and_then(|ip| ip.parse().ok()) {
        Some(IpAddr::V6(ip)) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        Some(ip) => ip,
        None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

fn quota(per_minute: u32, burst: u32) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst))
}

/// What somebody owes: until when, and at which limit.
#[derive(Clone, Copy, Debug)]
struct Debt {
    until: Timestamp,
    quota: Quota,
}

impl Debt {
    /// What is still owed now, in the time that it takes to wear off under a limit. It is never more than the whole
    /// burst, so that neither a lowered limit nor a clock that was set back locks a key out for longer than that.
    fn under(&self, quota: Quota, now: Timestamp) -> u64 {
        let owed = nanoseconds((self.until - now).to_std().unwrap_or_default());
        let units = |quota: Quota| u128::from(nanoseconds(quota.replenish_interval()));
        let owed = u128::from(owed) * units(quota) / units(self.quota).max(1);
        u64::try_from(owed).unwrap_or(u64::MAX).min(nanoseconds(quota.burst_size_replenished_in()))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Who owes something.
#[derive(Debug)]
struct Debts<K>(HashMap<K, Debt>, usize);

impl<K> Default for Debts<K> {
    fn default() -> Self {
        Self(HashMap::new(), FEW)
    }
}

/// What one debtor owes, as `governor` asks for it: counted from now, so that its clock can stand still.
struct Owed(Cell<Nanos>);

impl StateStore for Owed {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, owed) = decide(Some(self.0.get()))?;
        self.0.set(owed);
        Ok(answer)
    }
}

impl<K: Eq + Hash> Debts<K> {
    /// What a debtor would owe and where they would stand once they have spent so much.
    fn decide(&self, key: &K, quota: Quota, cost: u32, now: Timestamp) -> Result<(Debt, Standing), Exceeded> {
        let owed = self.0.get(key).map_or(0, |debt| debt.under(quota, now));
        let cost = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        let refused = |retry_after| Exceeded { cost: cost.get(), standing: standing(quota, owed, now), retry_after };
        // This comes first: what can never pass is not multiplied by anything.
        if cost > quota.burst_size() {
            return Err(refused(None));
        }
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(quota, Owed(Cell::new(owed.into())), clock);
        match limiter.check_n(cost) {
            Ok(Ok(())) => {
                let owed = limiter.into_state_store().0.get().as_u64();
                let until = now + TimeDelta::nanoseconds(i64::try_from(owed).unwrap_or(i64::MAX));
                Ok((Debt { until, quota }, standing(quota, owed, now)))
            }
            Ok(Err(not_yet)) => Err(refused(Some(seconds(nanoseconds(not_yet.wait_time_from(Nanos::default())))))),
            Err(_) => Err(refused(None)),
        }
    }

    fn spend(&mut self, key: K, quota: Quota, cost: u32, now: Timestamp) -> Result<Standing, Exceeded> {
        let (debt, standing) = self.decide(&key, quota, cost, now)?;
        self.forget_the_paid(now);
        self.0.insert(key, debt);
        Ok(standing)
    }

    /// Looking for them takes time in proportion to all, so it is done when there are twice as many as last time.
    fn forget_the_paid(&mut self, now: Timestamp) {
        let Self(debts, enough) = self;
        if debts.len() < *enough {
            return;
        }
        debts.retain(|_, debt| debt.until > now);
        if debts.len() >= DEBTORS {
            debts.clear();
        }
        *enough = (2 * debts.len()).clamp(FEW, DEBTORS);
    }
}

fn standing(quota: Quota, owed: u64, now: Timestamp) -> Standing {
    let whole = nanoseconds(quota.burst_size_replenished_in());
    let left = whole.saturating_sub(owed) / nanoseconds(quota.replenish_interval()).max(1);
    let reset_after = seconds(owed);
    let reset_at = now + TimeDelta::seconds(i64::try_from(reset_after).unwrap_or_default());
    let remaining = u32::try_from(left).unwrap_or(u32::MAX);
    Standing { limit: quota.burst_size().get(), remaining, reset_at, reset_after }
}

/// Whole seconds, rounded up.
const fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000)
}
