//! The table of what was measured, the ratios that it was measured for, and the page that keeps them.

use std::{fmt::Write, fs, path::Path};

use super::clients::{Failure, Load};

/// Between these lines of the page stands what a run found.
const BEGIN: &str = "<!-- what a run found: written by `cargo bench --bench load -- --write docs/performance.md` -->";
const END: &str = "<!-- the end of what a run found -->";

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is called in `--only`.
    pub key: &'static str,
    /// What was measured.
    pub what: String,
    /// On which database, or on none.
    pub database: &'static str,
    /// How many clients.
    pub clients: usize,
    /// How many a second.
    pub per_second: Option<f64>,
    /// Milliseconds that half of them took at most.
    pub p50: Option<f64>,
    /// Milliseconds that 99 in 100 took at most.
    pub p99: Option<f64>,
    /// Microseconds of the server's processors for each.
    pub server: Option<f64>,
    /// Microseconds of PostgreSQL's processors for each.
    pub postgres: Option<f64>,
    /// The server's memory, in MB.
    pub memory: Option<f64>,
}

impl Row {
    /// The row of a load.
    pub fn of(key: &'static str, what: &str, (database, clients): (&'static str, usize), load: &Load) -> Self {
        let requests = load.requests as f64;
        let each = |seconds: f64| (seconds > 0.0).then_some(seconds * 1e6 / requests);
        Self {
            key,
            what: what.to_owned(),
            database,
            clients,
            per_second: Some(requests / load.seconds),
            p50: load.percentile(50),
            p99: load.percentile(99),
            server: each(load.spent.server),
            postgres: each(load.spent.postgres),
            memory: None,
        }
    }

    /// Microseconds of all processors for each.
    fn all(&self) -> f64 {
        self.server.unwrap_or_default() + self.postgres.unwrap_or_default()
    }
}

/// What a ratio should be.
#[derive(Clone, Copy)]
enum Target {
    AtLeast(f64, &'static str),
    AtMost(f64, &'static str),
}

/// A figure of the rows of one database; `None` where something it needs was not measured.
struct Ratio {
    what: &'static str,
    database: &'static str,
    target: Target,
    measured: Option<f64>,
}

/// All that was measured.
#[derive(Default)]
pub struct Report {
    /// The rows.
    pub rows: Vec<Row>,
}

impl Report {
    fn row(&self, key: &str, database: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == key && (row.database == database || row.database == "none"))
    }

    fn ratios(&self) -> Vec<Ratio> {
        let mut ratios = Vec::new();
        for database in ["SQLite", "PostgreSQL"] {
            let row = |key| self.row(key, database);
            let against = |one, other, figure: fn(&Row) -> f64| Some(figure(row(one)?) / figure(row(other)?));
            let rate = |row: &Row| row.per_second.unwrap_or_default();
            let postgres = database == "PostgreSQL";
            let mut add = |what, target, measured: Option<f64>| {
                ratios.push(Ratio { what, database, target, measured });
            };
            if postgres {
                let what = "change role, 64 organizations, commands/s against pgbench's one-insert commits";
                add(what, Target::AtLeast(1.0, "×"), against("role-64", "pgbench-insert", rate));
                let what = "change role, 1 organization, commands/s against stock cqrs-es with 10 prior events";
                add(what, Target::AtLeast(2.0, "×"), against("role-1", "stock-1", rate));
            }
            let what = "a command at 100,000 members and 200,000 events against one at 10 and 11, CPU";
            add(what, Target::AtMost(1.2, "×"), against("role-large", "role-small", Row::all));
            let most = if postgres { 1.6 } else { 1.3 };
            let what = "page with role and totalCount against async-graphql from memory, both over HTTP, CPU";
            add(what, Target::AtMost(most, "×"), against("page", "memory-page", Row::all));
            let what = "the same without HTTP, both inside a process, CPU";
            add(what, Target::AtMost(most, "×"), against("inside-page", "memory-inside", Row::all));
            let what = "search with 100 hits against the plain page, CPU";
            add(what, Target::AtMost(1.5, "×"), against("search", "page", Row::all));
            let what = "verify a key against an axum handler that answers a constant, CPU";
            add(what, Target::AtMost(6.0, "×"), against("verify", "constant-verify", Row::all));
            let late = |key| row(key).and_then(|row| row.p99);
            let what = "command to 64 subscribers' sockets, p99, same process";
            add(what, Target::AtMost(20.0, "ms"), late("fan-out"));
            if postgres {
                let what = "command to 64 subscribers' sockets, p99, another instance";
                add(what, Target::AtMost(100.0, "ms"), late("fan-out-other"));
            }
            let what = "catching up a subscriber";
            add(what, Target::AtLeast(50_000.0, "events/s"), row("catch-up").map(rate));
            if !postgres {
                let what = "ready after start with 100 organizations";
                add(what, Target::AtMost(200.0, "ms"), row("start").and_then(|row| row.p50));
                add("memory then", Target::AtMost(40.0, "MB"), row("start").and_then(|row| row.memory));
            }
        }
        ratios.retain(|ratio| ratio.measured.is_some());
        ratios
    }

    /// The tables, in Markdown.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "| operation | database | clients | per second | p50 ms | p99 ms | server CPU µs | PostgreSQL CPU µs | RSS MB |\n\
             |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.rows {
            let Row { what, database, clients, .. } = row;
            let _ = writeln!(
                text,
                "| {what} | {database} | {clients} | {} | {} | {} | {} | {} | {} |",
                shown(row.per_second),
                shown(row.p50),
                shown(row.p99),
                shown(row.server),
                shown(row.postgres),
                shown(row.memory)
            );
        }
        let ratios = self.ratios();
        if !ratios.is_empty() {
            text.push_str("\n| ratio | database | target | measured | reached |\n|---|---|--:|--:|---|\n");
        }
        for Ratio { what, database, target, measured } in ratios {
            let (sign, wanted, unit, reached) = match target {
                Target::AtLeast(wanted, unit) => ('≥', wanted, unit, measured >= Some(wanted)),
                Target::AtMost(wanted, unit) => ('≤', wanted, unit, measured <= Some(wanted)),
            };
            let reached = if reached { "yes" } else { "**no**" };
            let measured = if unit == "×" { format!("{:.2}", measured.unwrap_or_default()) } else { shown(measured) };
            let _ = writeln!(text, "| {what} | {database} | {sign} {wanted} {unit} | {measured} {unit} | {reached} |");
        }
        text
    }

    /// Puts the tables and the machine into a page, in the place of what stood there.
    pub fn write(&self, page: &Path, machine: &[String]) -> Result<(), Failure> {
        let text = fs::read_to_string(page)?;
        let (Some(begin), Some(end)) = (text.find(BEGIN), text.find(END)) else {
            return Err(format!("{} has no place for it: {BEGIN} … {END}", page.display()).into());
        };
        let found = format!("{BEGIN}\n\n- {}\n\n{}\n", machine.join("\n- "), self.text());
        Ok(fs::write(page, format!("{}{found}{}", &text[..begin], &text[end..]))?)
    }
}

/// A figure with as many digits as it is worth.
fn shown(figure: Option<f64>) -> String {
    match figure {
        None => String::new(),
        Some(figure) if figure < 10.0 => format!("{figure:.2}"),
        Some(figure) if figure < 100.0 => format!("{figure:.1}"),
        Some(figure) => {
            let digits = format!("{figure:.0}");
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            groups.join(",")
        }
    }
}
