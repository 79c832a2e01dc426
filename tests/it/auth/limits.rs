//! Rate limits as such: what passes, what has to wait and for how long, and what is kept in memory.

use chrono::TimeDelta;
use orgledger::{
    auth::{
        Principal, Proof,
        limits::{Exceeded, Limits, Standing},
    },
    domain::{
        ApiKeyId, OrganizationId, SessionId, Timestamp, UserId,
        organization::{Permissions, api_keys::RateLimit},
    },
    secrets::SecretHash,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Keys of one server, and its time.
#[derive(Default)]
struct Gate {
    limits: Limits,
    now: Timestamp,
}

/// Key number so and so, with a limit.
fn key(number: u128, limit: (i64, i64)) -> Principal {
    Principal::ApiKey {
        organization: OrganizationId(Uuid::from_u128(1)),
        api_key: ApiKeyId(Uuid::from_u128(number)),
        secret: SecretHash::from_column(vec![0; 32]).unwrap(),
        permissions: Permissions::NONE,
        rate_limit: Some(RateLimit::new(limit.0, limit.1).unwrap()),
    }
}

impl Gate {
    fn ask(&self, principal: &Principal, cost: u32) -> Result<Standing, Exceeded> {
        self.limits.admit(principal, cost, self.now).map(|standing| standing.expect("a limit"))
    }

    /// What is left after a request that passes.
    fn left(&self, principal: &Principal, cost: u32) -> u32 {
        self.ask(principal, cost).unwrap().remaining
    }

    /// In how many seconds a refused request would pass.
    fn wait(&self, principal: &Principal, cost: u32) -> Option<u64> {
        self.ask(principal, cost).unwrap_err().retry_after
    }

    fn pass(&mut self, time: TimeDelta) {
        self.now += time;
    }
}

const SECOND: TimeDelta = TimeDelta::seconds(1);

#[test]
fn the_burst_passes_at_once_and_then_as_much_as_wears_off() {
    let (mut gate, agent) = (Gate::default(), key(1, (60, 10)));
    let left: Vec<_> = (0..10).map(|_| gate.left(&agent, 1)).collect();
    assert_eq!(left, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(gate.wait(&agent, 1), Some(1));
    gate.pass(SECOND - TimeDelta::microseconds(1));
    assert_eq!(gate.wait(&agent, 1), Some(1), "rounded up");
    gate.pass(TimeDelta::microseconds(1));
    assert_eq!(gate.left(&agent, 1), 0);
    assert_eq!(gate.wait(&agent, 1), Some(1));
    gate.pass(TimeDelta::hours(1));
    assert_eq!(gate.left(&agent, 1), 9, "the whole burst, and no more");
}

#[test]
fn a_request_passes_whole_or_takes_nothing() {
    let (gate, agent) = (Gate::default(), key(1, (60, 10)));
    assert_eq!(gate.left(&agent, 6), 4);
    let refused = gate.ask(&agent, 7).unwrap_err();
    assert_eq!((refused.cost, refused.standing.remaining, refused.retry_after), (7, 4, Some(3)));
    assert_eq!(refused.to_string(), "This costs 7 units, and the key has 4 of 10 now; try again in 3 seconds.");
    assert_eq!(gate.left(&agent, 4), 0);
}

#[test]
fn what_costs_more_than_the_burst_never_passes_and_says_so() {
    let (gate, agent) = (Gate::default(), key(1, (60, 10)));
    for cost in [11, 1_000_000, u32::MAX] {
        let refused = gate.ask(&agent, cost).unwrap_err();
        assert_eq!((refused.cost, refused.standing.limit, refused.retry_after), (cost, 10, None));
        assert!(refused.headers().all(|(name, _)| name != "retry-after"), "waiting does not help");
    }
    let refused = gate.ask(&agent, 11).unwrap_err();
    assert_eq!(refused.to_string(), "This costs 11 units, and the key may spend at most 10 at once.");
    assert_eq!(gate.left(&agent, 10), 0, "nothing was taken");
}

#[test]
fn headers_are_whole_units_and_seconds_rounded_up() {
    let (mut gate, agent) = (Gate::default(), key(1, (40, 10)));
    let standing = gate.ask(&agent, 3).unwrap();
    assert_eq!(standing.headers(), [("ratelimit-limit", 10), ("ratelimit-remaining", 7), ("ratelimit-reset", 5)]);
    assert_eq!(standing.reset_at, gate.now + TimeDelta::seconds(5));
    gate.pass(TimeDelta::milliseconds(700));
    let refused = gate.ask(&agent, 9).unwrap_err();
    let headers: Vec<_> = refused.headers().collect();
    assert_eq!(
        headers,
        [("ratelimit-limit", 10), ("ratelimit-remaining", 7), ("ratelimit-reset", 4), ("retry-after", 3)]
    );
}

#[test]
fn a_changed_limit_holds_with_the_next_request_and_what_was_spent_stays_spent() {
    let mut gate = Gate::default();
    assert_eq!(gate.left(&key(1, (6, 10)), 10), 0);
    assert_eq!(gate.left(&key(1, (600, 100)), 1), 89, "raised: ten of a hundred are spent");
    gate.pass(SECOND);
    assert_eq!(gate.left(&key(1, (600, 100)), 1), 98, "and wear off at the new rate");
    assert_eq!(gate.left(&key(2, (60, 100)), 50), 50);
    assert_eq!(gate.wait(&key(2, (6, 10)), 1), Some(10), "lowered: the whole burst is spent, and never more");
}

#[test]
fn keys_are_counted_apart_and_who_has_no_limit_is_not_counted() {
    let gate = Gate::default();
    assert_eq!(gate.left(&key(1, (60, 1)), 1), 0);
    assert_eq!(gate.left(&key(2, (60, 1)), 1), 0);
    let Principal::ApiKey { api_key, secret, permissions, rate_limit, .. } = key(1, (60, 1)) else { unreachable!() };
    let organization = OrganizationId(Uuid::from_u128(2));
    assert_eq!(gate.left(&Principal::ApiKey { organization, api_key, secret, permissions, rate_limit }, 1), 0);
    let (user, session) = (UserId(Uuid::nil()), SessionId(Uuid::nil()));
    let unlimited = Principal::ApiKey { organization, api_key, secret, permissions, rate_limit: None };
    for principal in [Principal::Anonymous, Principal::User { user, proof: Proof::Session(session) }, unlimited] {
        assert_eq!(gate.limits.admit(&principal, u32::MAX, gate.now), Ok(None), "{principal:?}");
    }
    assert_eq!(gate.limits.kept(), 3);
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_burst() {
    let (mut gate, agent) = (Gate::default(), key(1, (60, 10)));
    assert_eq!(gate.left(&agent, 10), 0);
    gate.pass(-TimeDelta::days(1));
    assert_eq!(gate.wait(&agent, 1), Some(1));
    assert_eq!(gate.wait(&agent, 10), Some(10));
}

#[test]
fn who_has_paid_is_forgotten() {
    let mut gate = Gate::default();
    for round in 0..30 {
        for number in 0..3_000 {
            gate.left(&key(round * 3_000 + number, (60, 10)), 1);
        }
        gate.pass(TimeDelta::minutes(1));
    }
    assert!(gate.limits.kept() <= 8_000, "{} of 90,000 keys are kept", gate.limits.kept());
}

#[test]
fn memory_is_bounded_even_where_nobody_pays() {
    let gate = Gate::default();
    for number in 0..250_000 {
        gate.left(&key(number, (1, 1_000_000)), 1_000_000);
    }
    assert!(gate.limits.kept() <= 100_000, "{}", gate.limits.kept());
}

proptest! {
    /// Whatever is asked, no more passes than the burst and what wore off; and who waits as long as they are told
    /// gets in.
    #[test]
    fn no_more_passes_than_the_limit_allows(
        (rate, burst) in (1..2_000_i64, 1..50_i64),
        asked in prop::collection::vec((0..5_000_i64, 1..60_u32), 1..60),
    ) {
        let (mut gate, agent) = (Gate::default(), key(1, (rate, burst)));
        let (begin, mut passed) = (gate.now, 0);
        for (wait, cost) in asked {
            gate.pass(TimeDelta::milliseconds(wait));
            match gate.ask(&agent, cost) {
                Ok(_) => passed += i64::from(cost),
                Err(Exceeded { retry_after: None, .. }) => prop_assert!(i64::from(cost) > burst),
                Err(Exceeded { retry_after: Some(seconds), .. }) => {
                    gate.pass(TimeDelta::seconds(i64::try_from(seconds).unwrap()));
                    prop_assert!(gate.ask(&agent, cost).is_ok());
                    passed += i64::from(cost);
                }
            }
            let wore_off = (gate.now - begin).num_milliseconds() * rate / 60_000;
            prop_assert!(passed <= burst + wore_off + 1, "{passed} of {burst} and {wore_off}");
        }
    }
}
