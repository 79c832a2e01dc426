//! Product A, a small team: its members, how they are found, invited, given a role and removed.

use serde_json::{Value, json};

use super::super::{
    acme::{ADA, Acme},
    server::{Server, text, texts},
};
use super::{
    BEA, CYN, DAN, EVE, about, done, last_letter, members, named, overview, profile, refused, row, told, told_no,
    with_role,
};
use crate::support::databases::both_databases;

/// What a list of roles says about giving them.
const ASSIGNABLE: &str = "query ($id: ID!) { organization(id: $id) { roles { key viewerCanAssign } } }";

both_databases! {
    // A, members: the tab is where an admin looks at somebody, and switches their access off and on.
    async fn an_admin_views_a_member_and_controls_their_access(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let shown = profile(&acme.ada, &acme, BEA).await;
        assert_eq!(
            (&shown["user"]["email"], &shown["role"]["key"], &shown["invitedBy"]["displayName"]),
            (&json!(BEA), &json!("MEMBER"), &json!(ADA))
        );
        assert_eq!(shown["permissions"], json!(["MEMBERS_READ", "APPS_READ"]));
        let off = done(&acme.ada, &acme, "DeactivateMember", about(&acme, BEA).await).await;
        assert_eq!(off["member"]["status"], "INACTIVE");
        assert_eq!(overview(&bea, &acme).await, Value::Null);
        assert_eq!(profile(&acme.ada, &acme, BEA).await["permissions"], json!([]));
        let on = done(&acme.ada, &acme, "ReactivateMember", about(&acme, BEA).await).await;
        assert_eq!(on["member"]["status"], "ACTIVE");
        assert_eq!(overview(&bea, &acme).await["name"], "Acme");
    }

    // A, the list: name, email, day of joining and role of everybody.
    async fn each_row_shows_name_email_day_of_joining_and_role(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        named(acme.join(BEA, "AUDITOR").await, "Bea Brook").await;
        let list = members(&acme.ada, &acme, json!({})).await;
        let columns = |row: &Value| {
            let row = &row["node"];
            json!([row["user"]["name"], row["user"]["email"], row["joinedAt"], row["role"]["name"]])
        };
        let shown: Vec<_> = list["edges"].as_array().unwrap().iter().map(columns).collect();
        assert_eq!(
            shown,
            [
                json!([null, ADA, "2026-03-02T09:01:00+00:00", "Admin"]),
                json!(["Bea Brook", BEA, "2026-03-02T09:02:00+00:00", "Auditor"]),
            ]
        );
    }

    // A, the list: the menu of a row removes a member, for who may.
    async fn each_row_says_whether_its_member_can_be_removed(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (bea, _) = (acme.join(BEA, "MEMBER").await, acme.join(CYN, "ADMIN").await);
        let document = "query ($id: ID!) { organization(id: $id) { members(orderBy: { field: EMAIL }) { nodes {
            viewerCan { remove { code } } } } } }";
        let menus = async |by: &super::Client| {
            let answer = by.data(document, acme.with(json!({}))).await;
            let nodes = answer["organization"]["members"]["nodes"].as_array().unwrap().clone();
            nodes.iter().map(|node| node["viewerCan"]["remove"]["code"].clone()).collect::<Vec<_>>()
        };
        let (yes, myself) = (Value::Null, json!("RANK_TOO_LOW"));
        assert_eq!(menus(&acme.ada).await, [myself, yes.clone(), yes], "admins may remove each other");
        assert_eq!(menus(&bea).await, ["PERMISSION_REQUIRED"; 3]);
        for email in [ADA, BEA, CYN] {
            let code = refused(&bea, &acme, "RemoveMember", about(&acme, email).await).await;
            assert_eq!(code, "PERMISSION_REQUIRED: This needs the permission MEMBERS_REMOVE.");
        }
        done(&acme.ada, &acme, "RemoveMember", about(&acme, CYN).await).await;
        done(&acme.ada, &acme, "RemoveMember", about(&acme, BEA).await).await;
    }

    // A, the list: who is removed has lost access, is off the list, and hears of it.
    async fn who_is_removed_is_off_the_list_loses_access_and_hears_of_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        done(&acme.ada, &acme, "RemoveMember", about(&acme, BEA).await).await;
        assert_eq!(overview(&bea, &acme).await, Value::Null);
        let list = members(&acme.ada, &acme, json!({})).await;
        assert_eq!((texts(&list, "/edges", "/node/user/email"), &list["totalCount"]), (vec![ADA], &json!(1)));
        let letter = last_letter(&acme, BEA).await;
        assert!(letter.contains("Subject: You were removed from Acme"), "{letter}");
        assert!(letter.contains("To come back you need a new invitation."), "{letter}");
    }

    // A, the list: the search bar.
    async fn the_search_bar_finds_members_by_a_part_of_name_or_email(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = named(acme.join(BEA, "MEMBER").await, "Beatrix Brook").await;
        named(acme.join(CYN, "MEMBER").await, "Cynthia Reed").await;
        for (search, found) in
            [("brook", vec![BEA]), ("CYN@", vec![CYN]), ("example.com", vec![ADA, BEA, CYN]), ("zed", vec![])]
        {
            let list = members(&bea, &acme, json!({ "search": search })).await;
            assert_eq!(texts(&list, "/edges", "/node/user/email"), found, "{search}");
            assert_eq!(list["totalCount"], found.len(), "{search}");
        }
    }

    // A, the list: many members come page by page, forwards and back.
    async fn many_members_come_in_pages(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        for email in [BEA, CYN, DAN, EVE] {
            acme.join(email, "MEMBER").await;
        }
        let (mut after, mut pages) = (Value::Null, Vec::new());
        loop {
            let page = members(&acme.ada, &acme, json!({ "first": 2, "after": after })).await;
            assert_eq!(page["totalCount"], 5);
            pages.push(texts(&page, "/edges", "/node/user/email").join(" "));
            if page["pageInfo"]["hasNextPage"] == false {
                let back = json!({ "last": 2, "before": page["pageInfo"]["startCursor"] });
                let back = members(&acme.ada, &acme, back).await;
                assert_eq!(texts(&back, "/edges", "/node/user/email").join(" "), pages[1], "and back");
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(pages, [format!("{ADA} {BEA}"), format!("{CYN} {DAN}"), EVE.to_owned()]);
        let reply = acme.ada.try_operation("Members", acme.with(json!({ "first": 101 }))).await;
        assert_eq!(reply.codes(), ["BAD_USER_INPUT"], "never a silent cut");
    }

    // A, inviting: the address is all that has to be entered; the role is the default one.
    async fn an_address_is_enough_to_invite_and_the_role_is_the_default_one(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let sent = done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        assert_eq!(
            (&sent["invitation"]["email"], &sent["invitation"]["role"]["key"], &sent["invitation"]["state"]),
            (&json!(BEA), &json!("MEMBER"), &json!("PENDING"))
        );
        for wrong in ["", "bea", "bea@", "bea example.com"] {
            let said = told_no(&acme.ada, &acme, "InviteMember", json!({ "email": wrong })).await;
            assert!(said.starts_with("INVALID_INPUT: email "), "{wrong:?}: {said}");
        }
        assert_eq!(
            told_no(&acme.ada, &acme, "InviteMember", json!({ "email": ADA })).await,
            "ALREADY_A_MEMBER: This person is a member already."
        );
        let again = done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        assert_eq!((&again["alreadyPending"], &again["invitation"]["id"]), (&json!(true), &sent["invitation"]["id"]));
        assert_eq!(server.letters_to(BEA).await.len(), 1, "asked twice, written once");
        let other = json!({ "email": BEA, "roleId": acme.role("AUDITOR") });
        assert_eq!(
            told_no(&acme.ada, &acme, "InviteMember", other).await,
            "INVITATION_PENDING: An invitation with another role is pending: replace it to change the role."
        );
    }

    // A, inviting: the default role is a setting of the organization.
    async fn an_admin_sets_the_role_that_new_invitations_give(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let default = json!({ "defaultInvitationRoleId": acme.role("AUDITOR") });
        let mut page = acme.changes(&acme.ada).await;
        let changed = done(&acme.ada, &acme, "UpdateOrganization", default.clone()).await;
        assert_eq!(told(&mut page, &changed).await, ["SETTINGS"]);
        let sent = done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        assert_eq!(sent["invitation"]["role"]["key"], "AUDITOR");
        let bea = server.person(BEA).await;
        let accepted = bea.operation("AcceptInvitation", json!({ "token": server.invitation_token(BEA).await })).await;
        assert_eq!(accepted["acceptInvitation"]["member"]["role"]["key"], "AUDITOR");
        let owner = json!({ "defaultInvitationRoleId": acme.role("ADMIN") });
        let never = "ROLE_NOT_ASSIGNABLE: You cannot give the role ADMIN.";
        assert_eq!(refused(&acme.ada, &acme, "UpdateOrganization", owner).await, never, "nobody owns by default");
        let permission = "PERMISSION_REQUIRED: This needs the permission ORGANIZATION_UPDATE.";
        assert_eq!(refused(&bea, &acme, "UpdateOrganization", default).await, permission);
    }

    // A, inviting: the letter.
    async fn who_is_invited_is_told_by_a_letter_that_leads_in(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        named(acme.ada.clone(), "Ada Brook").await;
        done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        let letter = last_letter(&acme, BEA).await;
        for line in [
            "Subject: Ada Brook invites you to Acme",
            "Organization: Acme",
            "Your role: Member",
            "Invited by: Ada Brook",
            "The invitation is for bea@example.com.",
            "It is valid until 9 March 2026, 09:01 UTC.",
        ] {
            assert!(letter.contains(line), "{line} is not in {letter}");
        }
        let answer = acme.ada.operation("Invitations", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["invitations"]["nodes"][0]["delivery"]["state"], "SENT");
        let bea = server.person(BEA).await;
        let waiting = bea.operation("Viewer", json!({})).await;
        assert_eq!(text(&waiting, "/viewer/invitations/0/organizationName"), "Acme", "it waits on their own page too");
        let token = server.invitation_token(BEA).await;
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
        assert_eq!(overview(&bea, &acme).await["viewerRole"]["key"], "MEMBER");
    }

    // A, roles: the choice beside a name has effect at once.
    async fn a_role_is_changed_in_the_list_and_has_effect_with_the_very_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let keys = async || bea.try_operation("ApiKeys", acme.with(json!({}))).await;
        assert_eq!(keys().await.codes(), ["PERMISSION_REQUIRED"]);
        let mut page = acme.changes(&bea).await;
        let changed = done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "ADMIN").await).await;
        assert_eq!(changed["member"]["role"]["key"], "ADMIN");
        assert_eq!(told(&mut page, &changed).await, ["MEMBERS"]);
        assert_eq!(keys().await.body.get("errors"), None);
        let letter = last_letter(&acme, BEA).await;
        assert!(letter.contains("Subject: Your role in Acme has changed"), "{letter}");
        assert!(letter.contains("Your role: Admin"), "{letter}");
        done(&acme.ada, &acme, "ChangeMemberRole", with_role(&acme, BEA, "MEMBER").await).await;
        assert_eq!(keys().await.codes(), ["PERMISSION_REQUIRED"]);
        let history = profile(&acme.ada, &acme, BEA).await;
        assert_eq!(texts(&history, "/history", "/role/key"), ["MEMBER", "ADMIN", "MEMBER"]);
    }

    // A, roles: the choice offers what can be given, and nothing to who may give nothing.
    async fn the_choice_of_roles_offers_exactly_what_the_viewer_can_give(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let (bea, _) = (acme.join(BEA, "MEMBER").await, acme.join(CYN, "MEMBER").await);
        let offered = async |by: &super::Client| {
            let shown = profile(by, &acme, CYN).await;
            let offered = texts(&shown, "/viewerCan/assignableRoles", "/key");
            offered.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let assignable = async |by: &super::Client| {
            let answer = by.data(ASSIGNABLE, acme.with(json!({}))).await;
            let roles = answer["organization"]["roles"].as_array().unwrap().clone();
            roles.iter().filter(|role| role["viewerCanAssign"] == true).count()
        };
        assert_eq!((offered(&acme.ada).await.join(" "), assignable(&acme.ada).await), ("ADMIN AUDITOR MEMBER".into(), 3));
        assert_eq!((offered(&bea).await, assignable(&bea).await), (Vec::<String>::new(), 0));
        for role in ["ADMIN", "AUDITOR", "MEMBER"] {
            let give = with_role(&acme, CYN, role).await;
            let said = refused(&bea, &acme, "ChangeMemberRole", give.clone()).await;
            assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_ASSIGN_ROLE.", "{role}");
            done(&acme.ada, &acme, "ChangeMemberRole", give).await;
        }
        assert_eq!(row(&acme.ada, &acme, CYN).await["role"]["key"], "MEMBER");
    }
}
