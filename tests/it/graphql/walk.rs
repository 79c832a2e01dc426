//! The main job, end to end: an organization's life, told by the documents of `playground/lessons` in their order.
//! What is asked and answered stands in `tests/golden/walk.json`, one transcript that both databases must produce.

use std::{fs, path::Path};

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    server::{Client, Reply, Server, list, text, texts, token},
    socket::{Socket, events_until},
    transcript::{self, Names},
};
use crate::support::databases::both_databases;

/// The documents, in order of their numbers: the file's name without its ending, and its text.
fn lessons() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/lessons");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// What the README's shell functions rely on, which put a document into JSON as it is.
#[test]
fn a_lesson_begins_with_a_sentence_and_is_one_named_operation_that_a_shell_can_send() {
    for (name, document) in lessons() {
        let sentence = document.lines().next().unwrap();
        assert!(sentence.starts_with("# ") && sentence.ends_with('.'), "{name} begins with {sentence}");
        assert!(!document.contains(['"', '\\', '\t']), "{name} needs escaping");
        let parsed = async_graphql::parser::parse_query(&document).unwrap();
        let operations: Vec<_> = parsed.operations.iter().map(|(operation, _)| operation.is_some()).collect();
        assert_eq!(operations, [true], "{name}");
        let (number, _) = name.split_once('-').unwrap();
        assert!(number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
    }
}

/// The walk so far.
struct Walk<'a> {
    server: &'a Server,
    lessons: Vec<(String, String)>,
    names: Names,
    transcript: Vec<Value>,
    /// The lessons in the order in which each came first.
    seen: Vec<String>,
}

impl<'a> Walk<'a> {
    fn begin(server: &'a Server) -> Self {
        Self { server, lessons: lessons(), names: Names::default(), transcript: Vec::new(), seen: Vec::new() }
    }

    /// The lesson with this number; a second passes, so that no two things happen at once.
    fn lesson(&mut self, number: &str) -> (String, String) {
        self.server.wait(TimeDelta::seconds(1));
        let found = self.lessons.iter().find(|(name, _)| name.split('-').next() == Some(number));
        let (name, document) = found.unwrap_or_else(|| panic!("no lesson {number}")).clone();
        if !self.seen.contains(&name) {
            self.seen.push(name.clone());
        }
        (name, document)
    }

    fn note(&mut self, lesson: &str, who: &str, variables: &Value, answer: &Value) {
        let entry = json!({ "lesson": lesson, "who": who, "variables": variables, "answer": answer });
        self.transcript.push(self.names.named(&entry));
    }

    /// Somebody runs a lesson.
    async fn step(&mut self, (who, client): (&str, &Client), number: &str, variables: Value) -> Reply {
        let (name, document) = self.lesson(number);
        let reply = client.run(&document, variables.clone()).await;
        let answer = json!({ "status": reply.status.as_u16(), "body": reply.body });
        self.note(&name, who, &variables, &answer);
        reply
    }

    /// Somebody runs a lesson that is answered without any error; tells its `data`.
    async fn done(&mut self, who: (&str, &Client), number: &str, variables: Value) -> Value {
        let reply = self.step(who, number, variables).await;
        let payload = reply.body["data"].as_object().and_then(|data| data.values().next()).cloned();
        let errors = payload.as_ref().and_then(|payload| payload.get("userErrors"));
        let fine = errors.is_none_or(|errors| *errors == json!([])) && reply.body.get("errors").is_none();
        assert!(fine && payload.is_some(), "{number}: {:#}", reply.body);
        reply.body["data"].clone()
    }

    /// Somebody runs a lesson that a rule refuses; tells the rule's code.
    async fn refused(&mut self, who: (&str, &Client), number: &str, variables: Value) -> String {
        let reply = self.step(who, number, variables).await;
        let payload = reply.body["data"].as_object().unwrap().values().next().unwrap();
        text(payload, "/userErrors/0/code").to_owned()
    }

