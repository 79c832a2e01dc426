//! The plans of the pages of the past and of the audit log on a long ledger, kept as files: what is read from which index
//! is seen, and so is a change of it. What a file says of a plan is neither a cost nor a value, so it is the same each
//! time. `UPDATE_GOLDEN=1` writes the files anew; with `LONG_LEDGER=full` that of the full size. No file can hold a plan
//! that reads a whole table.

use std::{collections::HashMap, fmt::Write, iter::Peekable};

use chrono::TimeDelta;
use orgledger::domain::{UserId, organization::members::MemberStatus};
use orgledger::store::{
    Database,
    history::Filter as LogFilter,
    members::{self, Filter, OrderField},
    page::{Direction, End, Key, Position, Window},
    profile, roles,
    statement::Statement,
};
use uuid::Uuid;

use super::{
    faults::{faults_in_postgres, faults_in_sqlite},
    long_ledger::{LONG, SMALL, is_full, size},
    world::{beginning, role},
};
use crate::{graphql::transcript, support::databases::announce};

/// The PostgreSQL whose plans are kept. Another one may choose and say them otherwise; its plans are held to the rules.
const POSTGRES: &str = "15";

fn window(end: End, after: Option<Position>) -> Window {
    Window { limit: 50, end, after, before: None }
}

/// The pages of members and roles as they were, and what else is asked of the past; each with what it is.
fn of_the_past() -> Vec<(String, Statement)> {
    let (most, long) = size();
    let sequence = u64::from(long / 2 + 1000);
    let moment = |seconds: u32| beginning() + TimeDelta::seconds(seconds.into());
    let past = Filter { as_of: Some(sequence), ..Filter::present(LONG) };
    let mut statements = Vec::new();
    for field in [OrderField::Name, OrderField::Email, OrderField::JoinedAt, OrderField::LastLoginAt] {
        let (by, key) = match field {
            OrderField::Name => ("name", Key::Text("name5".to_owned())),
            OrderField::Email => ("email", Key::Text("e5".to_owned())),
            OrderField::JoinedAt => ("joining", Key::Time(moment(most / 2))),
            OrderField::LastLoginAt => ("last sign-in", Key::Time(beginning())),
        };
        let place = Position { key, id: Some(Uuid::from_u128(200_010_000)) };
        for (runs, direction) in [("ascending", Direction::Ascending), ("descending", Direction::Descending)] {
            let page = |filter: &Filter, end, after| filter.page_statement((field, direction), &window(end, after));
            let what = format!("members as of a sequence by {by}, {runs}");
            statements.push((what.clone(), page(&past, End::First, None)));
            statements.push((format!("{what}, behind a place"), page(&past, End::First, Some(place.clone()))));
            statements.push((format!("{what}, from the end"), page(&past, End::Last, None)));
            if direction == Direction::Descending {
                continue;
            }
            for (how, filter) in [
                ("a search", Filter { search: Some("name77".to_owned()), ..past.clone() }),
                ("a role", Filter { roles: vec![role("MEMBER")], ..past.clone() }),
                ("former ones", Filter { statuses: vec![MemberStatus::Former], ..past.clone() }),
                (
                    "a time of joining",
                    Filter { joined_from: Some(moment(10)), joined_to: Some(moment(90)), ..past.clone() },
                ),
            ] {
                statements.push((format!("{what}, with {how}"), page(&filter, End::First, None)));
            }
        }
    }
    let changes = LogFilter {
        types: ["member.*", "role.*", "api_key.*"].map(str::to_owned).into(),
        from: Some(moment(long / 2)),
        to: Some(moment(long / 2 + 60)),
        ..LogFilter::default()
    };
    let all = Window { limit: 2000, ..window(End::First, None) };
    let person = UserId(Uuid::from_u128(200_000_005));
    statements.extend([
        ("the sequence at a moment".to_owned(), profile::sequence_at_statement(LONG, moment(long / 2))),
        ("roles as of a sequence".to_owned(), roles::at_statement(LONG, sequence, None)),
        ("a role as of a sequence".to_owned(), roles::at_statement(LONG, sequence, Some(role("MEMBER")))),
        ("roles by their ids as of a sequence".to_owned(), roles::named_at_statement(LONG, [role("MEMBER")], sequence)),
        ("the history of a member".to_owned(), members::periods_statement(LONG, person)),
        ("changes of access".to_owned(), changes.page_statement(LONG, Direction::Ascending, &all).unwrap()),
    ]);
    statements
}

