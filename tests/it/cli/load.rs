//! A power failure while many callers command many organizations, so that one transaction has many commands: what was
//! answered is there and is answered the same again, what was not is done when it comes again, and nothing is there twice.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use orgledger::store::{Database, statement::Statement};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    callers::{Answer, Caller},
    processes::{Installation, PATIENCE},
};
use crate::support::databases::{announce, both_databases};

/// How often the server is killed.
const CRASHES: usize = 4;
const ORGANIZATIONS: usize = 16;
/// How many command at the same time: for each organization one who invites, and one who changes a role.
const CALLERS: usize = 2 * ORGANIZATIONS;

/// A command, and what was answered.
struct Sent {
    mutation: &'static str,
    input: Value,
    answer: Option<Value>,
}

/// What of an answer is the same when the command comes again.
fn selection(mutation: &str) -> &'static str {
    if mutation == "inviteMember" { "invitation { id } cursor" } else { "member { id } cursor" }
}

/// An organization with somebody whose role changes.
#[derive(Clone)]
struct Team {
    id: String,
    member: String,
    /// The role that it changes to next, and the one after that.
    roles: [String; 2],
}

/// Sends commands until one is not answered, which is the last one told.
async fn commands(caller: Caller, team: Team, label: String, invites: bool, answered: Arc<AtomicUsize>) -> Vec<Sent> {
    let mut all = Vec::new();
    for turn in 0.. {
        let key = format!("{label}-{turn}");
        let mut input = json!({ "organizationId": team.id, "idempotencyKey": key });
        let mutation = if invites {
            input["email"] = format!("{key}@example.com").into();
            "inviteMember"
        } else {
            input["memberId"] = team.member.as_str().into();
            input["roleId"] = team.roles[turn % 2].as_str().into();
            "changeMemberRole"
        };
        let answer = match caller.change(mutation, input.clone(), selection(mutation)).await {
            Answer::Done(payload) => Some(payload),
            Answer::Failed(error) if !error.starts_with(|first: char| first.is_ascii_digit()) => None,
            other => panic!("{other:?}"),
        };
        let last = answer.is_none();
        all.push(Sent { mutation, input, answer });
        if last {
            break;
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
    all
}

async fn count(database: &Database, text: &str) -> u64 {
    Statement::new(text).count(database).await.unwrap()
}

both_databases! {
    async fn a_crash_under_load_loses_nothing_that_was_answered_and_doubles_nothing(url: &str) {
        let installation = Installation::on(url);
        let mut server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let bob = server.sign_in("bob@example.com").await;
        let mut teams = Vec::new();
        for number in 0..ORGANIZATIONS {
            let id = zoe.create_organization(&format!("Acme {number}")).await;
            let member = zoe.admit(&id, &bob, "bob@example.com", "MEMBER").await;
            let roles = [zoe.role(&id, "MANAGER").await, zoe.role(&id, "MEMBER").await];
            teams.push(Team { id, member, roles });
        }
        let database = Database::connect(url).await.unwrap();
        let (mut answers, mut lost, mut sent) = (0, 0, HashMap::from([("inviteMember", 0), ("changeMemberRole", 0)]));
        for round in 0..CRASHES {
            let answered = Arc::new(AtomicUsize::new(0));
            let mut callers = JoinSet::new();
            for number in 0..CALLERS {
                let team = teams[number % ORGANIZATIONS].clone();
                let label = format!("{round}-{number}");
                let invites = number < ORGANIZATIONS;
                callers.spawn(commands(server.same(&zoe), team, label, invites, Arc::clone(&answered)));
            }
            // Each time at another point.
            let started = Instant::now();
            while answered.load(Ordering::SeqCst) < CALLERS + 37 * round {
                assert!(started.elapsed() < PATIENCE, "too few answers: {answered:?}\n{}", server.log());
                tokio::task::yield_now().await;
            }
            server.kill();
            let told: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
            server = installation.serve().await;
            let zoe = server.same(&zoe);
            let ended = installation.run(&["verify"]).await;
            assert!(ended.status.success(), "round {round}: {ended:?}");
            let mut again = JoinSet::new();
            for Sent { mutation, input, answer } in told {
                if mutation == "changeMemberRole" {
                    let team = teams.iter_mut().find(|team| input["organizationId"] == *team.id);
                    team.unwrap().roles.reverse();
                }
                *sent.get_mut(mutation).unwrap() += 1;
                answers += usize::from(answer.is_some());
                lost += usize::from(answer.is_none());
                let zoe = zoe.clone();
                again.spawn(async move {
                    let same = zoe.change(mutation, input.clone(), selection(mutation)).await.done();
                    assert!(answer.is_none_or(|answer| answer == same), "{input}: {same}");
                });
            }
            again.join_all().await;
            for (event, mutation) in [("invitation.sent", "inviteMember"), ("member.role_changed", "changeMemberRole")] {
                let text = format!("SELECT COUNT(*) FROM events WHERE event_type = '{event}'");
                // Bob was invited by each of them.
                let before = if mutation == "inviteMember" { ORGANIZATIONS as u64 } else { 0 };
                assert_eq!(count(&database, &text).await, sent[mutation] + before, "round {round}: {event}");
            }
            let keys = count(&database, "SELECT COUNT(*) FROM commands").await;
            assert_eq!(keys, sent.values().sum::<u64>(), "round {round}: the keys of the commands");
            assert!(!server.log().contains("ERROR"), "{}", server.log());
        }
        if url.starts_with("postgres") {
            let text = "SELECT MAX(n) FROM \
                 (SELECT COUNT(DISTINCT organization_id) AS n FROM events GROUP BY xmin::text) x";
            assert!(count(&database, text).await > 1, "no transaction has written several commands");
        }
        announce(&format!("{CRASHES} crashes: {answers} commands were answered and {lost} were not"));
        let ended = installation.run(&["verify"]).await;
        assert!(ended.status.success(), "{ended:?}");
        database.close().await;
        server.stop().await;
    }
}