    /// Somebody signs in by the first two lessons.
    async fn sign_in(&mut self, who: &str, email: &str) -> Client {
        self.server.wait(TimeDelta::minutes(1));
        let nobody = self.server.anonymous();
        self.done((who, &nobody), "01", json!({ "email": email })).await;
        let link = self.server.link_for(email, "/sign-in").await;
        let token = token(&link);
        let answer = self.done((who, &nobody), "02", json!({ "token": token })).await;
        self.server.with_key(text(&answer, "/completeSignIn/sessionToken"))
    }

    /// Somebody makes an organization; tells the variable that names it, and its id.
    async fn organization(&mut self, who: (&str, &Client), name: &str, kind: &str) -> (Value, String) {
        let made = self.done(who, "03", json!({ "name": name, "kind": kind })).await;
        let id = text(&made, "/createOrganization/organization/id").to_owned();
        (json!({ "organizationId": id }), id)
    }

    /// Somebody invites Bea, who accepts; tells her id as a member.
    async fn admit(&mut self, by: (&str, &Client), bea: (&str, &Client), of: &Value, terms: Value) -> String {
        let mut invitation = with(of, terms);
        invitation["email"] = "bea@example.com".into();
        self.done(by, "05", invitation).await;
        let token = self.server.invitation_token("bea@example.com").await;
        let answer = self.done(bea, "07", json!({ "token": token })).await;
        text(&answer, "/acceptInvitation/member/id").to_owned()
    }

    /// The walk came by these lessons for the first time in the order of their numbers, others aside.
    fn came_by(&self, numbers: &[usize]) {
        let number = |name: &String| name.split('-').next().unwrap().parse::<usize>().unwrap();
        let seen: Vec<_> = self.seen.iter().map(number).filter(|number| numbers.contains(number)).collect();
        assert_eq!(seen, numbers);
        let known = self.lessons.iter().map(|(name, _)| number(name)).max();
        assert_eq!(known, Some(25), "one of the walks comes by every lesson");
    }

    fn hold(&self, golden: &str) {
        let transcript = serde_json::to_string_pretty(&self.transcript).unwrap();
        transcript::hold(golden, &format!("{transcript}\n"));
    }

    /// Somebody follows the events from a cursor until the one with this sequence has come; tells them all.
    async fn follow(&mut self, (who, client): (&str, &Client), variables: Value, until: u64) -> Vec<Value> {
        let (name, document) = self.lesson("09");
        let mut socket = Socket::open(client).await;
        socket.subscribe("1", &document, variables.clone()).await;
        let events = events_until(&mut socket, "1", until).await;
        self.note(&name, who, &variables, &json!(events));
        events
    }
}

/// Who may do what is told by the list of `(email, role)` of those who have access.
fn roles(answer: &Value) -> Vec<(&str, &str)> {
    let nodes = list(answer, "/organization/members/edges");
    nodes.iter().map(|edge| (text(edge, "/node/user/email"), text(edge, "/node/role/key"))).collect()
}

