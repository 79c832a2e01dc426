//! What the operator does about people on the command line, while a server serves the same database.

use serde_json::json;

use super::{callers::text, processes::Installation};
use crate::support::databases::both_databases;

both_databases! {
    async fn the_operator_erases_a_person_while_a_server_runs(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let acme = zoe.create_organization("Acme").await;
        let sam = server.sign_in("sam@example.com").await;
        zoe.admit(&acme, &sam, "sam@example.com", "MEMBER").await;
        let user = sam.ask("{ viewer { user { id } } }", json!({})).await;
        let user = text(&user["viewer"]["user"]["id"]);

        let kept = installation.run(&["user", "erase", "zoe@example.com"]).await;
        assert!(!kept.status.success() && kept.err.contains("LAST_OWNER: Acme would have no active owner"), "{kept:?}");
        for nobody in ["nobody@example.com", "usr_0000000000000000000000", "nonsense", &acme] {
            let ended = installation.run(&["user", "erase", nobody]).await;
            assert!(!ended.status.success() && ended.out.is_empty() && ended.err.contains(nobody), "{ended:?}");
        }
        let ended = installation.run(&["user", "erase", "Sam@Example.com"]).await;
        assert_eq!((ended.status.success(), ended.out), (true, format!("{user} is erased.\n")), "{}", ended.err);
        assert_eq!(sam.send("{ viewer { user { id } } }", json!({})).await.unwrap().0, 401);
        assert!(server.letters_to("sam@example.com").is_empty());
        let members = "query($id: ID!) { organization(id: $id) { members(filter: { statuses: [FORMER] }) \
             { nodes { user { name } } } auditLog(first: 1) { nodes { type actor { kind } } } } }";
        let members = zoe.ask(members, json!({ "id": acme })).await;
        assert_eq!(members["organization"]["members"]["nodes"], json!([{ "user": { "name": "Erased person" } }]));
        let last = json!([{ "type": "member.left", "actor": { "kind": "OPERATOR" } }]);
        assert_eq!(members["organization"]["auditLog"]["nodes"], last);
        let again = installation.run(&["user", "erase", &user]).await;
        assert_eq!((again.status.success(), again.out), (true, format!("{user} is erased.\n")), "it can be repeated");
        zoe.invite(&acme, "sam@example.com").await.done();
        server.stop().await;
        assert!(installation.run(&["verify"]).await.status.success());
    }
}
