//! What the operator does about organizations on the command line, while a server serves the same database.

use serde_json::{Value, json};

use super::{
    callers::Caller,
    processes::{Ended, Installation},
};
use crate::support::databases::both_databases;

/// Makes an organization of a kind; its id.
async fn organization(by: &Caller, name: &str, kind: &str) -> String {
    let input = json!({ "name": name, "kind": kind });
    let payload = by.change("createOrganization", input, "organization { id }").await.done();
    super::callers::text(&payload["organization"]["id"])
}

/// Runs `orgledger organization` with these words.
async fn operator(installation: &Installation, words: &[&str]) -> Ended {
    installation.run(&[&["organization"], words].concat()).await
}

/// What it said, of a command that did what it should.
async fn said(installation: &Installation, words: &[&str]) -> String {
    let ended = operator(installation, words).await;
    assert!(ended.status.success(), "{words:?}: {ended:?}");
    ended.out
}

/// What it complained about, of a command that did nothing.
async fn complaint(installation: &Installation, words: &[&str]) -> String {
    let ended = operator(installation, words).await;
    assert!(!ended.status.success() && ended.out.is_empty(), "{words:?}: {ended:?}");
    ended.err.lines().last().unwrap_or_default().to_owned()
}

/// Where a running server says that the certification is, and whether it lets its owner invite.
async fn stage(by: &Caller, corp: &str) -> (Value, bool) {
    let document = "query ($id: ID!) { organization(id: $id) { certification memberManagement { available } \
         viewerCan(action: INVITE_MEMBER) { allowed } } }";
    let answer = by.ask(document, json!({ "id": corp })).await["organization"].clone();
    let allowed = answer["viewerCan"]["allowed"] == true;
    assert_eq!(answer["memberManagement"]["available"], allowed, "what is shown is what is decided");
    (answer["certification"].clone(), allowed)
}

both_databases! {
    /// The server has the organization in memory, and follows at once.
    async fn the_operator_certifies_and_refuses_while_a_server_runs(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let corp = organization(&zoe, "Corp & Co", "ENTERPRISE").await;
        let request = json!({ "organizationId": corp });
        let nothing = "No request for certification is open.\n";
        assert_eq!(said(&installation, &["requests"]).await, nothing);
        let too_early = complaint(&installation, &["certify", &corp]).await;
        assert!(too_early.contains(&corp) && too_early.contains("no open request"), "{too_early}");
        assert_eq!(zoe.invite(&corp, "sam@example.com").await.refused(), "NOT_CERTIFIED");

        zoe.change("requestCertification", request.clone(), "cursor").await.done();
        assert_eq!(said(&installation, &["requests"]).await, format!("{corp}  Corp & Co\n"));
        let answer = said(&installation, &["reject", &corp, "--reason", "The papers are missing."]).await;
        assert_eq!(answer, format!("{corp} is not certified, and may ask again.\n"));
        assert_eq!(stage(&zoe, &corp).await, (json!("REJECTED"), false));
        let again = said(&installation, &["reject", &corp]).await;
        assert_eq!(again, format!("{corp} was refused already.\n"));
        assert!(complaint(&installation, &["certify", &corp]).await.contains("no open request"));
        assert_eq!(said(&installation, &["requests"]).await, nothing);

        zoe.change("requestCertification", request, "cursor").await.done();
        assert_eq!(said(&installation, &["certify", &corp]).await, format!("{corp} is certified.\n"));
        zoe.invite(&corp, "sam@example.com").await.done();
        assert_eq!(stage(&zoe, &corp).await, (json!("CERTIFIED"), true));
        assert_eq!(said(&installation, &["certify", &corp]).await, format!("{corp} was certified already.\n"));
        assert!(complaint(&installation, &["reject", &corp]).await.contains("no open request"));

        let document = "query ($id: ID!) { organization(id: $id) { auditLog(filter: { types: [\"organization.certification_rejected\", \"organization.certified\"] }) \
             { nodes { type reason actor { kind id displayName } ip } } } }";
        let log = zoe.ask(document, json!({ "id": corp })).await["organization"]["auditLog"]["nodes"].clone();
        let actor = json!({ "kind": "OPERATOR", "id": "operator", "displayName": "Operator" });
        assert_eq!(log[0], json!({ "type": "organization.certified", "reason": null, "actor": actor, "ip": null }));
        assert_eq!(log[1], json!({ "type": "organization.certification_rejected", "reason": "The papers are missing.", "actor": actor, "ip": null }));
        assert_eq!(log.as_array().unwrap().len(), 2, "what changed nothing wrote nothing");
        server.stop().await;
        assert!(installation.run(&["verify"]).await.status.success());
    }

    async fn what_is_no_enterprise_is_told_from_what_is_not_there_and_nothing_is_written(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let corp = organization(&zoe, "Corp", "ENTERPRISE").await;
        let team = organization(&zoe, "Team", "TEAM").await;
        let gone = organization(&zoe, "Gone", "ENTERPRISE").await;
        zoe.change("requestCertification", json!({ "organizationId": gone }), "cursor").await.done();
        zoe.change("deleteOrganization", json!({ "organizationId": gone, "confirmName": "Gone" }), "").await.done();
        let role = zoe.role(&corp, "MEMBER").await;
        let never = "org_0000000000000000000000";
        for verb in ["certify", "reject"] {
            for id in ["nonsense", "", "org_", &role] {
                let told = complaint(&installation, &[verb, id]).await;
                assert!(told.contains("is not the id of an organization"), "{verb} {id}: {told}");
            }
            for id in [never, &gone] {
                let told = complaint(&installation, &[verb, id]).await;
                assert!(told.ends_with(&format!("{id}: Not found.")), "{verb} {id}: {told}");
            }
            let told = complaint(&installation, &[verb, &team]).await;
            assert!(told.contains("needs no certification"), "{verb}: {told}");
            let long = "x".repeat(1001);
            let told = complaint(&installation, &[verb, &corp, "--reason", &long]).await;
            assert!(told.contains("--reason must have at most 1000 characters"), "{verb}: {told}");
        }
        assert_eq!(said(&installation, &["requests"]).await, "No request for certification is open.\n", "a deleted one waits for nothing");
        assert_eq!(stage(&zoe, &corp).await, (json!("NOT_REQUESTED"), false));
        server.stop().await;
    }
}

/// Nothing good can be said of a database that was made a moment ago.
#[tokio::test]
async fn where_there_is_no_database_none_is_made() {
    let installation = Installation::embedded();
    for words in
        [&["requests"][..], &["certify", "org_0000000000000000000000"], &["reject", "org_0000000000000000000000"]]
    {
        assert!(complaint(&installation, words).await.contains("there is no database in"), "{words:?}");
    }
    assert!(!installation.data().join("orgledger.db").exists());
}
