//! A database that fails in every statement. Whatever fails, an answer tells nothing of what is inside, nothing is
//! half-written, and the next request is served as if nothing had been.
//!
//! [`life`] is a list of requests that together reach every statement of queries, mutations, subscriptions, pages and
//! logos. [`trial`] sends each of them again and again, and has another statement fail each time, until none is left.

mod batch;
mod interrupts;
mod life;
mod once;
mod proxy;
mod silent;
mod sqlite;
mod stopped;
mod trial;

use orgledger::store::{Database, hot};

use self::{
    interrupts::Interrupts,
    proxy::{Failure, Proxy},
    trial::{Faults, Trial},
};
use crate::{
    graphql::server::Server,
    store::world::{World, rename},
    support::databases::{on_postgres, on_sqlite},
};

/// How many different statements the requests send at least, and how many answers are failures. It falls when requests
/// are lost from the list; then it is too short.
const STATEMENTS: usize = 100;
const FAILURES: usize = 200;

/// Whatever fails in it, a link or an address that is good once can be used until it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_once_is_used_up_by_nothing_that_failed_on_postgres() {
    for failure in [Failure::Refused, Failure::CutOff] {
        on_postgres("what_is_good_once_is_used_up_by_nothing_that_failed_on_postgres", async |url| {
            let proxy = Proxy::before(url).await;
            let server = Server::start(&proxy.url).await;
            let beside = Database::connect(url).await.unwrap();
            once::use_up(&Trial::new(&server, beside, Faults::Statements(&proxy, failure))).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_once_is_used_up_by_nothing_that_failed_on_sqlite() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let beside = Database::connect(url).await.unwrap();
        let interrupts = Interrupts::of(&server.store.database);
        once::use_up(&Trial::new(&server, beside, Faults::Steps(&interrupts))).await;
    })
    .await;
}

/// Each statement of transactions that write many commands fails: of many organizations, and of one.
#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_transaction_are_done_once_or_not_at_all_on_postgres() {
    for failure in [Failure::Refused, Failure::CutOff, Failure::Unanswered, Failure::LostBehindPooler] {
        on_postgres("commands_of_one_transaction_are_done_once_or_not_at_all_on_postgres", async |url| {
            let proxy = Proxy::before(url).await;
            let world = World::open(&proxy.url).await;
            let beside = Database::connect(url).await.unwrap();
            let faults = Faults::Statements(&proxy, failure);
            batch::fail_many(&world, &beside, &faults, 1).await;
            batch::fail_one(&world, &beside, &faults, 1).await;
            let (organizations, changes) = batch::largest(&beside).await;
            assert!(organizations > 1 && changes > 1, "no transaction has written several commands");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_transaction_are_done_once_or_not_at_all_on_sqlite() {
    on_sqlite(async |url| {
        let world = World::open(url).await;
        let beside = Database::connect(url).await.unwrap();
        let interrupts = Interrupts::of(world.database());
        batch::fail_many(&world, &beside, &Faults::Steps(&interrupts), 4).await;
        batch::fail_one(&world, &beside, &Faults::Steps(&interrupts), 4).await;
    })
    .await;
}

/// Lives a life behind a proxy; tells what the proxy saw.
async fn live_behind_a_proxy(url: &str, failure: Failure) -> (usize, Vec<String>) {
    let proxy = Proxy::before(url).await;
    let server = Server::start(&proxy.url).await;
    let beside = Database::connect(url).await.unwrap();
    let trial = Trial::new(&server, beside.clone(), Faults::Statements(&proxy, failure));
    life::live(&trial).await;
    let told = proxy.told();
    println!("{} statements failed, and {} answers", told.0, trial.failures());
    assert!(failure == Failure::Unanswered || told.0 >= STATEMENTS && trial.failures() >= FAILURES);
    server.store.database.close().await;
    beside.close().await;
    told
}

/// Each statement is answered with an error whose words must not come out.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_postgresql_is_told_to_nobody_whichever_statement_it_answers() {
    on_postgres("an_error_of_postgresql_is_told_to_nobody_whichever_statement_it_answers", async |url| {
        let (_, never) = live_behind_a_proxy(url, Failure::Refused).await;
        assert!(never.is_empty(), "these never failed: {never:#?}");
    })
    .await;
}

/// Each statement finds its connection gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_off_costs_one_request_at_most() {
    on_postgres("a_connection_that_is_cut_off_costs_one_request_at_most", async |url| {
        live_behind_a_proxy(url, Failure::CutOff).await;
    })
    .await;
}

/// A connection that ended unnoticed, a moment after it was used, is not the next one's misfortune.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ended_unnoticed_costs_nobody_anything() {
    on_postgres("a_connection_that_ended_unnoticed_costs_nobody_anything", async |url| {
        let proxy = Proxy::before(url).await;
        let world = World::open(&proxy.url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        for number in 3..30 {
            proxy.arm(Failure::CutOffOnce, 0);
            world.act(acme, &ada, rename(&format!("Acme {number}"))).await;
            assert!(proxy.disarm(), "the first statement of a command");
            proxy.arm(Failure::CutOffOnce, 0);
            let head = hot::head(world.database(), acme).await.unwrap();
            assert!(proxy.disarm() && head.unwrap().version == number, "what is read alone");
        }
    })
    .await;
}

/// Each COMMIT is heard, and its answer is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_heard_of_is_done_once_or_not_at_all() {
    on_postgres("a_commit_that_nobody_heard_of_is_done_once_or_not_at_all", async |url| {
        live_behind_a_proxy(url, Failure::Unanswered).await;
    })
    .await;
}

/// Each statement of SQLite is interrupted, wherever it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_statement_is_told_to_nobody_and_writes_nothing() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let beside = Database::connect(url).await.unwrap();
        let interrupts = Interrupts::of(&server.store.database);
        let trial = Trial::new(&server, beside, Faults::Steps(&interrupts));
        life::live(&trial).await;
        println!("{} answers failed", trial.failures());
        assert!(trial.failures() >= FAILURES);
    })
    .await;
}
