//! Subscribers of two servers on one PostgreSQL, while connections break and servers are killed: each has every event
//! once, in order.
//!
//! `CHAOS_EVENTS` and `CHAOS_SUBSCRIBERS` make it as long and as wide as wanted, `ORGLEDGER_BIN` names a release build.

use std::{
    env,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures_util::future::join_all;
use orgledger::store::{Database, statement::Statement};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use super::{
    callers::{Caller, Subscription},
    processes::{Installation, PATIENCE, Server, until},
};
use crate::support::databases::{announce, on_postgres};

/// How many events are written, and how many read them all.
const EVENTS: u64 = 900;
const SUBSCRIBERS: u64 = 12;
/// How often a server is killed and another one started in its place.
const KILLS: u64 = 8;
/// How many write at once.
const WRITERS: usize = 4;

const EVENTS_OF: &str = "subscription($id: ID!, $after: String) \
     { organizationEvents(organizationId: $id, after: $after) { cursor node { sequence type } } }";

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Where the two servers are at this moment.
#[derive(Clone)]
struct Addresses(Arc<Mutex<[String; 2]>>);

impl Addresses {
    fn of(&self, server: u64) -> String {
        self.0.lock().unwrap()[usize::from(server % 2 == 1)].clone()
    }
}

/// A stream of server-sent events.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(reader: &Caller, organization: &str, after: Option<&str>) -> Option<Self> {
        let body = json!({ "query": EVENTS_OF, "variables": { "id": organization } });
        let mut request = reader.http.post(format!("{}/graphql", reader.address)).json(&body);
        request = request.bearer_auth(reader.credential.as_ref().unwrap()).header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        Some(Self { response, text: String::new() })
    }

    /// The data of the next event; none, once the stream has broken.
    async fn hear(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let data = block.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
                let event = data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).unwrap());
                if let Some(event) = event {
                    return Some(event);
                }
                continue;
            }
            let more = timeout(PATIENCE, self.response.chunk()).await.expect("the stream says nothing").ok()??;
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

enum Connection {
    Socket(Subscription),
    Stream(Events),
}

impl Connection {
    /// The next edge; none, once the connection has broken.
    async fn next(&mut self) -> Option<Value> {
        let mut answer = match self {
            Self::Socket(socket) => {
                let mut message = socket.hear().await?;
                assert_eq!(message["type"], "next", "{message}");
                message["payload"].take()
            }
            Self::Stream(events) => events.hear().await?,
        };
        assert!(answer.get("errors").is_none(), "{answer}");
        Some(answer["data"]["organizationEvents"].take())
    }
}

/// Reads everything, from the first event to the last there will be; how often it had to connect.
async fn read(number: u64, reader: Caller, addresses: Addresses, acme: String, mut last: watch::Receiver<u64>) -> u64 {
    let (mut sequence, mut after, mut connections) = (0, None::<String>, 0);
    loop {
        connections += 1;
        let reader = Caller { address: addresses.of(number + connections), ..reader.clone() };
        let opened = if number.is_multiple_of(2) {
            reader.try_subscribe(&acme, after.as_deref()).await.map(Connection::Socket)
        } else {
            Events::open(&reader, &acme, after.as_deref()).await.map(Connection::Stream)
        };
        // The server is dead; another one will be there.
        let Some(mut connection) = opened else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        // Each connection is cut by its reader too, after another number of events.
        let mut left = 20 + (number * 31 + connections * 97) % 400;
        while left > 0 {
            if sequence == *last.borrow_and_update() {
                return connections;
            }
            let edge = tokio::select! {
                edge = connection.next() => edge,
                _ = last.changed() => continue,
            };
            let Some(edge) = edge else { break };
            left -= 1;
            sequence += 1;
            assert_eq!(edge["node"]["sequence"], sequence, "reader {number}: each exactly once, in order");
            after = edge["cursor"].as_str().map(str::to_owned);
        }
    }
}

/// Renames the organization until the ledger is long enough. Whether a command to a dead server was done is not known.
async fn write(
    number: usize,
    writer: Caller,
    addresses: Addresses,
    acme: String,
    head: watch::Receiver<u64>,
    events: u64,
) {
    let mut round = number as u64;
    while *head.borrow() < events {
        round += 1;
        let writer = Caller { address: addresses.of(round), ..writer.clone() };
        let input = json!({ "organizationId": acme, "name": format!("Acme {number}-{round}") });
        writer.change("updateOrganization", input, "cursor").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_has_every_event_once_while_servers_are_killed() {
    let (events, subscribers) = (setting("CHAOS_EVENTS", EVENTS), setting("CHAOS_SUBSCRIBERS", SUBSCRIBERS));
    let name = concat!(module_path!(), "::every_subscriber_has_every_event_once_while_servers_are_killed");
    on_postgres(name, async |url| {
        let installation = Installation::on(url);
        let mut servers: Vec<Server> = vec![installation.serve().await, installation.serve().await];
        let ann = servers[0].sign_in("ann@example.com").await;
        let acme = ann.create_organization("Acme").await;
        let addresses = Addresses(Arc::new(Mutex::new([0, 1].map(|at| servers[at].address.clone()))));
        let database = Database::connect(url).await.unwrap();
        let version = async || {
            let text = "SELECT version FROM streams WHERE version = (SELECT MAX(version) FROM streams)";
            Statement::new(text).count(&database).await.unwrap()
        };
        let (head, (last, ended)) = (watch::Sender::new(0), watch::channel(u64::MAX));
        let started = Instant::now();
        let readers: Vec<_> = (0..subscribers)
            .map(|number| tokio::spawn(read(number, ann.clone(), addresses.clone(), acme.clone(), ended.clone())))
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                tokio::spawn(write(number, ann.clone(), addresses.clone(), acme.clone(), head.subscribe(), events))
            })
            .collect();
        let reached = async |goal: u64| {
            while *head.borrow() < goal {
                let known = *head.borrow();
                let next =
                    until("another event", async || Some(version().await).filter(|version| *version > known)).await;
                head.send_replace(next);
            }
        };
        for kill in 1..=KILLS {
            reached(events * kill / (KILLS + 1)).await;
            let victim = usize::from(kill % 2 == 1);
            servers.remove(victim).kill();
            servers.insert(victim, installation.serve().await);
            addresses.0.lock().unwrap()[victim] = servers[victim].address.clone();
        }
        reached(events).await;
        for ended in join_all(writers).await {
            ended.unwrap();
        }
        let written = started.elapsed();
        let total = version().await;
        last.send_replace(total);
        let connections: u64 = join_all(readers).await.into_iter().map(Result::unwrap).sum();
        announce(&format!(
            "{subscribers} subscribers had {total} events each, over {connections} connections and {KILLS} killed \
             servers; written in {written:?}, read in {:?}",
            started.elapsed()
        ));
        database.close().await;
        let verified = installation.run(&["verify"]).await;
        assert!(verified.status.success(), "{verified:?}");
        for server in servers {
            server.stop().await;
        }
    })
    .await;
}
