//! How entries of the audit log are found: each list of a filter is read value by value from the index that has it, as
//! many rows as the page takes from each, and the page is made of those. However long a ledger is, a page reads no more
//! of it than that, unless several conditions at once leave little of what each of them finds.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{
    history::{ANY, Filter, takes},
    page::{Direction, Key, Position, Window},
    statement::{Statement, like_pattern, searched},
};
use crate::domain::{
    OrganizationId, Timestamp,
    organization::names::{ACTIONS, EVENTS},
    values::normalize,
};

/// How far apart the clocks of two servers, or the beginnings of two commands that meet, may be: more than enough.
const AT_ONCE: TimeDelta = TimeDelta::hours(1);

/// Where entries are read from.
pub(super) struct Source {
    table: &'static str,
    /// The column of the permanent name.
    name: &'static str,
    /// The permanent names that there are.
    names: &'static [&'static str],
    /// What is read of an entry.
    columns: &'static str,
    /// What an entry's place is made of.
    place: &'static [&'static str],
    /// Whether a reason may stand beside an entry.
    reasons: bool,
}

/// What was done.
pub(super) const DONE: Source = Source {
    table: "audit_entries",
    name: "event_type",
    names: &EVENTS,
    columns: "a.sequence",
    place: &["a.sequence"],
    reasons: true,
};

/// What was refused.
pub(super) const REFUSED: Source = Source {
    table: "refusals",
    name: "action",
    names: &ACTIONS,
    columns: "a.*",
    place: &["a.sequence", "a.attempt"],
    reasons: false,
};

/// One index to read.
enum Part {
    /// Everything, in the order of the key.
    Whole,
    /// What has this value in this column.
    Named(&'static str, super::statement::Value),
    /// What has this part of a reason beside it.
    Reason(String),
}

/// A page of places: its window and its direction; none where all are counted.
pub(super) type Span<'a> = Option<(&'a Window, Direction)>;

impl Filter {
    /// The names of a source that the types mean; none where they mean every one.
    fn names(&self, source: &Source) -> Option<Vec<&'static str>> {
        let any = self.types.is_empty() || self.types.iter().any(|pattern| pattern == ANY);
        (!any).then(|| source.names.iter().copied().filter(|name| takes(&self.types, name)).collect())
    }

    /// Whether several conditions have to be met.
    pub(super) fn is_narrow(&self) -> bool {
        let conditions = [
            !self.types.is_empty(),
            !self.targets.is_empty(),
            !self.actors.is_empty(),
            !self.actor_kinds.is_empty(),
            self.search.is_some(),
        ];
        conditions.into_iter().filter(|condition| *condition).count() > 1
    }

    /// Which indexes together hold what is meant; none of them, where nothing can be.
    fn parts(&self, source: &Source) -> Vec<Part> {
        let by_name = |list: Vec<&'static str>| list.into_iter().map(|name| Part::Named(source.name, name.into()));
        let names = self.names(source);
        if let Some(search) = &self.search {
            let search = normalize(search);
            let mut found = names.clone().unwrap_or_else(|| source.names.to_vec());
            found.retain(|name| name.contains(&search));
            let reason = source.reasons && names.is_none_or(|names| !names.is_empty());
            return by_name(found).chain(reason.then(|| Part::Reason(like_pattern(&search)))).collect();
        }
        for (column, ids) in [("target_id", &self.targets), ("actor_id", &self.actors)] {
            // A list of names that is empty by itself leaves nothing, whatever else is asked for.
            if !ids.is_empty() && names.as_ref().is_none_or(|names| !names.is_empty()) {
                // Each once: a person may be meant by two ids.
                let ids: BTreeSet<_> = ids.iter().copied().collect();
                return ids.into_iter().map(|id| Part::Named(column, id.into())).collect();
            }
        }
        if let Some(names) = names {
            return by_name(names).collect();
        }
        if self.actor_kinds.is_empty() {
            return vec![Part::Whole];
        }
        let kinds: BTreeSet<_> = self.actor_kinds.iter().collect();
        kinds.into_iter().map(|kind| Part::Named("actor_kind", kind.into())).collect()
    }

    /// Adds a list of entries, in no order; false where there can be none, and nothing was added.
    pub(super) fn push_places(
        &self,
        statement: &mut Statement,
        source: &Source,
        organization: OrganizationId,
        span: Span<'_>,
    ) -> bool {
        let parts = self.parts(source);
        // A reason may stand beside an entry whose name was found as well.
        let union = if self.search.is_some() { " UNION " } else { " UNION ALL " };
        for (index, part) in parts.iter().enumerate() {
            statement.push(if index == 0 { "SELECT * FROM (" } else { union });
            statement.push(if index == 0 { "" } else { "SELECT * FROM (" });
            self.push_part(statement, source, organization, part);
            if let Some((window, direction)) = span {
                window.push_to(statement, source.place, direction);
            }
            statement.push(") AS part");
        }
        !parts.is_empty()
    }

    fn push_part(&self, statement: &mut Statement, source: &Source, organization: OrganizationId, part: &Part) {
        let Source { table, columns, .. } = source;
        let (mut from, mut read) = ("", "");
        if let Part::Reason(pattern) = part {
            // The reasons first, and alone. PostgreSQL would take a join of the two for one of thousands of rows, because
            // every organization has the same first sequences, and walk along one table until so many have come; SQLite
            // would walk along all that stands beside entries, most of which has no reason.
            statement.push("WITH found AS MATERIALIZED (SELECT c.sequence FROM event_context c");
            statement.push(" WHERE c.organization_id = ").push_value(organization.0);
            let text = searched("c.reason_key", pattern);
            statement.push(&format!(" AND c.reason_key IS NOT NULL AND {text} LIKE ")).push_value(pattern);
            statement.push(" ESCAPE '\\') ");
            from = "found CROSS JOIN ";
        }
        statement.push(&format!("SELECT {columns} FROM {from}{table} a WHERE a.organization_id = "));
        statement.push_value(organization.0);
        match part {
            Part::Whole => {}
            Part::Named(column, value) => {
                read = column;
                statement.push(&format!(" AND a.{column} = ")).push_value(value.clone());
            }
            Part::Reason(_) => {
                statement.push(" AND a.sequence = found.sequence");
            }
        }
        if let Some(names) = self.names(source).filter(|_| read != source.name) {
            statement.push(&format!(" AND a.{} IN ", source.name)).push_list(names);
        }
        for (column, ids) in [("actor_id", &self.actors), ("target_id", &self.targets)] {
            if !ids.is_empty() && read != column {
                statement.push(&format!(" AND a.{column} IN ")).push_list(ids.iter().copied());
            }
        }
        if !self.actor_kinds.is_empty() && read != "actor_kind" {
            statement.push(" AND a.actor_kind IN ").push_list(&self.actor_kinds);
        }
        self.push_times(statement, source, organization);
    }

    /// Adds from when to when. What was done is in the order of time, so two looks find its sequences. What was refused
    /// is never earlier than the event it stands behind, and may be a little later than the next one.
    fn push_times(&self, statement: &mut Statement, source: &Source, organization: OrganizationId) {
        let done = source.reasons;
        if let Some(from) = self.from {
            let begin = if done { from } else { from.checked_sub_signed(AT_ONCE).unwrap_or(from) };
            statement.push(if done { " AND a.sequence > " } else { " AND a.sequence >= " });
            push_last_before(statement, organization, begin);
            if !done {
                statement.push(" AND a.refused_at >= ").push_value(from);
            }
        }
        if let Some(to) = self.to {
            statement.push(" AND a.sequence <= ");
            push_last_before(statement, organization, to);
            if !done {
                statement.push(" AND a.refused_at < ").push_value(to);
            }
        }
        if let Some(from) = self.from_sequence {
            statement.push(" AND a.sequence >= ").push_value(from);
        }
        if let Some(to) = self.to_sequence {
            statement.push(" AND a.sequence < ").push_value(to);
        }
    }
}

