//! Documents and variables that somebody sends to hold the service up: each gets a named refusal, or is answered
//! within bounds, and the next request is answered as ever.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Client, Server},
};
use crate::support::databases::{both_databases, on_sqlite};

/// The codes of an answer, those of its errors and those of its user errors.
async fn codes(client: &Client, document: &str, variables: Value) -> Vec<String> {
    let answer = client.run(document, variables).await;
    let payloads = answer.body["data"].as_object().into_iter().flat_map(|data| data.values());
    let user_errors = payloads.filter_map(|payload| payload["userErrors"].as_array()).flatten();
    let user_errors = user_errors.map(|error| error["code"].as_str().unwrap());
    answer.codes().into_iter().chain(user_errors).map(str::to_owned).collect()
}

/// One text so many times, with the number in it.
fn times(count: usize, text: &str) -> String {
    (0..count).map(|number| text.replace('#', &number.to_string())).collect()
}

/// A value in so many brackets.
fn nested(depth: usize, (open, close): (&str, &str), inside: &str) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

const LISTS: (&str, &str) = ("[", "]");
const OBJECTS: (&str, &str) = ("{a:", "}");
const SELECTIONS: (&str, &str) = ("{a", "}");
const FRAGMENTS: (&str, &str) = ("{...", "}");

#[tokio::test]
async fn a_document_beyond_a_bound_is_refused_and_one_at_it_is_run() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let anybody = server.anonymous();
        let root = |count| format!("{{ {} }}", times(count, "a#: viewer { user { id } } "));
        let directives =
            |count: usize| format!("{{ viewer {{ user {{ id {} }} }} }}", "@include(if: true) ".repeat(count));
        let operations = |count| {
            format!("{} query a {{ viewer {{ user {{ id }} }} }}", times(count, "query q# { viewer { user { id } } } "))
        };
        let aliases = |count| format!("{{ viewer {{ {} }} }}", times(count, "a#: __typename "));
        for (name, within, beyond) in [
            ("root fields", root(50), root(51)),
            ("aliases", aliases(1999), aliases(2000)),
            (
                "length",
                format!("{{ viewer {{ user {{ id }} }} }}{}", " ".repeat(65_000)),
                format!("{{ viewer {{ user {{ id }} }} }}{}", "x".repeat(65_536)),
            ),
        ] {
            assert_eq!(codes(&anybody, &within, json!({})).await, [""; 0], "{name}");
            assert_eq!(codes(&anybody, &beyond, json!({})).await, ["QUERY_TOO_COMPLEX"], "{name}");
        }
        // The engine refuses the second directive of a kind at one place; that many are not shown to it.
        assert_eq!(codes(&anybody, &directives(200), json!({})).await[0], "BAD_USER_INPUT");
        assert_eq!(codes(&anybody, &directives(201), json!({})).await, ["QUERY_TOO_COMPLEX"]);
        for place in [
            format!("query {} {{ viewer {{ user {{ id }} }} }}", "@a".repeat(20_000)),
            format!("query ($a: Int {}) {{ viewer {{ user {{ id }} }} }}", "@a".repeat(20_000)),
            format!("{{ viewer {{ ...F }} }} fragment F on Viewer {} {{ user {{ id }} }}", "@a".repeat(20_000)),
        ] {
            assert_eq!(codes(&anybody, &place, json!({})).await, ["QUERY_TOO_COMPLEX"]);
        }
        let request = |count| json!({ "query": operations(count), "operationName": "a" });
        for (count, code) in [(49, None), (50, Some("QUERY_TOO_COMPLEX"))] {
            let answer =
                super::server::reply(anybody.request(reqwest::Method::POST, "/graphql").json(&request(count))).await;
            assert_eq!(answer.codes().first().copied(), code, "{count} operations and one");
        }
    })
    .await;
}

