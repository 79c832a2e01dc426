//! Invitations: sent, answered by link or from one's own list, resent, withdrawn, and all the ways that say no.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::{ADA, Acme},
    server::{Client, Server, list, text, texts},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// Ada invites an address with a role; the payload.
async fn invite(acme: &Acme<'_>, email: &str, role: &str) -> Value {
    let variables = acme.with(json!({ "email": email, "roleId": acme.role(role) }));
    acme.ada.operation("InviteMember", variables).await["inviteMember"].clone()
}

/// What the organization says about its only invitation, or the newest one.
async fn newest(acme: &Acme<'_>) -> Value {
    let answer = acme.ada.operation("Invitations", acme.with(json!({ "first": 1 }))).await;
    answer["organization"]["invitations"]["nodes"][0].clone()
}

async fn accept(client: &Client, token: &str) -> Vec<String> {
    client.refusals("AcceptInvitation", json!({ "token": token })).await
}

both_databases! {
    async fn an_invitation_is_accepted_by_its_link_and_twice_is_once(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme, " Bea@Example.com ", "MANAGER").await;
        let delivery = json!({ "state": "PENDING", "attempts": 0, "lastError": null });
        let id = text(&sent, "/invitation/id");
        let invitation = json!({ "id": id, "email": "Bea@Example.com", "state": "PENDING", "role": { "key": "MANAGER" },
            "expiresAt": "2026-03-09T09:01:00+00:00", "delivery": delivery });
        assert_eq!((&sent["invitation"], &sent["alreadyPending"]), (&invitation, &json!(false)));
        let token = server.invitation_token("Bea@Example.com").await;
        let bea = server.person(BEA).await;
        let first = bea.operation("AcceptInvitation", json!({ "token": token })).await;
        assert_eq!(first["acceptInvitation"]["organization"]["viewerRole"]["key"], "MANAGER");
        assert_eq!(first["acceptInvitation"]["member"]["status"], "ACTIVE");
        let again = bea.operation("AcceptInvitation", json!({ "token": token })).await;
        assert_eq!(again, first, "accepting twice answers the same");
        assert_eq!(newest(&acme).await["state"], "ACCEPTED");
        let log = acme.ada.operation("AuditLog", acme.with(json!({ "filter": { "types": ["member.joined"] } }))).await;
        assert_eq!(log["organization"]["auditLog"]["totalCount"], 2);
        bea.operation("LeaveOrganization", acme.with(json!({}))).await;
        assert_eq!(accept(&bea, &token).await, ["INVITATION_CLOSED"]);
    }

    async fn an_invitation_is_accepted_from_ones_own_list(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.ada.operation("UpdateViewer", json!({ "name": "Ada" })).await;
        invite(&acme, BEA, "AUDITOR").await;
        let bea = server.person(BEA).await;
        let waiting = bea.operation("Viewer", json!({})).await["viewer"]["invitations"].clone();
        let id = text(&waiting, "/0/id").to_owned();
        let preview = json!({ "id": id, "organizationName": "Acme", "roleName": "Auditor", "inviterName": "Ada",
            "maskedEmail": "b***@example.com", "state": "PENDING", "expiresAt": "2026-03-09T09:01:00+00:00" });
        assert_eq!(waiting, json!([preview]));
        let stranger = server.person("eve@example.com").await;
        let by_id = json!({ "invitationId": id });
        assert_eq!(stranger.refusals("AcceptInvitation", by_id.clone()).await, ["NOT_FOUND"], "an id proves nothing");
        assert_eq!(stranger.refusals("DeclineInvitation", by_id.clone()).await, ["NOT_FOUND"]);
        assert_eq!(bea.refusals("AcceptInvitation", by_id.clone()).await, [""; 0]);
        assert_eq!(bea.operation("Viewer", json!({})).await["viewer"]["invitations"], json!([]));
        for wrong in
            [json!({}), json!({ "token": "x", "invitationId": id }), json!({ "token": null, "invitationId": null })]
        {
            assert_eq!(bea.refusals("AcceptInvitation", wrong.clone()).await, ["INVALID_INPUT"], "{wrong}");
            assert_eq!(bea.refusals("DeclineInvitation", wrong).await, ["INVALID_INPUT"]);
        }
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": "nonsense" })).await, ["NOT_FOUND"]);
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "invitationId": "nonsense" })).await, ["NOT_FOUND"]);
    }

    async fn somebody_else_is_told_whose_invitation_it_is_and_no_more(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        invite(&acme, BEA, "MEMBER").await;
        let token = server.invitation_token(BEA).await;
        let eve = server.person("eve@example.com").await;
        for name in ["AcceptInvitation", "DeclineInvitation"] {
            let answer = eve.operation(name, json!({ "token": token })).await;
            let payload = answer.as_object().unwrap().values().next().unwrap();
            let error = json!({ "code": "WRONG_RECIPIENT", "message": "This invitation is for b***@example.com.", "field": null });
            assert_eq!(payload["userErrors"], json!([error]));
        }
        let (_, key) = acme.key("Key", &["MEMBERS_INVITE"]).await;
        assert_eq!(accept(&key, &token).await, ["USER_REQUIRED"]);
        let reply = server.anonymous().try_operation("AcceptInvitation", json!({ "token": token })).await;
        assert_eq!(reply.codes(), ["UNAUTHENTICATED"]);
        assert_eq!(newest(&acme).await["state"], "PENDING");
    }

    async fn declined_is_for_ever_and_a_new_invitation_may_follow(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        invite(&acme, BEA, "MEMBER").await;
        let token = server.invitation_token(BEA).await;
        let bea = server.person(BEA).await;
        let decline = async || bea.refusals("DeclineInvitation", json!({ "token": token })).await;
        assert_eq!(decline().await, [""; 0]);
        assert_eq!(decline().await, [""; 0], "saying no twice is saying no");
        assert_eq!(accept(&bea, &token).await, ["INVITATION_CLOSED"]);
        assert_eq!(newest(&acme).await["state"], "DECLINED");
        server.wait(TimeDelta::seconds(1));
        assert_eq!(invite(&acme, BEA, "MEMBER").await["alreadyPending"], false);
        let answer = acme.ada.operation("Invitations", acme.with(json!({}))).await;
        assert_eq!(texts(&answer, "/organization/invitations/nodes", "/state"), ["PENDING", "DECLINED"]);
    }

    async fn sent_again_the_old_link_is_dead_and_the_new_one_works(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme, BEA, "MEMBER").await;
        let id = acme.with(json!({ "invitationId": text(&sent, "/invitation/id") }));
        let old = server.invitation_token(BEA).await;
        let resend = async || acme.ada.operation("ResendInvitation", id.clone()).await["resendInvitation"].clone();
        let refused = resend().await;
        let message = "The limit of 1 sending of an invitation a minute is reached.";
        let error = json!({ "code": "LIMIT_REACHED", "message": message, "field": null });
        assert_eq!(refused, json!({ "invitation": null, "cursor": null, "userErrors": [error] }));
        server.wait(TimeDelta::minutes(1));
        let answer = resend().await;
        assert_eq!(answer["invitation"]["expiresAt"], "2026-03-09T09:02:00+00:00", "the time begins anew");
        let new = server.invitation_token(BEA).await;
        assert_ne!(new, old);
        let state = async |token: &str| {
            server.anonymous().operation("InvitationPreview", json!({ "token": token })).await["invitation"]["state"]
                .clone()
        };
        assert_eq!((state(&old).await, state(&new).await), (json!("REVOKED"), json!("PENDING")));
        let bea = server.person(BEA).await;
        assert_eq!(accept(&bea, &old).await, ["INVITATION_CLOSED"]);
        for _ in 0..8 {
            server.wait(TimeDelta::minutes(1));
            assert_eq!(resend().await["userErrors"], json!([]));
        }
        server.wait(TimeDelta::minutes(1));
        assert_eq!(resend().await["userErrors"][0]["message"], "The limit of 10 sendings of an invitation is reached.");
        assert_eq!(accept(&bea, &server.invitation_token(BEA).await).await, [""; 0]);
        assert_eq!(resend().await["userErrors"][0]["code"], "INVITATION_CLOSED");
    }

    async fn withdrawn_is_for_ever(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme, BEA, "MEMBER").await;
        let token = server.invitation_token(BEA).await;
        let id = acme.with(json!({ "invitationId": text(&sent, "/invitation/id") }));
        let answer = acme.ada.operation("RevokeInvitation", id.clone()).await["revokeInvitation"].clone();
        assert_eq!(answer["invitation"]["state"], "REVOKED");
        let again = acme.ada.operation("RevokeInvitation", id.clone()).await["revokeInvitation"].clone();
        assert_eq!(again, answer, "what is so already stays so, and nothing is written");
        assert_eq!(accept(&server.person(BEA).await, &token).await, ["INVITATION_CLOSED"]);
        server.wait(TimeDelta::minutes(5));
        assert_eq!(acme.ada.refusals("ResendInvitation", id).await, ["INVITATION_CLOSED"]);
        let unknown = acme.with(json!({ "invitationId": "inv_nonsense" }));
        assert_eq!(acme.ada.refusals("RevokeInvitation", unknown).await, ["NOT_FOUND"]);
    }

    async fn inviting_again_is_the_same_invitation_and_with_another_role_wants_a_word(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let first = invite(&acme, BEA, "MEMBER").await;
        let old = server.invitation_token(BEA).await;
        let same = invite(&acme, "BEA@example.com", "MEMBER").await;
        assert_eq!((&same["alreadyPending"], &same["invitation"]["id"]), (&json!(true), &first["invitation"]["id"]));
        assert_eq!(same["cursor"], first["cursor"], "nothing was written");
        assert_eq!(server.letters_to(BEA).await.len(), 1, "and nothing sent");
        let other = invite(&acme, BEA, "AUDITOR").await;
        assert_eq!(other["userErrors"][0]["code"], "INVITATION_PENDING");
        server.wait(TimeDelta::seconds(1));
        let replace = acme.with(json!({ "email": BEA, "roleId": acme.role("AUDITOR"), "replace": true }));
        let replaced = acme.ada.operation("InviteMember", replace).await["inviteMember"].clone();
        assert_eq!(
            (&replaced["alreadyPending"], &replaced["invitation"]["role"]["key"]),
            (&json!(false), &json!("AUDITOR"))
        );
        let answer = acme.ada.operation("Invitations", acme.with(json!({}))).await;
        assert_eq!(texts(&answer, "/organization/invitations/nodes", "/state"), ["PENDING", "REVOKED"]);
        let bea = server.person(BEA).await;
        assert_eq!(accept(&bea, &old).await, ["INVITATION_CLOSED"]);
        assert_eq!(accept(&bea, &server.invitation_token(BEA).await).await, [""; 0]);
        assert_eq!(invite(&acme, BEA, "MEMBER").await["userErrors"][0]["code"], "ALREADY_A_MEMBER");
    }

    async fn an_invitation_expires_by_the_clock(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme, BEA, "MEMBER").await;
        let token = server.invitation_token(BEA).await;
        server.wait(TimeDelta::days(7) - TimeDelta::minutes(2));
        let bea = server.person(BEA).await;
        assert_eq!(list(&bea.operation("Viewer", json!({})).await, "/viewer/invitations").len(), 1);
        server.wait(TimeDelta::minutes(1));
        assert_eq!(accept(&bea, &token).await, ["INVITATION_EXPIRED"]);
        assert_eq!(bea.refusals("DeclineInvitation", json!({ "token": token })).await, ["INVITATION_EXPIRED"]);
        let id = acme.with(json!({ "invitationId": text(&sent, "/invitation/id") }));
        assert_eq!(acme.ada.refusals("ResendInvitation", id.clone()).await, ["INVITATION_EXPIRED"]);
        assert_eq!(acme.ada.refusals("RevokeInvitation", id).await, ["INVITATION_EXPIRED"]);
        assert_eq!(bea.operation("Viewer", json!({})).await["viewer"]["invitations"], json!([]));
        let preview = server.anonymous().operation("InvitationPreview", json!({ "token": token })).await;
        assert_eq!(preview["invitation"]["state"], "EXPIRED");
        let states = async |states: Value| {
            let answer = acme.ada.operation("Invitations", acme.with(json!({ "states": states }))).await;
            let invitations = &answer["organization"]["invitations"];
            (texts(invitations, "/nodes", "/state").join(" "), invitations["totalCount"].as_u64().unwrap())
        };
        assert_eq!(states(json!(["EXPIRED"])).await, ("EXPIRED".to_owned(), 1));
        assert_eq!(states(json!(["PENDING"])).await, (String::new(), 0));
        server.wait(TimeDelta::seconds(1));
        assert_eq!(invite(&acme, BEA, "MANAGER").await["alreadyPending"], false, "another one may follow");
        assert_eq!(states(json!(["EXPIRED", "PENDING"])).await, ("PENDING EXPIRED".to_owned(), 2));
    }

    async fn up_to_fifty_are_invited_at_once_and_each_row_is_answered(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        acme.join("member@example.com", "MEMBER").await;
        invite(&acme, "pending@example.com", "MEMBER").await;
        let mut rows: Vec<Value> = (0..41).map(|row| json!({ "email": format!("row{row}@example.com") })).collect();
        let mistakes = [
            (json!({ "email": "nonsense" }), vec![("INVALID_INPUT", "email")]),
            (json!({ "email": "member@example.com" }), vec![("ALREADY_A_MEMBER", "")]),
            (
                json!({ "email": "pending@example.com", "roleId": acme.role("AUDITOR") }),
                vec![("INVITATION_PENDING", "")],
            ),
            (json!({ "email": "x@example.com", "roleId": "rol_nonsense" }), vec![("NOT_FOUND", "roleId")]),
            (
                json!({ "email": "", "name": "x".repeat(101), "roleId": "x" }),
                vec![("INVALID_INPUT", "email"), ("INVALID_INPUT", "name"), ("NOT_FOUND", "roleId")],
            ),
            (json!({ "email": "ROW0@example.com" }), vec![]),
            (json!({ "email": "row1@example.com", "roleId": acme.role("AUDITOR") }), vec![("INVITATION_PENDING", "")]),
            (json!({ "email": "pending@example.com" }), vec![]),
            (json!({ "email": "last@example.com", "name": "Last", "roleId": acme.role("ADMIN") }), vec![]),
        ];
        rows.extend(mistakes.iter().map(|(row, _)| row.clone()));
        let answer = acme.ada.operation("InviteMembers", acme.with(json!({ "invitations": rows }))).await;
        let payload = &answer["inviteMembers"];
        assert_eq!(payload["userErrors"], json!([]));
        let results = list(payload, "/results");
        assert_eq!(results.len(), 50);
        for (row, result) in rows.iter().zip(results) {
            assert_eq!(row["email"], result["email"], "in the order of the input");
        }
        for result in &results[..41] {
            assert_eq!((&result["invitation"]["state"], &result["userErrors"]), (&json!("PENDING"), &json!([])));
        }
        for ((row, wanted), result) in mistakes.iter().zip(&results[41..]) {
            let errors = list(result, "/userErrors").iter();
            let field = |error: &Value| {
                error["field"].as_array().map_or("", |path| path.last().unwrap().as_str().unwrap()).to_owned()
            };
            let errors: Vec<_> = errors.map(|error| (text(error, "/code"), field(error))).collect();
            let wanted: Vec<_> = wanted.iter().map(|(code, field)| (*code, (*field).to_owned())).collect();
            assert_eq!(errors, wanted, "{row}");
            assert_eq!(result["invitation"].is_null(), !wanted.is_empty(), "{row}");
        }
        assert_eq!(results[46]["invitation"], results[0]["invitation"], "one address is one invitation");
        while server.deliver().await > 0 {}
        assert_eq!(server.letters_to("row40@example.com").await.len(), 1);
        assert_eq!(server.letters_to("row0@example.com").await.len(), 1);
        let answer = acme.ada.operation("Overview", acme.with(json!({}))).await;
        assert_eq!(answer["organization"]["overview"]["pendingInvitationCount"], 43);
    }

    async fn its_own_user_errors_mean_that_nothing_was_written(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let member = acme.join("member@example.com", "MEMBER").await;
        let row = json!({ "email": BEA });
        for (by, rows, code) in [
            (&acme.ada, vec![], "INVALID_INPUT"),
            (&acme.ada, vec![row.clone(); 51], "INVALID_INPUT"),
            (&member, vec![row.clone()], "PERMISSION_REQUIRED"),
        ] {
            let answer = by.operation("InviteMembers", acme.with(json!({ "invitations": rows }))).await;
            let payload = &answer["inviteMembers"];
            assert_eq!((&payload["results"], &payload["cursor"]), (&json!([]), &Value::Null));
            assert_eq!(texts(payload, "/userErrors", "/code"), [code]);
        }
        assert_eq!(newest(&acme).await["email"], "member@example.com", "nobody new");
    }

    async fn rows_that_are_all_mistaken_are_each_answered(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let rows = json!([{ "email": "x" }, { "email": "" }]);
        let answer = acme.ada.operation("InviteMembers", acme.with(json!({ "invitations": rows }))).await;
        let payload = &answer["inviteMembers"];
        assert_eq!(payload["userErrors"], json!([]));
        for result in list(payload, "/results") {
            assert_eq!(texts(result, "/userErrors", "/code"), ["INVALID_INPUT"]);
        }
    }

    async fn who_may_not_give_a_role_invites_with_the_default_one_only(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let manager = acme.join("manager@example.com", "MANAGER").await;
        let with_role = async |role: Option<&str>, email: &str| {
            let role = role.map(|role| acme.role(role));
            manager.refusals("InviteMember", acme.with(json!({ "email": email, "roleId": role }))).await
        };
        assert_eq!(with_role(None, "a@example.com").await, [""; 0]);
        assert_eq!(with_role(Some("MEMBER"), "b@example.com").await, [""; 0], "named or not");
        assert_eq!(with_role(Some("AUDITOR"), "c@example.com").await, ["ROLE_NOT_ASSIGNABLE"]);
        assert_eq!(with_role(Some("ADMIN"), "d@example.com").await, ["ROLE_NOT_ASSIGNABLE"]);
    }

    async fn an_inviter_who_may_no_longer_invite_takes_the_invitation_along(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let manager = acme.join("manager@example.com", "MANAGER").await;
        manager.operation("InviteMember", acme.with(json!({ "email": BEA }))).await;
        let token = server.invitation_token(BEA).await;
        let member = acme.with(json!({ "memberId": acme.member("manager@example.com").await }));
        acme.ada.operation("DeactivateMember", member).await;
        let bea = server.person(BEA).await;
        assert_eq!(accept(&bea, &token).await, ["INVITER_CANNOT_GRANT"]);
        // Whoever sends it again becomes the inviter.
        let id = acme.with(json!({ "invitationId": newest(&acme).await["id"] }));
        assert_eq!(acme.ada.refusals("ResendInvitation", id).await, [""; 0]);
        assert_eq!(newest(&acme).await["invitedBy"]["displayName"], ADA);
        assert_eq!(accept(&bea, &server.invitation_token(BEA).await).await, [""; 0]);
    }

    async fn the_preview_is_there_for_nobody_in_particular_and_shows_a_masked_address(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let sent = invite(&acme, BEA, "CO_ADMIN").await;
        let token = server.invitation_token(BEA).await;
        let preview = async |token: &str| {
            server.anonymous().operation("InvitationPreview", json!({ "token": token })).await["invitation"].clone()
        };
        let shown = json!({ "id": sent["invitation"]["id"], "organizationName": "Acme", "roleName": "Co-Admin",
            "inviterName": null, "maskedEmail": "b***@example.com", "state": "PENDING", "expiresAt": "2026-03-09T09:01:00+00:00" });
        assert_eq!(preview(&token).await, shown);
        for wrong in ["", "x", "\0", &token[1..], &token.to_uppercase(), &format!("{token}0")] {
            assert_eq!(preview(wrong).await, Value::Null, "{wrong:?}");
        }
        acme.ada.operation("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!(preview(&token).await, Value::Null, "of a deleted organization nothing is shown");
        let bea = server.person(BEA).await;
        assert_eq!(bea.operation("Viewer", json!({})).await["viewer"]["invitations"], json!([]));
        assert_eq!(accept(&bea, &token).await, ["NOT_FOUND"]);
    }
}
