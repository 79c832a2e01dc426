//! Product C, an enterprise: what has to be there before members are managed, the members page, and a personal
//! organization, which has none.

use orgledger::{
    commands::{Caller, Commands, INVITATION_LIFETIME, Terms},
    domain::{
        Actor, GlobalId,
        organization::{Action, profile::CertificationDecision},
    },
    store::append::Origin,
};
use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Client, Server, text, texts},
};
use super::{
    BEA, CYN, DAN, EVE, about, asked, done, heard, members, named, organizations, overview, profile, refused, row,
    told, told_no, with_role,
};
use crate::support::databases::both_databases;

const NOT_CERTIFIED: &str = "NOT_CERTIFIED: This organization must be certified first.";

/// A certified enterprise of Ada's.
pub async fn certified(server: &Server) -> Acme<'_> {
    let acme = Acme::of_kind(server, "ENTERPRISE").await;
    done(&acme.ada, &acme, "RequestCertification", json!({})).await;
    operator_answers(&acme, CertificationDecision::Certify).await;
    acme
}

/// What the operator answers to an enterprise that asked to be certified.
async fn operator_answers(acme: &Acme<'_>, decision: CertificationDecision) {
    let Ok(GlobalId::Organization(organization)) = acme.id.parse() else { panic!("{} is no organization", acme.id) };
    let commands = Commands { store: acme.server.store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let origin = Origin { request_id: "operator".to_owned(), ..Origin::default() };
    let caller = Caller { actor: Actor::Operator, origin };
    let action = Action::DecideCertification { decision };
    assert!(commands.execute(&caller, organization, action, Terms::default()).await.unwrap().written);
}

/// A person's own organization, as if it were one to tell stories about.
async fn personal<'a>(server: &'a Server, of: &Client) -> Acme<'a> {
    let answer = of.operation("Viewer", json!({})).await;
    let edges = answer["viewer"]["organizations"]["edges"].as_array().unwrap();
    let own = edges.iter().find(|edge| edge["node"]["kind"] == "PERSONAL").unwrap();
    Acme::found(server, of.clone(), text(own, "/node/id")).await
}

