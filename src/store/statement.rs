//! One SQL statement with its values, for either database.
//!
//! The values are a closed set, so that the compiler types each way of running a statement twice, not each
//! statement.

use sqlx::{FromRow, Row as _, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    Error,
    database::{Database, on, twice_if_lost},
    in_time,
    transaction::{Transaction, within},
};
use crate::{
    domain::{
        Timestamp,
        organization::{Permissions, notices::Categories},
        values::normalize,
    },
    secrets::hex,
};

/// A value in a statement.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text.
    Text(Option<String>),
    /// A whole number.
    Number(Option<i64>),
    /// Yes or no.
    Flag(bool),
    /// An id.
    Uuid(Option<Uuid>),
    /// A moment.
    Time(Option<Timestamp>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// JSON.
    Json(serde_json::Value),
}

/// What a column holds, where a row is read as a whole and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// An id.
    Uuid,
    /// A moment.
    Time,
    /// A set of permissions.
    Permissions,
    /// A set of categories of notices.
    Categories,
    /// The bytes of a hash.
    Hash,
    /// The fields of an event, less the hash of a secret.
    Payload,
}

impl Holds {
    /// The value of a key that was shown; before the first one, where there is none.
    pub fn key(self, shown: Option<&serde_json::Value>) -> Value {
        let text = shown.and_then(serde_json::Value::as_str);
        match self {
            Self::Number => shown.and_then(serde_json::Value::as_i64).unwrap_or_default().into(),
            Self::Uuid => text.and_then(|text| text.parse().ok()).unwrap_or(Uuid::nil()).into(),
            _ => text.unwrap_or_default().into(),
        }
    }
}

/// The cells of a row, as they are shown.
macro_rules! cells {
    ($row:expr, $columns:expr) => {{
        let mut cells: Vec<serde_json::Value> = Vec::with_capacity($columns.len());
        for (at, holds) in $columns.iter().enumerate() {
            cells.push(match holds {
                Holds::Text => $row.try_get::<Option<String>, _>(at)?.into(),
                Holds::Number => $row.try_get::<Option<i64>, _>(at)?.into(),
                Holds::Flag => $row.try_get::<Option<bool>, _>(at)?.into(),
                Holds::Uuid => $row.try_get::<Option<Uuid>, _>(at)?.map(|id| id.to_string()).into(),
                Holds::Time => $row.try_get::<Option<Timestamp>, _>(at)?.map(super::chain::time).into(),
                Holds::Hash => $row.try_get::<Option<Vec<u8>>, _>(at)?.map(|bytes| hex(&bytes)).into(),
                Holds::Permissions => {
                    let bits = $row.try_get::<i64, _>(at)?;
                    Permissions::from_bits(bits).iter().map(|permission| permission.name().to_owned()).collect()
                }
                Holds::Categories => {
                    let bits = $row.try_get::<i64, _>(at)?;
                    Categories::from_bits(bits).iter().map(|category| category.name().to_owned()).collect()
                }
                Holds::Payload => without_hash($row.try_get::<serde_json::Value, _>(at)?),
            });
        }
        Ok::<_, sqlx::Error>(cells)
    }};
}

fn without_hash(mut payload: serde_json::Value) -> serde_json::Value {
    if let Some(secret) = payload.get_mut("secret").and_then(serde_json::Value::as_object_mut) {
        secret.remove("hash");
    }
    payload
}

macro_rules! value {
    ($($type:ty => |$value:ident| $made:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self { $made }
        })*
    };
}
value! {
    String => |value| Self::Text(Some(value));
    &str => |value| Self::Text(Some(value.to_owned()));
    &String => |value| Self::Text(Some(value.clone()));
    Option<String> => |value| Self::Text(value);
    i64 => |value| Self::Number(Some(value));
    Option<i64> => |value| Self::Number(value);
    u64 => |value| Self::Number(Some(super::column(value)));
    u32 => |value| Self::Number(Some(i64::from(value)));
    bool => |value| Self::Flag(value);
    Uuid => |value| Self::Uuid(Some(value));
    Option<Uuid> => |value| Self::Uuid(value);
    Timestamp => |value| Self::Time(Some(value));
    Option<Timestamp> => |value| Self::Time(value);
    Vec<u8> => |value| Self::Bytes(Some(value));
    &[u8] => |value| Self::Bytes(Some(value.to_vec()));
    Option<Vec<u8>> => |value| Self::Bytes(value);
    serde_json::Value => |value| Self::Json(value);
}

/// A row that both databases can give.
pub trait Row: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}
impl<T> Row for T where T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// A statement: its text, with `$1`, `$2`, … where the values go.
#[derive(Clone, Debug)]
pub struct Statement {
    text: String,
    values: Vec<Value>,
    /// Whether a connection keeps it prepared.
    kept: bool,
}

macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        tracing::trace!(target: "orgledger::statement", text = sqlx::Execute::sql(&query));
        for value in $values {
            query = match value {
                Value::Text(value) => query.bind(value),
                Value::Number(value) => query.bind(value),
                Value::Flag(value) => query.bind(value),
                Value::Uuid(value) => query.bind(value),
                Value::Time(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Json(value) => query.bind(value),
            };
        }
        query
    }};
}