/// The pages of the audit log, each with what it is.
fn of_the_log() -> Vec<(String, Statement)> {
    let (_, long) = size();
    let every = LogFilter::default;
    let types = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let person = |number: u128| Uuid::from_u128(200_000_000 + number);
    let middle = beginning() + TimeDelta::seconds(i64::from(long / 2));
    let mut statements = Vec::new();
    for (how, filter) in [
        ("everything", every()),
        ("a kind of types", LogFilter { types: types(&["role.*"]), ..every() }),
        ("some types", LogFilter { types: types(&["role.deleted", "member.joined", "member.remove"]), ..every() }),
        ("an actor", LogFilter { actors: vec![person(5)], ..every() }),
        ("some actors", LogFilter { actors: vec![person(5), person(10)], ..every() }),
        ("kinds of actors", LogFilter { actor_kinds: types(&["API_KEY", "USER"]), ..every() }),
        ("targets", LogFilter { targets: vec![person(5), person(6)], ..every() }),
        ("a time", LogFilter { from: Some(middle), to: Some(middle + TimeDelta::hours(1)), ..every() }),
        ("sequences", LogFilter { from_sequence: Some(1000), to_sequence: Some(2000), ..every() }),
        ("a search", LogFilter { search: Some("reason 7".to_owned()), ..every() }),
        ("a search that a type has too", LogFilter { search: Some("role".to_owned()), ..every() }),
        (
            "a search, an actor and types",
            LogFilter {
                types: types(&["member.*"]),
                actors: vec![person(5)],
                search: Some("reason 7".to_owned()),
                ..every()
            },
        ),
        (
            "a type, an actor and a time",
            LogFilter { types: types(&["member.*"]), actors: vec![person(5)], to: Some(middle), ..every() },
        ),
    ] {
        let place = || Some(Position { key: Key::Pair(u64::from(long / 2), 1), id: None });
        for (page, window) in [
            ("the newest", window(End::First, None)),
            ("the oldest", window(End::Last, None)),
            ("behind a place", window(End::First, place())),
            ("before a place", Window { before: place(), ..window(End::Last, None) }),
        ] {
            let done = filter.page_statement(LONG, Direction::Descending, &window);
            let refused = filter.refused_statement(LONG, &window);
            for (kept, statement) in [("done", done), ("refused", refused)] {
                statements.extend(statement.map(|found| (format!("what was {kept}, by {how}: {page}"), found)));
            }
        }
    }
    statements
}

/// A line of a plan, and what stands under it.
#[derive(PartialEq)]
struct Node {
    line: String,
    below: Vec<Node>,
}

/// The nodes that stand deeper than this.
fn nodes(lines: &mut Peekable<impl Iterator<Item = (usize, String)>>, depth: Option<usize>) -> Vec<Node> {
    let mut nodes = Vec::new();
    while let Some((at, line)) = lines.next_if(|(at, _)| depth.is_none_or(|depth| *at > depth)) {
        let below = self::nodes(lines, Some(at));
        // SQLite merges two lists at a time.
        let below = if line.starts_with("MERGE") { below.into_iter().flat_map(Node::merged).collect() } else { below };
        nodes.push(Node { line, below });
    }
    nodes
}

impl Node {
    /// The lists that one side of a merge is made of.
    fn merged(self) -> Vec<Self> {
        match &self.below[..] {
            [only] if only.line.starts_with("MERGE") => self.below.into_iter().flat_map(|only| only.below).collect(),
            _ => vec![Self { line: "LIST".to_owned(), ..self }],
        }
    }
}

/// The nodes as text; those that follow each other and are alike are one.
fn push_nodes(text: &mut String, nodes: &[Node], depth: usize) {
    for alike in nodes.chunk_by(PartialEq::eq) {
        let times = if alike.len() > 1 { format!("{} times: ", alike.len()) } else { String::new() };
        writeln!(text, "{}{times}{}", "  ".repeat(depth), alike[0].line).unwrap();
        push_nodes(text, &alike[0].below, depth + 1);
    }
}