both_databases! {
    // C, what must be there first: the certification; until then nothing about members can be done.
    async fn members_are_managed_once_the_enterprise_is_certified(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "ENTERPRISE").await;
        let fresh = overview(&acme.ada, &acme).await;
        let message = "This organization must be certified first.";
        let closed = json!({ "available": false, "reason": "NOT_CERTIFIED", "message": message });
        assert_eq!((&fresh["certification"], &fresh["memberManagement"]), (&json!("NOT_REQUESTED"), &closed));
        let invite = json!({ "email": BEA });
        assert_eq!(refused(&acme.ada, &acme, "InviteMember", invite.clone()).await, NOT_CERTIFIED);
        for name in ["RemoveMember", "DeactivateMember", "ReactivateMember", "TransferOwnership"] {
            assert_eq!(refused(&acme.ada, &acme, name, about(&acme, ADA).await).await, NOT_CERTIFIED, "{name}");
        }
        let role = with_role(&acme, ADA, "MEMBER").await;
        assert_eq!(refused(&acme.ada, &acme, "ChangeMemberRole", role).await, NOT_CERTIFIED);

        let mut page = acme.changes(&acme.ada).await;
        let asked_for = done(&acme.ada, &acme, "RequestCertification", json!({})).await;
        assert_eq!(asked_for["organization"]["certification"], "REQUESTED");
        assert_eq!(told(&mut page, &asked_for).await, ["PROFILE"]);
        assert_eq!(refused(&acme.ada, &acme, "InviteMember", invite.clone()).await, NOT_CERTIFIED, "asking is not having");
        operator_answers(&acme, CertificationDecision::Certify).await;
        let now = overview(&acme.ada, &acme).await;
        let open = json!({ "available": true, "reason": null, "message": null });
        assert_eq!((&now["certification"], &now["memberManagement"]), (&json!("CERTIFIED"), &open));
        done(&acme.ada, &acme, "InviteMember", invite).await;
    }

    // C, what must be there first: the answer may be no, and one may ask again.
    async fn an_enterprise_that_was_not_certified_may_ask_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "ENTERPRISE").await;
        done(&acme.ada, &acme, "RequestCertification", json!({})).await;
        operator_answers(&acme, CertificationDecision::Reject).await;
        assert_eq!(overview(&acme.ada, &acme).await["certification"], "REJECTED");
        assert_eq!(refused(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await, NOT_CERTIFIED);
        let again = done(&acme.ada, &acme, "RequestCertification", json!({})).await;
        assert_eq!(again["organization"]["certification"], "REQUESTED");
        operator_answers(&acme, CertificationDecision::Certify).await;
        let twice = done(&acme.ada, &acme, "RequestCertification", json!({})).await;
        assert_eq!(twice["organization"]["certification"], "CERTIFIED", "what is given stays given");
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "types": ["organization.*"] } }))).await;
        let kinds = texts(&log, "/organization/auditLog/edges", "/node/actor/kind");
        assert_eq!(kinds, ["OPERATOR", "USER", "OPERATOR", "USER", "USER"], "who answered stands in the log");
    }

    // C, what must be there first: only who runs the enterprise asks for it, and no other kind can.
    async fn certification_is_asked_for_by_the_super_admin_of_an_enterprise(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let permission = "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_UPDATE.";
        for (email, role) in [(BEA, "DEV_ADMIN"), (CYN, "MEMBER")] {
            let person = acme.join(email, role).await;
            assert_eq!(refused(&person, &acme, "RequestCertification", json!({})).await, permission);
        }
        let team = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        assert_eq!(overview(&team.ada, &team).await["certification"], Value::Null);
        let said = refused(&team.ada, &team, "RequestCertification", json!({})).await;
        assert!(said.starts_with("INVALID_INPUT: "), "{said}");
    }

    // C, what must be there first: who manages members. A developer admin brings people in; finance and members do not.
    async fn super_admins_and_developer_admins_bring_people_in_and_others_do_not(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let (bea, cyn) = (acme.join(BEA, "DEV_ADMIN").await, acme.join(CYN, "FINANCE_ADMIN").await);
        let dan = acme.join(DAN, "MEMBER").await;
        let sent = done(&bea, &acme, "InviteMember", json!({ "email": EVE })).await;
        assert_eq!(sent["invitation"]["role"]["key"], "MEMBER");
        let id = json!({ "invitationId": sent["invitation"]["id"] });
        done(&bea, &acme, "RevokeInvitation", id).await;
        for role in ["FINANCE_ADMIN", "DEV_ADMIN", "AUDITOR"] {
            let wish = json!({ "email": EVE, "roleId": acme.role(role) });
            let no = format!("ROLE_NOT_ASSIGNABLE: You cannot give the role {role}.");
            assert_eq!(refused(&bea, &acme, "InviteMember", wish).await, no);
        }
        let permission = "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE.";
        for person in [&cyn, &dan] {
            assert_eq!(refused(person, &acme, "InviteMember", json!({ "email": EVE })).await, permission);
        }
        assert_eq!(members(&bea, &acme, json!({})).await["totalCount"], 4);
        assert_eq!(members(&cyn, &acme, json!({})).await["totalCount"], 4, "finance counts seats");
        assert_eq!(dan.try_operation("Members", acme.with(json!({}))).await.codes(), ["PERMISSION_REQUIRED"]);
    }

    // C, the page: one place to see members, change roles and remove who is no longer needed.
    async fn an_enterprise_administrator_sees_members_changes_roles_and_removes(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = named(acme.join(BEA, "MEMBER").await, "Bea Brook").await;
        let shown = profile(&acme.ada, &acme, BEA).await;
        let yes = json!({ "allowed": true, "code": null });
        for action in ["changeRole", "deactivate", "remove"] {
            assert_eq!(shown["viewerCan"][action], yes, "{action}");
        }
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "DEV_ADMIN").await).await;
        assert_eq!(row(&acme.ada, &acme, BEA).await["role"]["key"], "DEV_ADMIN");
        let removed = done(&acme.ada, &acme, "RemoveMember", about(&acme, BEA).await).await;
        assert_eq!((&removed["removedMemberId"], &removed["apiKeysCreated"]), (&shown["id"], &json!([])));
        assert_eq!(overview(&bea, &acme).await, Value::Null);
        assert!(heard(&acme, BEA, "Your role: Developer admin").await);
        assert!(heard(&acme, BEA, "Subject: You were removed from Acme").await);
    }

    // C, a personal tenant: the members page is empty and says why.
    async fn a_personal_organization_has_an_empty_members_page_that_says_why(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let own = personal(&server, &ada).await;
        let seen = overview(&ada, &own).await;
        assert_eq!((&seen["name"], &seen["viewerRole"]["key"]), (&json!("Personal"), &json!("OWNER")));
        let message = "A personal organization has no member management.";
        let why = json!({ "available": false, "reason": "MEMBERS_NOT_AVAILABLE", "message": message });
        assert_eq!(seen["memberManagement"], why);
        let list = members(&ada, &own, json!({})).await;
        assert_eq!((&list["edges"], &list["totalCount"]), (&json!([]), &json!(0)));
        assert_eq!(list["pageInfo"]["hasNextPage"], false);
        let answer = ada.try_operation("Invitations", own.with(json!({}))).await;
        assert_eq!(answer.body["data"]["organization"]["invitations"]["totalCount"], 0);
    }

    // C, a personal tenant: nor is there a way around the page.
    async fn nobody_is_invited_to_a_personal_organization_nor_given_it(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let own = personal(&server, &ada).await;
        let no = "MEMBERS_NOT_AVAILABLE: A personal organization has no member management.";
        assert_eq!(refused(&ada, &own, "InviteMember", json!({ "email": BEA })).await, no);
        assert_eq!(server.letters_to(BEA).await, [""; 0]);
        let role = json!({ "name": "Helper", "level": 3, "permissions": [] });
        assert!(refused(&ada, &own, "CreateRole", role).await.starts_with("INVALID_INPUT: "));
        assert_eq!(asked(&ada, &own, "TransferOwnership", &json!({})).await["code"], "MEMBERS_NOT_AVAILABLE");
        let said = refused(&ada, &own, "DeleteOrganization", json!({ "confirmName": "Personal" })).await;
        assert!(said.starts_with("INVALID_INPUT: "), "it stays with its person: {said}");
        assert!(refused(&ada, &own, "LeaveOrganization", json!({})).await.starts_with("OWNER_MUST_TRANSFER: "));
        server.person(ADA).await;
        assert_eq!(organizations(&ada).await, ["Personal as OWNER"], "each has one, however often they sign in");
    }

    // C, a personal tenant: leaving it is no matter of handing it over.

    // C, a personal tenant: it is an organization like others in everything but members.
    async fn a_personal_organization_has_settings_and_keys_of_its_own(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let own = personal(&server, &ada).await;
        done(&ada, &own, "UpdateOrganization", json!({ "name": "Ada's corner" })).await;
        server.person(ADA).await;
        assert_eq!(organizations(&ada).await, ["Ada's corner as OWNER"], "signing in again takes no name away");
        let (id, holder) = own.key("Mine", &["AUDIT_READ"]).await;
        let log = holder.operation("AuditLog", own.with(json!({ "first": 1 }))).await;
        assert_eq!(text(&log, "/organization/auditLog/edges/0/node/type"), "api_key.created");
        done(&ada, &own, "RevokeApiKey", json!({ "apiKeyId": id })).await;
        assert!(!holder.is_let_in().await);
        let bea = server.person(BEA).await;
        assert_eq!(overview(&bea, &own).await, Value::Null, "and nobody else is in it");
    }

    // C, a personal tenant, and what kinds do not have: what a page says beforehand is meant for a person.
    async fn what_is_said_beforehand_is_a_sentence_for_a_person(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let own = personal(&server, &ada).await;
        let team = Acme::made_by(&server, ada.clone(), "TEAM").await;
        for (acme, name) in [
            (&own, "DeleteOrganization"),
            (&own, "RequestCertification"),
            (&team, "CreateRole"),
            (&team, "RequestCertification"),
        ] {
            let decision = asked(&ada, acme, name, &json!({})).await;
            assert_eq!(decision["allowed"], false);
            assert!(!text(&decision, "/message").contains("organizationId"), "{decision}");
        }
    }

    // C, changing a role and removing: what is confirmed is what was shown when the question was put.
    async fn a_confirmation_that_comes_too_late_changes_nothing(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        acme.join(BEA, "MEMBER").await;
        let shown = "query ($id: ID!, $memberId: ID!) { organization(id: $id) { member(id: $memberId) { version } } }";
        let answer = acme.ada.data(shown, acme.with(about(&acme, BEA).await)).await;
        let version = answer["organization"]["member"]["version"].as_i64().unwrap();
        // Ada has a second window open, and has changed the role there.
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "DEV_ADMIN").await).await;
        let mut late = with_role(&acme, BEA, "FINANCE_ADMIN").await;
        late["expectedVersion"] = version.into();
        let said = told_no(&acme.ada, &acme, "ChangeMemberRole", late).await;
        let wanted = format!("This was changed in the meantime: it is at version {}, not {version}.", version + 1);
        assert_eq!(said, format!("VERSION_MISMATCH: {wanted}"));
        let document = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userErrors { code } } }";
        let mut input = json!({ "organizationId": acme.id, "expectedVersion": version });
        input["memberId"] = about(&acme, BEA).await["memberId"].clone();
        let answer = acme.ada.data(document, json!({ "input": input })).await;
        assert_eq!(answer["removeMember"]["userErrors"], json!([{ "code": "VERSION_MISMATCH" }]));
        assert_eq!(row(&acme.ada, &acme, BEA).await["role"]["key"], "DEV_ADMIN");
    }

    // C, the list: name, email, role and day of joining of everybody who is there now.
    async fn each_row_shows_name_email_role_and_day_of_joining(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        named(acme.join(BEA, "FINANCE_ADMIN").await, "Bea Brook").await;
        acme.join(CYN, "MEMBER").await;
        done(&acme.ada, &acme, "RemoveMember", about(&acme, CYN).await).await;
        let list = members(&acme.ada, &acme, json!({})).await;
        let columns = |row: &Value| {
            let row = &row["node"];
            json!([row["user"]["name"], row["user"]["email"], row["role"]["name"], row["joinedAt"]])
        };
        let shown: Vec<_> = list["edges"].as_array().unwrap().iter().map(columns).collect();
        assert_eq!(
            shown,
            [
                json!([null, ADA, "Super admin", "2026-03-02T09:01:00+00:00"]),
                json!(["Bea Brook", BEA, "Finance admin", "2026-03-02T09:02:00+00:00"]),
            ]
        );
    }

    // C, the last note: the list refreshes by itself, whatever changed in it.
    async fn the_list_is_told_to_refresh_after_every_change(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "FINANCE_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        let mut page = acme.changes(&bea).await;
        let (of_cyn, promoted) = (about(&acme, CYN).await, with_role(&acme, CYN, "DEV_ADMIN").await);
        for (name, variables) in [
            ("ChangeMemberRole", promoted),
            ("DeactivateMember", of_cyn.clone()),
            ("ReactivateMember", of_cyn.clone()),
            ("TransferOwnership", of_cyn),
        ] {
            let changed = done(&acme.ada, &acme, name, variables).await;
            assert_eq!(told(&mut page, &changed).await, ["MEMBERS"], "{name}");
        }
        let left = done(&acme.ada, &acme, "LeaveOrganization", json!({})).await;
        assert_eq!(told(&mut page, &left).await, ["MEMBERS"]);
        let list = members(&bea, &acme, json!({})).await;
        assert_eq!(texts(&list, "/edges", "/node/user/email"), [BEA, CYN], "what is loaded then is what is");
    }
}
