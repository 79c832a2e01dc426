//! What is written, as data: an event becomes writes, and those of one shape run as one statement.
//!
//! *Shape.* A [`Write`] is one row's worth of a statement over a relation `v`, whose columns are the values that the
//! write was given by name. Writes of one shape, of whomever, are the rows of one `v`: PostgreSQL gets an array a column,
//! so that the text is the same for one row and for a hundred; SQLite gets a list of rows.
//!
//! *Promises.* The writes of a list run in their order. Those of different lists run in any order, so no list may depend
//! on another: each is of an organization of its own, of an object of its own within one, or of tables of its own.
//!
//! *Limits.* SQLite takes [`ROWS`] rows at once; a statement of several is prepared anew each time, because there would be
//! too many to keep.

use std::{borrow::Cow, collections::VecDeque, mem::discriminant};

use super::{
    Error,
    connection::heard,
    statement::{Row, Statement, Value},
    transaction::Transaction,
};

/// How many rows SQLite takes at once.
const ROWS: usize = 128;

/// One row's worth of a statement.
#[derive(Clone, Debug)]
#[must_use]
pub(super) struct Write {
    shape: Shape,
    columns: Vec<&'static str>,
    values: Vec<Value>,
    /// Whether a row that was not written is a conflict.
    must: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// New rows of a table.
    Insert(&'static str),
    /// New rows of a table, where there are none yet.
    InsertNew(&'static str),
    /// New values in rows of a table, which are found by the first so many columns.
    Update(&'static str, usize),
    /// Any other statement over `v`.
    Text(Cow<'static, str>),
}

impl Write {
    fn of(shape: Shape) -> Self {
        Self { shape, columns: Vec::new(), values: Vec::new(), must: false }
    }

    /// A new row of a table.
    pub(super) fn insert(table: &'static str) -> Self {
        Self::of(Shape::Insert(table))
    }

    /// A new row of a table; one that is there already stays as it is.
    pub(super) fn insert_new(table: &'static str) -> Self {
        Self::of(Shape::InsertNew(table))
    }

    /// New values in the rows of a table with this key.
    pub(super) fn update<const N: usize>(table: &'static str, key: [(&'static str, Value); N]) -> Self {
        key.into_iter().fold(Self::of(Shape::Update(table, N)), |write, (column, value)| write.with(column, value))
    }

    /// A statement whose values are the columns of `v`.
    pub(super) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Shape::Text(text.into()))
    }

    /// Gives a column its value.
    pub(super) fn with(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.columns.push(column);
        self.values.push(value.into());
        self
    }

    /// Makes a row that was not written a conflict.
    pub(super) fn or_conflict(self) -> Self {
        Self { must: true, ..self }
    }

    /// Whether the other is a row of the same statement.
    fn is_like(&self, other: &Self) -> bool {
        let kinds = || self.values.iter().map(discriminant).eq(other.values.iter().map(discriminant));
        self.must == other.must && self.shape == other.shape && self.columns == other.columns && kinds()
    }

    /// Whether many rows of one organization may be written at once: none can be meant twice.
    const fn is_of_new_rows(&self) -> bool {
        matches!(self.shape, Shape::Insert(_) | Shape::InsertNew(_))
    }

