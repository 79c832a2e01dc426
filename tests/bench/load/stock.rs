//! The same command by cqrs-es and postgres-es as they come: a small aggregate that keeps roles of members, its events in
//! the table of the library. A command that meets another one is given again.
//!
//! An aggregate is left for a new one after ten commands, so that there are always ten to twenty events before a
//! command: with more, each loads more, and the comparison would tell of nothing else.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cqrs_es::{Aggregate, AggregateError, DomainEvent, event_sink::EventSink};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

use super::{
    clients::{Client, Failure},
    cluster::Cluster,
    seed::CLIENTS,
};

/// How many connections it has: as many as a server of ours.
const CONNECTIONS: u32 = 16;
/// How many aggregates there are.
const AGGREGATES: usize = 20_000;
/// How many commands each gets.
const COMMANDS: usize = 10;

/// The table as postgres-es gives it, and aggregates with ten events each.
const TABLE: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
INSERT INTO events SELECT 'members', a::text, s, 'Joined', '1',
    json_build_object('Joined', json_build_object('user_id', s, 'role', 'MEMBER')), '{}'
FROM generate_series(0, 19999) a, generate_series(1, 10) s;
VACUUM ANALYZE events;
";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Members {
    roles: BTreeMap<u64, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    Joined { user_id: u64, role: String },
    RoleChanged { user_id: u64, from: String, to: String },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Joined { .. } => "Joined".to_owned(),
            Self::RoleChanged { .. } => "RoleChanged".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// Gives a member the other role.
struct ChangeRole(u64);

impl Aggregate for Members {
    const TYPE: &'static str = "members";
    type Command = ChangeRole;
    type Event = Event;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        ChangeRole(user_id): ChangeRole,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Infallible> {
        let from = self.roles.get(&user_id).cloned().unwrap_or_default();
        let to = if from == "MEMBER" { "MANAGER" } else { "MEMBER" }.to_owned();
        sink.write(Event::RoleChanged { user_id, from, to }, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Joined { user_id, role: to } | Event::RoleChanged { user_id, to, .. } => {
                self.roles.insert(user_id, to);
            }
        }
    }
}

/// A client of it.
pub struct Stock {
    cqrs: Arc<PostgresCqrs<Members>>,
    /// How many commands were done on the aggregates of this client, which it may share with others.
    done: Arc<AtomicUsize>,
    first: usize,
    aggregates: usize,
    member: u64,
}

impl Client for Stock {
    async fn ask(&mut self) -> Result<(), Failure> {
        loop {
            let turn = self.done.load(Ordering::Relaxed) / COMMANDS;
            let aggregate = self.first + turn.min(self.aggregates - 1);
            match self.cqrs.execute(&aggregate.to_string(), ChangeRole(self.member)).await {
                Ok(()) => {
                    self.done.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Err(AggregateError::AggregateConflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Makes its database.
pub async fn prepare(cluster: &Cluster) -> Result<(), Failure> {
    cluster.run("postgres", "DROP DATABASE IF EXISTS stock").await?;
    cluster.run("postgres", "CREATE DATABASE stock").await?;
    let (table, vacuum) = TABLE.split_at(TABLE.find("VACUUM").unwrap_or(TABLE.len()));
    cluster.run("stock", table).await?;
    cluster.run("stock", vacuum).await
}

/// Clients that share one aggregate, or have one each.
pub async fn clients(cluster: &Cluster, shared: bool) -> Result<Vec<Stock>, Failure> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&cluster.url("stock")).await?;
    let cqrs = Arc::new(postgres_cqrs(pool, Vec::new(), ()));
    // The first half is for the one, the second for the others.
    let half = AGGREGATES / 2;
    let common = Arc::new(AtomicUsize::new(0));
    let client = |number: usize| {
        let (first, aggregates) = if shared { (0, half) } else { (half + number * (half / CLIENTS), half / CLIENTS) };
        let done = if shared { Arc::clone(&common) } else { Arc::default() };
        Stock { cqrs: Arc::clone(&cqrs), done, first, aggregates, member: 1 + number as u64 % 10 }
    };
    Ok((0..CLIENTS).map(client).collect())
}
