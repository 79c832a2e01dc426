//! What operations cost. The figures are a table of their own, so that a changed formula is seen at a glance.

use std::fmt::Write;

use async_graphql::{Variables, parser::parse_query};
use orgledger::http::cost;
use serde_json::{Value, json};

use super::{operations, transcript};

fn units(document: &str, operation: Option<&str>, variables: Value) -> u32 {
    cost::of(&parse_query(document).unwrap(), operation, &Variables::from_json(variables))
}

/// The cost of a document of one operation without variables.
fn of(document: &str) -> u32 {
    units(document, None, json!({}))
}

#[test]
fn the_figures_are_those_of_the_table() {
    let ten = "id status joinedAt lastLoginAt version user { id name email avatarUrl }";
    let page = |size: &str| format!("{{ organization(id: \"x\") {{ members{size} {{ nodes {{ {ten} }} }} }} }}");
    let mut table = "What operations cost. Written by a test.\n\n| units | operation |\n|---:|---|\n".to_owned();
    let mut row = |units: u32, what: &str| writeln!(table, "| {units} | {what} |").unwrap();
    row(of(&page("")), "a page of members with 10 fields");
    for size in ["first: 1", "first: 20", "last: 50", "first: 100"] {
        row(of(&page(&format!("({size})"))), &format!("the same with `{size}`"));
    }
    let nested = "{ viewer { organizations { nodes { members { nodes { id } } } } } }";
    row(of(nested), &format!("`{nested}`"));
    let deep = "{ viewer { organizations(first: 100) { nodes { members(first: 100) { nodes { invitedBy { id } user { id } } } } } } }";
    row(of(deep), &format!("`{deep}`"));
    for name in operations::names() {
        let variables = if name == "Members" { json!({ "first": 50 }) } else { json!({}) };
        row(units(&operations::document(name), Some(name), variables), name);
    }
    transcript::hold("tests/golden/costs.md", &table);
}

#[test]
fn a_page_is_as_long_as_its_argument_its_variable_or_its_default_says() {
    let page = |arguments: &str| {
        let fields = "a b c d e f g h i j k l m n o p q r s t";
        format!("query ($n: Int, $m: Int = 20, $o: Int = null) {{ members{arguments} {{ nodes {{ {fields} }} }} }}")
    };
    // So many times 21 fields, and one.
    let fields = |times: u32| (times * 21 + 1).div_ceil(200);
    for (arguments, variables, times) in [
        ("", json!({}), 50),
        ("(first: 10)", json!({}), 10),
        ("(last: 30)", json!({}), 30),
        ("(first: 10, last: 30)", json!({}), 30),
        ("(first: 100)", json!({}), 100),
        ("(first: 2000000000)", json!({}), 100),
        ("(first: 99999999999999999999)", json!({}), 1),
        ("(first: 0)", json!({}), 1),
        ("(first: -5)", json!({}), 1),
        ("(first: null)", json!({}), 50),
        ("(first: \"10\")", json!({}), 50),
        ("(first: [10])", json!({}), 50),
        ("(first: $n)", json!({}), 50),
        ("(first: $n)", json!({ "n": 70 }), 70),
        ("(first: $n)", json!({ "n": null }), 50),
        ("(first: $n)", json!({ "n": [1] }), 50),
        ("(first: $n, last: $m)", json!({ "n": 7 }), 20),
        ("(first: $m)", json!({}), 20),
        ("(first: $m)", json!({ "m": 60 }), 60),
        ("(first: $m)", json!({ "m": null }), 50),
        ("(first: $o)", json!({}), 50),
        ("(first: $unknown)", json!({}), 50),
    ] {
        assert_eq!(units(&page(arguments), None, variables.clone()), fields(times), "{arguments} {variables}");
    }
}

