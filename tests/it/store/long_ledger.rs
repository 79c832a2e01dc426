//! One organization with many members and a long ledger among others: a page of its past and of its audit log reads about
//! as many rows as it shows, from an index. The bound does not depend on the length; `LONG_LEDGER=full` makes it a hundred
//! thousand members and a million events, which takes minutes to fill, and says how long each page took.

use std::{fmt::Display, time::Instant};

use chrono::TimeDelta;
use orgledger::domain::OrganizationId;
use orgledger::store::{
    Database,
    history::Filter as LogFilter,
    members::{Filter, OrderField},
    page::{Direction, End, Key, Position, Window},
    statement::{Statement, Value},
};
use uuid::Uuid;

use super::{
    faults::{faults_in_postgres, faults_in_sqlite},
    golden_plans,
    world::{World, beginning},
};
use crate::support::databases::{announce, on_postgres, on_sqlite};

/// The long one.
pub const LONG: OrganizationId = OrganizationId(Uuid::from_u128(2));
/// How many small ones there are.
pub const SMALL: u32 = 5000;

/// How many members and how many events it has.
pub fn size() -> (u32, u32) {
    if is_full() { (100_000, 1_000_000) } else { (20_000, 100_000) }
}

/// Whether it is as long as somebody wished.
pub fn is_full() -> bool {
    std::env::var_os("LONG_LEDGER").is_some()
}

/// How many rows a page of fifty may read, joined rows included.
const READ: f64 = 2000.0;
/// How early it was when one in a hundred of the members had joined: a page in the order of names walks over the others.
const EARLY: u64 = 1000;

/// The SQL of an id with this number.
fn id(database: &Database, number: &str) -> String {
    match database {
        Database::Postgres { .. } => format!("lpad(to_hex({number}), 32, '0')::uuid"),
        Database::Sqlite { .. } => format!("unhex(printf('%032x', {number}))"),
    }
}

/// Makes the small ones: each has five roles, two members, and four events, the last of which was tried twice.
async fn fill_small(database: &Database) {
    let (of, user, role) = (id(database, "10 + i"), id(database, "900000000 + 2 * i + j"), id(database, "j"));
    let each = |most: u32| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {SMALL} - 1), \
             r(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM r WHERE j < {most}) "
        )
    };
    for text in [
        format!(
            "{}INSERT INTO organizations SELECT {of}, 'TEAM', 'Acme', NULL, {of}, $1, 1, 'NOT_REQUESTED', NULL, 0 FROM n",
            each(1)
        ),
        format!("{}INSERT INTO streams SELECT {of}, 4, $2, $1, 'LIVING' FROM n", each(1)),
        format!(
            "{}INSERT INTO roles SELECT {of}, {role}, 'KEY', 'Name', NULL, j, 0, FALSE, TRUE, 1, FALSE FROM n, r",
            each(5)
        ),
        format!(
            "{}INSERT INTO role_history SELECT {of}, {role}, 1, 9223372036854775807, 'KEY', 'Name', NULL, j, 0, FALSE, \
             TRUE, FALSE, 1 FROM n, r",
            each(5)
        ),
        format!(
            "{}INSERT INTO users SELECT {user}, 'E', 's' || i || '.' || j, TRUE, NULL, 'name' || i, NULL, $2, $1, $1, \
             NULL, NULL FROM n, r",
            each(2)
        ),
        format!(
            "{}INSERT INTO members SELECT {of}, {user}, {role}, 'ACTIVE', $1, NULL, NULL, 1, 'name' || i, 'e' || i, \
             'name' || i || 'e' || i, $1 FROM n, r",
            each(2)
        ),
        format!(
            "{}INSERT INTO member_history SELECT {of}, {user}, j, 9223372036854775807, {role}, 'ACTIVE', $1, $1, NULL, \
             NULL, NULL FROM n, r",
            each(2)
        ),
        format!(
            "{}INSERT INTO events SELECT 'organization', 's' || i, j, 'organization.certified', '1', '{{}}', '{{}}', \
             {of}, $1, $2, $2 FROM n, r",
            each(4)
        ),
        format!("{}INSERT INTO audit_entries SELECT {of}, j, 'member.joined', {of}, {user}, 'USER' FROM n, r", each(4)),
        format!("{}INSERT INTO event_context SELECT {of}, j, '192.0.2.1', 'curl', NULL, NULL, NULL FROM n, r", each(4)),
        format!(
            "{}INSERT INTO refusals SELECT {of}, 4, j, $1, 'member.remove', 'RANK_TOO_LOW', 'USER', {of}, 'MEMBER', \
             {user}, 'r', NULL, NULL, 0 FROM n, r",
            each(2)
        ),
    ] {
        run(database, text, [beginning().into(), vec![0_u8; 32].into()]).await;
    }
}