impl Statement {
    /// A statement that begins with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new(), kept: true }
    }

    /// Gives the next placeholder its value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The same, but prepared anew each time: there are too many of its kind to be kept.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { kept: false, ..self }
    }

    /// Adds text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value where the text stands now.
    pub fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Adds `(value, value, …)`; an empty list matches nothing.
    pub fn push_list<T: Into<Value>>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self {
        let mut separator = "(";
        for value in values {
            self.push(separator).push_value(value);
            separator = ", ";
        }
        self.push(if separator == "(" { "(NULL)" } else { ")" })
    }

    /// Adds `(VALUES (value, …), …) AS asked`, a relation of `column1`, `column2` and so on; there must be a row. The last
    /// stands there again and again, up to a power of two, so that lists of some ten lengths are all that a connection has
    /// to keep prepared. SQLite joins tables in the order of a cross join, and would read whole tables in another.
    pub fn push_asked<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> &mut Self {
        let mut rows: Vec<_> = rows.into_iter().collect();
        if let Some(last) = rows.last().cloned() {
            rows.resize(rows.len().next_power_of_two(), last);
        }
        self.push("(VALUES ");
        for (index, row) in rows.into_iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).push_list(row);
        }
        self.push(") AS asked")
    }

    /// Adds `(value, value, …)` by place, which SQLite alone understands. There a number is a name, which is looked up among
    /// all those before it.
    pub(super) fn push_row(&mut self, values: Vec<Value>) -> &mut Self {
        let places = vec!["?"; values.len()].join(", ");
        self.values.extend(values);
        self.push("(").push(&places).push(")")
    }

    /// Its text, for the tests that look at plans.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same with words before it, for the tests that have it explained.
    #[must_use]
    pub fn explained(self, words: &str) -> Self {
        Self { text: format!("{words} {}", self.text), ..self }
    }

    /// Reads every row, in the time that a request has for it.
    pub async fn all<T: Row>(self, database: &Database) -> Result<Vec<T>, Error> {
        // What waits for a statement has room for it, and so has what waits for that, up to each field of an answer. In a
        // box it takes its room once.
        Box::pin(in_time(async move {
            if database.needs_transactions() {
                let mut transaction = database.begin().await?;
                let rows = self.all_in(&mut transaction).await?;
                transaction.commit().await?;
                return Ok(rows);
            }
            let Self { text, values, kept } = &self;
            Ok(twice_if_lost!(async {
                on!(database, |executor| bound!(sqlx::query_as(text).persistent(*kept), values).fetch_all(executor))
            })?)
        }))
        .await
    }

    /// Reads one row, if there is one, in the time that a request has for it.
    pub async fn optional<T: Row>(self, database: &Database) -> Result<Option<T>, Error> {
        Box::pin(in_time(async move {
            if database.needs_transactions() {
                let mut transaction = database.begin().await?;
                let row = self.optional_in(&mut transaction).await?;
                transaction.commit().await?;
                return Ok(row);
            }
            let Self { text, values, kept } = &self;
            Ok(twice_if_lost!(async {
                on!(database, |executor| bound!(sqlx::query_as(text).persistent(*kept), values)
                    .fetch_optional(executor))
            })?)
        }))
        .await
    }

    /// Reads one number.
    pub async fn count(self, database: &Database) -> Result<u64, Error> {
        let row: Option<(i64,)> = self.optional(database).await?;
        Ok(super::number(row.map_or(0, |(count,)| count)))
    }

    /// Reads every row inside a transaction.
    pub async fn all_in<T: Row>(self, transaction: &mut Transaction) -> Result<Vec<T>, Error> {
        let Self { text, values, kept } = self;
        let kept = kept && transaction.keeps_statements();
        Ok(within!(transaction, |connection| bound!(sqlx::query_as(&text).persistent(kept), &values)
            .fetch_all(connection))?)
    }

    /// Reads every row inside a transaction, as it is shown.
    pub async fn cells_in(
        self,
        transaction: &mut Transaction,
        columns: &[Holds],
    ) -> Result<Vec<Vec<serde_json::Value>>, Error> {
        let Self { text, values, kept } = self;
        let kept = kept && transaction.keeps_statements();
        let cells: Result<Vec<_>, sqlx::Error> = within!(transaction, |connection| async {
            let rows = bound!(sqlx::query(&text).persistent(kept), &values).fetch_all(connection).await?;
            rows.iter().map(|row| cells!(row, columns)).collect()
        });
        Ok(cells?)
    }

    /// Reads one row inside a transaction, if there is one.
    pub async fn optional_in<T: Row>(self, transaction: &mut Transaction) -> Result<Option<T>, Error> {
        let Self { text, values, kept } = self;
        let kept = kept && transaction.keeps_statements();
        Ok(within!(transaction, |connection| bound!(sqlx::query_as(&text).persistent(kept), &values)
            .fetch_optional(connection))?)
    }

    /// Writes inside a transaction, and says how many rows.
    pub async fn run_in(self, transaction: &mut Transaction) -> Result<u64, Error> {
        let Self { text, values, kept } = self;
        let kept = kept && transaction.keeps_statements();
        Ok(within!(transaction, |connection| async {
            let done = bound!(sqlx::query(&text).persistent(kept), &values).execute(connection).await?;
            Ok(done.rows_affected())
        })?)
    }

    /// Writes in a transaction of its own, and says how many rows.
    pub async fn run(self, database: &Database) -> Result<u64, Error> {
        let mut transaction = database.begin().await?;
        let rows = self.run_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

/// A substring as a pattern of `LIKE … ESCAPE '\'`, in the normalized form of the searched columns.
pub(super) fn like_pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in normalize(search).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// A searched column as a condition names it. PostgreSQL's index has texts by three letters in a row; for a pattern without
/// them it would be read whole, beyond the organization, so it is none for that condition.
pub(super) fn searched(column: &str, pattern: &str) -> String {
    let is_word = |word: &str| word.chars().nth(2).is_some();
    if pattern.split(|character: char| !character.is_alphanumeric()).any(is_word) {
        column.to_owned()
    } else {
        format!("({column} || '')")
    }
}
