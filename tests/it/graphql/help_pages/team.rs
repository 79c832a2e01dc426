//! Product A, a small team: the organization itself, leaving it, deleting it.

use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Server, texts},
};
use super::{
    BEA, CYN, DAN, about, done, last_letter, organizations, overview, profile, refused, row, told, told_no, with_role,
};
use crate::support::databases::both_databases;

const LAST_ADMIN: &str =
    "LAST_OWNER: The organization would have no active owner left: promote somebody first, or delete it.";
const GONE: &str = "NOT_FOUND: Not found.";

both_databases! {
    // A, the profile: its name can be seen and changed, and stands wherever members look.
    async fn a_new_name_is_shown_to_every_member_wherever_the_organization_stands(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let mut page = acme.changes(&bea).await;
        let renamed = done(&acme.ada, &acme, "UpdateOrganization", json!({ "name": "Acme Rockets" })).await;
        assert_eq!(renamed["organization"]["name"], "Acme Rockets");
        assert_eq!(told(&mut page, &renamed).await, ["PROFILE"], "an open page knows that there is something to load");
        for member in [&acme.ada, &bea] {
            assert_eq!(overview(member, &acme).await["name"], "Acme Rockets");
        }
        assert_eq!(organizations(&bea).await, ["Acme Rockets as MEMBER", "Personal as OWNER"]);
        done(&acme.ada, &acme, "InviteMember", json!({ "email": CYN })).await;
        assert!(last_letter(&acme, CYN).await.contains("Organization: Acme Rockets"), "and so do letters");
        let token = server.invitation_token(CYN).await;
        let preview = server.anonymous().operation("InvitationPreview", json!({ "token": token })).await;
        assert_eq!(preview["invitation"]["organizationName"], "Acme Rockets");
    }

    // A, the profile: everybody views it, and only who manages the organization updates it.
    async fn a_member_sees_the_profile_and_does_not_change_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let described = json!({ "description": "We build rockets." });
        done(&acme.ada, &acme, "UpdateOrganization", described.clone()).await;
        for (email, role) in [(BEA, "MEMBER"), (CYN, "AUDITOR")] {
            let person = acme.join(email, role).await;
            let seen = overview(&person, &acme).await;
            assert_eq!((&seen["name"], &seen["description"]), (&json!("Acme"), &described["description"]));
            assert_eq!(seen["logoUrl"], Value::Null, "there is a place for the logo");
            assert_eq!(
                refused(&person, &acme, "UpdateOrganization", json!({ "name": "Mine" })).await,
                "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_UPDATE."
            );
        }
        assert_eq!(overview(&acme.ada, &acme).await["name"], "Acme", "a refused change changes nothing");
    }

    // A, leaving: whoever is not the last admin goes without asking anybody.
    async fn every_member_but_the_last_admin_leaves_on_their_own(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        for (email, role) in [(BEA, "MEMBER"), (CYN, "AUDITOR"), (DAN, "ADMIN")] {
            let person = acme.join(email, role).await;
            done(&person, &acme, "LeaveOrganization", json!({})).await;
            assert_eq!(organizations(&person).await, ["Personal as OWNER"], "{role}");
            assert_eq!(row(&acme.ada, &acme, email).await["status"], "FORMER");
        }
    }

    // A, leaving: the data is out of reach from then on.
    async fn who_leaves_loses_access_to_everything_with_the_very_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "ADMIN").await;
        let mut page = acme.changes(&bea).await;
        let member = acme.member(BEA).await;
        done(&bea, &acme, "LeaveOrganization", json!({})).await;
        for name in ["Overview", "Members", "Roles", "ApiKeys", "Invitations", "AuditLog"] {
            assert_eq!(bea.operation(name, acme.with(json!({}))).await, json!({ "organization": null }), "{name}");
        }
        for id in [&acme.id, &member] {
            let answer = bea.data("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
            assert_eq!(answer["node"], Value::Null);
        }
        for (name, more) in [
            ("UpdateOrganization", json!({ "name": "Mine" })),
            ("InviteMember", json!({ "email": CYN })),
            ("CreateApiKey", json!({ "name": "Way back" })),
            ("DeleteOrganization", json!({ "confirmName": "Acme" })),
            ("LeaveOrganization", json!({})),
        ] {
            assert_eq!(refused(&bea, &acme, name, more).await, GONE, "{name}");
        }
        assert_eq!(page.ends_with("changes").await, "ACCESS_ENDED", "a page that was open is told so");
    }

    // A, leaving: the way back is an invitation of an admin, and a new one.
    async fn who_left_comes_back_by_a_new_invitation_and_by_nothing_else(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (bea, cyn) = (acme.join(BEA, "ADMIN").await, acme.join(CYN, "MEMBER").await);
        let (old, member) = (server.invitation_token(BEA).await, acme.member(BEA).await);
        done(&bea, &acme, "LeaveOrganization", json!({})).await;
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": old })).await, ["INVITATION_CLOSED"]);
        let bea = server.person(BEA).await;
        assert_eq!(organizations(&bea).await, ["Personal as OWNER"], "signing in again changes nothing");
        let reactivate = json!({ "memberId": member });
        assert_eq!(told_no(&acme.ada, &acme, "ReactivateMember", reactivate).await, GONE, "nor can it be undone");
        assert_eq!(
            refused(&cyn, &acme, "InviteMember", json!({ "email": BEA })).await,
            "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE."
        );
        done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        let new = json!({ "token": server.invitation_token(BEA).await });
        assert_eq!(bea.refusals("AcceptInvitation", new).await, [""; 0]);
        assert_eq!(organizations(&bea).await, ["Acme as MEMBER", "Personal as OWNER"], "with the role of today");
        let again = profile(&acme.ada, &acme, BEA).await;
        assert_eq!(again["id"], member, "and as the same member");
        assert_eq!(texts(&again, "/history", "/status"), ["ACTIVE", "FORMER", "ACTIVE"]);
    }

    // A, the note on the last admin: cannot go, and is told both ways out.
    async fn the_last_admin_cannot_leave_and_is_told_the_two_ways_out(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        acme.join(BEA, "MEMBER").await;
        assert_eq!(refused(&acme.ada, &acme, "LeaveOrganization", json!({})).await, LAST_ADMIN);
        let demote = with_role(&acme, ADA, "MEMBER").await;
        assert_eq!(refused(&acme.ada, &acme, "ChangeMemberRole", demote).await, LAST_ADMIN, "nor step down");
        assert_eq!(organizations(&acme.ada).await, ["Acme as ADMIN", "Personal as OWNER"]);
    }

    // A, the note on the last admin: an admin without access is none.
    async fn an_admin_who_is_switched_off_is_no_other_admin(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        acme.join(BEA, "ADMIN").await;
        done(&acme.ada, &acme, "DeactivateMember", about(&acme, BEA).await).await;
        assert_eq!(refused(&acme.ada, &acme, "LeaveOrganization", json!({})).await, LAST_ADMIN);
        done(&acme.ada, &acme, "ReactivateMember", about(&acme, BEA).await).await;
        done(&acme.ada, &acme, "LeaveOrganization", json!({})).await;
    }

    // A, the note on the last admin: the first way out.
    async fn the_last_admin_leaves_once_somebody_else_was_promoted(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "ADMIN").await).await;
        done(&acme.ada, &acme, "LeaveOrganization", json!({})).await;
        assert_eq!(organizations(&bea).await, ["Acme as ADMIN", "Personal as OWNER"]);
        assert_eq!(refused(&bea, &acme, "LeaveOrganization", json!({})).await, LAST_ADMIN, "now it is she");
    }

    // A, the note on the last admin: the second way out.
    async fn the_last_admin_deletes_the_organization_instead_of_leaving(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        assert_eq!(refused(&acme.ada, &acme, "LeaveOrganization", json!({})).await, LAST_ADMIN);
        let deleted = done(&acme.ada, &acme, "DeleteOrganization", json!({ "confirmName": "Acme" })).await;
        assert_eq!(deleted["deletedOrganizationId"], acme.id);
        assert_eq!(organizations(&acme.ada).await, ["Personal as OWNER"]);
    }

    // A, deleting: nobody but an admin, and no program.
    async fn only_admins_delete_the_organization(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (bea, cyn) = (acme.join(BEA, "MEMBER").await, acme.join(CYN, "AUDITOR").await);
        let (_, key) = acme.key("Key", &["ORGANIZATION_DELETE"]).await;
        let typed = json!({ "confirmName": "Acme" });
        let permission = "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_DELETE.";
        for person in [&bea, &cyn] {
            assert_eq!(refused(person, &acme, "DeleteOrganization", typed.clone()).await, permission);
        }
        let person = "USER_REQUIRED: Only a signed-in person can do this.";
        assert_eq!(refused(&key, &acme, "DeleteOrganization", typed.clone()).await, person);
        let dan = acme.join(DAN, "ADMIN").await;
        done(&dan, &acme, "DeleteOrganization", typed).await;
    }

    // A, deleting: members, data and settings go with it.
    async fn a_deleted_organization_takes_members_data_and_settings_with_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let (_, key) = acme.key("Key", &["MEMBERS_READ"]).await;
        done(&acme.ada, &acme, "InviteMember", json!({ "email": CYN })).await;
        let token = server.invitation_token(CYN).await;
        let mut page = acme.changes(&bea).await;
        done(&acme.ada, &acme, "DeleteOrganization", json!({ "confirmName": "Acme" })).await;
        for person in [&acme.ada, &bea] {
            assert_eq!(organizations(person).await, ["Personal as OWNER"]);
            assert_eq!(overview(person, &acme).await, Value::Null);
            assert_eq!(refused(person, &acme, "LeaveOrganization", json!({})).await, GONE);
        }
        assert!(!key.is_let_in().await, "its keys open nothing");
        let preview = server.anonymous().operation("InvitationPreview", json!({ "token": token })).await;
        assert_eq!(preview["invitation"], Value::Null, "nor do its invitations");
        let cyn = server.person(CYN).await;
        assert_eq!(cyn.operation("Viewer", json!({})).await["viewer"]["invitations"], json!([]));
        assert_eq!(cyn.refusals("AcceptInvitation", json!({ "token": token })).await, ["NOT_FOUND"]);
        while page.next("changes").await["type"] != "complete" {}
    }

    // A, deleting: it is for ever, so it is not done by a slip of the hand.
    async fn a_deletion_needs_the_name_typed_again(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        for wrong in ["", "Acm", "Acme Inc"] {
            assert_eq!(
                told_no(&acme.ada, &acme, "DeleteOrganization", json!({ "confirmName": wrong })).await,
                "INVALID_INPUT: confirmName must be the name of the organization."
            );
        }
        assert_eq!(overview(&acme.ada, &acme).await["name"], "Acme");
        done(&acme.ada, &acme, "DeleteOrganization", json!({ "confirmName": " acme " })).await;
    }

    // A, deleting: there is no way back.
    async fn a_deletion_cannot_be_undone(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        acme.join(BEA, "MEMBER").await;
        done(&acme.ada, &acme, "DeleteOrganization", json!({ "confirmName": "Acme" })).await;
        for (name, more) in [
            ("DeleteOrganization", json!({ "confirmName": "Acme" })),
            ("UpdateOrganization", json!({ "name": "Acme" })),
            ("InviteMember", json!({ "email": BEA })),
        ] {
            assert_eq!(refused(&acme.ada, &acme, name, more).await, GONE, "{name}");
        }
        let again = Acme::made_by(&server, server.person(ADA).await, "TEAM").await;
        assert_ne!(again.id, acme.id, "one of the same name is another one");
        assert_eq!(overview(&again.ada, &again).await["overview"]["memberCount"], 1, "and nobody has come along");
    }
}
