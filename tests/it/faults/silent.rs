//! A network that says nothing any more, and ends no connection.

use std::time::Duration;

use futures_util::future::join_all;
use orgledger::store::{Error, hot, ledger, verify, wakeups};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::proxy::{Failure, Proxy};
use crate::{
    store::world::{World, rename},
    support::databases::on_postgres,
};

/// The network says nothing any more while COMMITs are under way, and no connection ends: more of them than there are writers.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nothing_is_heard_of_holds_up_nobody_for_long() {
    on_postgres("a_commit_that_nothing_is_heard_of_holds_up_nobody_for_long", async |url| {
        let proxy = Proxy::before(url).await;
        let world = World::open(&proxy.url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        for round in 0..3 {
            proxy.arm(Failure::Silent, 0);
            let told = world.ask(acme, &ada, rename(&format!("Apex {round}"))).await;
            assert!(proxy.disarm() && matches!(told, Err(ledger::Failure::Store(_))), "{told:?}");
            world.act(acme, &ada, rename(&format!("Acme {round}"))).await;
        }
        assert_eq!(verify::verify(world.database()).await.unwrap().events, 2 + 3 * 2);
    })
    .await;
}

/// The network forgets all connections at once, and tells nobody: those in use, and those that wait for their next use.
/// Nothing is lost but what was under way.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_went_silent_are_replaced() {
    on_postgres("connections_that_went_silent_are_replaced", async |url| {
        let proxy = Proxy::before(url).await;
        let world = World::open(&proxy.url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        // More than there are connections; those that were used a moment ago are used again without a question.
        let many = || join_all((0..40).map(|_| hot::head(world.database(), acme)));
        for _ in 0..3 {
            assert!(many().await.iter().all(Result::is_ok));
        }
        proxy.silence();
        let told = many().await;
        assert!(told.iter().any(|told| matches!(told, Err(Error::Unavailable(_)))), "{told:?}");
        assert!(many().await.iter().all(Result::is_ok), "those that were in use");
        world.act(acme, &ada, rename("Apex")).await;

        sleep(Duration::from_millis(500)).await;
        proxy.silence();
        for name in ["Zenith", "Summit"] {
            assert!(many().await.iter().all(Result::is_ok), "those that were not");
            world.act(acme, &ada, rename(name)).await;
        }
        assert_eq!(verify::verify(world.database()).await.unwrap().events, 2 + 3);
    })
    .await;
}

/// The connection that hears of other servers' events is among those that are forgotten. Nobody polls here.
#[tokio::test(flavor = "multi_thread")]
async fn other_servers_are_heard_again_after_a_silence() {
    on_postgres("other_servers_are_heard_again_after_a_silence", async |url| {
        let proxy = Proxy::before(url).await;
        let one = World::open(url).await;
        let two = one.beside(&proxy.url).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(wakeups::tell(one.store.clone()));
        tasks.spawn(wakeups::listen(two.store.clone()));
        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let (mut head, mut version) = (two.store.feed.follow(acme), 2);
        for silent in [false, true] {
            if silent {
                proxy.silence();
            }
            let before = version;
            let hearing = async {
                loop {
                    version += 1;
                    one.act(acme, &ada, rename(&format!("Acme {version}"))).await;
                    let told = head.wait_for(|known| *known > before);
                    if let Ok(told) = timeout(Duration::from_millis(500), told).await {
                        assert!(*told.unwrap() <= version);
                        return;
                    }
                }
            };
            timeout(Duration::from_mins(1), hearing).await.expect("what the other server told of");
        }
    })
    .await;
}
