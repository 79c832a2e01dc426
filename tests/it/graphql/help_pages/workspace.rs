//! Product B, a company's workspace: its overview, its members, its settings, and several organizations of one person.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use super::{
    BEA, CYN, DAN, about, asked, done, last_letter, members, named, organizations, overview, profile, refused, row,
    told, told_no, with_role,
};
use crate::support::databases::both_databases;

both_databases! {
    // B, overview: how many members, and what happened lately; the latter for who may read it.
    async fn the_overview_counts_members_and_shows_recent_activity_to_who_may_read_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        named(acme.ada.clone(), "Ada Brook").await;
        let (bea, cyn) = (acme.join(BEA, "CO_ADMIN").await, acme.join(CYN, "MEMBER").await);
        done(&bea, &acme, "DeactivateMember", about(&acme, CYN).await).await;
        done(&bea, &acme, "ReactivateMember", about(&acme, CYN).await).await;
        done(&bea, &acme, "InviteMember", json!({ "email": DAN })).await;
        let seen = overview(&bea, &acme).await["overview"].clone();
        assert_eq!(
            [&seen["memberCount"], &seen["activeMemberCount"], &seen["pendingInvitationCount"], &seen["apiKeyCount"]],
            [3, 3, 1, 0]
        );
        let latest = &seen["recentActivity"][0];
        assert_eq!((&latest["type"], &latest["actor"]["displayName"]), (&json!("invitation.sent"), &json!(BEA)));
        let oldest = list(&seen, "/recentActivity").last().unwrap();
        assert_eq!(oldest["actor"], json!({ "kind": "USER", "displayName": "Ada Brook" }));
        let seen = overview(&cyn, &acme).await["overview"].clone();
        assert_eq!((&seen["memberCount"], &seen["recentActivity"]), (&json!(3), &Value::Null));
    }

    // B, overview: the quick actions are those that would succeed.
    async fn quick_actions_are_offered_to_who_may_do_them(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let quick = async |by: &Client| {
            let mut offered = Vec::new();
            for name in ["InviteMember", "CreateRole", "CreateApiKey", "UpdateOrganization", "DeleteOrganization"] {
                if asked(by, &acme, name, &json!({})).await["allowed"] == true {
                    offered.push(name);
                }
            }
            offered.join(" ")
        };
        assert_eq!(quick(&acme.ada).await, "InviteMember CreateRole CreateApiKey UpdateOrganization DeleteOrganization");
        for (email, role, offered) in [
            ("co@example.com", "CO_ADMIN", "InviteMember CreateApiKey UpdateOrganization"),
            ("manager@example.com", "MANAGER", "InviteMember"),
            ("member@example.com", "MEMBER", ""),
            ("auditor@example.com", "AUDITOR", ""),
        ] {
            assert_eq!(quick(&acme.join(email, role).await).await, offered, "{role}");
        }
    }

    // B, the list: name, email, role, last login and status.
    async fn each_row_shows_name_email_role_last_login_and_status(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        named(acme.join(BEA, "MANAGER").await, "Bea Brook").await;
        done(&acme.ada, &acme, "DeactivateMember", about(&acme, BEA).await).await;
        server.wait(TimeDelta::hours(5));
        server.person(BEA).await;
        let shown = row(&acme.ada, &acme, BEA).await;
        assert_eq!(
            json!([shown["user"]["name"], shown["user"]["email"], shown["role"]["name"], shown["status"]]),
            json!(["Bea Brook", BEA, "Manager", "INACTIVE"])
        );
        assert_eq!(shown["lastLoginAt"], "2026-03-02T14:03:00+00:00", "a login counts, wherever it led");
        assert_eq!(row(&acme.ada, &acme, ADA).await["status"], "ACTIVE");
    }

    // B, inviting: name, address and role are filled in, and a letter goes out.
    async fn an_invitation_takes_name_address_and_role_and_the_letter_says_all_three(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let wish = json!({ "name": "Bea Brook", "email": BEA, "roleId": acme.role("CO_ADMIN") });
        done(&acme.ada, &acme, "InviteMember", wish).await;
        let answer = acme.ada.operation("Invitations", acme.with(json!({}))).await;
        let waiting = &answer["organization"]["invitations"]["nodes"][0];
        assert_eq!(
            json!([waiting["name"], waiting["email"], waiting["role"]["key"], waiting["state"]]),
            json!(["Bea Brook", BEA, "CO_ADMIN", "PENDING"])
        );
        let letter = last_letter(&acme, BEA).await;
        for part in ["Hello Bea Brook,", "Your role: Co-Admin", "Organization: Acme", "for bea@example.com"] {
            assert!(letter.contains(part), "{part} is not in {letter}");
        }
        let token = server.invitation_token(BEA).await;
        let bea = server.person(BEA).await;
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        let shown = row(&acme.ada, &acme, BEA).await;
        assert_eq!(
            (&shown["user"]["name"], &shown["role"]["key"]),
            (&json!("Bea Brook"), &json!("CO_ADMIN")),
            "who had no name yet is called so"
        );
    }

    // B, inviting: the name in the form is what the inviter calls them, and changes nobody's own.
    async fn who_has_a_name_keeps_it_whatever_the_invitation_called_them(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = named(server.person(BEA).await, "Beatrix Brook").await;
        done(&acme.ada, &acme, "InviteMember", json!({ "name": "Bee", "email": BEA })).await;
        assert!(last_letter(&acme, BEA).await.contains("Hello Bee,"));
        let token = server.invitation_token(BEA).await;
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        assert_eq!(row(&acme.ada, &acme, BEA).await["user"]["name"], "Beatrix Brook");
    }

    // B, editing a member: another role.
    async fn editing_a_member_gives_another_role_at_once_and_tells_them(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let list = async || bea.try_operation("Members", acme.with(json!({}))).await;
        assert_eq!(list().await.codes(), ["PERMISSION_REQUIRED"]);
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "MANAGER").await).await;
        assert_eq!(list().await.body["data"]["organization"]["members"]["totalCount"], 2);
        assert!(last_letter(&acme, BEA).await.contains("Your role: Manager"));
        let before = server.letters_to(BEA).await.len();
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "MANAGER").await).await;
        assert_eq!(server.letters_to(BEA).await.len(), before, "what stays the same is no news");
    }

    // B, editing a member: the switch between active and inactive.
    async fn editing_a_member_switches_them_off_and_on(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        let mut page = acme.changes(&acme.ada).await;
        let off = done(&acme.ada, &acme, "DeactivateMember", about(&acme, BEA).await).await;
        assert_eq!(off["member"]["status"], "INACTIVE");
        assert_eq!(told(&mut page, &off).await, ["MEMBERS"]);
        assert_eq!(organizations(&bea).await, ["Personal as OWNER"]);
        let inactive = "MEMBER_INACTIVE: Your membership is inactive.";
        assert_eq!(refused(&bea, &acme, "InviteMember", json!({ "email": CYN })).await, inactive);
        let letter = last_letter(&acme, BEA).await;
        assert!(letter.contains("Subject: Your access to Acme was switched off"), "{letter}");
        let on = done(&acme.ada, &acme, "ReactivateMember", about(&acme, BEA).await).await;
        assert_eq!((&on["member"]["status"], &on["member"]["role"]["key"]), (&json!("ACTIVE"), &json!("MANAGER")));
        assert_eq!(members(&bea, &acme, json!({})).await["totalCount"], 2, "with the same session as before");
    }

    // B, looking at a member: who they are, what they did, what they may do.
    async fn a_members_page_shows_profile_activity_and_permissions(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = named(acme.join(BEA, "MANAGER").await, "Bea Brook").await;
        let cyn = acme.join(CYN, "MANAGER").await;
        done(&bea, &acme, "InviteMember", json!({ "email": DAN })).await;
        let shown = profile(&acme.ada, &acme, BEA).await;
        assert_eq!(
            json!([shown["user"]["name"], shown["user"]["email"], shown["role"]["name"], shown["status"]]),
            json!(["Bea Brook", BEA, "Manager", "ACTIVE"])
        );
        assert_eq!(
            texts(&shown, "/activity/nodes", "/type"),
            ["invitation.sent", "member.joined", "invitation.accepted"]
        );
        assert_eq!(shown["permissions"], json!(["MEMBERS_READ", "MEMBERS_INVITE", "APPS_READ"]));
        let to_a_colleague = profile(&cyn, &acme, BEA).await;
        assert_eq!(to_a_colleague["user"]["name"], "Bea Brook");
        assert_eq!(to_a_colleague["activity"], Value::Null, "what others did is for who may read the log");
        assert_eq!(list(&profile(&bea, &acme, BEA).await, "/activity/nodes").len(), 3, "one's own is there for all");
    }

    // B, the members page: list and search.
    async fn members_are_listed_searched_and_filtered_by_status(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = named(acme.join(BEA, "MANAGER").await, "Bea Brook").await;
        acme.join(CYN, "MEMBER").await;
        done(&acme.ada, &acme, "DeactivateMember", about(&acme, CYN).await).await;
        let found = async |variables: Value| {
            let list = members(&bea, &acme, variables).await;
            texts(&list, "/edges", "/node/user/email").join(" ")
        };
        assert_eq!(found(json!({ "orderBy": { "field": "EMAIL" } })).await, format!("{ADA} {BEA} {CYN}"));
        assert_eq!(found(json!({ "search": "BROOK" })).await, BEA);
        assert_eq!(found(json!({ "search": "cyn@" })).await, CYN);
        assert_eq!(found(json!({ "filter": { "statuses": ["INACTIVE"] } })).await, CYN);
        assert_eq!(found(json!({ "filter": { "roleIds": [acme.role("MANAGER")] } })).await, BEA);
    }

    // B, the settings: the name and what the organization is; the place of the logo is there.
    async fn the_settings_hold_name_description_and_logo(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (bea, cyn) = (acme.join(BEA, "CO_ADMIN").await, acme.join(CYN, "MANAGER").await);
        let wish = json!({ "name": "Acme Rockets", "description": "We build rockets." });
        done(&bea, &acme, "UpdateOrganization", wish).await;
        let seen = overview(&cyn, &acme).await;
        assert_eq!(
            json!([seen["name"], seen["description"], seen["logoUrl"]]),
            json!(["Acme Rockets", "We build rockets.", null])
        );
        let permission = "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_UPDATE.";
        assert_eq!(refused(&cyn, &acme, "UpdateOrganization", json!({ "name": "Mine" })).await, permission);
        let said = told_no(&bea, &acme, "UpdateOrganization", json!({ "name": " " })).await;
        assert!(said.starts_with("INVALID_INPUT: name "), "{said}");
        let cleared = done(&bea, &acme, "UpdateOrganization", json!({ "description": null })).await;
        assert_eq!(cleared["organization"]["description"], Value::Null);
    }

    // B, the question how to switch: everybody sees theirs, and is in each what they are there.
    async fn who_belongs_to_several_organizations_switches_between_them(url: &str) {
        let server = Server::start(url).await;
        let one = Acme::workspace(&server).await;
        let bea = one.join(BEA, "MANAGER").await;
        let two = Acme::made_by(&server, bea.clone(), "WORKSPACE").await;
        done(&bea, &two, "UpdateOrganization", json!({ "name": "Bea's own" })).await;
        assert_eq!(organizations(&bea).await, ["Acme as MANAGER", "Bea's own as ADMIN", "Personal as OWNER"]);
        assert_eq!(organizations(&one.ada).await, ["Acme as ADMIN", "Personal as OWNER"]);
        assert_eq!(overview(&bea, &one).await["viewerRole"]["key"], "MANAGER");
        assert_eq!(overview(&bea, &two).await["viewerRole"]["key"], "ADMIN");
        let rename = json!({ "name": "Mine too" });
        assert!(refused(&bea, &one, "UpdateOrganization", rename.clone()).await.starts_with("PERMISSION_REQUIRED"));
        done(&bea, &two, "UpdateOrganization", rename).await;
        assert_eq!(overview(&one.ada, &two).await, Value::Null, "one's colleague here is an outsider there");
        let elsewhere = json!({ "memberId": one.member(BEA).await });
        assert_eq!(told_no(&bea, &two, "RemoveMember", elsewhere).await, "NOT_FOUND: Not found.");
        let answer = bea.operation("Viewer", json!({})).await;
        let kinds = texts(&answer, "/viewer/organizations/edges", "/node/kind");
        assert_eq!((kinds.len(), text(&answer, "/viewer/user/email")), (3, BEA));
        assert_eq!(kinds.iter().filter(|kind| **kind == "PERSONAL").count(), 1, "and each has one of their own");
    }
}
