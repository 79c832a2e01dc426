//! What an operation costs, in units, before it is run. It is told from the text and the variables alone, so the same
//! request always costs the same, and anybody can work it out.
//!
//! A field counts 1; a field of the mutation itself counts 100. What is below a page counts as often as the page is
//! long: as `first` or `last` says, 1 to 100, or 50 where neither does; what is below `nodes(ids:)` as often as there
//! are ids. What `@skip` and `@include` leave out counts nothing. Every 200 that were begun are one unit.
//!
//! Each fragment is counted once, so this takes time in proportion to the text. It counts; it refuses nothing.

use std::collections::HashMap;

use async_graphql::{
    Name, Value as Constant, Variables,
    parser::{
        Positioned,
        types::{
            Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
            SelectionSet,
        },
    },
};
use async_graphql_value::Value;

/// What the cheapest request costs, and one whose document says nothing that can be run.
pub const LEAST: u32 = 1;
/// How many fields are one unit.
const FIELDS_A_UNIT: u64 = 200;
/// What a field of the mutation itself counts.
const MUTATION: u64 = 100;
/// How long a page is that nobody gave a length.
const PAGE: u64 = 50;
/// How long a page is at most.
const LARGEST_PAGE: u64 = 100;
/// How deep is counted. What nests deeper than this is refused elsewhere.
const LEVELS: usize = 100;

/// The cost of the operation that is meant, in units.
pub fn of(document: &ExecutableDocument, operation_name: Option<&str>, variables: &Variables) -> u32 {
    let Some(operation) = meant(document, operation_name) else { return LEAST };
    let definitions = operation.variable_definitions.iter();
    let defaults = definitions.filter_map(|definition| {
        let definition = &definition.node;
        definition.default_value.as_ref().map(|value| (&definition.name.node, &value.node))
    });
    let mut counter = Counter { document, variables, defaults: defaults.collect(), known: HashMap::new() };
    let count = counter.selections(&operation.selection_set.node, 0);
    let commands = if operation.ty == OperationType::Mutation { count.own } else { 0 };
    let fields = count.fields.saturating_add(commands.saturating_mul(MUTATION - 1));
    u32::try_from(fields.div_ceil(FIELDS_A_UNIT)).unwrap_or(u32::MAX).max(LEAST)
}

/// The operation with this name, or the only one.
pub(super) fn meant<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => operation,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name)?,
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next()?,
        _ => return None,
    };
    Some(&operation.node)
}

/// What selections count.
#[derive(Clone, Copy, Default)]
struct Count {
    /// All fields, each as often as there may be one of it.
    fields: u64,
    /// The fields that stand here themselves, or in fragments here.
    own: u64,
    /// Whether these are the fields of a page.
    page: bool,
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    defaults: HashMap<&'a Name, &'a Constant>,
    /// The fragments that were counted, or are being counted.
    known: HashMap<&'a Name, Count>,
}

impl<'a> Counter<'a> {
    fn selections(&mut self, selections: &'a SelectionSet, level: usize) -> Count {
        let mut total = Count::default();
        if level > LEVELS {
            return total;
        }
        for selection in &selections.items {
            if self.left_out(selection.node.directives()) {
                continue;
            }
            let count = match &selection.node {
                Selection::Field(field) => self.field(&field.node, level + 1),
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, level + 1),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, level + 1),
            };
            total.fields = total.fields.saturating_add(count.fields);
            total.own = total.own.saturating_add(count.own);
            total.page |= count.page;
        }
        total
    }

    fn field(&mut self, field: &'a Field, level: usize) -> Count {
        let below = self.selections(&field.selection_set.node, level);
        let times = self.times(field, below.page);
        let fields = below.fields.saturating_mul(times).saturating_add(1);
        Count { fields, own: 1, page: matches!(field.name.node.as_str(), "edges" | "nodes") }
    }

    fn fragment(&mut self, name: &'a Name, level: usize) -> Count {
        if let Some(count) = self.known.get(name) {
            return *count;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Count::default() };
        // One that contains itself is refused elsewhere; here it has to come to an end.
        self.known.insert(name, Count::default());
        let count = self.selections(&fragment.node.selection_set.node, level);
        self.known.insert(name, count);
        count
    }

    /// How often there may be what is below a field.
    fn times(&self, field: &Field, page: bool) -> u64 {
        if let Some(ids) = field.get_argument("ids").filter(|_| field.name.node == "nodes") {
            return self.length(&ids.node);
        }
        let sizes = [field.get_argument("first"), field.get_argument("last")].into_iter().flatten();
        let given = sizes.clone().filter_map(|size| self.size(&size.node)).max();
        given.unwrap_or(if page || sizes.count() > 0 { PAGE } else { 1 })
    }

    /// A length of a page; none where none is given.
    fn size(&self, value: &Value) -> Option<u64> {
        let number = match value {
            Value::Number(number) => number,
            Value::Variable(name) => match self.variable(name)? {
                Constant::Number(number) => number,
                _ => return None,
            },
            _ => return None,
        };
        // Less than nothing counts as nothing; the engine refuses it.
        Some(number.as_u64().unwrap_or_default().clamp(1, LARGEST_PAGE))
    }

    fn length(&self, value: &Value) -> u64 {
        let length = match value {
            Value::List(list) => list.len(),
            Value::Variable(name) => match self.variable(name) {
                Some(Constant::List(list)) => list.len(),
                _ => 1,
            },
            _ => 1,
        };
        u64::try_from(length).unwrap_or(u64::MAX).max(1)
    }

    fn variable(&self, name: &Name) -> Option<&Constant> {
        self.variables.get(name).or_else(|| self.defaults.get(name).copied())
    }

    fn left_out(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let said = directive.node.get_argument("if").and_then(|condition| match &condition.node {
                Value::Boolean(said) => Some(*said),
                Value::Variable(name) => match self.variable(name)? {
                    Constant::Boolean(said) => Some(*said),
                    _ => None,
                },
                _ => None,
            });
            match directive.node.name.node.as_str() {
                "skip" => said == Some(true),
                "include" => said == Some(false),
                _ => false,
            }
        })
    }
}
