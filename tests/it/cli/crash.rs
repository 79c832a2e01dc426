//! A power failure in the middle of commands: what was answered is there, what is there is whole, and the server
//! starts again by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    callers::{Answer, Caller, text},
    processes::{Installation, PATIENCE, Server},
};
use crate::support::databases::{announce, both_databases};

/// How often the server is killed.
const CRASHES: usize = 20;

/// How many callers send commands at the same time.
const CALLERS: usize = 4;

/// What one caller was told, and the one command whose answer never came.
#[derive(Default)]
struct Told {
    /// The organization the caller made, once that was answered.
    organization: Option<String>,
    /// Its last name that was answered, and one that may or may not have come after it.
    name: String,
    wanted_name: Option<String>,
    /// Its last version that was answered.
    version: u64,
    invitations: Vec<String>,
    /// Ids and secrets.
    api_keys: Vec<(String, String)>,
    /// The input of the command without an answer, if it made a key.
    unanswered_key: Option<Value>,
    answers: usize,
}

/// Sends commands until one is not answered.
async fn commands(caller: Caller, shared: String, label: String, answered: Arc<AtomicUsize>) -> Told {
    let mut told = Told::default();
    for turn in 0.. {
        let answer = match (told.organization.clone(), turn % 4) {
            (None, _) => {
                told.name = format!("Organization {label}");
                let input = json!({ "name": told.name, "kind": "TEAM" });
                caller.change("createOrganization", input, "organization { id version }").await
            }
            (Some(id), 0) => {
                let name = format!("Organization {label}, turn {turn}");
                told.wanted_name = Some(name.clone());
                let input = json!({ "organizationId": id, "name": name });
                caller.change("updateOrganization", input, "organization { id version name }").await
            }
            (Some(id), 1) => caller.invite(&id, &format!("person-{turn}@example.com")).await,
            (Some(id), 2) => {
                let name = format!("Key {turn}");
                let input = json!({ "organizationId": id, "name": name, "idempotencyKey": name });
                told.unanswered_key = Some(input.clone());
                caller.change("createApiKey", input, "secret apiKey { id }").await
            }
            // All callers meet in one organization.
            (Some(id), _) => {
                let answer = caller.invite(&shared, &format!("person-{id}-{turn}@example.com")).await;
                if let Answer::Done(_) = answer {
                    answered.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                answer
            }
        };
        match answer {
            Answer::Done(payload) => {
                if let Some(id) = payload["organization"]["id"].as_str() {
                    told.organization = Some(id.to_owned());
                    told.version = payload["organization"]["version"].as_u64().unwrap();
                    told.name = told.wanted_name.take().unwrap_or_else(|| told.name.clone());
                } else if let Some(id) = payload["invitation"]["id"].as_str() {
                    told.invitations.push(id.to_owned());
                } else {
                    told.api_keys.push((text(&payload["apiKey"]["id"]), text(&payload["secret"])));
                    told.unanswered_key = None;
                }
                told.answers += 1;
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Answer::Failed(error) if !error.starts_with(|first: char| first.is_ascii_digit()) => break,
            other => panic!("{other:?}"),
        }
    }
    told
}

/// Checks that everything somebody was told is there.
async fn check(server: &Server, caller: &Caller, told: &Told) {
    let Some(id) = &told.organization else { return };
    // Who repeats a command that was not answered has it done once.
    if let Some(input) = &told.unanswered_key {
        let payload = caller.change("createApiKey", input.clone(), "secret apiKey { name }").await.done();
        assert_eq!(payload["apiKey"]["name"], input["name"]);
    }
    let document = "query($id: ID!) { organization(id: $id) { name version \
         invitations(first: 100) { nodes { id } } apiKeys(first: 100) { nodes { id name } } } }";
    let data = caller.ask(document, json!({ "id": id })).await;
    let found = &data["organization"];
    let name = found["name"].as_str().unwrap();
    assert!(name == told.name || Some(name) == told.wanted_name.as_deref(), "{name}, not {}", told.name);
    assert!(found["version"].as_u64().unwrap() >= told.version, "{found}");
    let invitations = found["invitations"]["nodes"].as_array().unwrap();
    for id in &told.invitations {
        assert!(invitations.len() == 100 || invitations.iter().any(|found| found["id"] == **id), "{id}: {found}");
    }
    let keys = found["apiKeys"]["nodes"].as_array().unwrap();
    for (id, _) in &told.api_keys {
        assert!(keys.len() == 100 || keys.iter().any(|found| found["id"] == **id), "{id}: {found}");
    }
    if let Some(input) = &told.unanswered_key {
        assert_eq!(keys.iter().filter(|found| found["name"] == input["name"]).count(), 1, "{found}");
    }
    if let Some((_, secret)) = told.api_keys.last() {
        let document = "query($id: ID!) { organization(id: $id) { id } }";
        let seen = server.bearer(secret).ask(document, json!({ "id": id })).await;
        assert_eq!(seen["organization"]["id"], **id, "the key is alive");
    }
}

both_databases! {
    async fn what_was_answered_survives_a_crash_and_what_survives_is_whole(url: &str) {
        let installation = Installation::on(url);
        let mut server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let shared = zoe.create_organization("Shared").await;
        let (mut answers, mut busy) = (0, Duration::ZERO);
        let mut slowest = server.started_in;
        for round in 0..CRASHES {
            let answered = Arc::new(AtomicUsize::new(0));
            let mut callers = JoinSet::new();
            for number in 0..CALLERS {
                let label = format!("{round}-{number}");
                callers.spawn(commands(server.same(&zoe), shared.clone(), label, Arc::clone(&answered)));
            }
            // Each time a little later, at whatever point of whichever command.
            let started = Instant::now();
            while answered.load(Ordering::SeqCst) < 3 + round * 5 {
                assert!(started.elapsed() < PATIENCE, "too few answers: {answered:?}\n{}", server.log());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            busy += started.elapsed();
            answers += answered.load(Ordering::SeqCst);
            server.kill();
            let told = callers.join_all().await;

            server = installation.serve().await;
            slowest = slowest.max(server.started_in);
            let zoe = server.same(&zoe);
            for told in &told {
                check(&server, &zoe, told).await;
            }
            let ended = installation.run(&["verify"]).await;
            assert!(ended.status.success(), "round {round}: {ended:?}");
            assert!(!server.log().contains("ERROR"), "{}", server.log());
        }
        let rate = f64::from(u32::try_from(answers).unwrap()) / busy.as_secs_f64();
        announce(&format!(
            "{CRASHES} crashes: {answers} commands answered, {rate:.0} a second; the slowest start took {slowest:?}"
        ));
        server.stop().await;
    }
}
