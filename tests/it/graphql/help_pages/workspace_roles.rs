//! Product B, a company's workspace: the roles page, where roles of its own are made, edited and deleted.

use serde_json::{Value, json};

use super::super::{
    acme::Acme,
    server::{Client, Server, list, text, texts},
};
use super::{BEA, CYN, DAN, about, done, heard, members, named, overview, profile, refused, told, told_no, with_role};
use crate::support::databases::both_databases;

/// A custom role that Ada makes; its id.
async fn make(acme: &Acme<'_>, name: &str, level: i32, permissions: &[&str]) -> String {
    let wish = json!({ "name": name, "level": level, "permissions": permissions });
    let made = done(&acme.ada, acme, "CreateRole", wish).await;
    text(&made, "/role/id").to_owned()
}

/// Ada gives somebody a role by its id.
async fn give(acme: &Acme<'_>, email: &str, role: &str) {
    let mut variables = about(acme, email).await;
    variables["roleId"] = role.into();
    done(&acme.ada, acme, "ChangeMemberRole", variables).await;
}

/// The roles page: name, level and how many hold it.
async fn page(by: &Client, acme: &Acme<'_>) -> Vec<String> {
    let answer = by.operation("Roles", acme.with(json!({}))).await;
    let roles = list(&answer, "/organization/roles").iter();
    roles.map(|role| format!("{} {} {}", text(role, "/name"), role["level"], role["memberCount"])).collect()
}

