//! What a document may cost, before the engine looks at it.
//!
//! The engine's own limits run after fragments are expanded: a thousand bytes of fragments that name each other can hold
//! a core for half a minute. This check counts each fragment once, so it takes time in proportion to the text.

use std::collections::HashMap;

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
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

/// What a selection costs, fragments expanded.
#[derive(Clone, Copy, Default)]
struct Cost {
    fields: usize,
    depth: usize,
}

/// The fragments of a document, each with its cost once it is known; none while it is being counted.
struct Fragments<'a> {
    document: &'a ExecutableDocument,
    known: HashMap<&'a Name, Option<Cost>>,
}

/// Whether a document is within its bounds; if not, the sentence that says which one it exceeds.
pub fn check(document: &ExecutableDocument) -> Result<(), String> {
    let mut fragments = Fragments { document, known: HashMap::new() };
    for (index, (_, operation)) in document.operations.iter().enumerate() {
        if index >= OPERATIONS {
            return Err(format!("A document has at most {OPERATIONS} operations."));
        }
        fragments.cost(&operation.node.selection_set.node, 0)?;
    }
    Ok(())
}

impl<'a> Fragments<'a> {
    /// The level counts every kind of nesting, so that the call stack is bounded too.
    fn cost(&mut self, selections: &'a SelectionSet, level: usize) -> Result<Cost, String> {
        if level > LEVELS {
            return Err(format!("Selections nest at most {DEPTH} deep."));
        }
        let level = level + 1;
        let mut total = Cost::default();
        for selection in &selections.items {
            let cost = match &selection.node {
                Selection::Field(field) => {
                    let below = self.cost(&field.node.selection_set.node, level)?;
                    Cost { fields: below.fields.saturating_add(1), depth: below.depth + 1 }
                }
                Selection::InlineFragment(fragment) => self.cost(&fragment.node.selection_set.node, level)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node, level)?,
            };
            total = Cost { fields: total.fields.saturating_add(cost.fields), depth: total.depth.max(cost.depth) };
        }
        if total.depth > DEPTH {
            return Err(format!("Selections nest at most {DEPTH} deep."));
        }
        if total.fields > FIELDS {
            return Err(format!("At most {FIELDS} fields can be selected."));
        }
        Ok(total)
    }

    fn of_fragment(&mut self, name: &'a Name, level: usize) -> Result<Cost, String> {
        match self.known.get(name) {
            Some(Some(cost)) => return Ok(*cost),
            Some(None) => return Err("Fragments must not contain themselves.".to_owned()),
            None => {}
        }
        // One that is not there costs nothing here: the engine says so better.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Cost::default()) };
        self.known.insert(name, None);
        let cost = self.cost(&fragment.node.selection_set.node, level)?;
        self.known.insert(name, Some(cost));
        Ok(cost)
    }
}
