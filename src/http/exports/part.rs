//! Which part of the audit log is exported: `AuditFilter` in the query of an address.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};

use crate::{
    domain::{GlobalId, OrganizationId},
    store::history::Filter,
};

/// How many values a list has at most.
const LIST_LIMIT: usize = 100;
/// The longest pattern of a type, in bytes.
const TYPE_LIMIT: usize = 100;
/// The kinds of actors, by their permanent names.
const ACTOR_KINDS: [&str; 4] = ["USER", "API_KEY", "OPERATOR", "SYSTEM"];
/// The longest search, in characters.
const SEARCH_LIMIT: usize = 200;

/// Which part of the log is asked for.
#[derive(Default)]
pub(super) struct Part(pub(super) Filter);

impl Part {
    /// The part that the query of an address names, in the words of `AuditFilter`. A list is given value by value, with
    /// commas or again and again.
    pub(super) fn parse(organization: OrganizationId, query: &str) -> Result<Self, String> {
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query).map_err(|_| "The query of the address cannot be read.".to_owned())?;
        let mut given: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &pairs {
            given.entry(name).or_default().push(value);
        }
        let mut list = |name: &str| {
            let values = given.remove(name).unwrap_or_default();
            let values: Vec<_> = values.iter().flat_map(|value| value.split(',')).filter(|v| !v.is_empty()).collect();
            let few = values.len() <= LIST_LIMIT;
            few.then(|| values.into_iter().map(str::to_owned).collect::<Vec<_>>())
                .ok_or_else(|| format!("{name} has at most {LIST_LIMIT} values."))
        };
        let (types, actors, targets) = (list("types")?, list("actorIds")?, list("targetIds")?);
        let actor_kinds = list("actorKinds")?;
        if actor_kinds.iter().any(|kind| !ACTOR_KINDS.contains(&kind.as_str())) {
            return Err(format!("actorKinds are among {}.", ACTOR_KINDS.join(", ")));
        }
        if types.iter().any(|pattern| pattern.len() > TYPE_LIMIT || pattern.contains('\0')) {
            return Err(format!("A type in types has at most {TYPE_LIMIT} characters, and no NUL among them."));
        }
        // An id of elsewhere matches nothing, like an unknown one.
        let bare = |ids: Vec<String>| {
            let bare = |id: String| id.parse::<GlobalId>().ok().and_then(|id| id.bare_in(organization));
            ids.into_iter().map(|id| bare(id).unwrap_or_default()).collect()
        };
        let mut once = |name: &str| match given.remove(name).unwrap_or_default()[..] {
            [] => Ok(None),
            [value] => Ok(Some(value).filter(|value| !value.trim().is_empty())),
            _ => Err(format!("{name} is given once.")),
        };
        let (from, to) = (time("from", once("from")?)?, time("to", once("to")?)?);
        let search = once("search")?.map(str::to_owned);
        if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_LIMIT || text.contains('\0')) {
            return Err(format!("search has at most {SEARCH_LIMIT} characters, and no NUL among them."));
        }
        let from_sequence = sequence("fromSequence", once("fromSequence")?)?;
        let to_sequence = sequence("toSequence", once("toSequence")?)?;
        if !given.is_empty() {
            let known = "types, actorIds, actorKinds, targetIds, from, to, search, fromSequence and toSequence";
            return Err(format!("An export is filtered by {known}, and by nothing else."));
        }
        let (actors, targets) = (bare(actors), bare(targets));
        Ok(Self(Filter { types, actors, actor_kinds, targets, from, to, from_sequence, to_sequence, search }))
    }

    /// Whether it is less than the whole.
    pub(super) const fn is_filtered(&self) -> bool {
        let Filter { types, actors, actor_kinds, targets, from, to, from_sequence, to_sequence, search } = &self.0;
        let listed = !types.is_empty() || !actors.is_empty() || !actor_kinds.is_empty() || !targets.is_empty();
        let bounded = from_sequence.is_some() || to_sequence.is_some();
        listed || bounded || from.is_some() || to.is_some() || search.is_some()
    }
}

fn time(name: &str, value: Option<&str>) -> Result<Option<DateTime<Utc>>, String> {
    let Some(value) = value else { return Ok(None) };
    let read = DateTime::parse_from_rfc3339(value).map(|at| Some(at.to_utc().trunc_subsecs(6)));
    read.map_err(|_| format!("{name} is a time like 2026-03-02T09:00:00Z."))
}

fn sequence(name: &str, value: Option<&str>) -> Result<Option<u64>, String> {
    let Some(value) = value else { return Ok(None) };
    let read = value.parse::<u64>().ok().filter(|sequence| *sequence > 0);
    read.map(Some).ok_or_else(|| format!("{name} is a whole number from 1 on."))
}