/// The parser calls itself for every bracket, and where its stack ends the whole service ends.
#[tokio::test]
async fn brackets_of_every_kind_nest_within_a_bound_wherever_they_stand() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let anybody = server.anonymous();
        for depth in [101, 400, 800, 820, 10_000] {
            for document in [
                format!("{{ node(id: {}) {{ id }} }}", nested(depth, LISTS, "1")),
                format!("{{ node(id: {}) {{ id }} }}", nested(depth, OBJECTS, "1")),
                format!("query ($a: {}) {{ viewer {{ user {{ id }} }} }}", nested(depth, LISTS, "Int")),
                format!("query ($a: Int = {}) {{ viewer {{ user {{ id }} }} }}", nested(depth, LISTS, "1")),
                format!("{{ viewer @include(if: {}) {{ user {{ id }} }} }}", nested(depth, LISTS, "1")),
                nested(depth, SELECTIONS, ""),
                nested(depth, FRAGMENTS, "a"),
                // What closes only in strings and comments does not close.
                format!("{{ node(id: {}) {{ id }} }}", "[ \"]\" ".repeat(depth)),
                format!("{{ node(id: {}) {{ id }} }}", "[ \"\\\"]\" ".repeat(depth)),
                format!("{{ node(id: {}) {{ id }} }}", "[ \"\"\"]\\\"\"\"]\"\"\" ".repeat(depth)),
                format!("{{ node(id: {}) {{ id }} }}", "[ #]\n".repeat(depth)),
                // Three quotes that nothing ends are an empty string to the parser, and the beginning of another.
                format!("{{ node(id: [\"\"\"]\" {}) {{ id }} }}", "[".repeat(depth)),
            ] {
                let shown: String = document.chars().take(60).collect();
                assert_eq!(codes(&anybody, &document, json!({})).await, ["QUERY_TOO_COMPLEX"], "{depth}: {shown}");
            }
        }
        // As many in strings and comments are text.
        let brackets = "[({".repeat(1000);
        for document in [
            format!("{{ node(id: \"{brackets}\") {{ id }} }}"),
            format!("{{ node(id: \"\\\"{brackets}\") {{ id }} }}"),
            format!("{{ node(id: \"\"\"{brackets}\"{brackets}\\\"\"\"{brackets}\"\"\") {{ id }} }}"),
            format!("#{brackets}\n{{ node(id: \"\") {{ id }} }} # \" {brackets}"),
        ] {
            assert_eq!(codes(&anybody, &document, json!({})).await, [""; 0], "{}", &document[..40]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_closed_or_not_text_cannot_be_parsed() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let long = "x".repeat(60_000);
        for document in [
            format!("{{ node(id: \"{long}"),
            format!("{{ node(id: \"\"\"{long}"),
            format!("{{ node(id: \"\"\"{}", "\\\"\"\"".repeat(15_000)),
            format!("{{ node(id: {}", "\"\"\"\\\"\"\"\"\"".repeat(6_000)),
            format!("{{ viewer #{long}"),
            "{ node(id: \"\\q\") { id } }".to_owned(),
            "{ node(id: \"\\ud800\") { id } }".to_owned(),
            "{ node(id: \"\n\") { id } }".to_owned(),
            "{ node(id: 1e400) { id } }".to_owned(),
            "{ \u{0} }".to_owned(),
            "\\".repeat(60_000),
            "\"".repeat(60_000),
        ] {
            let shown: String = document.chars().take(40).collect();
            assert_eq!(codes(&server.anonymous(), &document, json!({})).await, ["BAD_USER_INPUT"], "{shown}");
        }
        for body in [
            &b"{\"query\":\"{ viewer { user { id } } } #\xff\xfe\"}"[..],
            b"{\"query\":\"\xc3\"}",
            b"\xef\xbb\xbf{}",
            b"{\"query\":\"\\ud800\"}",
        ] {
            let request = server.anonymous().request(reqwest::Method::POST, "/graphql").body(body);
            let answer = super::server::reply(request.header("content-type", "application/json")).await;
            assert_eq!((answer.status.as_u16(), answer.codes()), (400, vec!["BAD_USER_INPUT"]), "{body:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_document_full_of_mistakes_is_told_some_of_them() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        for document in [
            format!("{{ viewer {{ {} }} }}", times(1900, "x# ")),
            format!("{{ viewer {{ user {{ id({}) }} }} }}", times(5000, "a#: 1 ")),
            format!("query ({}) {{ viewer {{ user {{ id }} }} }}", times(4000, "$a#: Int ")),
            format!("{{ viewer {{ user {{ id }} }} }} {}", times(1500, "fragment f# on Viewer { user { id } } ")),
        ] {
            let told = codes(&server.anonymous(), &document, json!({})).await;
            assert!(
                told.len() == 20 && told.iter().all(|code| code == "BAD_USER_INPUT"),
                "{}: {told:?}",
                &document[..40]
            );
        }
    })
    .await;
}