    /// The table that it goes to, where it reads no other and is nobody's conflict: then it may be written beside others.
    fn table_alone(&self) -> Option<&'static str> {
        match self.shape {
            Shape::Insert(table) | Shape::InsertNew(table) | Shape::Update(table, _) if !self.must => Some(table),
            _ => None,
        }
    }

    /// What is done with the values, which are the relation of this name; to a text they are always `v`.
    fn body(&self, v: &str) -> Cow<'_, str> {
        let columns = || self.columns.join(", ");
        match &self.shape {
            Shape::Insert(table) => format!("INSERT INTO {table} ({0}) SELECT {0} FROM {v}", columns()).into(),
            Shape::InsertNew(table) => {
                format!("INSERT INTO {table} ({0}) SELECT {0} FROM {v} WHERE TRUE ON CONFLICT DO NOTHING", columns())
                    .into()
            }
            Shape::Update(table, keys) => {
                let (keys, set) = self.columns.split_at(*keys);
                let set: Vec<_> = set.iter().map(|column| format!("{column} = {v}.{column}")).collect();
                let keys: Vec<_> = keys.iter().map(|column| format!("t.{column} = {v}.{column}")).collect();
                format!("UPDATE {table} AS t SET {} FROM {v} WHERE {}", set.join(", "), keys.join(" AND ")).into()
            }
            Shape::Text(text) => text.as_ref().into(),
        }
    }

    /// The values as a relation for PostgreSQL, whatever the number of rows; its placeholders begin behind so many.
    fn relation_of_arrays(&self, v: &str, behind: usize) -> String {
        let array = |(at, value): (usize, &Value)| {
            let kind = match value {
                Value::Text(_) => "text",
                Value::Number(_) => "bigint",
                Value::Flag(_) => "boolean",
                Value::Uuid(_) => "uuid",
                Value::Time(_) => "timestamptz",
                Value::Bytes(_) => "bytea",
                Value::Json(_) => "jsonb",
            };
            format!("${}::{kind}[]", behind + at + 1)
        };
        let arrays: Vec<_> = self.values.iter().enumerate().map(array).collect();
        format!("{v}({}) AS (SELECT * FROM UNNEST({}))", self.columns.join(", "), arrays.join(", "))
    }

    /// The text for PostgreSQL, whatever the number of rows; of several shapes, each to a table of its own, too.
    fn text_of_arrays(shapes: &[&Self]) -> String {
        let mut text = String::from("WITH ");
        let mut behind = 0;
        for (at, first) in shapes.iter().enumerate() {
            let is_last = at + 1 == shapes.len();
            let v = if is_last { "v".to_owned() } else { format!("v{at}") };
            text += &first.relation_of_arrays(&v, behind);
            behind += first.values.len();
            let (begin, end) = if is_last { (" ".to_owned(), "") } else { (format!(", w{at} AS ("), "), ") };
            text.extend([&begin, &*first.body(&v), end]);
        }
        text
    }

    /// The statements for SQLite.
    fn statements_of_rows(mut rows: Vec<Self>, after: &str) -> Vec<Statement> {
        let mut statements = Vec::new();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(ROWS));
            let statement = Self::statement_of_rows(std::mem::replace(&mut rows, rest), after);
            statements.push(statement);
        }
        statements
    }

    fn statement_of_rows(rows: Vec<Self>, after: &str) -> Statement {
        let statement = Statement::new("");
        let mut statement = if rows.len() > 1 { statement.anew() } else { statement };
        let mut body = String::new();
        for row in rows {
            if body.is_empty() {
                statement.push(&format!("WITH v({}) AS (VALUES ", row.columns.join(", ")));
                body = row.body("v").into_owned();
            } else {
                statement.push(", ");
            }
            statement.push_row(row.values);
        }
        statement.push(") ").push(&body).push(after);
        statement
    }

    /// The values of rows, column by column.
    fn columns_of(rows: Vec<Self>) -> Vec<Vec<Value>> {
        let mut columns: Vec<Vec<Value>> = Vec::new();
        for row in rows {
            columns.resize_with(row.values.len(), Vec::new);
            columns.iter_mut().zip(row.values).for_each(|(column, value)| column.push(value));
        }
        columns
    }
}

/// The values of a column that are of this kind, which all are.
macro_rules! array {
    ($column:expr, $kind:ident) => {
        $column
            .into_iter()
            .filter_map(|value| if let Value::$kind(value) = value { Some(value) } else { None })
            .collect::<Vec<_>>()
    };
}

/// A query with an array for each column.
macro_rules! bound {
    ($query:expr, $columns:expr) => {{
        let mut query = $query;
        tracing::trace!(target: "orgledger::statement", text = sqlx::Execute::sql(&query));
        for column in $columns {
            query = match column.first() {
                None => query,
                Some(Value::Text(_)) => query.bind(array!(column, Text)),
                Some(Value::Number(_)) => query.bind(array!(column, Number)),
                Some(Value::Flag(_)) => query.bind(array!(column, Flag)),
                Some(Value::Uuid(_)) => query.bind(array!(column, Uuid)),
                Some(Value::Time(_)) => query.bind(array!(column, Time)),
                Some(Value::Bytes(_)) => query.bind(array!(column, Bytes)),
                Some(Value::Json(_)) => query.bind(array!(column, Json)),
            };
        }
        query
    }};
}