both_databases! {
    // B, the roles page: name, level and how many members hold each.
    async fn roles_are_listed_with_name_level_and_number_of_members(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join(BEA, "MEMBER").await;
        acme.join(CYN, "MEMBER").await;
        let support = make(&acme, "Support", 3, &["MEMBERS_READ"]).await;
        give(&acme, CYN, &support).await;
        assert_eq!(
            page(&acme.ada, &acme).await,
            ["Admin 1 1", "Co-Admin 2 0", "Manager 3 0", "Support 3 1", "Auditor 4 0", "Member 4 1"]
        );
        done(&acme.ada, &acme, "RemoveMember", about(&acme, BEA).await).await;
        assert!(page(&acme.ada, &acme).await.contains(&"Member 4 0".to_owned()), "who is gone holds none");
    }

    // B, the roles page: a new role has exactly the permissions that were ticked.
    async fn a_new_role_gives_the_permissions_that_were_selected_and_no_others(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let mut open = acme.changes(&bea).await;
        let ticked = ["API_KEYS_READ", "MEMBERS_READ"];
        let wish =
            json!({ "name": "Équipe support", "level": 3, "permissions": ticked, "description": "Helps customers." });
        let made = done(&acme.ada, &acme, "CreateRole", wish).await;
        assert_eq!(told(&mut open, &made).await, ["ROLES"]);
        let role = json!({ "id": made["role"]["id"], "key": "EQUIPE_SUPPORT", "name": "Équipe support", "level": 3,
            "permissions": ["MEMBERS_READ", "API_KEYS_READ"] });
        assert_eq!(made["role"], role);
        give(&acme, BEA, text(&made, "/role/id")).await;
        assert!(heard(&acme, BEA, "Subject: Your role in Acme has changed").await);
        assert_eq!(overview(&bea, &acme).await["viewerPermissions"], role["permissions"]);
        assert_eq!(members(&bea, &acme, json!({})).await["totalCount"], 2);
        let said = refused(&bea, &acme, "InviteMember", json!({ "email": CYN })).await;
        assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE.");
        let answer = bea.operation("Roles", acme.with(json!({}))).await;
        let roles = list(&answer, "/organization/roles");
        let shown = roles.iter().find(|role| role["key"] == "EQUIPE_SUPPORT").unwrap();
        assert_eq!((&shown["description"], &shown["builtIn"]), (&json!("Helps customers."), &json!(false)));
    }

    // B, the roles page: a name that is there already, or a level that no role of one's own has.
    async fn a_new_role_needs_a_name_of_its_own_and_a_level_below_admin(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        make(&acme, "Support", 3, &[]).await;
        let attempt = async |name: &str, level: i32| {
            let wish = json!({ "name": name, "level": level, "permissions": [] });
            told_no(&acme.ada, &acme, "CreateRole", wish).await
        };
        for taken in ["SUPPORT", "admin", "Co admin", " Súpport "] {
            assert_eq!(attempt(taken, 3).await, "NAME_TAKEN: This name is taken.", "{taken}");
        }
        for level in [-1, 0, 1, 10] {
            assert_eq!(attempt("Other", level).await, "INVALID_INPUT: level must be 2 to 9.", "{level}");
        }
        let said = attempt("", 3).await;
        assert!(said.starts_with("INVALID_INPUT: name "), "{said}");
    }

    // B, the roles page: permissions are ticked and unticked, and whoever holds the role has it at once.
    async fn ticking_and_unticking_a_permission_reaches_its_holders_with_the_very_next_request(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let role = make(&acme, "Support", 3, &["APPS_READ"]).await;
        give(&acme, BEA, &role).await;
        let edit = async |permissions: Value| {
            done(&acme.ada, &acme, "UpdateRole", json!({ "roleId": role, "permissions": permissions })).await
        };
        let list = async || bea.try_operation("Members", acme.with(json!({}))).await;
        assert_eq!(list().await.codes(), ["PERMISSION_REQUIRED"]);
        let edited = edit(json!(["APPS_READ", "MEMBERS_READ", "MEMBERS_INVITE"])).await;
        assert_eq!(edited["role"]["permissions"], json!(["MEMBERS_READ", "MEMBERS_INVITE", "APPS_READ"]));
        assert_eq!(list().await.body["data"]["organization"]["members"]["totalCount"], 2);
        done(&bea, &acme, "InviteMember", json!({ "email": CYN })).await;
        edit(json!(["MEMBERS_READ"])).await;
        let said = refused(&bea, &acme, "InviteMember", json!({ "email": DAN })).await;
        assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission MEMBERS_INVITE.");
        assert_eq!(profile(&acme.ada, &acme, BEA).await["permissions"], json!(["MEMBERS_READ"]));
        let before = overview(&acme.ada, &acme).await["overview"].clone();
        edit(json!(["MEMBERS_READ"])).await;
        assert_eq!(overview(&acme.ada, &acme).await["overview"], before, "the same again is no change");
    }

    // B, the roles page: so are name and level.
    async fn a_role_is_renamed_and_moved_and_keeps_its_key(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Support", 3, &["MEMBERS_READ"]).await;
        let edited = done(&acme.ada, &acme, "UpdateRole", json!({ "roleId": role, "name": "Help desk", "level": 5 })).await;
        assert_eq!((&edited["role"]["name"], &edited["role"]["level"]), (&json!("Help desk"), &json!(5)));
        let answer = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert!(texts(&answer, "/organization/roles", "/key").contains(&"SUPPORT"), "programs go by it");
        let taken = json!({ "roleId": role, "name": "Manager" });
        assert_eq!(told_no(&acme.ada, &acme, "UpdateRole", taken).await, "NAME_TAKEN: This name is taken.");
    }

    // B, the roles page: what every workspace has stays what the help page says it is.
    async fn built_in_roles_stay_as_they_are(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        for key in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
            let role = json!({ "roleId": acme.role(key), "permissions": [] });
            for name in ["UpdateRole", "DeleteRole"] {
                let said = refused(&acme.ada, &acme, name, role.clone()).await;
                assert_eq!(said, "INVALID_INPUT: A built-in role stays as it is.", "{key} {name}");
            }
        }
    }

    // B, the roles page: a role that nobody needs any more goes; one in use needs another in its place.
    async fn a_role_in_use_goes_only_when_another_takes_its_place(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let role = make(&acme, "Support", 3, &["MEMBERS_READ"]).await;
        let spare = make(&acme, "Spare", 3, &[]).await;
        done(&acme.ada, &acme, "DeleteRole", json!({ "roleId": spare })).await;
        give(&acme, BEA, &role).await;
        done(&acme.ada, &acme, "InviteMember", json!({ "email": CYN, "roleId": role })).await;
        let document = "mutation ($input: DeleteRoleInput!) { deleteRole(input: $input) { deletedRoleId
            userErrors { code message field memberCount invitationCount } } }";
        let input = json!({ "organizationId": acme.id, "roleId": role });
        let answer = acme.ada.data(document, json!({ "input": input })).await;
        let error = json!({ "code": "ROLE_IN_USE", "message": "This role is in use: say which role takes its place.",
            "field": ["input", "reassignToRoleId"], "memberCount": 1, "invitationCount": 1 });
        assert_eq!(answer["deleteRole"], json!({ "deletedRoleId": null, "userErrors": [error] }));
        let mut open = acme.changes(&bea).await;
        let deleted =
            done(&acme.ada, &acme, "DeleteRole", json!({ "roleId": role, "reassignToRoleId": acme.role("MANAGER") })).await;
        assert_eq!(told(&mut open, &deleted).await, ["INVITATIONS", "MEMBERS", "ROLES"]);
        assert_eq!(overview(&bea, &acme).await["viewerRole"]["key"], "MANAGER");
        assert!(heard(&acme, BEA, "Your role: Manager").await, "who got another role hears of it");
        assert!(!page(&acme.ada, &acme).await.iter().any(|role| role.starts_with("Support")));
        let cyn = server.person(CYN).await;
        let token = json!({ "token": server.invitation_token(CYN).await });
        let accepted = cyn.operation("AcceptInvitation", token).await;
        assert_eq!(accepted["acceptInvitation"]["member"]["role"]["key"], "MANAGER", "an open invitation gives it too");
    }

    // B, the roles page: who is invited without a word about the role gets the default one, so that one is needed.
    async fn the_role_that_invitations_give_by_default_is_in_use(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Newcomer", 9, &["APPS_READ"]).await;
        let default = json!({ "defaultInvitationRoleId": role });
        done(&acme.ada, &acme, "UpdateOrganization", default).await;
        let sent = done(&acme.ada, &acme, "InviteMember", json!({ "email": BEA })).await;
        assert_eq!(sent["invitation"]["role"]["key"], "NEWCOMER");
        done(&acme.ada, &acme, "RevokeInvitation", json!({ "invitationId": sent["invitation"]["id"] })).await;
        let said = told_no(&acme.ada, &acme, "DeleteRole", json!({ "roleId": role })).await;
        assert_eq!(said, "ROLE_IN_USE: This role is in use: say which role takes its place.");
        let moved = json!({ "roleId": role, "reassignToRoleId": acme.role("MEMBER") });
        done(&acme.ada, &acme, "DeleteRole", moved).await;
        let answer = acme.ada.operation("Roles", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["defaultInvitationRole"]["key"], "MEMBER");
    }

    // B, the groups of permissions: every one there is, under a title, with a sentence.
    async fn permissions_are_offered_in_groups_with_a_title_and_a_sentence_each(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let answer = acme.ada.operation("Roles", acme.with(json!({}))).await;
        let groups = list(&answer, "/organization/permissionGroups");
        let names: Vec<_> = groups.iter().map(|group| text(group, "/name")).collect();
        assert_eq!(names, ["ORGANIZATION", "MEMBERS", "ROLES", "API_KEYS", "APPS", "BILLING", "AUDIT", "DATA"]);
        let mut all = Vec::new();
        for group in groups {
            assert!(!text(group, "/title").is_empty());
            for permission in list(group, "/permissions") {
                assert!(!text(permission, "/title").is_empty() && text(permission, "/description").ends_with('.'));
                all.push(permission["name"].clone());
            }
        }
        assert_eq!(json!(all), answer["organization"]["roles"][0]["permissions"], "and an Admin holds them all");
    }

    // B, the question about roles of one's own: an Admin makes them, and nobody else.
    async fn only_an_admin_makes_edits_and_deletes_roles(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let role = make(&acme, "Support", 5, &[]).await;
        for (email, key) in [(BEA, "CO_ADMIN"), (CYN, "MANAGER"), (DAN, "MEMBER")] {
            let person = acme.join(email, key).await;
            for (name, more) in [
                ("CreateRole", json!({ "name": "Mine", "level": 9, "permissions": [] })),
                ("UpdateRole", json!({ "roleId": role, "name": "Mine" })),
                ("DeleteRole", json!({ "roleId": role })),
            ] {
                let said = refused(&person, &acme, name, more).await;
                assert_eq!(said, "PERMISSION_REQUIRED: This needs the permission ROLES_MANAGE.", "{key} {name}");
            }
        }
        let eve = named(acme.join("eve@example.com", "ADMIN").await, "Eve").await;
        done(&eve, &acme, "CreateRole", json!({ "name": "Mine", "level": 2, "permissions": ["ROLES_MANAGE"] })).await;
    }

    // B, the question about roles of one's own: handing over the making of roles hands over nothing else.
    async fn who_may_make_roles_puts_nothing_into_them_that_they_do_not_hold(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        acme.join(CYN, "MEMBER").await;
        let maker = make(&acme, "Role maker", 3, &["ROLES_MANAGE", "MEMBERS_ASSIGN_ROLE", "MEMBERS_READ"]).await;
        give(&acme, BEA, &maker).await;
        let wish = |level: i32, permissions: Value| json!({ "name": "Helper", "level": level, "permissions": permissions });
        let rank = "RANK_TOO_LOW: This needs a higher rank than yours.";
        let not_held = "PERMISSION_NOT_HELD: You cannot give permissions that you do not hold yourself.";
        assert_eq!(told_no(&bea, &acme, "CreateRole", wish(3, json!([]))).await, rank, "as high as herself");
        assert_eq!(told_no(&bea, &acme, "CreateRole", wish(4, json!(["BILLING_READ"]))).await, not_held);
        let made = done(&bea, &acme, "CreateRole", wish(4, json!(["MEMBERS_READ"]))).await;
        let more = json!({ "roleId": made["role"]["id"], "permissions": ["MEMBERS_READ", "MEMBERS_REMOVE"] });
        assert_eq!(told_no(&bea, &acme, "UpdateRole", more).await, not_held);
        let own = json!({ "roleId": maker, "level": 2 });
        assert_eq!(refused(&bea, &acme, "UpdateRole", own).await, rank, "her own she does not lift");
        let manager = with_role(&acme, CYN, "AUDITOR").await;
        assert_eq!(refused(&bea, &acme, "ChangeMemberRole", manager).await, not_held, "nor give what holds more");
        let mut helper = about(&acme, CYN).await;
        helper["roleId"] = made["role"]["id"].clone();
        let given = done(&bea, &acme, "ChangeMemberRole", helper).await;
        assert_eq!(given["member"]["role"]["key"], "HELPER", "what she made of her own she gives");
    }

    // B, forms about roles: what is refused is marked where it was chosen.
    async fn a_refusal_points_at_an_input_that_the_form_has(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        acme.join(CYN, "MEMBER").await;
        let granted = ["MEMBERS_READ", "MEMBERS_INVITE", "MEMBERS_ASSIGN_ROLE", "API_KEYS_MANAGE"];
        give(&acme, BEA, &make(&acme, "Host", 2, &granted).await).await;
        let low = make(&acme, "Low", 4, &["MEMBERS_INVITE", "API_KEYS_MANAGE", "BILLING_READ"]).await;
        let (to_cyn, to_dan) = (with_role(&acme, CYN, "AUDITOR").await, json!({ "email": DAN, "roleId": low }));
        let owner = json!({ "defaultInvitationRoleId": acme.role("ADMIN") });
        let mut transfer = about(&acme, CYN).await;
        transfer["formerOwnerRoleId"] = acme.role("ADMIN").into();
        let field = async |by: &Client, name: &str, variables: Value| {
            let answer = by.operation(name, acme.with(variables)).await;
            let payload = answer.as_object().unwrap().values().next().unwrap().clone();
            payload["userErrors"][0]["field"].clone()
        };
        let mut pointed = Vec::new();
        for (by, name, variables) in [
            (&bea, "ChangeMemberRole", to_cyn),
            (&bea, "InviteMember", to_dan),
            (&acme.ada, "UpdateOrganization", owner),
            (&acme.ada, "TransferOwnership", transfer),
        ] {
            pointed.push(field(by, name, variables).await[1].clone());
        }
        assert_eq!(pointed, ["roleId", "roleId", "defaultInvitationRoleId", "formerOwnerRoleId"]);
    }
}
