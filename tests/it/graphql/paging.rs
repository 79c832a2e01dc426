//! Pages of lists: forwards and backwards, their bounds, and cursors that are not of this list.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Server, list, text, texts},
};
use crate::support::databases::both_databases;

/// An organization with Ada and six more, called member0 to member5.
async fn of_seven(server: &Server) -> Acme<'_> {
    let acme = Acme::workspace(server).await;
    for number in 0..6 {
        acme.join(&format!("member{number}@example.com"), "MEMBER").await;
    }
    acme
}

/// A page of members by email: their first letters and digits, and whether there are more before and behind.
async fn page(acme: &Acme<'_>, variables: Value) -> (String, bool, bool, Value) {
    let mut variables = acme.with(variables);
    variables["orderBy"] = json!({ "field": "EMAIL" });
    let answer = acme.ada.operation("Members", variables).await;
    let members = answer["organization"]["members"].clone();
    let short = |email: &str| email.trim_start_matches("member").chars().next().unwrap();
    let emails = texts(&members, "/edges", "/node/user/email").into_iter().map(short).collect();
    let info = &members["pageInfo"];
    (emails, info["hasPreviousPage"] == true, info["hasNextPage"] == true, members.clone())
}

/// Cursors of the same list that are made of something else than its places are: another kind of key, an id too many or
/// too few.
fn of_other_forms(cursor: &str) -> Vec<String> {
    let place: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
    let keys = [("t", json!("x")), ("m", json!(1)), ("n", json!(1)), ("p", json!([1, 1]))];
    let ids = [Value::Null, json!("11111111-2222-4333-8444-555555555555")];
    let forms = keys.iter().flat_map(|(kind, key)| ids.iter().map(move |id| (kind, key, id)));
    forms
        .filter(|(kind, _, id)| place[1] != **kind || place[3].is_null() != id.is_null())
        .map(|(kind, key, id)| BASE64_URL_SAFE_NO_PAD.encode(json!([place[0], kind, key, id]).to_string()))
        .collect()
}