/// Introspection reads no database, so no time limit ends it: its length is bounded before it is run.
#[tokio::test]
async fn the_schema_may_be_asked_for_once_and_not_over_and_over() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let nests = |depth: usize| format!("{{ __type(name: \"Node\") {{ {}name{} }} }}", "possibleTypes { interfaces { ".repeat(depth), " } }".repeat(depth));
        let mut of_type = "kind name".to_owned();
        for _ in 0..9 {
            of_type = format!("kind name ofType {{ {of_type} }}");
        }
        let everything = format!(
            "{{ __schema {{
                queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
                types {{ ...Everything }} directives {{ name description isRepeatable locations args {{ ...Argument }} }}
            }} }}
            fragment Everything on __Type {{
                kind name description specifiedByURL
                fields(includeDeprecated: true) {{
                    name description args(includeDeprecated: true) {{ ...Argument }} type {{ {of_type} }} isDeprecated deprecationReason
                }}
                inputFields(includeDeprecated: true) {{ ...Argument }}
                interfaces {{ {of_type} }} possibleTypes {{ {of_type} }}
                enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
            }}
            fragment Argument on __InputValue {{ name description defaultValue isDeprecated deprecationReason type {{ {of_type} }} }}"
        );
        for document in [nests(1), nests(2), everything] {
            assert_eq!(codes(&server.anonymous(), &document, json!({})).await, [""; 0], "{document}");
        }
        let wide = format!("{{ __schema {{ types {{ fields {{ type {{ {} }} }} }} }} }}", times(300, "a#: fields { name } "));
        let roots = format!("{{ {} }}", times(50, "a#: __schema { types { fields { name args { name type { name } } } } } "));
        let mut spread = "{ ...F0 } fragment F9 on __Type { name }".to_owned();
        for number in 0..9 {
            write!(spread, " fragment F{number} on __Type {{ interfaces {{ possibleTypes {{ ...F{} }} }} }}", number + 1).unwrap();
        }
        let spread = spread.replace("{ ...F0 }", "{ __type(name: \"Node\") { ...F0 } }");
        for document in [nests(6), nests(9), wide, roots, spread] {
            assert_eq!(codes(&server.anonymous(), &document, json!({})).await, ["QUERY_TOO_COMPLEX"], "{}", &document[..60]);
        }
    })
    .await;
}

