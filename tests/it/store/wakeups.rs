//! Servers on one database wake each other's subscribers.

use std::time::Duration;

use orgledger::store::{statement::Statement, wakeups};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};

use super::world::{World, rename};
use crate::support::databases::on_postgres;

/// Nobody polls here: what is heard was told.
#[tokio::test]
async fn what_one_server_commits_another_hears_of() {
    on_postgres(concat!(module_path!(), "::what_one_server_commits_another_hears_of"), async |url| {
        let one = World::open(url).await;
        let two = one.beside(url).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(wakeups::tell(one.store.clone()));
        tasks.spawn(wakeups::listen(two.store.clone()));
        let listening = async {
            let text = "SELECT COUNT(*) FROM pg_stat_activity \
                        WHERE query = 'LISTEN \"orgledger_' || MD5(CURRENT_SCHEMA()) || '\"'";
            while Statement::new(text).count(one.database()).await.unwrap() == 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), listening).await.expect("one connection listens");

        let ada = one.person("ada@example.com").await;
        let acme = one.organization(&ada, "Acme").await;
        let apex = one.organization(&ada, "Apex").await;
        let mut heads = [acme, apex].map(|organization| two.store.feed.follow(organization));
        for organization in [acme, apex] {
            one.act(organization, &ada, rename("Zenith")).await;
        }
        for head in &mut heads {
            timeout(Duration::from_secs(30), head.wait_for(|version| *version == 3)).await.unwrap().unwrap();
        }
    })
    .await;
}
