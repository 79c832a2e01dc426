//! Members: who is listed and how, and what becomes of whom a command is about.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";
const CYN: &str = "cyn@example.com";

/// The addresses that a list of members shows.
async fn listed(client: &Client, variables: Value) -> Vec<String> {
    let answer = client.operation("Members", variables).await;
    let emails = texts(&answer, "/organization/members/edges", "/node/user/email");
    emails.into_iter().map(str::to_owned).collect()
}

/// The roles and states of a member, newest first, with the days in March from and until when each lasted.
async fn history(acme: &Acme<'_>, member: &str) -> Vec<String> {
    let answer = acme.ada.operation("MemberProfile", acme.with(json!({ "memberId": member }))).await;
    let periods = list(&answer, "/organization/member/history").iter().map(|period| {
        let day = |side: &str| period[side].as_str().map_or("now", |at| &at[8..10]).to_owned();
        format!("{} {} {}–{}", text(period, "/role/key"), text(period, "/status"), day("from"), day("until"))
    });
    periods.collect()
}

both_databases! {
    async fn a_role_is_given_and_has_effect_with_the_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let member = acme.member(BEA).await;
        let mine = acme.with(json!({}));
        let reply = bea.try_operation("Members", mine.clone()).await;
        assert_eq!(reply.codes(), ["PERMISSION_REQUIRED"]);

        let promote =
            acme.with(json!({ "memberId": member, "roleId": acme.role("MANAGER"), "reason": "She leads now." }));
        let answer = acme.ada.operation("ChangeMemberRole", promote.clone()).await;
        let changed = &answer["changeMemberRole"];
        assert_eq!(changed["member"]["role"]["key"], "MANAGER");
        assert_eq!((&changed["member"]["id"], &changed["userErrors"]), (&json!(member), &json!([])));
        assert_eq!(listed(&bea, mine.clone()).await, [ADA, BEA]);

        // The same again is no change: the cursor stays where it was.
        let again = acme.ada.operation("ChangeMemberRole", promote).await;
        assert_eq!(again["changeMemberRole"], *changed);

        let demote = acme.with(json!({ "memberId": member, "roleId": acme.role("MEMBER") }));
        assert_eq!(acme.ada.refusals("ChangeMemberRole", demote).await, [""; 0]);
        assert_eq!(bea.try_operation("Members", mine).await.codes(), ["PERMISSION_REQUIRED"]);
    }

    async fn who_may_not_is_told_which_rule_says_no(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (bea, cyn) = (acme.join(BEA, "CO_ADMIN").await, acme.join(CYN, "MANAGER").await);
        acme.join("dan@example.com", "MEMBER").await;
        let members: Vec<String> = {
            let answer = acme.ada.operation("Members", acme.with(json!({}))).await;
            texts(&answer, "/organization/members/edges", "/node/id").into_iter().map(str::to_owned).collect()
        };
        let [ada_id, bea_id, cyn_id, dan_id] = members.as_slice() else { panic!("{members:?}") };
        let change = async |by: &Client, member: &str, role: &str| {
            let role = acme.with(json!({ "memberId": member, "roleId": acme.role(role) }));
            by.refusals("ChangeMemberRole", role).await
        };
        assert_eq!(change(&bea, ada_id, "MEMBER").await, ["RANK_TOO_LOW"]);
        assert_eq!(change(&bea, bea_id, "ADMIN").await, ["RANK_TOO_LOW"], "on oneself, upwards");
        assert_eq!(change(&bea, dan_id, "CO_ADMIN").await, ["ROLE_NOT_ASSIGNABLE"], "one's own rank");
        assert_eq!(change(&cyn, dan_id, "AUDITOR").await, ["PERMISSION_REQUIRED"]);
        assert_eq!(change(&acme.ada, ada_id, "MEMBER").await, ["LAST_OWNER"]);
        assert_eq!(change(&acme.ada, "mem_nonsense", "MEMBER").await, ["NOT_FOUND"]);
        for (name, more) in [("DeactivateMember", json!({})), ("RemoveMember", json!({ "createdKeys": "REVOKE" }))] {
            let of = |member: &str| {
                let mut variables = acme.with(more.clone());
                variables["memberId"] = member.into();
                variables
            };
            assert_eq!(bea.refusals(name, of(ada_id)).await, ["RANK_TOO_LOW"]);
            assert_eq!(bea.refusals(name, of(bea_id)).await, ["RANK_TOO_LOW"], "on oneself");
            assert_eq!(cyn.refusals(name, of(dan_id)).await, ["PERMISSION_REQUIRED"]);
            assert_eq!(acme.ada.refusals(name, of(ada_id)).await, ["RANK_TOO_LOW"], "leaving is how one goes");
        }
        let answer = cyn.operation("RemoveMember", acme.with(json!({ "memberId": dan_id }))).await;
        let message = "This needs the permission MEMBERS_REMOVE.";
        let error = json!({ "code": "PERMISSION_REQUIRED", "message": message, "field": null });
        assert_eq!(answer["removeMember"]["userErrors"], json!([error]));
        assert_eq!(change(&bea, cyn_id, "MEMBER").await, [""; 0]);
        assert_eq!(change(&bea, bea_id, "MEMBER").await, [""; 0], "lowering one's own role needs nothing");
        assert_eq!(change(&bea, bea_id, "CO_ADMIN").await, ["PERMISSION_REQUIRED"], "and does not come back");
    }

    async fn a_version_that_is_not_the_members_own_is_refused_with_both_numbers(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        acme.join(CYN, "MEMBER").await;
        let member = acme.member(BEA).await;
        let document = "mutation ($input: ChangeMemberRoleInput!) { changeMemberRole(input: $input) {
            member { version role { key } } userErrors { code field expected actual } } }";
        let change = async |role: &str, version: Value| {
            let input = json!({ "organizationId": acme.id, "memberId": member, "roleId": acme.role(role), "expectedVersion": version });
            acme.ada.data(document, json!({ "input": input })).await["changeMemberRole"].clone()
        };
        let version = change("MANAGER", Value::Null).await["member"]["version"].as_i64().unwrap();
        let error = json!({ "code": "VERSION_MISMATCH", "field": ["input", "expectedVersion"], "expected": version - 1, "actual": version });
        assert_eq!(change("AUDITOR", json!(version - 1)).await, json!({ "member": null, "userErrors": [error] }));
        for wrong in [-1, 0, i32::MAX] {
            assert_eq!(change("AUDITOR", json!(wrong)).await["userErrors"][0]["code"], "VERSION_MISMATCH", "{wrong}");
        }
        let changed = change("AUDITOR", json!(version)).await;
        assert_eq!(
            changed,
            json!({ "member": { "version": version + 1, "role": { "key": "AUDITOR" } }, "userErrors": [] })
        );
    }

    async fn a_deactivated_member_sees_nothing_until_reactivated_and_may_leave(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        let id = acme.with(json!({ "memberId": acme.member(BEA).await }));
        let seen = async || {
            bea.data(
                "query ($id: ID!) { organization(id: $id) { name } viewer { organizations { totalCount } } }",
                acme.with(json!({})),
            )
            .await
        };
        assert_eq!(
            seen().await,
            json!({ "organization": { "name": "Acme" }, "viewer": { "organizations": { "totalCount": 2 } } })
        );
        let answer = acme.ada.operation("DeactivateMember", id.clone()).await;
        assert_eq!(answer["deactivateMember"]["member"]["status"], "INACTIVE");
        assert_eq!(seen().await, json!({ "organization": null, "viewer": { "organizations": { "totalCount": 1 } } }));
        let invite = acme.with(json!({ "email": "x@example.com" }));
        assert_eq!(bea.refusals("InviteMember", invite).await, ["MEMBER_INACTIVE"]);
        assert_eq!(listed(&acme.ada, acme.with(json!({}))).await, [ADA, BEA], "the membership is kept");

        let answer = acme.ada.operation("ReactivateMember", id.clone()).await;
        assert_eq!(answer["reactivateMember"]["member"]["status"], "ACTIVE");
        assert_eq!(seen().await["organization"]["name"], "Acme");
        acme.ada.operation("DeactivateMember", id).await;
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, [""; 0]);
        let former = acme.with(json!({ "filter": { "statuses": ["FORMER"] } }));
        assert_eq!(listed(&acme.ada, former).await, [BEA]);
    }

    async fn who_is_removed_is_former_keeps_the_id_and_may_come_back_by_invitation(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MANAGER").await;
        let member = acme.member(BEA).await;
        let token = server.invitation_token(BEA).await;
        server.wait(TimeDelta::days(1));
        let promote = acme.with(json!({ "memberId": member, "roleId": acme.role("CO_ADMIN") }));
        acme.ada.operation("ChangeMemberRole", promote).await;
        server.wait(TimeDelta::days(1));
        let answer =
            acme.ada.operation("RemoveMember", acme.with(json!({ "memberId": member, "reason": "Moved." }))).await;
        let removed = &answer["removeMember"];
        assert_eq!((&removed["removedMemberId"], &removed["apiKeysCreated"]), (&json!(member), &json!([])));
        let seen = async || bea.data("query ($id: ID!) { organization(id: $id) { name } }", acme.with(json!({}))).await;
        assert_eq!(seen().await["organization"], Value::Null);
        assert_eq!(bea.refusals("LeaveOrganization", acme.with(json!({}))).await, ["NOT_FOUND"]);
        assert_eq!(acme.ada.refusals("RemoveMember", acme.with(json!({ "memberId": member }))).await, ["NOT_FOUND"]);
        assert_eq!(listed(&acme.ada, acme.with(json!({}))).await, [ADA], "former members are not listed");
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": token })).await, ["INVITATION_CLOSED"]);

        server.wait(TimeDelta::days(1));
        acme.join(BEA, "MEMBER").await;
        assert_eq!(acme.member(BEA).await, member);
        assert_eq!(seen().await["organization"]["name"], "Acme");
        assert_eq!(
            history(&acme, &member).await,
            ["MEMBER ACTIVE 05–now", "CO_ADMIN FORMER 04–05", "CO_ADMIN ACTIVE 03–04", "MANAGER ACTIVE 02–03"]
        );
    }

    /// A key belongs to the organization; what becomes of it is said with the membership's end.
    async fn the_keys_of_who_goes_are_kept_disabled_or_revoked(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for (wish, status) in [("KEEP", "ACTIVE"), ("DISABLE", "DISABLED"), ("REVOKE", "REVOKED")] {
            let email = format!("{}@example.com", wish.to_lowercase());
            let person = acme.join(&email, "CO_ADMIN").await;
            let key = acme.with(json!({ "name": format!("Key {wish}"), "permissions": ["MEMBERS_READ"] }));
            let made = person.operation("CreateApiKey", key).await;
            let key = server.with_key(text(&made, "/createApiKey/secret"));
            assert!(key.is_let_in().await);
            let member = acme.member(&email).await;
            let remove = acme.with(json!({ "memberId": member, "createdKeys": wish }));
            let answer = acme.ada.operation("RemoveMember", remove).await;
            let id = text(&made, "/createApiKey/apiKey/id");
            let told = json!([{ "id": id, "name": format!("Key {wish}"), "status": status }]);
            assert_eq!(answer["removeMember"]["apiKeysCreated"], told);
            assert_eq!(key.is_let_in().await, wish == "KEEP", "{wish}");
        }
        let bea = acme.join(BEA, "CO_ADMIN").await;
        let made = bea.operation("CreateApiKey", acme.with(json!({ "name": "Bea's" }))).await;
        let key = server.with_key(text(&made, "/createApiKey/secret"));
        let rest = acme.with(json!({ "memberId": acme.member(BEA).await, "createdKeys": "DISABLE" }));
        acme.ada.operation("DeactivateMember", rest).await;
        assert!(!key.is_let_in().await);
        let cyn = acme.join(CYN, "CO_ADMIN").await;
        let made = cyn.operation("CreateApiKey", acme.with(json!({ "name": "Cyn's" }))).await;
        let key = server.with_key(text(&made, "/createApiKey/secret"));
        assert_eq!(cyn.refusals("LeaveOrganization", acme.with(json!({ "createdKeys": "REVOKE" }))).await, [""; 0]);
        assert!(!key.is_let_in().await);
    }

    async fn members_are_found_by_a_part_of_name_or_email_in_any_case(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let names = [
            ("zoe@example.com", "Zoë Åberg"),
            ("percent@example.com", "100% Smith"),
            ("under_score@example.com", "O'Brien \"Bob\" \\ Back"),
            ("underxscore@example.com", "Élodie"),
        ];
        for (email, name) in names {
            acme.join(email, "MEMBER").await.operation("UpdateViewer", json!({ "name": name })).await;
        }
        let found = async |search: &str| listed(&acme.ada, acme.with(json!({ "search": search }))).await;
        assert_eq!(found("ZOË").await, ["zoe@example.com"]);
        assert_eq!(
            found("zoe\u{308} a\u{30a}BERG").await,
            ["zoe@example.com"],
            "decomposed, with a diaeresis of its own"
        );
        assert_eq!(found("élo").await, ["underxscore@example.com"]);
        assert_eq!(found("%").await, ["percent@example.com"]);
        assert_eq!(found("_").await, ["under_score@example.com"]);
        assert_eq!(found("'b").await, ["under_score@example.com"]);
        assert_eq!(found("\"BOB\"").await, ["under_score@example.com"]);
        assert_eq!(found("\\").await, ["under_score@example.com"]);
        assert_eq!(found("ADA@EX").await, [ADA]);
        assert_eq!(found("  smith ").await, ["percent@example.com"]);
        assert_eq!(found("nobody").await, [""; 0]);
        assert_eq!(found(" ").await.len(), 5, "nothing but white space finds everybody");
    }

    async fn members_are_ordered_and_filtered(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (bea, cyn) = (acme.join(BEA, "MANAGER").await, acme.join(CYN, "MEMBER").await);
        bea.operation("UpdateViewer", json!({ "name": "Zora" })).await;
        cyn.operation("UpdateViewer", json!({ "name": "abel" })).await;
        server.person(BEA).await;
        let ordered = async |field: &str, direction: &str| {
            listed(&acme.ada, acme.with(json!({ "orderBy": { "field": field, "direction": direction } }))).await
        };
        for (field, order) in [
            ("NAME", [CYN, ADA, BEA]),
            ("EMAIL", [ADA, BEA, CYN]),
            ("JOINED_AT", [ADA, BEA, CYN]),
            ("LAST_LOGIN_AT", [ADA, CYN, BEA]),
        ] {
            assert_eq!(ordered(field, "ASC").await, order, "{field}");
            let back: Vec<_> = order.iter().rev().copied().collect();
            assert_eq!(ordered(field, "DESC").await, back, "{field} backwards");
        }
        assert_eq!(listed(&acme.ada, acme.with(json!({}))).await, [CYN, ADA, BEA], "by name");

        acme.ada.operation("DeactivateMember", acme.with(json!({ "memberId": acme.member(CYN).await }))).await;
        let filtered = async |filter: Value| {
            listed(&acme.ada, acme.with(json!({ "filter": filter, "orderBy": { "field": "EMAIL" } }))).await
        };
        assert_eq!(filtered(json!({ "statuses": ["INACTIVE"] })).await, [CYN]);
        assert_eq!(filtered(json!({ "statuses": ["ACTIVE"] })).await, [ADA, BEA]);
        assert_eq!(filtered(json!({ "roleIds": [acme.role("MANAGER"), acme.role("ADMIN")] })).await, [ADA, BEA]);
        assert_eq!(filtered(json!({ "roleIds": [acme.role("MEMBER")], "statuses": ["ACTIVE"] })).await, [""; 0]);
        assert_eq!(filtered(json!({ "roleIds": ["rol_nonsense"] })).await, [""; 0], "an unknown role is nobody's");
        let answer = acme.ada.operation("Members", acme.with(json!({ "search": BEA }))).await;
        let joined = text(&answer, "/organization/members/edges/0/node/joinedAt");
        assert_eq!(filtered(json!({ "joinedFrom": joined })).await, [BEA, CYN], "then or later");
        assert_eq!(filtered(json!({ "joinedTo": joined })).await, [ADA], "before then");
    }

    async fn what_a_member_may_not_see_is_null_with_an_error_at_its_place_and_its_siblings_stay(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let (ada_id, bea_id) = (acme.member(ADA).await, acme.member(BEA).await);
        let document = "query ($id: ID!, $ada: ID!, $bea: ID!) { organization(id: $id) { name
            members { totalCount } invitations { totalCount } apiKeys { totalCount } auditLog { totalCount }
            events { totalCount } ada: member(id: $ada) { id } bea: member(id: $bea) { status role { key memberCount } }
            overview { memberCount recentActivity { type } } roles { key } } }";
        let variables = acme.with(json!({ "ada": ada_id, "bea": bea_id }));
        let reply = bea.run(document, variables).await;
        let organization = &reply.body["data"]["organization"];
        assert_eq!(organization["name"], "Acme");
        for guarded in ["members", "invitations", "apiKeys", "auditLog", "events", "ada"] {
            assert_eq!(organization[guarded], Value::Null, "{guarded}");
        }
        assert_eq!(
            organization["bea"],
            json!({ "status": "ACTIVE", "role": { "key": "MEMBER", "memberCount": null } })
        );
        assert_eq!(organization["overview"], json!({ "memberCount": 2, "recentActivity": null }));
        assert_eq!(list(organization, "/roles").len(), 5);
        let mut paths: Vec<_> = list(&reply.body, "/errors").iter().map(|error| error["path"].to_string()).collect();
        paths.sort();
        let expected =
            ["ada", "apiKeys", "auditLog", "bea\",\"role\",\"memberCount", "events", "invitations", "members"];
        assert_eq!(paths, expected.map(|path| format!("[\"organization\",\"{path}\"]")));
        assert!(reply.codes().iter().all(|code| *code == "PERMISSION_REQUIRED"), "{:?}", reply.codes());
    }

    async fn a_team_shows_its_members_to_every_member(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::of_kind(&server, "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        assert_eq!(listed(&bea, acme.with(json!({}))).await, [ADA, BEA]);
        let auditor = acme.join(CYN, "AUDITOR").await;
        assert_eq!(listed(&auditor, acme.with(json!({}))).await, [ADA, BEA, CYN]);
        assert_eq!(
            bea.refusals("InviteMember", acme.with(json!({ "email": "x@example.com" }))).await,
            ["PERMISSION_REQUIRED"]
        );
    }

    async fn a_profile_shows_permissions_inviter_activity_and_what_the_viewer_may_do(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "CO_ADMIN").await;
        acme.join(CYN, "MEMBER").await;
        bea.operation("InviteMember", acme.with(json!({ "email": "x@example.com" }))).await;
        let profile = async |by: &Client, email: &str| {
            let variables = acme.with(json!({ "memberId": acme.member(email).await }));
            by.try_operation("MemberProfile", variables).await.body["data"]["organization"]["member"].clone()
        };
        let of_bea = profile(&acme.ada, BEA).await;
        assert_eq!(of_bea["invitedBy"], json!({ "kind": "USER", "displayName": ADA }));
        assert_eq!(
            texts(&of_bea, "/activity/nodes", "/type"),
            ["invitation.sent", "member.joined", "invitation.accepted"]
        );
        let may = |allowed: bool, code: Value| json!({ "allowed": allowed, "code": code });
        let of_ada = profile(&bea, ADA).await;
        assert_eq!(of_ada["invitedBy"], Value::Null);
        let no = || may(false, json!("RANK_TOO_LOW"));
        assert_eq!(
            of_ada["viewerCan"],
            json!({ "changeRole": no(), "deactivate": no(), "remove": no(), "assignableRoles": [] })
        );
        let of_cyn = profile(&bea, CYN).await;
        let yes = || may(true, Value::Null);
        assert_eq!(of_cyn["viewerCan"]["remove"], yes());
        assert_eq!(of_cyn["viewerCan"]["changeRole"], yes());
        assert_eq!(texts(&of_cyn, "/viewerCan/assignableRoles", "/key"), ["MANAGER", "AUDITOR", "MEMBER"]);
        assert_eq!(of_cyn["permissions"], json!(["APPS_READ"]));
    }
}