/// Runs a statement with as many of the values as it names: a database counts them.
async fn run<const MOST: usize>(database: &Database, text: String, values: [Value; MOST]) {
    let last = (1..=MOST).rev().find(|place| text.contains(&format!("${place}"))).unwrap_or_default();
    values.into_iter().take(last).fold(Statement::new(text), Statement::bind).run(database).await.unwrap();
}

/// Has PostgreSQL know what there is, as it does in service. What it chooses must not hang on which rows it looked at, nor
/// on when it tidies up: it looks at every row of the shorter ledger, and never tidies up. SQLite knows nothing, as in
/// service: nobody has it look.
async fn analyze(database: &Database) {
    let Database::Postgres { pool, .. } = database else { return };
    let look = "BEGIN; SET LOCAL default_statistics_target = 1000; ANALYZE; COMMIT";
    sqlx::raw_sql(look).execute(pool).await.unwrap();
}

/// Makes it among small ones, and two short ones beside it.
async fn fill(database: &Database) {
    let (most, long) = size();
    if let Database::Postgres { pool, .. } = database {
        let tables: Vec<(String,)> = Statement::new(
            "SELECT format('ALTER TABLE %I SET (autovacuum_enabled = false)', relname) FROM pg_class \
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
        )
        .all(database)
        .await
        .unwrap();
        for (text,) in tables {
            sqlx::raw_sql(&text).execute(pool).await.unwrap();
        }
    }
    fill_small(database).await;
    for (number, members, events) in [(1, 500, 2000), (2, most, long), (3, 500, 2000)] {
        let numbers = |last: u32| {
            format!("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last} - 1) ")
        };
        let (people, things) = (numbers(members), numbers(events));
        let user = id(database, &format!("{number}00000000 + i"));
        let some = id(database, &format!("{number}00000000 + (CAST(i AS BIGINT) * 7919) % {members}"));
        let seconds = match database {
            Database::Postgres { .. } => "$2::timestamptz + i * interval '1 second'",
            Database::Sqlite { .. } => "strftime('%Y-%m-%dT%H:%M:%S+00:00', julianday($2) + i / 86400.0)",
        };
        // In another order than that of joining.
        let login = seconds.replace("i ", "((CAST(i AS BIGINT) * 7919) % 20000) ");
        let role = id(database, "i % 5 + 1");
        let changed = events / 2;
        for text in [
            "INSERT INTO organizations SELECT $1, 'TEAM', 'Acme', NULL, $1, $2, 1, 'NOT_REQUESTED', NULL, 0".to_owned(),
            format!("INSERT INTO streams SELECT $1, {events}, $3, $2, 'LIVING'"),
            format!(
                "{}INSERT INTO roles SELECT $1, {role}, 'KEY', 'Name' || i, NULL, i, 0, FALSE, FALSE, 1, FALSE FROM n",
                numbers(5)
            ),
            format!(
                "{}, r(j) AS (SELECT 0 UNION ALL SELECT j + 1 FROM r WHERE j < 19) INSERT INTO role_history SELECT $1, \
                 {role}, j * 100 + 1, CASE WHEN j < 19 THEN j * 100 + 101 ELSE 9223372036854775807 END, 'KEY', 'Name', \
                 NULL, i, 0, FALSE, FALSE, FALSE, 1 FROM n, r",
                numbers(5)
            ),
            format!(
                "{people}INSERT INTO users SELECT {user}, 'E', '{number}.' || i, TRUE, NULL, 'name' || i, NULL, $3, $2, $2, \
                 NULL, NULL FROM n"
            ),
            format!(
                "{people}INSERT INTO members SELECT $1, {user}, {role}, 'ACTIVE', {seconds}, NULL, NULL, 1, 'name' || i, \
                 'e' || i, 'name' || i || 'e' || i, {login} FROM n"
            ),
            format!(
                "{people}INSERT INTO member_history SELECT $1, {user}, i + 1, {changed} + i, {role}, 'ACTIVE', {seconds}, \
                 {seconds}, NULL, NULL, NULL FROM n"
            ),
            format!(
                "{people}INSERT INTO member_history SELECT $1, {user}, {changed} + i, 9223372036854775807, {role}, \
                 CASE WHEN i % 10 = 0 THEN 'FORMER' ELSE 'ACTIVE' END, {seconds}, {seconds}, NULL, NULL, NULL FROM n"
            ),
            format!(
                "{things}INSERT INTO events SELECT 'organization', 'o{number}', i + 1, 'organization.certified', '1', '{{}}', \
                 '{{}}', $1, {seconds}, $3, $3 FROM n"
            ),
            format!(
                "{things}INSERT INTO audit_entries SELECT $1, i + 1, CASE WHEN i % 20000 = 0 THEN 'role.deleted' \
                 WHEN i % 3 = 0 THEN 'member.role_changed' WHEN i % 3 = 1 THEN 'invitation.sent' ELSE 'member.joined' END, \
                 CASE WHEN i % 5 = 0 THEN {some} ELSE {} END, {some}, CASE WHEN i % 5 = 0 THEN 'API_KEY' ELSE 'USER' END \
                 FROM n",
                id(database, "77")
            ),
            format!(
                "{things}INSERT INTO event_context SELECT $1, i + 1, '192.0.2.1', 'curl', \
                 CASE WHEN i % 1000 = 0 THEN 'Reason ' || i END, CASE WHEN i % 1000 = 0 THEN 'reason ' || i END, NULL \
                 FROM n WHERE i % 10 = 0"
            ),
            format!(
                "{}INSERT INTO refusals SELECT $1, i * 20 + 1, 1, {seconds}, 'member.remove', 'RANK_TOO_LOW', 'USER', {some}, \
                 'MEMBER', {some}, 'r', NULL, NULL, 0 FROM n",
                numbers(events / 20)
            ),
        ] {
            let values = [Value::from(Uuid::from_u128(number)), beginning().into(), vec![0_u8; 32].into()];
            run(database, text, values).await;
        }
    }
    analyze(database).await;
}

