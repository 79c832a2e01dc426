//! Enterprises, and a person's own organization: certification at each stage, the one owner and how it changes hands.

use chrono::TimeDelta;
use orgledger::{
    commands::{Caller, Commands, INVITATION_LIFETIME, Terms},
    domain::{
        Actor, GlobalId,
        organization::{Action, profile::CertificationDecision},
    },
    store::append::Origin,
};
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    operations,
    server::{Client, Server, list, text, texts},
    socket::{Socket, events_until},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";

/// What the operator says on the command line; the program itself is another test's.
async fn decide(acme: &Acme<'_>, decision: CertificationDecision, reason: &str) {
    let commands = Commands { store: acme.server.store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let Ok(GlobalId::Organization(organization)) = acme.id.parse() else { panic!("{}", acme.id) };
    let origin = Origin { request_id: "operator".to_owned(), ..Origin::default() };
    let caller = Caller { actor: Actor::Operator, origin };
    let terms = Terms { reason: orgledger::domain::values::Text::parse(reason).unwrap(), ..Terms::default() };
    commands.execute(&caller, organization, Action::DecideCertification { decision }, terms).await.unwrap();
}

/// An enterprise that is certified.
async fn certified(server: &Server) -> Acme<'_> {
    let acme = Acme::of_kind(server, "ENTERPRISE").await;
    acme.ada.operation("RequestCertification", acme.with(json!({}))).await;
    decide(&acme, CertificationDecision::Certify, "").await;
    acme
}

/// How far the certification is, whether members can be managed, and what inviting says.
async fn stage(acme: &Acme<'_>) -> (Value, Value, Value) {
    let overview = acme.ada.operation("Overview", acme.with(json!({}))).await["organization"].clone();
    let may_i = acme.ada.operation("MayI", acme.with(json!({ "action": "INVITE_MEMBER" }))).await;
    let management = &overview["memberManagement"];
    assert_eq!(management["available"] == true, management["message"].is_null());
    let code = may_i["organization"]["viewerCan"]["code"].clone();
    (overview["certification"].clone(), management["reason"].clone(), code)
}

/// Ada hands over; the payload.
async fn transfer(acme: &Acme<'_>, to: &str, more: Value) -> Value {
    let mut variables = acme.with(more);
    variables["memberId"] = acme.member(to).await.into();
    acme.ada.operation("TransferOwnership", variables).await["transferOwnership"].clone()
}

/// Who owns the organization, by the list of members, now or at a moment.
async fn owners(by: &Client, acme: &Acme<'_>, as_of: Option<&str>) -> Vec<String> {
    let variables = json!({ "filter": { "roleIds": [acme.role("SUPER_ADMIN")] }, "asOf": as_of });
    let answer = by.operation("Members", acme.with(variables)).await;
    let emails = texts(&answer, "/organization/members/edges", "/node/user/email");
    emails.into_iter().map(str::to_owned).collect()
}

