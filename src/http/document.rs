//! What a document may cost, before the engine looks at it.
//!
//! The engine's own limits run after fragments are expanded: a thousand bytes of fragments that name each other can hold
//! a core for half a minute. This check counts each fragment once, so it takes time in proportion to the text.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
        Selection, SelectionSet, TypeCondition,
    },
};

/// The longest document, in bytes.
pub const BYTES: usize = 64 * 1024;
/// How deep selections may nest, fragments expanded.
pub const DEPTH: usize = 20;
/// How deep fields and fragments together may nest.
const LEVELS: usize = 3 * DEPTH;
/// How many fields may be selected, fragments expanded.
pub const FIELDS: usize = 2000;
/// How many operations a document may have.
pub const OPERATIONS: usize = 50;
/// How many fields an operation may have at its root, fragments expanded.
pub const ROOT_FIELDS: usize = 50;
/// How many directives a document may have.
pub const DIRECTIVES: usize = 200;
/// How many fields the engine may have to compare with each other: those of every selection, fragments expanded.
pub const COMPARED: usize = 5 * FIELDS;
/// How many objects of the schema a document may ask for, guessed from how long lists in a schema are. What tools ask
/// for, everything once, is guessed to be half a million; nothing in the engine stops an answer a thousand times as long.
pub const INTROSPECTED: u64 = 1_000_000;
/// How deep brackets of all kinds may nest.
pub const NESTING: usize = 100;

/// What a selection costs, fragments expanded.
#[derive(Clone, Copy, Default)]
struct Cost {
    fields: usize,
    depth: usize,
    /// Fields of the selection itself, not of what is below.
    here: usize,
    /// How deep fields and fragments nest.
    levels: usize,
    /// Fields, each as often as a schema may have it.
    introspected: u64,
}

/// The fragments of a document, each with its cost once it is known; none while it is being counted.
struct Fragments<'a> {
    document: &'a ExecutableDocument,
    known: HashMap<&'a Name, Option<Cost>>,
    directives: usize,
    compared: usize,
    looked_at: usize,
}

/// Whether a text nests brackets deeper than the parser may be asked to follow: it calls itself for each, and a stack
/// that overflows takes the whole service with it.
pub fn nests_too_deep(text: &str) -> bool {
    let (mut rest, mut depth, mut blocks) = (text, 0_usize, true);
    while let Some(at) = rest.find(['{', '[', '(', '}', ']', ')', '#', '"']) {
        let (token, after) = rest[at..].split_at(1);
        rest = after;
        match token {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            "#" => rest = after.find(['\n', '\r']).map_or("", |end| &after[end..]),
            _ => match after.strip_prefix("\"\"").filter(|_| blocks).map(after_block) {
                Some(Some(after_block)) => rest = after_block,
                // To the parser, what no three quotes end begins with an empty string. No later one has an end either.
                Some(None) => (rest, blocks) = (&after[1..], false),
                None => rest = after_string(after),
            },
        }
        if depth > NESTING {
            return true;
        }
    }
    false
}

/// What comes behind a string. One that is not closed ends with its line.
fn after_string(mut text: &str) -> &str {
    while let Some(at) = text.find(['"', '\\', '\n', '\r']) {
        let (token, after) = text[at..].split_at(1);
        if token != "\\" {
            return after;
        }
        let mut escaped = after.chars();
        escaped.next();
        text = escaped.as_str();
    }
    ""
}

/// What comes behind a string in three quotes, if it has an end.
fn after_block(mut text: &str) -> Option<&str> {
    loop {
        let at = text.find("\"\"\"")?;
        let (inside, after) = (&text[..at], &text[at + 3..]);
        if !inside.ends_with('\\') {
            return Some(after);
        }
        text = after;
    }
}

/// Whether a document is within its bounds, and how many selections were looked at to tell: no more than it has.
///
/// # Errors
/// The sentence that says which bound it exceeds.
pub fn check(document: &ExecutableDocument) -> Result<usize, String> {
    let mut fragments = Fragments { document, known: HashMap::new(), directives: 0, compared: 0, looked_at: 0 };
    for fragment in document.fragments.values() {
        fragments.directives(&fragment.node.directives)?;
    }
    for (index, (_, operation)) in document.operations.iter().enumerate() {
        if index >= OPERATIONS {
            return Err(format!("A document has at most {OPERATIONS} operations."));
        }
        fragments.directives(&operation.node.directives)?;
        for variable in &operation.node.variable_definitions {
            fragments.directives(&variable.node.directives)?;
        }
        let cost = fragments.cost(&operation.node.selection_set.node, 0)?;
        if cost.here > ROOT_FIELDS {
            return Err(format!("At most {ROOT_FIELDS} fields can be selected at the root."));
        }
        if cost.introspected > INTROSPECTED {
            return Err("This asks for more of the schema than there is: ask for everything once.".to_owned());
        }
    }
    // The engine looks into those that no operation uses as well, before it refuses them.
    for name in document.fragments.keys() {
        fragments.of_fragment(name, 0)?;
    }
    Ok(fragments.looked_at)
}

impl<'a> Fragments<'a> {
    fn directives(&mut self, directives: &[Positioned<Directive>]) -> Result<(), String> {
        self.directives += directives.len();
        if self.directives > DIRECTIVES {
            return Err(format!("A document has at most {DIRECTIVES} directives."));
        }
        Ok(())
    }