fn window(end: End, after: Option<Position>) -> Window {
    Window { limit: 50, end, after, before: None }
}

/// The statements, each with what it is.
fn statements() -> Vec<(String, Statement)> {
    let mut statements = Vec::new();
    let (most, long) = size();
    let middle = beginning() + TimeDelta::seconds(i64::from(long / 2));
    for sequence in [EARLY, u64::from(long / 4), u64::from(long / 2 + 1000), u64::from(long)] {
        for field in [OrderField::Name, OrderField::Email, OrderField::JoinedAt, OrderField::LastLoginAt] {
            for direction in [Direction::Ascending, Direction::Descending] {
                let key = match field {
                    OrderField::Name => Key::Text("name5".to_owned()),
                    OrderField::Email => Key::Text("e5".to_owned()),
                    // Half-way among who had joined by then.
                    OrderField::JoinedAt => Key::Time(
                        beginning() + TimeDelta::seconds(i64::try_from(sequence.min(u64::from(most)) / 2).unwrap()),
                    ),
                    OrderField::LastLoginAt => Key::Time(beginning()),
                };
                let id = Some(Uuid::from_u128(200_000_000 + 10_000));
                for after in [None, Some(Position { key, id })] {
                    let what = format!("as of {sequence}, {field:?} {direction:?}, after {after:?}");
                    let past = Filter { as_of: Some(sequence), ..Filter::present(LONG) };
                    statements.push((what, past.page_statement((field, direction), &window(End::First, after))));
                }
            }
        }
    }
    let every = LogFilter::default;
    let types = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let person = |number: u128| Uuid::from_u128(200_000_000 + number);
    for filter in [
        every(),
        LogFilter { types: types(&["member.*"]), ..every() },
        LogFilter { types: types(&["role.*"]), ..every() },
        LogFilter { types: types(&["role.deleted", "member.joined"]), ..every() },
        LogFilter { actors: vec![Uuid::from_u128(77)], ..every() },
        LogFilter { actors: vec![person(5), person(10), Uuid::from_u128(77)], ..every() },
        LogFilter { actor_kinds: types(&["API_KEY", "USER"]), ..every() },
        LogFilter { actor_kinds: types(&["OPERATOR"]), ..every() },
        LogFilter { targets: vec![person(5), person(6)], ..every() },
        LogFilter { from: Some(middle), to: Some(middle + TimeDelta::hours(1)), ..every() },
        LogFilter { to: Some(beginning() + TimeDelta::hours(1)), ..every() },
        LogFilter { from_sequence: Some(1000), to_sequence: Some(2000), ..every() },
        LogFilter { search: Some("reason 77".to_owned()), ..every() },
        LogFilter { search: Some("reason 77".to_owned()), actor_kinds: types(&["API_KEY"]), ..every() },
        LogFilter { search: Some("role".to_owned()), ..every() },
        LogFilter { types: types(&["member.*"]), actors: vec![person(5)], to: Some(middle), ..every() },
    ] {
        let place = Position { key: Key::Pair(u64::from(long / 2), 1), id: None };
        for (end, after) in [(End::First, None), (End::Last, None), (End::First, Some(place))] {
            let window = window(end, after);
            let what = format!("{filter:?} {window:?}");
            if let Some(statement) = filter.page_statement(LONG, Direction::Descending, &window) {
                statements.push((format!("done: {what}"), statement));
            }
            if let Some(statement) = filter.refused_statement(LONG, &window) {
                statements.push((format!("refused: {what}"), statement));
            }
        }
    }
    statements
}