/// A line without the values in it, without the numbers that tell parts of one plan apart, and without the direction in
/// which an index is read: any can be read both ways.
fn without_values(line: &str) -> String {
    let mut kept = String::new();
    for (index, part) in line.split('\'').enumerate() {
        // Between two quotes stands a value, behind them its type.
        if index % 2 == 1 {
            kept.push('?');
            continue;
        }
        let behind = part.strip_prefix("::").filter(|_| index > 0).map_or(part, |typed| {
            let typed = typed.strip_prefix("timestamp with time zone").unwrap_or(typed);
            typed.trim_start_matches(|character: char| character.is_ascii_lowercase() || matches!(character, '[' | ']'))
        });
        kept.push_str(behind);
    }
    let mut numberless = String::new();
    for character in kept.chars() {
        if character.is_ascii_digit()
            && numberless.ends_with(['_', '$', ' '])
            && !numberless.contains("sqlite_autoindex")
        {
            numberless.pop();
        }
        if !character.is_ascii_digit() || numberless.contains("sqlite_autoindex") {
            numberless.push(character);
        }
    }
    numberless.replace(" Backward", "").replace(" DESC", "")
}

/// A plan, and whether it reads more than it should.
async fn plan(database: &Database, statement: Statement) -> (Vec<Node>, bool) {
    match database {
        Database::Postgres { .. } => {
            let lines: Vec<(String,)> = statement.explained("EXPLAIN (COSTS OFF)").all(database).await.unwrap();
            let lines: Vec<_> = lines.into_iter().map(|(line,)| line).collect();
            let faulty = !faults_in_postgres(&lines).is_empty();
            let depth = |line: &String| line.len() - line.trim_start().len();
            let said = |line: &String| without_values(line.trim_start().trim_start_matches("->").trim_start());
            // Which only says again what the condition of the index was.
            let lines = lines.iter().filter(|line| !line.contains("Recheck Cond:"));
            (nodes(&mut lines.map(|line| (depth(line), said(line))).peekable(), None), faulty)
        }
        Database::Sqlite { .. } => {
            let rows: Vec<(i64, i64, i64, String)> =
                statement.explained("EXPLAIN QUERY PLAN").all(database).await.unwrap();
            let lines: Vec<_> = rows.iter().map(|(.., line)| line.clone()).collect();
            let faulty = !faults_in_sqlite(&lines).is_empty();
            let mut depths = HashMap::from([(0, 0)]);
            let mut deep = Vec::new();
            for (id, parent, _, line) in rows {
                let depth = depths[&parent] + 1;
                depths.insert(id, depth);
                deep.push((depth, without_values(&line)));
            }
            (nodes(&mut deep.into_iter().peekable(), None), faulty)
        }
    }
}

/// Holds every plan against the rules, and all of them against the file of this database.
pub async fn hold(database: &Database) {
    let mut plans: Vec<(Vec<String>, String)> = Vec::new();
    for (what, statement) in of_the_past().into_iter().chain(of_the_log()) {
        let (nodes, faulty) = plan(database, statement).await;
        let mut text = String::new();
        push_nodes(&mut text, &nodes, 0);
        assert!(!faulty && !text.contains("Seq Scan"), "{what}\n{text}");
        match plans.iter_mut().find(|(_, known)| *known == text) {
            Some((names, _)) => names.push(what),
            None => plans.push((vec![what], text)),
        }
    }
    let (name, path) = match database {
        Database::Postgres { .. } => {
            let version: Option<(String,)> =
                Statement::new("SELECT current_setting('server_version')").optional(database).await.unwrap();
            let version = version.unwrap().0;
            if version.split('.').next() != Some(POSTGRES) {
                return announce(&format!("plans of PostgreSQL {version} are not compared: {POSTGRES} is kept"));
            }
            // With more rows it chooses a little otherwise; SQLite knows nothing of how many there are.
            let path = if is_full() { "tests/golden/plans.postgres.full.md" } else { "tests/golden/plans.postgres.md" };
            (format!("PostgreSQL {POSTGRES}"), path)
        }
        Database::Sqlite { .. } => ("SQLite".to_owned(), "tests/golden/plans.sqlite.md"),
    };
    let (members, events) = if let Database::Sqlite { .. } = database { (20_000, 100_000) } else { size() };
    let or_more = if let Database::Sqlite { .. } = database { " or more" } else { "" };
    let mut text = format!(
        "# Plans of {name}\n\nOf the pages of the past and of the audit log of an organization with {members} members and \
         {events} events{or_more}, among {SMALL} small ones. Values are left out; a statement stands above its plan, and \
         statements of one plan together.\n"
    );
    for (names, plan) in plans {
        text.push('\n');
        for name in names {
            writeln!(text, "- {name}").unwrap();
        }
        write!(text, "\n```text\n{plan}```\n").unwrap();
    }
    transcript::hold(path, &text);
}
