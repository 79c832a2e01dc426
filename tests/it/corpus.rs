//! The inputs that the fuzz targets of `tests/fuzz` begin with, and what they once found: each is tried by every test
//! run, without the fuzzer.

use std::{fs, path::Path};

#[path = "../fuzz/properties.rs"]
mod properties;

/// Holds every file of a folder to a property.
fn hold(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut tried = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        // What panics names itself: the test's own words come too late.
        println!("{}", path.display());
        property(&fs::read(&path).unwrap());
        tried += 1;
    }
    assert!(tried >= 5, "{} has lost its files", folder.display());
}

#[test]
fn a_key_is_read_as_it_is_written_and_a_mistyped_one_is_refused() {
    hold("api_keys", properties::api_keys);
}

#[test]
fn a_cursor_is_read_as_it_is_written_in_its_own_order() {
    hold("cursors", properties::cursors);
}

#[test]
fn a_document_takes_no_longer_than_its_length() {
    hold("documents", properties::documents);
}

#[test]
fn an_event_is_read_as_it_is_written_and_always_applies() {
    hold("events", properties::events);
}

#[test]
fn an_id_is_read_as_it_is_written() {
    hold("ids", properties::ids);
}