    /// The level counts every kind of nesting, so that the call stack is bounded too.
    fn cost(&mut self, selections: &'a SelectionSet, level: usize) -> Result<Cost, String> {
        within_levels(level)?;
        let level = level + 1;
        let mut total = Cost::default();
        for selection in &selections.items {
            self.looked_at += 1;
            self.directives(selection.node.directives())?;
            let cost = match &selection.node {
                Selection::Field(field) => {
                    let below = self.cost(&field.node.selection_set.node, level)?;
                    let times = in_a_schema(&field.node.name.node);
                    Cost {
                        fields: below.fields.saturating_add(1),
                        depth: below.depth + 1,
                        here: 1,
                        introspected: below.introspected.saturating_mul(times).saturating_add(1),
                        ..below
                    }
                }
                Selection::InlineFragment(fragment) => self.cost(&fragment.node.selection_set.node, level)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node, level)?,
            };
            total = Cost {
                fields: total.fields.saturating_add(cost.fields),
                depth: total.depth.max(cost.depth),
                here: total.here.saturating_add(cost.here),
                levels: total.levels.max(cost.levels + 1),
                introspected: total.introspected.saturating_add(cost.introspected),
            };
        }
        if total.depth > DEPTH {
            return Err(format!("Selections nest at most {DEPTH} deep."));
        }
        if total.fields > FIELDS {
            return Err(format!("At most {FIELDS} fields can be selected."));
        }
        self.compared += total.here;
        if self.compared > COMPARED {
            return Err(format!("All selections of a document together have at most {COMPARED} fields."));
        }
        Ok(total)
    }

    fn of_fragment(&mut self, name: &'a Name, level: usize) -> Result<Cost, String> {
        match self.known.get(name) {
            Some(Some(cost)) => return within_levels(level + cost.levels).map(|()| *cost),
            Some(None) => return Err("Fragments must not contain themselves.".to_owned()),
            None => {}
        }
        // One that is not there is left to the engine, which says so better. It counts as a field: if it were free, the
        // fragments that spread it could be spread without end.
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Cost { fields: 1, here: 1, ..Cost::default() });
        };
        self.known.insert(name, None);
        let cost = self.cost(&fragment.node.selection_set.node, level)?;
        self.known.insert(name, Some(cost));
        Ok(cost)
    }
}

fn within_levels(level: usize) -> Result<(), String> {
    if level > LEVELS { Err(format!("Selections nest at most {DEPTH} deep.")) } else { Ok(()) }
}

/// How many objects a field of introspection stands for. Nothing else in the schema has these names.
fn in_a_schema(field: &str) -> u64 {
    match field {
        "types" => 200,
        "fields" | "inputFields" | "enumValues" | "interfaces" | "possibleTypes" | "directives" => 10,
        "args" => 4,
        _ => 1,
    }
}

/// Puts the root fields of subscriptions where the engine looks for them: it passes over fragments there. A subscription
/// has one root field (the GraphQL specification, section 5.2.3.1), and none that depends on a variable.
pub fn flatten_subscriptions(document: &mut ExecutableDocument) -> Result<(), &'static str> {
    let fragments = &document.fragments;
    let mut replaced = false;
    let operations: Vec<&mut OperationDefinition> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![&mut operation.node],
        DocumentOperations::Multiple(operations) => operations.values_mut().map(|found| &mut found.node).collect(),
    };
    for operation in operations.into_iter().filter(|operation| operation.ty == OperationType::Subscription) {
        let mut fields = Vec::new();
        flatten(&operation.selection_set.node, fragments, &mut fields)?;
        if fields.len() != 1 {
            return Err("A subscription has one root field.");
        }
        let root = &mut operation.selection_set.node.items;
        replaced |= !matches!(root.first().map(|selection| &selection.node), Some(Selection::Field(_)));
        *root = fields;
    }
    if replaced {
        let used = used_fragments(document);
        document.fragments.retain(|name, _| used.contains(name));
    }
    Ok(())
}

fn flatten(
    selections: &SelectionSet,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    fields: &mut Vec<Positioned<Selection>>,
) -> Result<(), &'static str> {
    for selection in &selections.items {
        if !selection.node.directives().is_empty() {
            return Err("The root field of a subscription takes no directives.");
        }
        match &selection.node {
            Selection::InlineFragment(fragment) if is_of_subscription(fragment.node.type_condition.as_ref()) => {
                flatten(&fragment.node.selection_set.node, fragments, fields)?;
            }
            Selection::Field(_) | Selection::InlineFragment(_) => fields.push(selection.clone()),
            Selection::FragmentSpread(spread) => {
                // One that is not there, or of another type, is left to the engine, which says so better.
                match fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) if is_of_subscription(Some(&fragment.node.type_condition)) => {
                        flatten(&fragment.node.selection_set.node, fragments, fields)?;
                    }
                    _ => fields.push(selection.clone()),
                }
            }
        }
    }
    Ok(())
}

fn is_of_subscription(condition: Option<&Positioned<TypeCondition>>) -> bool {
    condition.is_none_or(|condition| condition.node.on.node == "Subscription")
}

/// The fragments that operations reach.
fn used_fragments(document: &ExecutableDocument) -> HashSet<Name> {
    let mut used = HashSet::new();
    let mut open: Vec<_> = document.operations.iter().map(|(_, found)| &found.node.selection_set.node).collect();
    while let Some(selections) = open.pop() {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => open.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if used.insert(name.clone())
                        && let Some(fragment) = document.fragments.get(name)
                    {
                        open.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    used
}