#[test]
fn fragments_count_wherever_they_are_spread_and_what_is_left_out_does_not() {
    let ten = "a b c d e f g h i j";
    let plain = of(&format!("{{ members {{ nodes {{ {ten} {ten} }} }} }}"));
    for document in [
        format!("{{ members {{ ...P }} }} fragment P on C {{ nodes {{ {ten} {ten} }} }}"),
        format!("{{ members {{ nodes {{ ...T ...T }} }} }} fragment T on M {{ {ten} }}"),
        format!("{{ ...R }} fragment R on Query {{ members {{ ... {{ nodes {{ ... on M {{ {ten} }} {ten} }} }} }} }}"),
        format!("{{ x: members {{ y: nodes {{ {ten} {ten} }} }} }}"),
    ] {
        assert_eq!(of(&document), plain, "{document}");
    }
    let mutations = "mutation { ...A b: m { x } } fragment A on Mutation { a: m { x } c: m { x } }";
    assert_eq!(of(mutations), 2, "three commands and three fields are 303");
    let page =
        |directive: &str| format!("query ($y: Boolean = true) {{ a members {directive} {{ nodes {{ {ten} }} }} }}");
    for (directive, counted) in [
        ("", true),
        ("@skip(if: true)", false),
        ("@skip(if: false)", true),
        ("@include(if: true)", true),
        ("@include(if: false)", false),
        ("@skip(if: $y)", false),
        ("@include(if: $y)", true),
        ("@other(if: false)", true),
        ("@skip", true),
    ] {
        assert_eq!(of(&page(directive)) > 1, counted, "{directive}");
    }
    assert_eq!(units(&page("@skip(if: $y)"), None, json!({ "y": false })), 3);
}

#[test]
fn nodes_count_by_their_ids_and_the_operation_that_is_meant_is_counted() {
    let fields = "a b c d e f g h i j k l m n o p q r s";
    let nodes = |ids: &str| format!("query ($ids: [ID!]!) {{ nodes(ids: {ids}) {{ {fields} }} }}");
    for (ids, variables, units_of_it) in [
        ("[]", json!({}), 1),
        ("\"x\"", json!({}), 1),
        ("[\"x\", \"y\"]", json!({}), 1),
        ("$ids", json!({ "ids": vec!["x"; 20] }), 2),
        ("$ids", json!({ "ids": "x" }), 1),
        ("$ids", json!({}), 1),
        ("$ids", json!({ "ids": vec!["x"; 1000] }), 96),
    ] {
        assert_eq!(units(&nodes(ids), None, variables), units_of_it, "{ids}");
    }
    let two = format!("query A {{ a }} query B {{ members {{ nodes {{ {fields} }} }} }}");
    assert_eq!([Some("A"), Some("B"), Some("C"), None].map(|name| units(&two, name, json!({}))), [1, 6, 1, 1]);
    assert_eq!(units(&two.replace("query A { a }", ""), None, json!({})), 6);
    assert_eq!(of("{ __schema { types { name fields { name } } } }"), 1);
}

/// Numbers that would not fit are as large as there are; nothing is expanded, so this comes to an end.
#[test]
fn hostile_documents_take_no_longer_than_their_length() {
    let mut bomb = "{ ...F0 } fragment F99 on Q { a }".to_owned();
    for number in 0..99 {
        let spread = format!("x(first: 100) {{ ...F{} }} ", number + 1).repeat(10);
        write!(bomb, " fragment F{number} on Q {{ {spread} }}").unwrap();
    }
    assert_eq!(of(&bomb), u32::MAX);
    assert_eq!(of("{ ...A } fragment A on Q { x { ...B } } fragment B on Q { y { ...A } }"), 1, "it comes to an end");
    let (mut definitions, mut uses) = (String::new(), String::new());
    for number in 0..2_000 {
        write!(definitions, "$v{number}: Int = 1 ").unwrap();
        write!(uses, "a{number}: m(first: $v{number}) {{ x }} ").unwrap();
    }
    assert_eq!(of(&format!("query ({definitions}) {{ {uses} }}")), 20);
    let many = "a(first: $n) { x } ".repeat(3_000);
    let large = json!({ "n": vec!["x"; 50_000] });
    assert_eq!(units(&format!("query ($n: Int) {{ {many} }}"), None, large), 765);
}
