//! The operations of the API that are measured over HTTP, with the documents that clients send.

use axum::body::Bytes;
use orgledger::domain::{GlobalId, OrganizationId, UserId};
use serde_json::{Value, json};

use super::{
    clients::{Asker, Connection, Failure, Next},
    seed::{CLIENTS, NEEDLE, World, role},
};

/// The page of members, as the API's own test documents ask for it.
pub const MEMBERS: &str = "query Members($id: ID!, $first: Int, $search: String, $asOf: DateTime) { organization(id: $id) { members(first: $first, search: $search, asOf: $asOf) { totalCount edges { cursor node { id status joinedAt lastLoginAt user { id name email avatarUrl } role { id key name level } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
const AUDIT_LOG: &str = "query AuditLog($id: ID!, $first: Int) { organization(id: $id) { auditLog(first: $first) { edges { cursor node { id sequence type occurredAt outcome reason requestId hash actor { kind id displayName } target { kind id displayName } changes { field from to } ip userAgent } } pageInfo { hasNextPage endCursor } } } }";
const CHANGE_ROLE: &str = "mutation ChangeMemberRole($id: ID!, $memberId: ID!, $roleId: ID!) { changeMemberRole(input: { organizationId: $id, memberId: $memberId, roleId: $roleId }) { member { id status joinedAt lastLoginAt user { id name email avatarUrl } role { id key name level } } cursor userErrors { code message field } } }";
const INVITE: &str = "mutation InviteMember($id: ID!, $email: String!) { inviteMember(input: { organizationId: $id, email: $email }) { invitation { id email state role { key } expiresAt delivery { state attempts lastError } } alreadyPending cursor userErrors { code message field } } }";
const CREATE_KEY: &str = "mutation CreateApiKey($id: ID!, $name: String!, $permissions: [Permission!]) { createApiKey(input: { organizationId: $id, name: $name, permissions: $permissions }) { apiKey { id name prefix type status permissions rateLimit { unitsPerMinute burst } expiresAt createdAt } secret cursor userErrors { code message field } } }";
const VERIFY: &str = "query VerifyApiKey($key: String!, $permission: Permission) { verifyApiKey(key: $key, permission: $permission) { outcome organizationId apiKeyId type permissions rateLimit { limit remaining resetAt } } }";

/// Something that clients ask in a closed loop.
pub struct Operation {
    /// What it is called in `--only`.
    pub key: &'static str,
    /// What it is called in the table.
    pub what: &'static str,
    /// How many clients ask it at once.
    pub clients: usize,
    /// What the client of a number asks.
    pub asks: fn(&World, usize) -> Next,
    /// What every answer has to contain.
    pub wanted: &'static str,
}

/// All of them, in the order of the table.
pub const OPERATIONS: [Operation; 12] = [
    Operation {
        key: "page",
        what: "page of 50 of 10,000 members, role, totalCount",
        clients: CLIENTS,
        asks: page,
        wanted: "\"totalCount\":10000",
    },
    Operation {
        key: "search",
        what: "the same page of a search with 100 hits",
        clients: CLIENTS,
        asks: search,
        wanted: "\"totalCount\":100,",
    },
    Operation {
        key: "as-of",
        what: "the same page as of the middle of 100,000 events",
        clients: 8,
        asks: as_of,
        wanted: "\"totalCount\":10000",
    },
    Operation {
        key: "audit",
        what: "audit page of 50 of 100,000 entries",
        clients: CLIENTS,
        asks: audit,
        wanted: "\"hasNextPage\":true",
    },
    Operation { key: "verify", what: "verify a key", clients: CLIENTS, asks: verify, wanted: "\"VALID\"" },
    Operation { key: "role-1", what: "change role, 1 organization", clients: CLIENTS, asks: role_1, wanted: DONE },
    Operation { key: "role-64", what: "change role, 64 organizations", clients: CLIENTS, asks: role_64, wanted: DONE },
    Operation {
        key: "role-2000",
        what: "change role, 2,000 organizations",
        clients: CLIENTS,
        asks: role_2000,
        wanted: DONE,
    },
    Operation {
        key: "role-small",
        what: "change role, 10 members and 11 events",
        clients: 1,
        asks: role_small,
        wanted: DONE,
    },
    Operation {
        key: "role-large",
        what: "change role, 100,000 members and 200,000 events",
        clients: 1,
        asks: role_large,
        wanted: DONE,
    },
    Operation { key: "invite", what: "invite, 2,000 organizations", clients: CLIENTS, asks: invite, wanted: DONE },
    Operation {
        key: "create-key",
        what: "create a key, 2,000 organizations",
        clients: CLIENTS,
        asks: create_key,
        wanted: DONE,
    },
];