both_databases! {
    async fn an_enterprise_manages_members_once_the_operator_has_certified_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "ENTERPRISE").await;
        let not_certified = || json!("NOT_CERTIFIED");
        assert_eq!(stage(&acme).await, (json!("NOT_REQUESTED"), not_certified(), not_certified()));
        let invite = acme.with(json!({ "email": BEA }));
        assert_eq!(acme.ada.refusals("InviteMember", invite.clone()).await, ["NOT_CERTIFIED"]);
        assert_eq!(acme.ada.refusals("InviteMembers", acme.with(json!({ "invitations": [{ "email": BEA }] }))).await, ["NOT_CERTIFIED"]);
        assert_eq!(acme.ada.refusals("LeaveOrganization", acme.with(json!({}))).await, ["OWNER_MUST_TRANSFER"]);

        let mut changes = acme.changes(&acme.ada).await;
        let asked = acme.ada.operation("RequestCertification", acme.with(json!({}))).await;
        let organization = json!({ "id": acme.id, "certification": "REQUESTED" });
        let payload = &asked["requestCertification"];
        assert_eq!((&payload["organization"], &payload["userErrors"]), (&organization, &json!([])));
        assert_eq!(changes.answer("changes").await["areas"], json!(["PROFILE"]));
        let again = acme.ada.operation("RequestCertification", acme.with(json!({}))).await;
        assert_eq!(again, asked, "asking twice is asking once");
        assert_eq!(stage(&acme).await, (json!("REQUESTED"), not_certified(), not_certified()));

        decide(&acme, CertificationDecision::Reject, "The papers are missing.").await;
        assert_eq!(stage(&acme).await, (json!("REJECTED"), not_certified(), not_certified()));
        let again = acme.ada.operation("RequestCertification", acme.with(json!({}))).await;
        assert_ne!(again["requestCertification"]["cursor"], payload["cursor"], "who was refused may ask again");
        decide(&acme, CertificationDecision::Certify, "Contract 4711").await;
        assert_eq!(stage(&acme).await, (json!("CERTIFIED"), Value::Null, Value::Null));
        assert_eq!(acme.ada.refusals("InviteMember", invite).await, [""; 0]);
        let once_more = acme.ada.operation("RequestCertification", acme.with(json!({}))).await;
        assert_eq!(once_more["requestCertification"]["organization"]["certification"], "CERTIFIED");

        let answer = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "types": ["organization.*"] } }))).await;
        let entry = |edge: &Value| {
            let node = &edge["node"];
            json!([node["type"], node["actor"]["kind"], node["actor"]["displayName"], node["reason"], node["changes"][0]["from"], node["changes"][0]["to"]])
        };
        let log: Vec<_> = list(&answer, "/organization/auditLog/edges").iter().map(entry).collect();
        assert_eq!(log[0], json!(["organization.certified", "OPERATOR", "Operator", "Contract 4711", "REQUESTED", "CERTIFIED"]));
        assert_eq!(log[1], json!(["organization.certification_requested", "USER", ADA, null, "REJECTED", "REQUESTED"]));
        assert_eq!(log[2], json!(["organization.certification_rejected", "OPERATOR", "Operator", "The papers are missing.", "REQUESTED", "REJECTED"]));
        assert_eq!(log[3], json!(["organization.certification_requested", "USER", ADA, null, "NOT_REQUESTED", "REQUESTED"]));
        let events = acme.ada.operation("Events", acme.with(json!({ "first": 100 }))).await;
        let edges = list(&events, "/organization/events/edges");
        let by_operator = edges.iter().filter(|edge| edge["node"]["actor"]["kind"] == "OPERATOR").count();
        assert_eq!(by_operator, 2);
    }

    async fn only_who_may_change_an_enterprise_asks_and_no_other_kind_is_asked_for(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        assert_eq!(bea.refusals("RequestCertification", acme.with(json!({}))).await, ["PERMISSION_REQUIRED"]);
        let outsider = server.person("eve@example.com").await;
        assert_eq!(outsider.refusals("RequestCertification", acme.with(json!({}))).await, ["NOT_FOUND"]);
        assert_eq!(acme.ada.refusals("RequestCertification", json!({ "id": "org_nonsense" })).await, ["NOT_FOUND"]);
        for kind in ["TEAM", "WORKSPACE"] {
            let other = Acme::made_by(&server, acme.ada.clone(), kind).await;
            assert_eq!(acme.ada.refusals("RequestCertification", other.with(json!({}))).await, ["INVALID_INPUT"]);
            let overview = acme.ada.operation("Overview", other.with(json!({}))).await;
            assert_eq!(overview["organization"]["certification"], Value::Null);
            let management = json!({ "available": true, "reason": null, "message": null });
            assert_eq!(overview["organization"]["memberManagement"], management);
        }
    }

    async fn a_personal_organization_has_nobody_to_manage_and_stays(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let mine = async || {
            let viewer = ada.operation("Viewer", json!({})).await;
            let edges = list(&viewer, "/viewer/organizations/edges").iter();
            let personal: Vec<_> = edges.filter(|edge| edge["node"]["kind"] == "PERSONAL").cloned().collect();
            let [edge] = personal.as_slice() else { panic!("{personal:?}") };
            assert_eq!((&edge["role"]["key"], &edge["node"]["name"]), (&json!("OWNER"), &json!("Personal")));
            text(edge, "/node/id").to_owned()
        };
        let id = mine().await;
        server.person(ADA).await;
        assert_eq!(mine().await, id, "signing in again makes no other one");
        let with = |mut variables: Value| {
            variables["id"] = id.as_str().into();
            variables
        };
        let overview = ada.operation("Overview", with(json!({}))).await["organization"].clone();
        assert_eq!((&overview["certification"], &overview["memberManagement"]["reason"]), (&Value::Null, &json!("MEMBERS_NOT_AVAILABLE")));
        let members = ada.operation("Members", with(json!({}))).await;
        assert_eq!((&members["organization"]["members"]["totalCount"], &members["organization"]["members"]["edges"]), (&json!(0), &json!([])));
        let viewer = ada.operation("Viewer", json!({})).await;
        let own = id.replace("org_", "mem_") + text(&viewer, "/viewer/user/id").trim_start_matches("usr_");
        let profile = ada.operation("MemberProfile", with(json!({ "memberId": own }))).await;
        let change_role = json!({ "allowed": false, "code": "MEMBERS_NOT_AVAILABLE" });
        assert_eq!(profile["organization"]["member"]["viewerCan"]["changeRole"], change_role);
        for (name, input, code) in [
            ("InviteMember", json!({ "email": BEA }), "MEMBERS_NOT_AVAILABLE"),
            ("LeaveOrganization", json!({}), "OWNER_MUST_TRANSFER"),
            ("DeleteOrganization", json!({ "confirmName": "Personal" }), "INVALID_INPUT"),
            ("RequestCertification", json!({}), "INVALID_INPUT"),
            ("CreateRole", json!({ "name": "A", "level": 2, "permissions": [] }), "INVALID_INPUT"),
        ] {
            assert_eq!(ada.refusals(name, with(input)).await, [code], "{name}");
        }
        let key = ada.operation("CreateApiKey", with(json!({ "name": "Mine", "permissions": ["AUDIT_READ"] }))).await;
        assert!(server.with_key(text(&key, "/createApiKey/secret")).is_let_in().await);
        assert_eq!(ada.refusals("CreateOrganization", json!({ "name": "Mine too", "kind": "PERSONAL" })).await, ["INVALID_INPUT"]);
        let outsider = server.person(BEA).await.operation("Overview", with(json!({}))).await;
        assert_eq!(outsider["organization"], Value::Null);
    }

    async fn a_transfer_makes_one_owner_of_another_and_history_has_one_at_any_time(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let before = server.clock.now().to_rfc3339();
        server.wait(TimeDelta::days(1));
        let payload = transfer(&acme, BEA, json!({})).await;
        let organization = json!({ "id": acme.id, "viewerRole": { "key": "MEMBER" } });
        assert_eq!((&payload["organization"], &payload["userErrors"]), (&organization, &json!([])));
        server.wait(TimeDelta::days(1));
        let overview = bea.operation("Overview", acme.with(json!({}))).await["organization"].clone();
        assert_eq!(overview["viewerRole"]["key"], "SUPER_ADMIN");
        assert_eq!(list(&overview, "/viewerPermissions").len(), 18);
        assert_eq!(acme.ada.try_operation("Members", acme.with(json!({}))).await.codes(), ["PERMISSION_REQUIRED"]);
        assert_eq!(owners(&bea, &acme, None).await, [BEA]);
        assert_eq!(owners(&bea, &acme, Some(&before)).await, [ADA]);
        let now = server.clock.now().to_rfc3339();
        assert_eq!(owners(&bea, &acme, Some(&now)).await, [BEA]);

        let member = async |email: &str| {
            let found = bea.operation("Members", acme.with(json!({ "search": email }))).await;
            text(&found, "/organization/members/edges/0/node/id").to_owned()
        };
        let periods = async |email: &str| {
            let profile = bea.operation("MemberProfile", acme.with(json!({ "memberId": member(email).await }))).await;
            let periods = list(&profile, "/organization/member/history").iter();
            periods.map(|period| (text(period, "/role/key").to_owned(), period["until"].is_null())).collect::<Vec<_>>()
        };
        let held = |now: &str, before: &str| vec![(now.to_owned(), true), (before.to_owned(), false)];
        assert_eq!(periods(ADA).await, held("MEMBER", "SUPER_ADMIN"));
        assert_eq!(periods(BEA).await, held("SUPER_ADMIN", "MEMBER"));

        let log = bea.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let entry = &log["organization"]["auditLog"]["edges"][0]["node"];
        assert_eq!((&entry["type"], &entry["actor"]["displayName"]), (&json!("member.ownership_transferred"), &json!(ADA)));
        assert_eq!(entry["target"], json!({ "kind": "MEMBER", "id": member(BEA).await, "displayName": BEA }));
        let changes = json!([{ "field": "role", "from": "MEMBER", "to": "SUPER_ADMIN" }, { "field": "formerOwnerRole", "from": "SUPER_ADMIN", "to": "MEMBER" }]);
        assert_eq!(entry["changes"], changes);
        let events = bea.operation("Events", acme.with(json!({ "first": 100 }))).await;
        let last = list(&events, "/organization/events/edges").last().unwrap();
        let data = &last["node"]["data"];
        let ada = acme.ada.operation("Viewer", json!({})).await["viewer"]["user"]["id"].clone();
        assert_eq!((&data["formerOwnerId"], &data["formerOwnerRoleId"]), (&ada, &json!(acme.role("MEMBER"))));
        assert_eq!((&data["from"], &data["to"]), (&json!(acme.role("MEMBER")), &json!(acme.role("SUPER_ADMIN"))));
        assert_eq!(last["cursor"], payload["cursor"]);
    }

    async fn the_old_owner_takes_the_role_that_was_named_and_what_needs_the_old_one_ends(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let head = acme.ada.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        let head = head["organization"]["auditLog"]["edges"][0]["node"]["sequence"].as_u64().unwrap();
        let mut socket = Socket::open(&acme.ada).await;
        socket.subscribe("1", &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
        events_until(&mut socket, "1", head).await;
        let payload = transfer(&acme, BEA, json!({ "formerOwnerRoleId": acme.role("FINANCE_ADMIN") })).await;
        assert_eq!(payload["organization"]["viewerRole"]["key"], "FINANCE_ADMIN");
        assert_eq!(socket.ends_with("1").await, "ACCESS_ENDED");
        assert_eq!(owners(&acme.ada, &acme, None).await, [BEA], "who bills sees members");
        // And back again, by who owns it now.
        let back = acme.with(json!({ "memberId": acme.member(ADA).await }));
        assert_eq!(acme.ada.refusals("TransferOwnership", back.clone()).await, ["RANK_TOO_LOW"]);
        assert_eq!(bea.refusals("TransferOwnership", back).await, [""; 0]);
        assert_eq!(owners(&acme.ada, &acme, None).await, [ADA]);
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, [""; 0], "who owns nothing may leave");
    }

    async fn ownership_goes_no_other_way_and_to_nobody_else(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        let (bea_id, cyn_id, ada_id) = (acme.member(BEA).await, acme.member(CYN).await, acme.member(ADA).await);
        let owner = acme.role("SUPER_ADMIN");
        for (name, input) in [
            ("ChangeMemberRole", json!({ "memberId": bea_id, "roleId": owner })),
            ("InviteMember", json!({ "email": "x@example.com", "roleId": owner })),
            ("ChangeMemberRole", json!({ "memberId": ada_id, "roleId": acme.role("MEMBER") })),
            ("LeaveOrganization", json!({})),
        ] {
            assert_eq!(acme.ada.refusals(name, acme.with(input)).await, ["OWNER_MUST_TRANSFER"], "{name}");
        }
        acme.ada.operation("DeactivateMember", acme.with(json!({ "memberId": cyn_id }))).await;
        let document = "mutation ($input: TransferOwnershipInput!) { transferOwnership(input: $input) { organization { id } cursor userErrors { code field role expected actual } } }";
        let refused = async |by: &Client, mut input: Value| {
            input["organizationId"] = acme.id.as_str().into();
            super::roles::refusal(&by.data(document, json!({ "input": input })).await["transferOwnership"])
        };
        assert_eq!(refused(&bea, json!({ "memberId": bea_id })).await, json!({ "code": "RANK_TOO_LOW" }));
        assert_eq!(refused(&acme.ada, json!({ "memberId": ada_id })).await, json!({ "code": "RANK_TOO_LOW" }), "not to oneself");
        let inactive = json!({ "code": "INVALID_INPUT", "field": ["input", "memberId"] });
        assert_eq!(refused(&acme.ada, json!({ "memberId": cyn_id })).await, inactive);
        let another = json!({ "memberId": bea_id, "formerOwnerRoleId": owner });
        let refusal = refused(&acme.ada, another).await;
        assert_eq!((&refusal["code"], &refusal["role"]), (&json!("ROLE_NOT_ASSIGNABLE"), &json!("SUPER_ADMIN")));
        let not_found = |field: &str| json!({ "code": "NOT_FOUND", "field": ["input", field] });
        let team = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        for id in ["mem_nonsense", "", &*team.member(ADA).await, &acme.id] {
            assert_eq!(refused(&acme.ada, json!({ "memberId": id })).await, not_found("memberId"), "{id}");
        }
        for id in ["rol_nonsense", "", team.role("MEMBER"), &acme.id] {
            let input = json!({ "memberId": bea_id, "formerOwnerRoleId": id });
            assert_eq!(refused(&acme.ada, input).await, not_found("formerOwnerRoleId"), "{id}");
        }
        let version = refused(&acme.ada, json!({ "memberId": bea_id, "expectedVersion": 1 })).await;
        assert_eq!((&version["code"], &version["expected"]), (&json!("VERSION_MISMATCH"), &json!(1)));
        let (_, key) = acme.key("Key", &["MEMBERS_ASSIGN_ROLE", "ORGANIZATION_UPDATE"]).await;
        assert_eq!(refused(&key, json!({ "memberId": bea_id })).await, json!({ "code": "USER_REQUIRED" }));
        assert_eq!(owners(&acme.ada, &acme, None).await, [ADA]);

        let may = "query ($id: ID!) { organization(id: $id) { members(orderBy: { field: EMAIL }) { nodes { viewerCan { transferOwnership { allowed code } } } } } }";
        let answer = acme.ada.data(may, acme.with(json!({}))).await;
        let decisions: Vec<_> =
            list(&answer, "/organization/members/nodes").iter().map(|node| node["viewerCan"]["transferOwnership"]["code"].clone()).collect();
        assert_eq!(decisions, [json!("RANK_TOO_LOW"), Value::Null, json!("INVALID_INPUT")]);
    }
}
