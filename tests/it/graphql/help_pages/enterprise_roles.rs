//! Product C, an enterprise: its roles and what each is for, the one super admin, removing, leaving and handing over.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use super::{
    BEA, CYN, DAN, EVE, about, asked, done, enterprise::certified, heard, members, organizations, overview, profile,
    refused, row, told_no, with_role,
};
use crate::support::databases::both_databases;

const TRANSFER: &str = "OWNER_MUST_TRANSFER: This organization always has its one owner: transfer the ownership first, or delete the organization.";
const RANK: &str = "RANK_TOO_LOW: This needs a higher rank than yours.";

/// What the page of a member says can be done to them.
async fn can(by: &Client, acme: &Acme<'_>, email: &str) -> Value {
    profile(by, acme, email).await["viewerCan"].clone()
}

both_databases! {
    // C, changing a role: the four roles of the page are there, each with what it is for.
    async fn an_enterprise_has_the_four_roles_and_each_says_what_it_is_for(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let answer = acme.ada.operation("Roles", acme.with(json!({}))).await;
        let roles = list(&answer, "/organization/roles");
        let find = |key: &str| roles.iter().find(|role| role["key"] == key).unwrap();
        for (key, level, owner) in
            [("SUPER_ADMIN", 1, true), ("FINANCE_ADMIN", 2, false), ("DEV_ADMIN", 2, false), ("MEMBER", 3, false)]
        {
            let role = find(key);
            assert_eq!((&role["level"], &role["owner"], &role["builtIn"]), (&json!(level), &json!(owner), &json!(true)));
            assert!(text(role, "/description").ends_with('.'), "{key}");
        }
        let holds = |key: &str| find(key)["permissions"].clone();
        assert_eq!(list(&holds("SUPER_ADMIN"), "").len(), 18, "everything there is");
        assert_eq!(holds("FINANCE_ADMIN"), json!(["MEMBERS_READ", "BILLING_READ", "BILLING_MANAGE"]));
        assert_eq!(holds("MEMBER"), json!(["APPS_READ"]));
        let role = json!({ "name": "Mine", "level": 5, "permissions": [] });
        let said = refused(&acme.ada, &acme, "CreateRole", role).await;
        assert!(said.starts_with("INVALID_INPUT: "), "there are no others: {said}");
    }

    // C, changing a role: the developer admin works with keys and reads the log, and not with money or ranks.
    async fn a_developer_admin_manages_keys_and_reads_the_log(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        assert_eq!(
            texts(&json!({ "held": overview(&bea, &acme).await["viewerPermissions"] }), "/held", ""),
            [
                "MEMBERS_READ",
                "MEMBERS_INVITE",
                "API_KEYS_READ",
                "API_KEYS_MANAGE",
                "APPS_READ",
                "APPS_MANAGE",
                "AUDIT_READ",
                "EVENTS_SUBSCRIBE"
            ]
        );
        let made = done(&bea, &acme, "CreateApiKey", json!({ "name": "Deploy", "permissions": ["APPS_MANAGE"] })).await;
        let id = json!({ "apiKeyId": made["apiKey"]["id"] });
        for name in ["DisableApiKey", "EnableApiKey", "RotateApiKey", "UpdateApiKey", "RevokeApiKey"] {
            done(&bea, &acme, name, id.clone()).await;
        }
        let log = bea.operation("AuditLog", acme.with(json!({ "first": 1 }))).await;
        assert_eq!(text(&log, "/organization/auditLog/edges/0/node/type"), "api_key.revoked");
        let money = json!({ "name": "Money", "permissions": ["BILLING_READ"] });
        assert_eq!(
            told_no(&bea, &acme, "CreateApiKey", money).await,
            "PERMISSION_NOT_HELD: You cannot give permissions that you do not hold yourself."
        );
        let (strong, _) = acme.key("Of the super admin", &["MEMBERS_READ"]).await;
        assert_eq!(told_no(&bea, &acme, "RevokeApiKey", json!({ "apiKeyId": strong })).await, RANK);
    }

    // C, changing a role: the finance admin and the member have nothing to do with keys and the log.
    async fn a_finance_admin_and_a_member_neither_see_keys_nor_the_log(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        for (email, role) in [(BEA, "FINANCE_ADMIN"), (CYN, "MEMBER")] {
            let person = acme.join(email, role).await;
            for name in ["ApiKeys", "AuditLog", "Events", "Invitations"] {
                let reply = person.try_operation(name, acme.with(json!({}))).await;
                assert_eq!(reply.codes(), ["PERMISSION_REQUIRED"], "{role} {name}");
            }
            assert_eq!(overview(&person, &acme).await["name"], "Acme", "{role} sees what every member sees");
            let said = refused(&person, &acme, "CreateApiKey", json!({ "name": "Mine" })).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission API_KEYS_MANAGE.");
        }
    }

    // C, changing a role: whatever is chosen has effect at once, among the roles that can be given.
    async fn the_super_admin_gives_every_role_but_their_own(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let offered = can(&acme.ada, &acme, BEA).await;
        assert_eq!(texts(&offered, "/assignableRoles", "/key"), ["DEV_ADMIN", "FINANCE_ADMIN", "AUDITOR", "MEMBER"]);
        for role in ["FINANCE_ADMIN", "DEV_ADMIN", "AUDITOR", "MEMBER"] {
            done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, role).await).await;
            assert_eq!(overview(&bea, &acme).await["viewerRole"]["key"], role);
        }
    }

    // C, changing a role: there is one super admin, so nobody becomes a second one.
    async fn super_admin_is_a_role_that_only_a_transfer_gives(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        acme.join(BEA, "MEMBER").await;
        let second = with_role(&acme, BEA, "SUPER_ADMIN").await;
        assert_eq!(refused(&acme.ada, &acme, "ChangeMemberRole", second).await, TRANSFER);
        let wish = json!({ "email": CYN, "roleId": acme.role("SUPER_ADMIN") });
        assert_eq!(refused(&acme.ada, &acme, "InviteMember", wish).await, TRANSFER);
        let down = with_role(&acme, ADA, "MEMBER").await;
        assert_eq!(refused(&acme.ada, &acme, "ChangeMemberRole", down).await, TRANSFER, "nor is there ever none");
        let document = "query ($id: ID!) { organization(id: $id) { roles { key viewerCanAssign } } }";
        let answer = acme.ada.data(document, acme.with(json!({}))).await;
        let shown = list(&answer, "/organization/roles").iter().find(|role| role["key"] == "SUPER_ADMIN").unwrap();
        assert_eq!(shown["viewerCanAssign"], false, "so the choice does not offer it");
    }

    // C, removing: the note on the super admin.
    async fn the_super_admin_cannot_be_removed(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        let (_, key) = acme.key("Strong", &["MEMBERS_REMOVE", "MEMBERS_UPDATE", "MEMBERS_READ"]).await;
        for (name, permission) in [("RemoveMember", "MEMBERS_REMOVE"), ("DeactivateMember", "MEMBERS_UPDATE")] {
            let of_ada = about(&acme, ADA).await;
            let said = refused(&bea, &acme, name, of_ada.clone()).await;
            assert_eq!(said, format!("PERMISSION_REQUIRED: This needs the permission {permission}."));
            for by in [&key, &acme.ada] {
                assert_eq!(refused(by, &acme, name, of_ada.clone()).await, RANK, "{name}");
            }
        }
        assert_eq!(row(&bea, &acme, ADA).await["status"], "ACTIVE");
    }

    // C, removing: the note on the super admin says what has to be done first.
    async fn the_former_super_admin_can_be_removed_after_a_transfer(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "FINANCE_ADMIN").await;
        let mut to_bea = about(&acme, BEA).await;
        let handed = done(&acme.ada, &acme, "TransferOwnership", to_bea.clone()).await;
        assert_eq!(handed["organization"]["viewerRole"]["key"], "MEMBER", "with the very same answer");
        assert_eq!(overview(&bea, &acme).await["viewerRole"]["key"], "SUPER_ADMIN");
        assert!(heard(&acme, BEA, "Your role: Super admin").await);
        to_bea["memberId"] = text(&row(&bea, &acme, ADA).await, "/id").into();
        done(&bea, &acme, "RemoveMember", to_bea).await;
        assert_eq!(overview(&acme.ada, &acme).await, Value::Null);
        assert_eq!(members(&bea, &acme, json!({})).await["totalCount"], 1);
    }

    // C, handing over: who does it, to whom, and what one becomes.
    async fn a_transfer_is_the_super_admins_own_and_goes_to_an_active_member(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        let (of_bea, of_cyn) = (about(&acme, BEA).await, about(&acme, CYN).await);
        assert_eq!(refused(&bea, &acme, "TransferOwnership", of_cyn.clone()).await, RANK);
        assert_eq!(refused(&bea, &acme, "TransferOwnership", of_bea.clone()).await, RANK);
        let (_, key) = acme.key("Strong", &["MEMBERS_ASSIGN_ROLE", "MEMBERS_READ"]).await;
        let person = "USER_REQUIRED: Only a signed-in person can do this.";
        assert_eq!(refused(&key, &acme, "TransferOwnership", of_cyn.clone()).await, person);
        done(&acme.ada, &acme, "DeactivateMember", of_cyn.clone()).await;
        let inactive = "INVALID_INPUT: An inactive member cannot become the owner.";
        assert_eq!(refused(&acme.ada, &acme, "TransferOwnership", of_cyn).await, inactive);
        let chosen = json!({ "memberId": of_bea["memberId"], "formerOwnerRoleId": acme.role("DEV_ADMIN") });
        done(&acme.ada, &acme, "TransferOwnership", chosen.clone()).await;
        assert_eq!(overview(&acme.ada, &acme).await["viewerRole"]["key"], "DEV_ADMIN", "the role that was chosen");
        assert_eq!(refused(&acme.ada, &acme, "TransferOwnership", chosen).await, RANK, "and it cannot be taken back");
    }

    // C, handing over: what the old super admin promised is the new one's to keep.
    async fn open_invitations_of_a_former_super_admin_wait_for_the_new_one(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let wish = json!({ "email": CYN, "roleId": acme.role("FINANCE_ADMIN") });
        let sent = done(&acme.ada, &acme, "InviteMember", wish).await;
        done(&acme.ada, &acme, "TransferOwnership", about(&acme, BEA).await).await;
        let cyn = server.person(CYN).await;
        let accept = async || {
            let token = json!({ "token": server.invitation_token(CYN).await });
            cyn.refusals("AcceptInvitation", token).await
        };
        assert_eq!(accept().await, ["INVITER_CANNOT_GRANT"]);
        server.wait(TimeDelta::minutes(1));
        done(&bea, &acme, "ResendInvitation", json!({ "invitationId": sent["invitation"]["id"] })).await;
        assert_eq!(accept().await, [""; 0]);
        assert_eq!(overview(&cyn, &acme).await["viewerRole"]["key"], "FINANCE_ADMIN");
        let of_cyn = acme.with(json!({ "memberId": row(&bea, &acme, CYN).await["id"] }));
        let shown = bea.operation("MemberProfile", of_cyn).await;
        assert_eq!(text(&shown, "/organization/member/invitedBy/displayName"), BEA);
    }

    // C, leaving: everybody but the super admin goes on their own.
    async fn everybody_but_the_super_admin_leaves_the_enterprise_on_their_own(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        for (email, role) in [(BEA, "FINANCE_ADMIN"), (CYN, "DEV_ADMIN"), (DAN, "MEMBER"), (EVE, "AUDITOR")] {
            let person = acme.join(email, role).await;
            done(&person, &acme, "LeaveOrganization", json!({})).await;
            assert_eq!(organizations(&person).await, ["Personal as OWNER"], "{role}");
        }
        assert_eq!(members(&acme.ada, &acme, json!({})).await["totalCount"], 1);
        assert_eq!(refused(&acme.ada, &acme, "LeaveOrganization", json!({})).await, TRANSFER);
    }

    // C, leaving: the warning. Resources and shared keys are out of reach with the very next request.
    async fn who_leaves_loses_the_resources_and_the_shared_keys(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        acme.key("Shared", &["MEMBERS_READ"]).await;
        let made = done(&bea, &acme, "CreateApiKey", json!({ "name": "Bea's", "permissions": ["MEMBERS_READ"] })).await;
        let holder = server.with_key(text(&made, "/secret"));
        assert_eq!(members(&holder, &acme, json!({})).await["totalCount"], 2);
        let seen = bea.operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(seen["organization"]["apiKeys"]["totalCount"], 2);
        let mut page = acme.changes(&bea).await;
        done(&bea, &acme, "LeaveOrganization", json!({ "createdKeys": "REVOKE" })).await;
        for name in ["Overview", "Members", "ApiKeys", "AuditLog"] {
            assert_eq!(bea.operation(name, acme.with(json!({}))).await, json!({ "organization": null }), "{name}");
        }
        let reply = holder.try_operation("Members", acme.with(json!({}))).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "the key that went along is dead");
        assert_eq!(page.ends_with("changes").await, "ACCESS_ENDED");
        let left = acme.ada.operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(texts(&left, "/organization/apiKeys/nodes", "/name"), ["Shared"], "the others keep theirs");
    }

    // C, leaving: the warning. Whoever goes, or is switched off, leaves keys behind, and the answer says which.
    async fn the_answers_to_leaving_and_to_switching_off_name_the_keys_that_were_made(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        done(&bea, &acme, "CreateApiKey", json!({ "name": "Deploy" })).await;
        let off = "mutation ($input: DeactivateMemberInput!) { deactivateMember(input: $input) { apiKeysCreated { name } } }";
        let mut input = json!({ "organizationId": acme.id });
        input["memberId"] = about(&acme, BEA).await["memberId"].clone();
        let answer = acme.ada.data(off, json!({ "input": input })).await;
        assert_eq!(answer["deactivateMember"]["apiKeysCreated"], json!([{ "name": "Deploy" }]));
        done(&acme.ada, &acme, "ReactivateMember", about(&acme, BEA).await).await;
        let leave = "mutation ($input: LeaveOrganizationInput!) { leaveOrganization(input: $input) { apiKeysCreated { name } } }";
        let answer = bea.data(leave, json!({ "input": { "organizationId": acme.id } })).await;
        assert_eq!(answer["leaveOrganization"]["apiKeysCreated"], json!([{ "name": "Deploy" }]));
    }

    // C, the notes: nobody but the super admin removes others or changes their roles.
    async fn only_the_super_admin_changes_roles_and_removes_others(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        acme.join(EVE, "MEMBER").await;
        for (email, role) in [(BEA, "DEV_ADMIN"), (CYN, "FINANCE_ADMIN"), (DAN, "AUDITOR")] {
            let person = acme.join(email, role).await;
            let shown = can(&person, &acme, EVE).await;
            let no = json!({ "allowed": false, "code": "PERMISSION_REQUIRED" });
            assert_eq!(shown, json!({ "changeRole": no, "deactivate": no, "remove": no, "assignableRoles": [] }), "{role}");
            for (name, permission) in
                [("RemoveMember", "MEMBERS_REMOVE"), ("DeactivateMember", "MEMBERS_UPDATE")]
            {
                let said = refused(&person, &acme, name, about(&acme, EVE).await).await;
                assert_eq!(said, format!("PERMISSION_REQUIRED: This needs the permission {permission}."), "{role}");
            }
            let said = refused(&person, &acme, "ChangeMemberRole", with_role(&acme, EVE, "AUDITOR").await).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_ASSIGN_ROLE.", "{role}");
        }
        done(&acme.ada, &acme, "RemoveMember", about(&acme, EVE).await).await;
    }

    // C, the notes: who is removed has lost access with the answer.
    async fn who_is_removed_from_the_enterprise_loses_access_at_once(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        let made = done(&bea, &acme, "CreateApiKey", json!({ "name": "Bea's", "permissions": ["MEMBERS_READ"] })).await;
        let holder = server.with_key(text(&made, "/secret"));
        assert!(holder.is_let_in().await);
        let mut page = acme.changes(&bea).await;
        let mut wish = about(&acme, BEA).await;
        wish["createdKeys"] = "DISABLE".into();
        let removed = done(&acme.ada, &acme, "RemoveMember", wish).await;
        let keys = json!([{ "id": made["apiKey"]["id"], "name": "Bea's", "status": "DISABLED" }]);
        assert_eq!(removed["apiKeysCreated"], keys, "and the super admin is told what they had made");
        assert_eq!(overview(&bea, &acme).await, Value::Null);
        assert_eq!(refused(&bea, &acme, "LeaveOrganization", json!({})).await, "NOT_FOUND: Not found.");
        assert!(!holder.is_let_in().await);
        assert_eq!(page.ends_with("changes").await, "ACCESS_ENDED");
    }

    // C, the notes: the first way out of a super admin.
    async fn the_super_admin_leaves_after_a_transfer(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        assert_eq!(asked(&acme.ada, &acme, "LeaveOrganization", &json!({})).await["code"], "OWNER_MUST_TRANSFER");
        done(&acme.ada, &acme, "TransferOwnership", about(&acme, BEA).await).await;
        done(&acme.ada, &acme, "LeaveOrganization", json!({})).await;
        assert_eq!(organizations(&acme.ada).await, ["Personal as OWNER"]);
        assert_eq!(organizations(&bea).await, ["Acme as SUPER_ADMIN", "Personal as OWNER"]);
        assert_eq!(refused(&bea, &acme, "LeaveOrganization", json!({})).await, TRANSFER, "now it is she");
    }

    // C, the notes: the second way out of a super admin, certified or not.
    async fn the_super_admin_dissolves_the_enterprise_instead_of_leaving(url: &str) {
        let server = Server::start(url).await;
        let fresh = Acme::of_kind(&server, "ENTERPRISE").await;
        done(&fresh.ada, &fresh, "DeleteOrganization", json!({ "confirmName": "Acme" })).await;
        let acme = certified(&server).await;
        let bea = acme.join(BEA, "DEV_ADMIN").await;
        let typed = json!({ "confirmName": "Acme" });
        let permission = "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_DELETE.";
        assert_eq!(refused(&bea, &acme, "DeleteOrganization", typed.clone()).await, permission);
        done(&acme.ada, &acme, "DeleteOrganization", typed).await;
        for person in [&acme.ada, &bea] {
            assert_eq!(organizations(person).await, ["Personal as OWNER"]);
        }
    }

    // C, the notes: who is refused is told both ways out.
    async fn the_super_admin_who_would_leave_is_told_the_two_ways_out(url: &str) {
        let server = Server::start(url).await;
        let acme = certified(&server).await;
        let said = refused(&acme.ada, &acme, "LeaveOrganization", json!({})).await;
        assert!(said.starts_with("OWNER_MUST_TRANSFER: ") && said.contains("transfer") && said.contains("delete"), "{said}");
    }
}