both_databases! {
    /// As many as a body can hold: a database takes no statement with so many values.
    async fn a_hundred_thousand_values_are_refused_where_they_are_taken(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let organization = |field: &str| format!("query ($id: ID!, $of: {}) {{ organization(id: $id) {{ {} }} }}", field.split_once('|').unwrap().0, field.split_once('|').unwrap().1);
        let ids = vec![0; 100_000];
        let words = |word: &'static str| vec![word; 250_000 / (word.len() + 3)];
        for (document, values) in [
            ("query ($id: ID!, $of: [ID!]!) { nodes(ids: $of) { id } organization(id: $id) { id } }".to_owned(), json!(ids)),
            (organization("[ID!]|members(filter: { roleIds: $of }) { totalCount }"), json!(ids)),
            (organization("[MemberStatus!]|members(filter: { statuses: $of }) { totalCount }"), json!(words("ACTIVE"))),
            (organization("[String!]|auditLog(filter: { types: $of }) { nodes { id } }"), json!(words("*"))),
            (organization("[ID!]|auditLog(filter: { actorIds: $of }) { nodes { id } }"), json!(ids)),
            (organization("[ID!]|auditLog(filter: { targetIds: $of }) { nodes { id } }"), json!(ids)),
            (organization("[InvitationState!]|invitations(states: $of) { totalCount }"), json!(words("PENDING"))),
            (organization("[ApiKeyStatus!]|apiKeys(filter: { statuses: $of }) { totalCount }"), json!(words("ACTIVE"))),
        ] {
            assert_eq!(codes(&acme.ada, &document, acme.with(json!({ "of": values }))).await, ["BAD_USER_INPUT"], "{document}");
        }
        let invitations = "mutation ($id: ID!, $of: [InvitationInput!]!) {
            inviteMembers(input: { organizationId: $id, invitations: $of }) { userErrors { code } }
        }";
        let invited = vec![json!({ "email": "a" }); 15_000];
        assert_eq!(codes(&acme.ada, invitations, acme.with(json!({ "of": invited }))).await, ["INVALID_INPUT"]);
        let literal = |count: usize| format!("{{ nodes(ids: [{}]) {{ id }} }}", "0,".repeat(count));
        assert_eq!(codes(&acme.ada, &literal(30_000), json!({})).await, ["BAD_USER_INPUT"]);
        assert_eq!(codes(&acme.ada, &literal(100_000), json!({})).await, ["QUERY_TOO_COMPLEX"]);
        for size in ["101", "2147483647", "99999999999999999999", "-1", "1.5"] {
            let document = format!("query ($id: ID!) {{ organization(id: $id) {{ members(first: {size}) {{ totalCount }} }} }}");
            assert_eq!(codes(&acme.ada, &document, acme.with(json!({}))).await, ["BAD_USER_INPUT"], "{size}");
        }
    }

    async fn values_as_long_as_a_body_are_refused_or_found_nowhere(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let long = "x".repeat(250_000);
        for (document, code) in [
            ("query ($id: ID!, $of: String) { organization(id: $id) { members(search: $of) { totalCount } } }", Some("BAD_USER_INPUT")),
            ("query ($id: ID!, $of: String) { organization(id: $id) { members(after: $of) { totalCount } } }", Some("INVALID_CURSOR")),
            ("query ($id: ID!, $of: ID!) { organization(id: $id) { id } node(id: $of) { id } }", None),
            ("query ($id: ID!, $of: String!) { organization(id: $id) { id } invitation(token: $of) { state } }", None),
            ("query ($id: ID!, $of: String!) { organization(id: $id) { id } verifyApiKey(key: $of) { outcome } }", None),
            ("mutation ($id: ID!, $of: String!) { updateOrganization(input: { organizationId: $id, name: $of }) { userErrors { code } } }", Some("INVALID_INPUT")),
            ("mutation ($id: ID!, $of: String!) { inviteMember(input: { organizationId: $id, email: $of }) { userErrors { code } } }", Some("INVALID_INPUT")),
            ("mutation ($id: ID!, $of: String!) { removeMember(input: { organizationId: $id, memberId: $of }) { userErrors { code } } }", Some("NOT_FOUND")),
        ] {
            let told = codes(&acme.ada, document, acme.with(json!({ "of": long }))).await;
            assert_eq!(told.first().map(String::as_str), code, "{document}");
        }
        // JSON nests as deep as a parser may follow it, or is no request.
        for (depth, status) in [(100, 200), (130, 400), (100_000, 400)] {
            let body = format!(r#"{{"query":"query ($of: [ID!]!) {{ nodes(ids: $of) {{ id }} }}","variables":{{"of":{}}}}}"#, nested(depth, LISTS, "1"));
            let request = acme.ada.request(reqwest::Method::POST, "/graphql").body(body);
            let answer = super::server::reply(request.header("content-type", "application/json")).await;
            assert_eq!((answer.status.as_u16(), answer.codes()), (status, vec!["BAD_USER_INPUT"]), "{depth}");
        }
    }
}