/// Writes rows of one shape, and says what it gives back of them.
pub(super) async fn run_returning<T: Row>(
    transaction: &mut Transaction,
    rows: Vec<Write>,
    returning: &str,
) -> Result<Vec<T>, Error> {
    let kept = transaction.keeps_statements();
    match transaction {
        Transaction::Postgres(connection, _) => {
            let Some(first) = rows.first() else { return Ok(Vec::new()) };
            let text = Write::text_of_arrays(&[first]) + returning;
            let query = bound!(sqlx::query_as(&text).persistent(kept), Write::columns_of(rows));
            Ok(heard(connection.patience(), query.fetch_all(&mut **connection)).await?)
        }
        Transaction::Sqlite(_) => {
            let mut returned = Vec::with_capacity(rows.len());
            for statement in Write::statements_of_rows(rows, returning) {
                returned.extend(statement.all_in(transaction).await?);
            }
            Ok(returned)
        }
    }
}

/// Writes rows, each group of one shape; in PostgreSQL in one statement. A conflict, where a row that must be was not
/// written: such rows are the only group.
async fn run_groups(transaction: &mut Transaction, groups: Vec<Vec<Write>>) -> Result<(), Error> {
    let must = groups.iter().flatten().filter(|row| row.must).count();
    let mut written = 0;
    let kept = transaction.keeps_statements();
    match transaction {
        Transaction::Postgres(connection, _) => {
            let shapes: Vec<_> = groups.iter().filter_map(|rows| rows.first()).collect();
            let text = Write::text_of_arrays(&shapes);
            let columns = groups.into_iter().flat_map(Write::columns_of);
            let query = bound!(sqlx::query(&text).persistent(kept), columns);
            written += heard(connection.patience(), query.execute(&mut **connection)).await?.rows_affected();
        }
        Transaction::Sqlite(_) => {
            for statement in groups.into_iter().flat_map(|rows| Write::statements_of_rows(rows, "")) {
                written += statement.run_in(transaction).await?;
            }
        }
    }
    if written < must as u64 { Err(Error::Conflict) } else { Ok(()) }
}

/// Writes lists of different organizations or objects, each in its order. What is next in several lists is written at once.
pub(super) async fn run_all(
    transaction: &mut Transaction,
    lists: impl IntoIterator<Item = Vec<Write>>,
) -> Result<(), Error> {
    let mut lists = Lists(lists.into_iter().map(VecDeque::from).collect());
    while let Some(rows) = lists.take() {
        run_groups(transaction, vec![rows]).await?;
    }
    Ok(())
}

/// The same for the lists of one command, which waits for each trip to PostgreSQL alone: what needs no other table goes in
/// one. Of commands together there would be more texts than a connection keeps.
pub(super) async fn run_one(
    transaction: &mut Transaction,
    lists: impl IntoIterator<Item = Vec<Write>>,
) -> Result<(), Error> {
    let mut lists = Lists(lists.into_iter().map(VecDeque::from).collect());
    while let Some(rows) = lists.take() {
        let mut groups = vec![rows];
        while let Some(rows) = lists.take_beside(&groups) {
            groups.push(rows);
        }
        run_groups(transaction, groups).await?;
    }
    Ok(())
}

/// Lists of writes that do not depend on each other, as they become shorter.
struct Lists(Vec<VecDeque<Write>>);

impl Lists {
    /// What is next in the longest list, which has the most to do before it is where others are already, and what is like
    /// it.
    fn take(&mut self) -> Option<Vec<Write>> {
        self.0.retain(|list| !list.is_empty());
        let like = self.0.iter().max_by_key(|list| list.len())?.front()?.clone();
        Some(self.take_alike(&like))
    }

    /// What is next somewhere and may be written beside these, and what is like it.
    fn take_beside(&mut self, groups: &[Vec<Write>]) -> Option<Vec<Write>> {
        let table = |rows: &Vec<Write>| rows.first().and_then(Write::table_alone);
        let taken = groups.iter().map(table).collect::<Option<Vec<_>>>()?;
        let fits = |write: &&Write| write.table_alone().is_some_and(|table| !taken.contains(&table));
        let like = self.0.iter().filter_map(VecDeque::front).find(fits)?.clone();
        Some(self.take_alike(&like))
    }

    fn take_alike(&mut self, like: &Write) -> Vec<Write> {
        let mut rows = Vec::with_capacity(self.0.len());
        for list in &mut self.0 {
            while let Some(row) = list.pop_front_if(|next| next.is_like(like)) {
                rows.push(row);
                if !like.is_of_new_rows() {
                    break;
                }
            }
        }
        rows
    }
}