both_databases! {
    /// The issue's own words: "The walk, as a test on both databases".
    async fn an_organization_lives_from_its_first_sign_in_to_the_handover(url: &str) {
        let server = &Server::start(url).await;
        let mut walk = Walk::begin(server);

        // A first user signs in, makes the organization and invites a second and a third by email.
        let ada = walk.sign_in("Ada", "ada@example.com").await;
        let ada = ("Ada", &ada);
        let acme = json!({ "name": "Acme", "kind": "WORKSPACE", "idempotencyKey": "make-acme" });
        let made = walk.done(ada, "03", acme).await;
        let id = text(&made, "/createOrganization/organization/id").to_owned();
        let of = |mut variables: Value| {
            variables["organizationId"] = id.as_str().into();
            variables
        };
        let answer = walk.done(ada, "04", of(json!({}))).await;
        let role = |key: &str| {
            let role = list(&answer, "/organization/roles").iter().find(|role| role["key"] == key);
            text(role.unwrap(), "/id").to_owned()
        };
        let bea = json!({ "email": "bea@example.com", "name": "Bea", "roleId": role("MANAGER") });
        walk.done(ada, "05", of(bea)).await;
        let cyn = json!({ "email": "cyn@example.com", "name": "Cyn", "roleId": role("MEMBER") });
        walk.done(ada, "05", of(cyn)).await;

        // Each follows the link and accepts.
        let mut invited = Vec::new();
        for (who, email) in [("Bea", "bea@example.com"), ("Cyn", "cyn@example.com")] {
            let token = server.invitation_token(email).await;
            walk.done((who, &server.anonymous()), "06", json!({ "token": token })).await;
            let client = walk.sign_in(who, email).await;
            walk.done((who, &client), "07", json!({ "token": token })).await;
            invited.push(client);
        }
        let (bea, cyn) = (("Bea", &invited[0]), ("Cyn", &invited[1]));
        let answer = walk.done(ada, "08", of(json!({ "first": 10 }))).await;
        assert_eq!(
            roles(&answer),
            [("ada@example.com", "ADMIN"), ("bea@example.com", "MANAGER"), ("cyn@example.com", "MEMBER")]
        );
        let member = |at: usize| text(&answer, &format!("/organization/members/edges/{at}/node/id")).to_owned();
        let (ada_id, bea_id, cyn_id) = (member(0), member(1), member(2));

        // A subscriber is cut off in the middle of what there is.
        let mut events = walk.follow(ada, of(json!({})), 7).await;
        let cut_off = text(events.last().unwrap(), "/cursor").to_owned();

        // The first makes the second CO_ADMIN, who tries to give somebody ADMIN.
        let promote = json!({ "memberId": bea_id, "roleId": role("CO_ADMIN"), "reason": "She runs the office now." });
        walk.done(ada, "10", of(promote)).await;
        let too_much = of(json!({ "memberId": cyn_id, "roleId": role("ADMIN") }));
        let ask = of(json!({ "action": "CHANGE_MEMBER_ROLE", "memberId": cyn_id, "roleId": role("ADMIN") }));
        let decision = walk.done(bea, "11", ask).await;
        assert_eq!(decision["organization"]["viewerCan"]["code"], "ROLE_NOT_ASSIGNABLE");
        assert_eq!(walk.refused(bea, "10", too_much).await, "ROLE_NOT_ASSIGNABLE");

        // The first makes a key; a script lists members with it; off, on, revoked.
        let key = json!({ "name": "Nightly report", "permissions": ["MEMBERS_READ"] });
        let made = walk.done(ada, "12", of(key)).await;
        let script = server.with_key(text(&made, "/createApiKey/secret"));
        let script = ("the script", &script);
        let key = of(json!({ "apiKeyId": text(&made, "/createApiKey/apiKey/id") }));
        assert_eq!(roles(&walk.done(script, "08", of(json!({}))).await).len(), 3);
        walk.done(ada, "13", key.clone()).await;
        assert_eq!(walk.step(script, "08", of(json!({}))).await.status, StatusCode::UNAUTHORIZED);
        walk.done(ada, "14", key.clone()).await;
        assert_eq!(roles(&walk.done(script, "08", of(json!({}))).await).len(), 3);
        let revoked = {
            let mut key = key;
            key["reason"] = "The report has ended.".into();
            key
        };
        walk.done(ada, "15", revoked).await;
        assert_eq!(walk.step(script, "08", of(json!({}))).await.status, StatusCode::UNAUTHORIZED);

        // The third is deactivated and their next query sees nothing.
        walk.done(ada, "16", of(json!({ "memberId": cyn_id, "reason": "On leave." }))).await;
        let reply = walk.step(cyn, "17", of(json!({}))).await;
        assert_eq!(reply.body["data"]["organization"], Value::Null);
        assert_eq!(reply.body["data"]["viewer"]["organizations"]["totalCount"], 1, "their personal one");

        // The first tries to leave, promotes the second, and leaves.
        assert_eq!(walk.refused(ada, "18", of(json!({}))).await, "LAST_OWNER");
        walk.done(ada, "10", of(json!({ "memberId": bea_id, "roleId": role("ADMIN") }))).await;
        walk.done(ada, "18", of(json!({}))).await;
        assert_eq!(walk.step(ada, "17", of(json!({}))).await.body["data"]["organization"], Value::Null);

        // The subscriber goes on from its cursor, and has every event exactly once.
        events.extend(walk.follow(bea, of(json!({ "after": cut_off })), STEPS.len() as u64).await);
        let sequences: Vec<_> = events.iter().map(|edge| edge["node"]["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());

        // The second finds every step in the audit log, in order.
        let answer = walk.done(bea, "19", of(json!({ "first": 100 }))).await;
        let log: Vec<_> =
            list(&answer, "/organization/auditLog/edges").iter().rev().map(|edge| &edge["node"]).collect();
        let told: Vec<_> = log.iter().map(|entry| told(entry)).collect();
        let said: Vec<_> = texts(&json!(events), "", "/node/type").iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(log.iter().map(|entry| text(entry, "/type").to_owned()).collect::<Vec<_>>(), said);
        assert_eq!(told, STEPS);
        let ids = [(13, &cyn_id), (14, &bea_id), (15, &ada_id)];
        for (at, id) in ids {
            assert_eq!(text(log[at], "/target/id"), id);
        }

        walk.came_by(&(1..=19).collect::<Vec<_>>());
        walk.hold("tests/golden/walk.json");
    }

    /// The second walk: roles of one's own, an enterprise, and who owns it.
    async fn a_workspace_makes_its_own_roles_and_an_enterprise_changes_hands(url: &str) {
        let server = &Server::start(url).await;
        let mut walk = Walk::begin(server);
        let ada = walk.sign_in("Ada", "ada@example.com").await;
        let ada = ("Ada", &ada);
        let bea = walk.sign_in("Bea", "bea@example.com").await;
        let bea = ("Bea", &bea);

        // Ada makes a role, invites Bea with it, and gives it more to do.
        let (acme, _) = walk.organization(ada, "Acme", "WORKSPACE").await;
        let lead = json!({ "name": "Team lead", "level": 3, "permissions": ["MEMBERS_READ", "APPS_READ"] });
        let made = walk.done(ada, "20", with(&acme, lead)).await;
        let lead = text(&made, "/createRole/role/id").to_owned();
        let bea_id = walk.admit(ada, bea, &acme, json!({ "roleId": lead })).await;
        let held = |answer: &Value| list(answer, "/organization/member/permissions").len();
        let profile = with(&acme, json!({ "memberId": bea_id }));
        assert_eq!(held(&walk.done(ada, "21", profile.clone()).await), 2);
        let grown = json!({ "roleId": lead, "permissions": ["MEMBERS_READ", "APPS_READ", "MEMBERS_INVITE"] });
        walk.done(ada, "22", with(&acme, grown.clone())).await;
        assert_eq!(held(&walk.done(bea, "21", profile.clone()).await), 3);
        assert_eq!(walk.refused(bea, "22", with(&acme, grown)).await, "PERMISSION_REQUIRED");

        // It goes only with another that takes its place.
        assert_eq!(walk.refused(ada, "23", with(&acme, json!({ "roleId": lead }))).await, "ROLE_IN_USE");
        let answer = walk.done(ada, "04", acme.clone()).await;
        let roles = list(&answer, "/organization/roles");
        let manager = text(roles.iter().find(|role| role["key"] == "MANAGER").unwrap(), "/id");
        walk.done(ada, "23", with(&acme, json!({ "roleId": lead, "reassignToRoleId": manager }))).await;
        let answer = walk.done(bea, "21", profile).await;
        assert_eq!(answer["organization"]["member"]["role"]["key"], "MANAGER");
        walk.done(ada, "19", with(&acme, json!({ "filter": { "types": ["role.*"] } }))).await;

        // An enterprise waits for the operator.
        let (corp, id) = walk.organization(ada, "Corp", "ENTERPRISE").await;
        let invite = with(&corp, json!({ "email": "bea@example.com" }));
        assert_eq!(walk.refused(ada, "05", invite).await, "NOT_CERTIFIED");
        walk.done(ada, "24", corp.clone()).await;
        server.certify(&id).await;
        let bea_id = walk.admit(ada, bea, &corp, json!({})).await;

        // Its super admin leaves by handing over first.
        assert_eq!(walk.refused(ada, "18", corp.clone()).await, "OWNER_MUST_TRANSFER");
        let over = json!({ "memberId": bea_id, "reason": "I retire." });
        let answer = walk.done(ada, "25", with(&corp, over)).await;
        assert_eq!(answer["transferOwnership"]["organization"]["viewerRole"]["key"], "MEMBER");
        walk.done(ada, "18", corp.clone()).await;
        let answer = walk.done(bea, "19", corp).await;
        let log: Vec<_> = list(&answer, "/organization/auditLog/edges").iter().rev().map(|edge| told(&edge["node"])).collect();
        assert_eq!(log, HANDOVER);
        walk.came_by(&(20..=25).collect::<Vec<_>>());
        walk.hold("tests/golden/walk-roles.json");
    }
}

/// The same variables, of an organization.
fn with(organization: &Value, mut variables: Value) -> Value {
    variables["organizationId"] = organization["organizationId"].clone();
    variables
}

/// An entry of the audit log in one line: who did what to whom, and what changed.
fn told(entry: &Value) -> String {
    let changes: Vec<_> = list(entry, "/changes")
        .iter()
        .filter(|change| change["from"] != change["to"])
        .map(|change| {
            let side = |name: &str| change[name].as_str().unwrap_or("nothing").to_owned();
            format!("{} {} → {}", text(change, "/field"), side("from"), side("to"))
        })
        .collect();
    let (actor, target) = (text(entry, "/actor/displayName"), text(entry, "/target/displayName"));
    format!("{actor}: {} {target} ({})", text(entry, "/type"), changes.join(", "))
}

/// What the audit log says about the walk.
const STEPS: [&str; 16] = [
    "ada@example.com: organization.created Acme (kind nothing → WORKSPACE, name nothing → Acme)",
    "ada@example.com: member.joined ada@example.com (role nothing → ADMIN, status nothing → ACTIVE)",
    "ada@example.com: invitation.sent bea@example.com (role nothing → MANAGER, state nothing → PENDING)",
    "ada@example.com: invitation.sent cyn@example.com (role nothing → MEMBER, state nothing → PENDING)",
    "Bea: invitation.accepted bea@example.com (state PENDING → ACCEPTED)",
    "Bea: member.joined Bea (role nothing → MANAGER, status nothing → ACTIVE)",
    "Cyn: invitation.accepted cyn@example.com (state PENDING → ACCEPTED)",
    "Cyn: member.joined Cyn (role nothing → MEMBER, status nothing → ACTIVE)",
    "ada@example.com: member.role_changed Bea (role MANAGER → CO_ADMIN)",
    "ada@example.com: api_key.created Nightly report (name nothing → Nightly report, type nothing → STANDARD, permissions nothing → MEMBERS_READ)",
    "ada@example.com: api_key.disabled Nightly report (status ACTIVE → DISABLED)",
    "ada@example.com: api_key.enabled Nightly report (status DISABLED → ACTIVE)",
    "ada@example.com: api_key.revoked Nightly report (status ACTIVE → REVOKED)",
    "ada@example.com: member.deactivated Cyn (status ACTIVE → INACTIVE)",
    "ada@example.com: member.role_changed Bea (role CO_ADMIN → ADMIN)",
    "ada@example.com: member.left ada@example.com (role ADMIN → nothing, status ACTIVE → FORMER)",
];

/// What the audit log says about the enterprise.
const HANDOVER: [&str; 9] = [
    "ada@example.com: organization.created Corp (kind nothing → ENTERPRISE, name nothing → Corp)",
    "ada@example.com: member.joined ada@example.com (role nothing → SUPER_ADMIN, status nothing → ACTIVE)",
    "ada@example.com: organization.certification_requested Corp (certification NOT_REQUESTED → REQUESTED)",
    "Operator: organization.certified Corp (certification REQUESTED → CERTIFIED)",
    "ada@example.com: invitation.sent bea@example.com (role nothing → MEMBER, state nothing → PENDING)",
    "bea@example.com: invitation.accepted bea@example.com (state PENDING → ACCEPTED)",
    "bea@example.com: member.joined bea@example.com (role nothing → MEMBER, status nothing → ACTIVE)",
    "ada@example.com: member.ownership_transferred bea@example.com (role MEMBER → SUPER_ADMIN, formerOwnerRole SUPER_ADMIN → MEMBER)",
    "ada@example.com: member.left ada@example.com (role MEMBER → nothing, status ACTIVE → FORMER)",
];