/// How many rows the nodes of a plan that PostgreSQL ran have read, thrown away ones included.
fn read(plan: &[String]) -> f64 {
    let number = |line: &str, word: &str| -> Option<f64> {
        let rest = line.split(word).nth(1)?;
        rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.parse().ok()
    };
    let mut read = 0.0;
    let mut loops = 1.0;
    for line in plan {
        if line.contains("Scan") && line.contains("actual rows=") {
            loops = number(line, "loops=").unwrap();
            read += number(line, "actual rows=").unwrap() * loops;
        }
        if let Some(removed) = number(line, "Rows Removed by Filter: ") {
            read += removed * loops;
        }
    }
    read
}

/// Tells how long a page took and how many rows it read, where somebody wants to know.
fn say(begun: Instant, rows: impl Display, what: &str) {
    if is_full() {
        announce(&format!("{:?} {rows} {what}", begun.elapsed()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_past_reads_as_little_of_a_long_ledger_as_of_a_short_one() {
    on_postgres(
        "store::long_ledger::a_page_of_the_past_reads_as_little_of_a_long_ledger_as_of_a_short_one",
        async |url| {
            let world = World::open(url).await;
            fill(world.database()).await;
            let mut faulty = Vec::new();
            for (what, statement) in statements() {
                let begun = Instant::now();
                let explain = statement.explained("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)");
                let plan: Vec<(String,)> = explain.all(world.database()).await.unwrap();
                let plan: Vec<_> = plan.into_iter().map(|(line,)| line).collect();
                say(begun, read(&plan), &what);
                let most = if what.starts_with(&format!("as of {EARLY},")) { 20.0 * READ } else { READ };
                if !faults_in_postgres(&plan).is_empty() || read(&plan) > most {
                    faulty.push(format!("{} rows: {what}\n{}", read(&plan), plan.join("\n")));
                }
            }
            assert!(faulty.is_empty(), "{}", faulty.join("\n\n"));
            golden_plans::hold(world.database()).await;
        },
    )
    .await;
    on_sqlite(async |url| {
        let world = World::open(url).await;
        fill(world.database()).await;
        let mut faulty = Vec::new();
        for (what, statement) in statements() {
            let begun = Instant::now();
            let explain = statement.clone().explained("EXPLAIN QUERY PLAN");
            let plan: Vec<(i64, i64, i64, String)> = explain.all(world.database()).await.unwrap();
            let plan: Vec<_> = plan.into_iter().map(|(.., line)| line).collect();
            let mut counted = statement.explained("SELECT COUNT(*) FROM (");
            counted.push(")");
            let count = counted.count(world.database()).await.unwrap();
            say(begun, count, &what);
            // A page is in the order of what it is read from: nothing is sorted but the few rows of several parts. Reasons
            // are found in their own order, so a search sorts what it found.
            let sorts = |lines: &[String]| {
                lines[1].contains("USE TEMP B-TREE FOR ORDER BY")
                    && (what.starts_with("as of")
                        || lines[0].starts_with("SEARCH a ") && !what.contains("search: Some"))
            };
            if !faults_in_sqlite(&plan).is_empty() || plan.windows(2).any(sorts) {
                faulty.push(format!("{what}\n{}", plan.join("\n")));
            }
        }
        assert!(faulty.is_empty(), "{}", faulty.join("\n\n"));
        golden_plans::hold(world.database()).await;
    })
    .await;
}
