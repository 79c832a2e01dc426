//! A client that hangs up in the middle of a command takes nothing from the next one.

use std::time::Duration;

use serde_json::json;

use super::processes::Installation;
use crate::support::databases::both_databases;

both_databases! {
    async fn a_client_that_hangs_up_in_the_middle_leaves_the_server_able_to_write(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let acme = zoe.create_organization("Acme").await;
        for turn in 0..200 {
            let patience = Duration::from_micros(500 + turn * 37 % 9000);
            let name = json!({ "name": format!("Zoe {turn}") });
            let _ = tokio::time::timeout(patience, zoe.change("updateViewer", name, "user { name }")).await;
            let _ = tokio::time::timeout(patience, zoe.invite(&acme, "sam@example.com")).await;
            zoe.change("updateViewer", json!({ "name": "Zoe" }), "user { name }").await.done();
            let renamed = json!({ "organizationId": acme, "name": format!("Acme {turn}") });
            zoe.change("updateOrganization", renamed, "cursor").await.done();
        }
        assert!(installation.run(&["verify"]).await.status.success());
        server.stop().await;
    }
}
