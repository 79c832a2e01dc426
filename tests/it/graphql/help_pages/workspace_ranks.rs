//! Product B, a company's workspace: what Admin, Co-Admin and Manager may do about members, and which roles each of
//! them gives.

use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Client, Server},
};
use super::{BEA, CYN, DAN, EVE, about, done, heard, members, overview, profile, refused, row, with_role};
use crate::support::databases::both_databases;

const RANK: &str = "RANK_TOO_LOW: This needs a higher rank than yours.";

/// The roles that a page offers a caller to give at all, highest first.
async fn assignable(by: &Client, acme: &Acme<'_>) -> String {
    let document = "query ($id: ID!) { organization(id: $id) { roles { key viewerCanAssign } } }";
    let answer = by.data(document, acme.with(json!({}))).await;
    let roles = answer["organization"]["roles"].as_array().unwrap().iter();
    let keys = roles.filter(|role| role["viewerCanAssign"] == true).map(|role| role["key"].as_str().unwrap());
    keys.collect::<Vec<_>>().join(" ")
}

/// The roles that the page of one member offers a caller to give them.
async fn offered(by: &Client, acme: &Acme<'_>, email: &str) -> String {
    let shown = profile(by, acme, email).await;
    let roles = shown["viewerCan"]["assignableRoles"].as_array().unwrap().iter();
    roles.map(|role| role["key"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

both_databases! {
    // B, who has access: Admin and Co-Admin do everything about members.
    async fn admins_and_co_admins_invite_edit_and_remove_members(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        for (by, email) in [(&acme.ada, CYN), (&bea, DAN)] {
            done(by, &acme, "InviteMember", json!({ "email": email, "roleId": acme.role("MANAGER") })).await;
            let token = server.invitation_token(email).await;
            let person = server.person(email).await;
            assert_eq!(person.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
            assert_eq!(members(&person, &acme, json!({ "search": email })).await["totalCount"], 1);
            done(by, &acme, "ChangeMemberRole", with_role(&acme, email, "MEMBER").await).await;
            done(by, &acme, "DeactivateMember", about(&acme, email).await).await;
            done(by, &acme, "ReactivateMember", about(&acme, email).await).await;
            done(by, &acme, "RemoveMember", about(&acme, email).await).await;
            assert_eq!(overview(&person, &acme).await, Value::Null);
            assert!(heard(&acme, email, "Subject: You were removed from Acme").await);
        }
    }

    // B, who has access: everything about members below oneself, that is.
    async fn a_co_admin_touches_neither_admins_nor_other_co_admins(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (bea, _) = (acme.join(BEA, "CO_ADMIN").await, acme.join(CYN, "CO_ADMIN").await);
        for email in [ADA, CYN] {
            for name in ["DeactivateMember", "ReactivateMember", "RemoveMember"] {
                assert_eq!(refused(&bea, &acme, name, about(&acme, email).await).await, RANK, "{name} {email}");
            }
            let demote = with_role(&acme, email, "MEMBER").await;
            assert_eq!(refused(&bea, &acme, "ChangeMemberRole", demote).await, RANK);
            let shown = profile(&bea, &acme, email).await["viewerCan"].clone();
            let no = json!({ "allowed": false, "code": "RANK_TOO_LOW" });
            assert_eq!(shown, json!({ "changeRole": no, "deactivate": no, "remove": no, "assignableRoles": [] }));
        }
        done(&acme.ada, &acme, "RemoveMember", about(&acme, CYN).await).await;
    }

    // B, who has access: a Manager sees members and invites new ones.
    async fn a_manager_sees_the_members_and_invites_new_ones(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        assert_eq!(members(&bea, &acme, json!({})).await["totalCount"], 2);
        let sent = done(&bea, &acme, "InviteMember", json!({ "email": CYN, "name": "Cyn" })).await;
        assert_eq!(sent["invitation"]["role"]["key"], "MEMBER", "with the default role");
        let named = json!({ "email": DAN, "roleId": acme.role("MEMBER") });
        done(&bea, &acme, "InviteMember", named).await;
        let answer = bea.operation("Invitations", acme.with(json!({ "states": ["PENDING"] }))).await;
        assert_eq!(answer["organization"]["invitations"]["totalCount"], 2, "and sees whom they invited");
        let token = server.invitation_token(CYN).await;
        let cyn = server.person(CYN).await;
        assert_eq!(cyn.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        assert_eq!(profile(&acme.ada, &acme, CYN).await["invitedBy"]["displayName"], BEA);
        let permission = "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE.";
        assert_eq!(refused(&cyn, &acme, "InviteMember", json!({ "email": EVE })).await, permission, "a member does not");
    }

    // B, who has access: inviting is no way to give a role.
    async fn a_manager_invites_but_assigns_no_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        acme.join(CYN, "MEMBER").await;
        for role in ["ADMIN", "CO_ADMIN", "MANAGER", "AUDITOR"] {
            let wish = json!({ "email": DAN, "roleId": acme.role(role) });
            let said = refused(&bea, &acme, "InviteMember", wish).await;
            assert_eq!(said, format!("ROLE_NOT_ASSIGNABLE: You cannot give the role {role}."));
        }
        assert_eq!(server.letters_to(DAN).await, [""; 0], "who was not invited hears nothing");
        for role in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
            let said = refused(&bea, &acme, "ChangeMemberRole", with_role(&acme, CYN, role).await).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_ASSIGN_ROLE.", "{role}");
        }
        assert_eq!(row(&acme.ada, &acme, CYN).await["role"]["key"], "MEMBER");
    }

    // B, who has access: nor does a Manager take anybody's access.
    async fn a_manager_removes_nobody_and_switches_nobody_off(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        let cyn = acme.join(CYN, "MEMBER").await;
        for (name, permission) in [
            ("RemoveMember", "MEMBERS_REMOVE"),
            ("DeactivateMember", "MEMBERS_UPDATE"),
            ("ReactivateMember", "MEMBERS_UPDATE"),
        ] {
            let said = refused(&bea, &acme, name, about(&acme, CYN).await).await;
            assert_eq!(said, format!("PERMISSION_REQUIRED: This needs the permission {permission}."));
        }
        let shown = profile(&bea, &acme, CYN).await["viewerCan"].clone();
        for action in ["changeRole", "deactivate", "remove"] {
            assert_eq!(shown[action], json!({ "allowed": false, "code": "PERMISSION_REQUIRED" }), "{action}");
        }
        assert_eq!(overview(&cyn, &acme).await["name"], "Acme");
    }

    // B, the hierarchy: Admin.
    async fn an_admin_gives_every_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        let all = "ADMIN CO_ADMIN MANAGER AUDITOR MEMBER";
        assert_eq!((assignable(&acme.ada, &acme).await, offered(&acme.ada, &acme, BEA).await), (all.into(), all.into()));
        for role in all.split(' ') {
            let changed = done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, role).await).await;
            assert_eq!(changed["member"]["role"]["key"], role);
            let wish = json!({ "email": CYN, "roleId": acme.role(role), "replace": true });
            assert_eq!(done(&acme.ada, &acme, "InviteMember", wish).await["invitation"]["role"]["key"], role);
        }
    }

    // B, the hierarchy: Co-Admin.
    async fn a_co_admin_gives_manager_and_below(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        let below = "MANAGER AUDITOR MEMBER";
        assert_eq!((assignable(&bea, &acme).await, offered(&bea, &acme, CYN).await), (below.into(), below.into()));
        for role in below.split(' ') {
            done(&bea, &acme, "ChangeMemberRole", with_role(&acme, CYN, role).await).await;
            let wish = json!({ "email": DAN, "roleId": acme.role(role), "replace": true });
            done(&bea, &acme, "InviteMember", wish).await;
        }
        for role in ["ADMIN", "CO_ADMIN"] {
            let no = format!("ROLE_NOT_ASSIGNABLE: You cannot give the role {role}.");
            let give = with_role(&acme, CYN, role).await;
            assert_eq!(refused(&bea, &acme, "ChangeMemberRole", give).await, no);
            let wish = json!({ "email": EVE, "roleId": acme.role(role) });
            assert_eq!(refused(&bea, &acme, "InviteMember", wish).await, no);
        }
    }

    // B, the hierarchy: Manager.
    async fn a_manager_gives_no_role_at_all(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        acme.join(CYN, "MEMBER").await;
        assert_eq!((assignable(&bea, &acme).await, offered(&bea, &acme, CYN).await), (String::new(), String::new()));
        let up = with_role(&acme, BEA, "CO_ADMIN").await;
        let permission = "PERMISSION_REQUIRED: This needs the permission MEMBERS_ASSIGN_ROLE.";
        assert_eq!(refused(&bea, &acme, "ChangeMemberRole", up).await, permission, "least of all to themselves");
        assert_eq!(offered(&bea, &acme, BEA).await, "MEMBER", "stepping down is everybody's own affair");
        done(&bea, &acme, "ChangeMemberRole", with_role(&acme, BEA, "MEMBER").await).await;
    }

    // B, the hierarchy: who was raised or lowered gives the roles of their new rank with the very next request.
    async fn what_somebody_gives_follows_their_role_at_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        done(&bea, &acme, "InviteMember", json!({ "email": CYN, "roleId": acme.role("MANAGER") })).await;
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "MANAGER").await).await;
        assert_eq!(assignable(&bea, &acme).await, "");
        let cyn = server.person(CYN).await;
        let answer =
            cyn.operation("AcceptInvitation", json!({ "token": server.invitation_token(CYN).await })).await;
        let errors = json!([{ "code": "INVITER_CANNOT_GRANT", "field": null,
            "message": "Who sent this invitation can no longer give its role: ask for a new one." }]);
        assert_eq!(answer["acceptInvitation"]["userErrors"], errors, "an open invitation gives no more than its sender");
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "CO_ADMIN").await).await;
        assert_eq!(assignable(&bea, &acme).await, "MANAGER AUDITOR MEMBER");
    }

    // B, the hierarchy: a role of the workspace's own is given by who stands above it and holds all of it.
    async fn a_co_admin_gives_a_role_of_the_workspaces_own_only_if_they_hold_all_of_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        let give = async |name: &str, level: i32, permission: &str| {
            let wish = json!({ "name": name, "level": level, "permissions": [permission] });
            let made = done(&acme.ada, &acme, "CreateRole", wish).await;
            let mut give = about(&acme, CYN).await;
            give["roleId"] = made["role"]["id"].clone();
            give
        };
        done(&bea, &acme, "ChangeMemberRole", give("Support", 3, "API_KEYS_READ").await).await;
        let not_held = "PERMISSION_NOT_HELD: You cannot give permissions that you do not hold yourself.";
        assert_eq!(refused(&bea, &acme, "ChangeMemberRole", give("Cashier", 3, "BILLING_MANAGE").await).await, not_held);
        let as_high = "ROLE_NOT_ASSIGNABLE: You cannot give the role DEPUTY.";
        assert_eq!(refused(&bea, &acme, "ChangeMemberRole", give("Deputy", 2, "APPS_READ").await).await, as_high);
        assert_eq!(offered(&bea, &acme, CYN).await, "MANAGER SUPPORT AUDITOR MEMBER");
        assert_eq!(assignable(&bea, &acme).await, "MANAGER SUPPORT AUDITOR MEMBER");
    }
}
