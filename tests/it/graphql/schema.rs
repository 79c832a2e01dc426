//! The contract: `schema.graphql` is what the code serves, every element of it is described, and what clients send
//! validates against it.

use std::collections::BTreeSet;

use async_graphql::parser::{
    parse_query,
    types::{BaseType, DocumentOperations, OperationType},
};
use serde_json::{Map, Value, json};

use super::{
    operations,
    server::{Client, Server, list, text},
    socket::Socket,
    transcript,
};
use crate::support::databases::on_sqlite;

/// Operations of the specification that are not served yet. The list is exact: what is served has no place in it.
pub const NOT_YET: &[&str] = &[];

/// What programs that show a schema ask for.
const INTROSPECTION: &str = "
    query Introspection { __schema {
      queryType { name } mutationType { name } subscriptionType { name }
      types { kind name description specifiedByURL
        fields(includeDeprecated: true) { name description args { ...Input } type { ...Type } isDeprecated }
        inputFields { ...Input } enumValues(includeDeprecated: true) { name description }
        interfaces { ...Type } possibleTypes { ...Type } }
      directives { name description locations args { ...Input } }
    } }
    fragment Input on __InputValue { name description type { ...Type } defaultValue }
    fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";

#[test]
fn the_schema_file_is_what_the_code_serves() {
    transcript::hold("schema.graphql", &orgledger::graphql::schema_text());
}

#[tokio::test]
async fn every_element_of_the_schema_is_described() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let answer = server.anonymous().data(INTROSPECTION, json!({})).await;
        assert_eq!(undescribed(&answer["__schema"]), [""; 0]);
    })
    .await;
}

#[test]
fn an_element_without_a_description_is_found() {
    let schema = json!({
        "types": [
            { "name": "__Type", "description": null },
            { "name": "Role", "description": " ", "fields": [
                { "name": "key", "description": "Its key.", "args": [{ "name": "short", "description": null }] },
            ] },
            { "name": "Kind", "description": "A kind.", "enumValues": [{ "name": "TEAM", "description": "" }] },
            { "name": "Filter", "description": "A filter.", "inputFields": [{ "name": "from", "description": null }] },
        ],
        "directives": [{ "name": "skip", "description": "Skips.", "args": [{ "name": "if", "description": null }] }],
    });
    assert_eq!(undescribed(&schema), ["Role", "Role.key(short:)", "Kind.TEAM", "Filter.from", "@skip(if:)"]);
}

/// The elements of a schema that have no description; those of GraphQL itself are not ours.
fn undescribed(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |element: &Value, name: String| {
        if element["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
            found.push(name);
        }
    };
    let all = |object: &Value, field: &str| object[field].as_array().cloned().unwrap_or_default();
    for object in all(schema, "types").iter().filter(|object| !is_graphqls_own(text(object, "/name"))) {
        let of = text(object, "/name");
        note(object, of.to_owned());
        for field in all(object, "fields") {
            let name = format!("{of}.{}", text(&field, "/name"));
            for argument in all(&field, "args") {
                note(&argument, format!("{name}({}:)", text(&argument, "/name")));
            }
            note(&field, name);
        }
        for value in all(object, "enumValues").iter().chain(&all(object, "inputFields")) {
            note(value, format!("{of}.{}", text(value, "/name")));
        }
    }
    for directive in all(schema, "directives") {
        let name = format!("@{}", text(&directive, "/name"));
        for argument in all(&directive, "args") {
            note(&argument, format!("{name}({}:)", text(&argument, "/name")));
        }
        note(&directive, name);
    }
    found
}

fn is_graphqls_own(name: &str) -> bool {
    name.starts_with("__") || ["Boolean", "Float", "ID", "Int", "String"].contains(&name)
}

#[tokio::test]
async fn what_clients_send_validates_against_the_schema_and_the_list_of_what_does_not_yet_is_exact() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let client = server.anonymous();
        let mut rejected = BTreeSet::new();
        for name in operations::names() {
            let errors = validation_errors(&client, &operations::document(name)).await;
            if !errors.is_empty() {
                assert!(NOT_YET.contains(&name), "{name}: {errors:#?}");
                rejected.insert(name);
            }
        }
        assert_eq!(rejected, NOT_YET.iter().copied().collect(), "what is served stands in no list of what is not");
    })
    .await;
}

#[tokio::test]
async fn a_document_that_does_not_validate_is_found() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let client = server.anonymous();
        let wrong = [
            "query A { viewer { shoeSize } }",
            "query A($id: String!) { organization(id: $id) { members(first: $id) { totalCount } } }",
            "mutation A { signOut { cursor } }",
            "subscription A($id: ID!) { organizationEvents(organizationId: $id) { shoeSize } }",
        ];
        for document in wrong {
            assert_eq!(validation_errors(&client, document).await.len(), 1, "{document}");
        }
        let right = "subscription A($id: ID!) { organizationEvents(organizationId: $id) { cursor } }";
        assert_eq!(validation_errors(&client, right).await, [] as [Value; 0]);
    })
    .await;
}