/// What the answer to a command contains that was done.
const DONE: &str = "\"userErrors\":[]";

impl Operation {
    /// Its clients in front of a server.
    pub async fn askers(&self, address: &str, world: &World) -> Result<Vec<Asker>, Failure> {
        let mut askers = Vec::new();
        for number in 0..self.clients {
            let connection = Connection::open(address).await?;
            let bearer = if self.key == "verify" { String::new() } else { bearer(world, number) };
            askers.push(Asker { connection, bearer, next: (self.asks)(world, number), wanted: self.wanted });
        }
        Ok(askers)
    }
}

/// The operation of a name.
pub fn operation(key: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.key == key)
}

/// The credential of a client.
pub fn bearer(world: &World, number: usize) -> String {
    format!("Bearer {}", world.sessions[number % world.sessions.len()].1)
}

fn body(query: &str, variables: &Value) -> Bytes {
    json!({ "query": query, "variables": variables }).to_string().into()
}

fn always(query: &str, variables: &Value) -> Next {
    let body = body(query, variables);
    Box::new(move || body.clone())
}

fn id(organization: OrganizationId) -> String {
    GlobalId::Organization(organization).to_string()
}

/// The variables of the page.
pub fn page_variables(world: &World) -> Value {
    json!({ "id": id(world.crowd), "first": 50 })
}

fn page(world: &World, _: usize) -> Next {
    always(MEMBERS, &page_variables(world))
}

fn search(world: &World, _: usize) -> Next {
    always(MEMBERS, &json!({ "id": id(world.crowd), "first": 50, "search": NEEDLE }))
}

fn as_of(world: &World, _: usize) -> Next {
    always(MEMBERS, &json!({ "id": id(world.crowd), "first": 50, "asOf": world.past.to_rfc3339() }))
}

fn audit(world: &World, _: usize) -> Next {
    always(AUDIT_LOG, &json!({ "id": id(world.crowd), "first": 50 }))
}

fn verify(world: &World, number: usize) -> Next {
    always(VERIFY, &json!({ "key": world.keys[number], "permission": "MEMBERS_READ" }))
}

/// Gives members in turn one role and, the next time round, another, so that every command changes something.
pub fn changing(places: Vec<(OrganizationId, UserId)>) -> Next {
    let mut round = 0;
    Box::new(move || {
        let (organization, member) = places[round % places.len()];
        let to = if (round / places.len()).is_multiple_of(2) { "MANAGER" } else { "MEMBER" };
        round += 1;
        let variables = json!({
            "id": id(organization),
            "memberId": GlobalId::Member(organization, member).to_string(),
            "roleId": GlobalId::Role(organization, role(to)).to_string(),
        });
        body(CHANGE_ROLE, &variables)
    })
}

fn role_1(world: &World, number: usize) -> Next {
    changing(vec![(world.one, world.people[1 + number])])
}

fn role_64(world: &World, number: usize) -> Next {
    changing(vec![(world.many[number], world.people[1])])
}

/// The organizations of a client, where all of them are spread over all.
fn share(world: &World, number: usize) -> Vec<OrganizationId> {
    world.many.iter().skip(number).step_by(CLIENTS).copied().collect()
}

fn role_2000(world: &World, number: usize) -> Next {
    changing(share(world, number).into_iter().map(|organization| (organization, world.people[2])).collect())
}

fn role_small(world: &World, _: usize) -> Next {
    changing(vec![(world.small, world.people[1])])
}

fn role_large(world: &World, _: usize) -> Next {
    changing(vec![(world.large, world.people[1])])
}

fn invite(world: &World, number: usize) -> Next {
    let (share, mut round) = (share(world, number), 0);
    Box::new(move || {
        round += 1;
        let email = format!("invited.{number}.{round}@example.com");
        body(INVITE, &json!({ "id": id(share[round % share.len()]), "email": email }))
    })
}

fn create_key(world: &World, number: usize) -> Next {
    let (share, mut round) = (share(world, number), 0);
    Box::new(move || {
        round += 1;
        let variables = json!({ "id": id(share[round % share.len()]), "name": format!("key {round}"), "permissions": ["MEMBERS_READ"] });
        body(CREATE_KEY, &variables)
    })
}
