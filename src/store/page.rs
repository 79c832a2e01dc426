//! Keyset pages: where one begins is the key of a row, never a number of rows to skip.

use uuid::Uuid;

use super::statement::Statement;
use crate::domain::Timestamp;

/// What a list is ordered by, at one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A normalized text.
    Text(String),
    /// A moment.
    Time(Timestamp),
    /// A sequence.
    Number(u64),
    /// A sequence, and an attempt behind it.
    Pair(u64, u64),
}

/// A row's place in a list: its key, and its id where the key alone does not tell rows apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The key.
    pub key: Key,
    /// The id.
    pub id: Option<Uuid>,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// From which end a page is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first rows.
    First,
    /// The last rows.
    Last,
}

/// The page that is asked for.
#[derive(Clone, Debug)]
pub struct Window {
    /// How many rows.
    pub limit: u32,
    /// From which end.
    pub end: End,
    /// Only rows behind this place.
    pub after: Option<Position>,
    /// Only rows before this place.
    pub before: Option<Position>,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// Its rows, in the order of the list.
    pub rows: Vec<T>,
    /// Whether there are rows behind it.
    pub has_next: bool,
    /// Whether there are rows before it.
    pub has_previous: bool,
    /// How many rows the whole list has, where that was counted along.
    pub total: Option<u64>,
}

impl Window {
    /// Adds the bounds, the order and one row more than asked for. The statement has its `WHERE` already; the
    /// columns are the key's and, where positions have one, the id's.
    pub(super) fn push_to(&self, statement: &mut Statement, columns: &[&str], direction: Direction) {
        let ascending = direction == Direction::Ascending;
        for (position, forwards) in [(&self.after, ascending), (&self.before, !ascending)] {
            let Some(Position { key, id }) = position else { continue };
            statement.push(" AND (").push(&columns.join(", ")).push(if forwards { ") > (" } else { ") < (" });
            match key {
                Key::Text(text) => statement.push_value(text),
                Key::Time(at) => statement.push_value(*at),
                Key::Number(number) => statement.push_value(*number),
                Key::Pair(number, second) => statement.push_value(*number).push(", ").push_value(*second),
            };
            if let Some(id) = id {
                statement.push(", ").push_value(*id);
            }
            statement.push(")");
        }
        self.push_order(statement, columns, direction);
    }

    /// Adds the order and one row more than asked for.
    pub(super) fn push_order(&self, statement: &mut Statement, columns: &[&str], direction: Direction) {
        self.push_order_of_all(statement, columns, direction);
        statement.push(" LIMIT ").push_value(u64::from(self.limit) + 1);
    }

    /// Adds the order alone.
    pub(super) fn push_order_of_all(&self, statement: &mut Statement, columns: &[&str], direction: Direction) {
        let ascending = direction == Direction::Ascending;
        let runs = if ascending == (self.end == End::First) { " ASC" } else { " DESC" };
        let mut separator = " ORDER BY ";
        for column in columns {
            statement.push(separator).push(column).push(runs);
            separator = ", ";
        }
    }

    /// Makes the page of the rows that were read.
    pub(super) fn page<T>(&self, mut rows: Vec<T>) -> Page<T> {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        match self.end {
            End::First => Page { rows, has_next: more, has_previous: self.after.is_some(), total: None },
            End::Last => {
                rows.reverse();
                Page { rows, has_next: self.before.is_some(), has_previous: more, total: None }
            }
        }
    }
}