/// What validation says about a document of one operation. It is sent by nobody, with made-up variables: errors with
/// a path come from resolvers, after it was found valid.
async fn validation_errors(client: &Client, document: &str) -> Vec<Value> {
    let parsed = parse_query(document).unwrap();
    let DocumentOperations::Multiple(operations) = parsed.operations else { panic!("an operation without a name") };
    let operation = operations.into_values().next().unwrap().node;
    let mut variables = Map::new();
    for definition in operation.variable_definitions {
        variables.insert(definition.node.name.node.to_string(), made_up(&definition.node.var_type.node.base));
    }
    let variables = Value::Object(variables);
    let errors = if operation.ty == OperationType::Subscription {
        let mut socket = Socket::open(client).await;
        socket.subscribe("1", document, variables).await;
        let message = socket.next("1").await;
        // Validation errors come as `error`; a refusal of the resolver is an answer.
        match message["type"].as_str() {
            Some("error") => message["payload"].as_array().cloned(),
            Some("next") => message["payload"]["errors"].as_array().cloned(),
            kind => panic!("{kind:?}: {message}"),
        }
    } else {
        client.run(document, variables).await.body["errors"].as_array().cloned()
    };
    let errors = errors.unwrap_or_default();
    let refused = |error: &Value| error["path"].is_array() || error["extensions"]["code"] == "UNAUTHENTICATED";
    errors.into_iter().filter(|error| !refused(error)).collect()
}

/// A value of a type: nothing that exists.
fn made_up(base: &BaseType) -> Value {
    let name = match base {
        BaseType::List(inner) => return json!([made_up(&inner.base)]),
        BaseType::Named(name) => name.as_str(),
    };
    match name {
        "String" => "nothing".into(),
        "ID" => "org_0000000000000000000000".into(),
        "Int" => 1.into(),
        "Boolean" => false.into(),
        "DateTime" => "2026-01-02T03:04:05Z".into(),
        "OrganizationKind" => "TEAM".into(),
        "OrganizationAction" => "LEAVE_ORGANIZATION".into(),
        "Permission" => "MEMBERS_READ".into(),
        "CreatedKeys" => "KEEP".into(),
        "InvitationState" => "PENDING".into(),
        "ApiKeyType" => "STANDARD".into(),
        "MemberOrder" => json!({ "field": "NAME", "direction": "DESC" }),
        "MemberFilter" => json!({ "roleIds": ["x"], "statuses": ["FORMER"], "joinedFrom": null, "joinedTo": null }),
        "ApiKeyFilter" => json!({ "statuses": ["EXPIRED"], "types": ["AI_AGENT"] }),
        "AuditFilter" => json!({ "types": ["member.*"], "actorIds": ["x"], "targetIds": ["x"],
            "outcomes": ["SUCCEEDED", "REFUSED"], "from": null, "to": null, "search": "x" }),
        "EventFilter" => json!({ "types": ["member.*"] }),
        "RateLimitInput" => json!({ "unitsPerMinute": 60, "burst": 10 }),
        "InvitationInput" => json!({ "email": "x@example.com", "name": "x", "roleId": "x" }),
        "NotificationPreferenceInput" => json!({ "category": "MEMBERS", "email": true }),
        other => panic!("make up a {other}"),
    }
}

#[tokio::test]
async fn the_types_that_clients_name_have_the_fields_and_values_of_the_specification() {
    on_sqlite(async |url| {
        let server = Server::start(url).await;
        let answer = server.anonymous().data(INTROSPECTION, json!({})).await;
        let values = |name: &str| -> Vec<String> {
            let object = list(&answer, "/__schema/types").iter().find(|object| object["name"] == name);
            let object = object.unwrap_or_else(|| panic!("no type {name}"));
            let parts = ["enumValues", "inputFields"].iter().filter_map(|part| object[*part].as_array()).flatten();
            parts.map(|value| text(value, "/name").to_owned()).collect()
        };
        for (name, wanted) in TYPES {
            let present = values(name);
            let missing: Vec<_> = wanted.split(' ').filter(|value| !present.iter().any(|name| name == value)).collect();
            assert_eq!(missing, [""; 0], "{name} has {present:?}");
        }
    })
    .await;
}

/// Enums and inputs as the specification names them.
const TYPES: &[(&str, &str)] = &[
    ("MemberFilter", "roleIds statuses joinedFrom joinedTo"),
    ("MemberStatus", "ACTIVE INACTIVE FORMER"),
    ("MemberOrder", "field direction"),
    ("MemberOrderField", "NAME EMAIL JOINED_AT LAST_LOGIN_AT"),
    ("ApiKeyFilter", "statuses types"),
    ("ApiKeyStatus", "ACTIVE DISABLED REVOKED EXPIRED"),
    ("ApiKeyType", "STANDARD AI_AGENT"),
    ("AuditFilter", "types actorIds targetIds outcomes from to search"),
    ("Outcome", "SUCCEEDED REFUSED"),
    ("EventFilter", "types"),
    ("NotificationPreferenceInput", "category email"),
    ("NotificationCategory", "MEMBERS ROLES API_KEYS SECURITY BILLING"),
    ("RateLimitInput", "unitsPerMinute burst"),
    ("InvitationInput", "email name roleId"),
    ("InvitationState", "PENDING ACCEPTED DECLINED REVOKED EXPIRED"),
    ("CreatedKeys", "KEEP DISABLE REVOKE"),
    ("ActorKind", "USER API_KEY OPERATOR SYSTEM"),
    ("OrganizationKind", "PERSONAL TEAM WORKSPACE ENTERPRISE"),
    ("OrganizationArea", "PROFILE MEMBERS INVITATIONS ROLES API_KEYS SETTINGS"),
    (
        "Permission",
        "ORGANIZATION_UPDATE ORGANIZATION_DELETE MEMBERS_READ MEMBERS_INVITE MEMBERS_UPDATE MEMBERS_ASSIGN_ROLE \
         MEMBERS_REMOVE ROLES_MANAGE API_KEYS_READ API_KEYS_MANAGE APPS_READ APPS_MANAGE BILLING_READ BILLING_MANAGE \
         AUDIT_READ AUDIT_EXPORT EVENTS_SUBSCRIBE DATA_EXPORT",
    ),
];