/// Adds the last sequence that was recorded before a moment.
fn push_last_before(statement: &mut Statement, organization: OrganizationId, at: Timestamp) {
    statement.push("COALESCE((SELECT e.sequence FROM events e WHERE e.organization_id = ");
    statement.push_value(organization.0).push(" AND e.recorded_at < ").push_value(at);
    statement.push(" ORDER BY e.recorded_at DESC, e.sequence DESC LIMIT 1), 0)");
}

/// The place of an entry: its sequence, and its attempt, which is 0 for what was done.
pub type Place = (u64, u64);

/// The place that a position stands for; the beginning of all, where it stands for none.
pub(super) const fn place(position: &Position) -> Place {
    match position.key {
        Key::Number(sequence) => (sequence, 0),
        Key::Pair(sequence, attempt) => (sequence, attempt),
        Key::Text(_) | Key::Time(_) => (0, 0),
    }
}

/// A window over all entries as one over what was done: refusals stand behind the event of their sequence.
pub(super) fn over_done(window: &Window, direction: Direction) -> Window {
    let ascending = direction == Direction::Ascending;
    let number = |position: &Option<Position>, upwards: bool| {
        position.as_ref().map(|position| {
            let (sequence, attempt) = place(position);
            // Below an attempt stands the event of its own sequence.
            let sequence = if upwards || attempt == 0 { sequence } else { sequence.saturating_add(1) };
            Position { key: Key::Number(sequence), id: None }
        })
    };
    Window { after: number(&window.after, ascending), before: number(&window.before, !ascending), ..*window }
}

/// The same as one over what was refused.
pub(super) fn over_refused(window: &Window) -> Window {
    let pair = |position: &Option<Position>| {
        position.as_ref().map(|position| {
            let (sequence, attempt) = place(position);
            Position { key: Key::Pair(sequence, attempt), id: None }
        })
    };
    Window { after: pair(&window.after), before: pair(&window.before), ..*window }
}
