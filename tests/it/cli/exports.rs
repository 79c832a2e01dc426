//! A power failure in the middle of an export of data: the next server that finds the lease over makes it anew, and of
//! the one before nothing is left.

use orgledger::store::{Database, statement::Statement};
use serde_json::json;

use super::processes::{Installation, until};
use crate::{
    graphql::{data_exports::unpack, traces::files},
    support::databases::both_databases,
};

/// How many periods of members the organization has: so many that nobody writes them before the blow.
const PERIODS: usize = 20_000;

/// Gives an organization that many, and no events: an export is a copy of what is there.
async fn crowd(database: &Database) {
    let one = match database {
        Database::Postgres { .. } => "lpad(to_hex(i), 32, '0')::uuid",
        Database::Sqlite { .. } => "unhex(printf('%032x', i))",
    };
    let filled = Statement::new(format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PERIODS}) \
         INSERT INTO member_history (organization_id, user_id, from_sequence, to_sequence, role_id, status, joined_at, \
         from_at) SELECT organization_id, {one}, i, i + 1, default_role_id, 'ACTIVE', created_at, created_at \
         FROM organizations, n WHERE name = 'Acme'"
    ));
    assert_eq!(filled.run(database).await.unwrap(), PERIODS as u64);
}

both_databases! {
    async fn an_export_that_was_cut_off_is_made_by_the_next_server(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let ada = server.sign_in("ada@example.com").await;
        let acme = ada.create_organization("Acme").await;
        let database = Database::connect(url).await.unwrap();
        crowd(&database).await;
        let asked = ada.change("requestDataExport", json!({ "organizationId": acme }), "export { id }").await.done();
        let folder = installation.data().join("files");
        until("a file", async || files(&folder).pop()).await;
        server.kill();
        let row = async || -> (String, i64) {
            let row = Statement::new("SELECT state, fence FROM data_exports").optional(&database).await;
            row.unwrap().unwrap()
        };
        assert_eq!(row().await, ("PENDING".to_owned(), 1));
        let begun = files(&folder);
        assert!(begun.len() == 1 && begun[0].contains("/1.zip"), "{begun:?}");

        let server = installation.serve().await;
        let ada = server.same(&ada);
        let document = "query($id: ID!, $export: ID!) { organization(id: $id) { dataExport(id: $export) { state downloadUrl } } }";
        let look = async || {
            let variables = json!({ "id": acme, "export": asked["export"]["id"] });
            ada.ask(document, variables).await["organization"]["dataExport"].take()
        };
        assert_eq!(look().await["state"], "RUNNING", "the lease of the dead server goes on");
        let ended = Statement::new("UPDATE data_exports SET lease_until = requested_at");
        assert_eq!(ended.run(&database).await.unwrap(), 1);
        let ready = until("the export", async || Some(look().await).filter(|export| export["state"] == "READY")).await;
        assert_eq!(row().await, ("READY".to_owned(), 2));
        // Where the server listened before is another port now.
        let (_, path) = ready["downloadUrl"].as_str().unwrap().rsplit_once("/data-exports/").unwrap();
        let answer = ada.get(&format!("{}/data-exports/{path}", ada.address)).await;
        assert_eq!(answer.status(), 200);
        let unpacked = unpack(answer.bytes().await.unwrap().to_vec());
        let periods: Vec<serde_json::Value> = serde_json::from_slice(&unpacked["membership_periods.json"]).unwrap();
        assert_eq!(periods.len(), PERIODS + 1);
        let made = files(&folder);
        assert!(made.len() == 1 && made[0].ends_with("/2.zip"), "{made:?}");
        server.stop().await;
    }
}