both_databases! {
    async fn lists_are_paged_forwards_and_backwards(url: &str) {
        let server = Server::start(url).await;
        let acme = of_seven(&server).await;
        let is = async |variables: Value, emails: &str, before: bool, behind: bool| {
            let (found, previous, next, members) = page(&acme, variables.clone()).await;
            assert_eq!((found.as_str(), previous, next), (emails, before, behind), "{variables}");
            assert_eq!(members["totalCount"], 7);
            let edges = list(&members, "/edges");
            let ends = (edges.first().map(|edge| &edge["cursor"]), edges.last().map(|edge| &edge["cursor"]));
            let info = &members["pageInfo"];
            assert_eq!(
                ends,
                (
                    Some(&info["startCursor"]).filter(|c| !c.is_null()),
                    Some(&info["endCursor"]).filter(|c| !c.is_null())
                )
            );
            members
        };
        let all = is(json!({}), "a012345", false, false).await;
        let cursor = |at: usize| text(&all, &format!("/edges/{at}/cursor")).to_owned();
        is(json!({ "first": 3 }), "a01", false, true).await;
        is(json!({ "first": 3, "after": cursor(2) }), "234", true, true).await;
        is(json!({ "first": 3, "after": cursor(3) }), "345", true, false).await;
        is(json!({ "first": 100, "after": cursor(6) }), "", true, false).await;
        is(json!({ "last": 2 }), "45", true, false).await;
        is(json!({ "last": 2, "before": cursor(5) }), "23", true, true).await;
        is(json!({ "last": 2, "before": cursor(2) }), "a0", false, true).await;
        is(json!({ "last": 2, "before": cursor(0) }), "", false, true).await;
        is(json!({ "first": 2, "after": cursor(0), "before": cursor(4) }), "01", true, true).await;
        is(json!({ "last": 2, "after": cursor(0), "before": cursor(4) }), "12", true, true).await;
        is(json!({ "last": 100 }), "a012345", false, false).await;
        is(json!({ "first": 100 }), "a012345", false, false).await;
    }

    /// Never a silent cut.
    async fn a_size_out_of_bounds_is_an_error(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let wrong = [
            json!({ "first": 101 }),
            json!({ "first": -1 }),
            json!({ "last": 101 }),
            json!({ "last": -1 }),
            json!({ "first": i32::MAX }),
            json!({ "last": i32::MIN }),
            json!({ "first": 1, "last": 1 }),
        ];
        for variables in wrong {
            let reply = acme.ada.try_operation("Members", acme.with(variables.clone())).await;
            assert_eq!(reply.codes(), ["BAD_USER_INPUT"], "{variables}");
            assert_eq!(reply.body["data"]["organization"], json!({ "members": null }));
        }
        for field in ["members", "invitations", "apiKeys", "auditLog", "events"] {
            let document =
                format!("query ($id: ID!) {{ organization(id: $id) {{ {field}(first: 101) {{ totalCount }} name }} }}");
            let reply = acme.ada.run(&document, acme.with(json!({}))).await;
            assert_eq!(
                (reply.codes(), &reply.body["data"]["organization"]["name"]),
                (vec!["BAD_USER_INPUT"], &json!("Acme"))
            );
        }
        let none = page(&acme, json!({ "first": 0 })).await;
        assert_eq!((none.0.as_str(), none.2), ("", true), "none of them, and there are more");
        let none = page(&acme, json!({ "last": 0 })).await;
        assert_eq!((none.0.as_str(), none.1), ("", true));
    }

    async fn a_cursor_of_another_list_or_order_is_refused(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.key("Key", &[]).await;
        acme.ada.operation("InviteMember", acme.with(json!({ "email": "x@example.com" }))).await;
        let document = "query ($id: ID!) { viewer { organizations { edges { cursor } } } organization(id: $id) {
            name: members { edges { cursor } } joined: members(orderBy: { field: JOINED_AT, direction: DESC }) { edges { cursor } }
            invitations { edges { cursor } } apiKeys { edges { cursor } } auditLog { edges { cursor } } events { edges { cursor } } } }";
        let answer = acme.ada.data(document, acme.with(json!({}))).await;
        let cursor = |place: &str| text(&answer, &format!("{place}/edges/0/cursor")).to_owned();
        let lists = [
            ("members", cursor("/organization/name")),
            ("members(orderBy: { field: JOINED_AT, direction: DESC })", cursor("/organization/joined")),
            ("invitations", cursor("/organization/invitations")),
            ("apiKeys", cursor("/organization/apiKeys")),
            ("auditLog", cursor("/organization/auditLog")),
            ("events", cursor("/organization/events")),
        ];
        let mut cursors: Vec<_> = lists.iter().map(|(_, cursor)| cursor.clone()).collect();
        cursors.extend([
            cursor("/viewer/organizations"),
            String::new(),
            "nonsense".to_owned(),
            "\0".to_owned(),
            "e30".to_owned(),
            "WzEsMiwzLDRd".to_owned(),
            "=".repeat(10_000),
            format!("{}A", cursors[0]),
            "ä".to_owned(),
        ]);
        cursors.extend(lists.iter().flat_map(|(_, cursor)| of_other_forms(cursor)));
        for (field, own) in &lists {
            for cursor in &cursors {
                for argument in ["after", "before"] {
                    let field = match field.strip_suffix(')') {
                        Some(begun) => format!("{begun}, {argument}: $cursor)"),
                        None => format!("{field}({argument}: $cursor)"),
                    };
                    let document = format!(
                        "query ($id: ID!, $cursor: String) {{ organization(id: $id) {{ list: {field} {{ edges {{ cursor }} }} }} }}"
                    );
                    let reply = acme.ada.run(&document, acme.with(json!({ "cursor": cursor }))).await;
                    let wanted: &[&str] = if cursor == own { &[] } else { &["INVALID_CURSOR"] };
                    assert_eq!(reply.codes(), wanted, "{field} with {cursor}: {}", reply.body);
                }
            }
        }
    }

    async fn every_list_goes_on_where_it_stopped_and_counts_only_when_asked(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for number in 0..5 {
            server.wait(TimeDelta::seconds(1));
            acme.key(&format!("Key {number}"), &[]).await;
            acme.ada.operation("InviteMember", acme.with(json!({ "email": format!("x{number}@example.com") }))).await;
        }
        for (field, each, count) in [
            ("apiKeys", "name", 5),
            ("invitations", "email", 5),
            ("auditLog", "sequence", 12),
            ("events", "sequence", 12),
        ] {
            let document = format!(
                "query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {{ organization(id: $id) {{
                list: {field}(first: $first, after: $after, last: $last, before: $before) {{
                    nodes {{ {each} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
            );
            let page = async |variables: Value| {
                acme.ada.data(&document, acme.with(variables)).await["organization"]["list"].clone()
            };
            let names =
                |page: &Value| list(page, "/nodes").iter().map(|node| node[each].to_string()).collect::<Vec<_>>();
            let all = names(&page(json!({})).await);
            assert_eq!(all.len(), count, "{field}");
            let (mut forwards, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let page = page(json!({ "first": 2, "after": cursor })).await;
                forwards.extend(names(&page));
                cursor = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
            }
            assert_eq!(forwards, all, "{field} forwards");
            let (mut backwards, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let page = page(json!({ "last": 2, "before": cursor })).await;
                backwards.splice(0..0, names(&page));
                cursor = page["pageInfo"]["startCursor"].clone();
                if page["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
            }
            assert_eq!(backwards, all, "{field} backwards");
            let total = acme.ada.data(&format!("query ($id: ID!) {{ organization(id: $id) {{ list: {field}(first: 0) {{ ...T }} }} }} fragment T on {} {{ totalCount }}", connection(field)), acme.with(json!({}))).await;
            assert_eq!(
                total["organization"]["list"],
                json!({ "totalCount": count }),
                "{field}, asked for in a fragment"
            );
        }
    }
}

fn connection(field: &str) -> &str {
    match field {
        "apiKeys" => "ApiKeyConnection",
        "invitations" => "InvitationConnection",
        "auditLog" => "AuditEntryConnection",
        _ => "EventConnection",
    }
}
