//! The documents that clients send, cut into single operations with the fragments that each uses. The file is the
//! one of the specification, word by word.

use std::sync::LazyLock;

const TEXT: &str = include_str!("../../fixtures/operations.graphql");

/// A fragment or an operation of the file.
struct Definition {
    name: String,
    text: String,
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let mut definitions: Vec<Definition> = Vec::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let begins =
            ["fragment ", "query ", "mutation ", "subscription "].iter().find_map(|word| line.strip_prefix(word));
        if let Some(rest) = begins {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
            definitions.push(Definition { name, text: String::new() });
        }
        if let Some(definition) = definitions.last_mut() {
            definition.text.push_str(line);
            definition.text.push('\n');
        }
    }
    definitions
});

/// The names of all operations.
pub fn names() -> Vec<&'static str> {
    let operations = DEFINITIONS.iter().filter(|definition| !definition.text.starts_with("fragment"));
    operations.map(|definition| definition.name.as_str()).collect()
}

/// The document of one operation.
pub fn document(name: &str) -> String {
    let found =
        DEFINITIONS.iter().find(|definition| definition.name == name && !definition.text.starts_with("fragment"));
    let operation = &found.unwrap_or_else(|| panic!("no operation {name}")).text;
    let fragments = DEFINITIONS.iter().filter(|definition| definition.text.starts_with("fragment"));
    let used = fragments.filter(|fragment| spreads(operation, &fragment.name));
    used.map(|fragment| fragment.text.as_str()).chain([operation.as_str()]).collect()
}

fn spreads(operation: &str, fragment: &str) -> bool {
    let after = |(at, mark): (usize, &str)| operation[at + mark.len()..].strip_prefix(fragment);
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    operation.match_indices("...").filter_map(after).any(ends)
}
