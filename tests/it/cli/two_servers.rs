//! Two servers on one PostgreSQL: no rule is broken by commands that meet, and what one takes away the other refuses.

use std::time::Instant;

use futures_util::future::join_all;
use orgledger::store::{Database, statement::Statement};
use serde_json::json;

use super::{
    callers::{Answer, Caller},
    processes::{Installation, Server},
};
use crate::support::databases::{announce, on_postgres};

/// How often two admins demote each other.
const DUELS: usize = 1000;

/// Runs `body` with two servers on one schema.
async fn with_two_servers(name: &str, body: impl AsyncFnOnce(&str, [&Server; 2])) {
    on_postgres(&format!("{}::{name}", module_path!()), async |url| {
        let installation = Installation::on(url);
        let [one, other] = [installation.serve().await, installation.serve().await];
        body(url, [&one, &other]).await;
        let ended = installation.run(&["verify"]).await;
        assert!(ended.status.success(), "{ended:?}");
        one.stop().await;
        other.stop().await;
    })
    .await;
}

/// How many admins an organization has, by its rows.
async fn admins(database: &Database) -> u64 {
    let admins = "SELECT COUNT(*) FROM members m JOIN roles r USING (organization_id, role_id) \
         WHERE r.key = 'ADMIN' AND m.status = 'ACTIVE'";
    Statement::new(admins).count(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admins_who_demote_each_other_at_once_never_leave_nobody() {
    with_two_servers("two_admins_who_demote_each_other_at_once_never_leave_nobody", async |url, [one, other]| {
        let ann = one.sign_in("ann@example.com").await;
        let bob = other.sign_in("bob@example.com").await;
        let acme = &ann.create_organization("Acme").await;
        let member_bob = ann.admit(acme, &bob, "bob@example.com", "ADMIN").await;
        let member_ann = ann.member_id(acme).await;
        let [admin, member] = [ann.role(acme, "ADMIN").await, ann.role(acme, "MEMBER").await];
        let database = Database::connect(url).await.unwrap();
        let started = Instant::now();
        let mut won = [0, 0];
        for round in 0..DUELS {
            let (of_ann, of_bob) =
                tokio::join!(ann.change_role(acme, &member_bob, &member), bob.change_role(acme, &member_ann, &member));
            let done = [of_ann.decided(), of_bob.decided()];
            assert!(done[0] ^ done[1], "round {round}: one of them is right: {of_ann:?} {of_bob:?}");
            assert_eq!(admins(&database).await, 1, "round {round}");
            let winner = usize::from(done[1]);
            won[winner] += 1;
            let (victor, loser) = if winner == 0 { (&ann, &member_bob) } else { (&bob, &member_ann) };
            // Through either server, so that both keep finding that the other was first.
            let victor = if round % 2 == 0 { one.same(victor) } else { other.same(victor) };
            victor.change_role(acme, loser, &admin).await.done();
        }
        let rate = f64::from(u32::try_from(DUELS * 3).unwrap()) / started.elapsed().as_secs_f64();
        announce(&format!("{DUELS} duels, won {won:?}, {rate:.0} commands a second"));
        database.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_commands_at_once_are_all_done_or_refused_by_a_rule() {
    with_two_servers("two_hundred_commands_at_once_are_all_done_or_refused_by_a_rule", async |_, [one, other]| {
        let ann = one.sign_in("ann@example.com").await;
        let sam = other.sign_in("sam@example.com").await;
        let acme = &ann.create_organization("Acme").await;
        let member = &ann.admit(acme, &sam, "sam@example.com", "MEMBER").await;
        let auditor = ann.role(acme, "AUDITOR").await;
        let callers = [one.same(&ann), other.same(&ann)];
        let started = Instant::now();
        let answers = join_all((0..200).map(|number| {
            let caller = &callers[number % 2];
            let (acme, member, auditor) = (acme.clone(), member.clone(), auditor.clone());
            async move {
                match number / 2 % 5 {
                    0 => caller.invite(&acme, &format!("person-{number}@example.com")).await,
                    // The same ten names: whoever comes second is refused.
                    1 => {
                        let key = json!({ "organizationId": acme, "name": format!("Key {}", number / 2 % 50) });
                        caller.change("createApiKey", key, "apiKey { id }").await
                    }
                    2 => {
                        let input = json!({ "organizationId": acme, "name": format!("Acme {number}") });
                        caller.change("updateOrganization", input, "cursor").await
                    }
                    3 => caller.change_role(&acme, &member, &auditor).await,
                    _ => {
                        let input = json!({ "organizationId": acme, "memberId": member });
                        let change = if number % 2 == 0 { "deactivateMember" } else { "reactivateMember" };
                        caller.change(change, input, "cursor").await
                    }
                }
            }
        }))
        .await;
        let took = started.elapsed();
        let done = answers.iter().filter(|answer| answer.decided()).count();
        for answer in &answers {
            assert!(matches!(answer, Answer::Done(_)) || *answer == Answer::Refused("NAME_TAKEN".into()), "{answer:?}");
        }
        let rate = 200. / took.as_secs_f64();
        announce(&format!("200 commands on one organization: {done} done in {took:?}, {rate:.0} a second"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_many_organizations_at_once_do_not_starve_each_other() {
    with_two_servers("commands_on_many_organizations_at_once_do_not_starve_each_other", async |_, [one, other]| {
        let ann = one.sign_in("ann@example.com").await;
        let organizations: Vec<_> = (0..60).map(|number| format!("Org {number}")).collect();
        let ids = join_all(organizations.iter().map(|name| ann.create_organization(name))).await;
        let callers = [one.same(&ann), other.same(&ann)];
        let started = Instant::now();
        let mut answers = Vec::new();
        for turn in 0..5 {
            // Both servers change every organization at the same moment.
            let commands = ids.iter().flat_map(|id| callers.iter().map(move |caller| (id, caller)));
            let commands = commands.enumerate().map(async |(number, (id, caller))| {
                let input = json!({ "organizationId": id, "name": format!("Turn {turn}, {number}") });
                caller.change("updateOrganization", input, "cursor").await
            });
            answers.extend(join_all(commands).await);
        }
        let failed: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Answer::Done(_))).collect();
        assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), answers.len(), failed.first());
        let rate = 600. / started.elapsed().as_secs_f64();
        announce(&format!("600 commands on 60 organizations through both servers: {rate:.0} a second"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_refused_it_decides_anew_once_the_other_has_changed_it() {
    with_two_servers(
        "what_one_server_refused_it_decides_anew_once_the_other_has_changed_it",
        async |_, [one, other]| {
            let ann = other.sign_in("ann@example.com").await;
            let sam = one.sign_in("sam@example.com").await;
            let acme = &ann.create_organization("Acme").await;
            let member = ann.admit(acme, &sam, "sam@example.com", "MEMBER").await;
            let [manager, plain] = [ann.role(acme, "MANAGER").await, ann.role(acme, "MEMBER").await];
            let can = async || {
                let document =
                    "query($id: ID!) { organization(id: $id) { viewerCan(action: INVITE_MEMBER) { allowed } } }";
                let data = sam.ask(document, json!({ "id": acme })).await;
                data["organization"]["viewerCan"]["allowed"].as_bool().unwrap()
            };
            for turn in 0..20 {
                let email = format!("person-{turn}@example.com");
                assert_eq!(sam.invite(acme, &email).await.refused(), "PERMISSION_REQUIRED", "turn {turn}");
                assert!(!can().await);
                ann.change_role(acme, &member, &manager).await.done();
                assert!(can().await);
                sam.invite(acme, &email).await.done();
                ann.change_role(acme, &member, &plain).await.done();
                assert!(!can().await);
                assert_eq!(sam.invite(acme, &email).await.refused(), "PERMISSION_REQUIRED", "turn {turn}");
            }
        },
    )
    .await;
}

async fn sees(caller: &Caller, organization: &str) -> bool {
    let document = "query($id: ID!) { organization(id: $id) { id } }";
    match caller.send(document, json!({ "id": organization })).await.unwrap() {
        (200, body) => body["data"]["organization"]["id"] == *organization,
        (401, _) => false,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_took_away_the_other_refuses_with_the_next_request() {
    with_two_servers("what_one_server_took_away_the_other_refuses_with_the_next_request", async |_, [one, other]| {
        let ann = one.sign_in("ann@example.com").await;
        let sam = other.sign_in("sam@example.com").await;
        let acme = &ann.create_organization("Acme").await;

        for change in ["disableApiKey", "revokeApiKey"] {
            let input = json!({ "organizationId": acme, "name": change, "permissions": ["MEMBERS_READ"] });
            let made = ann.change("createApiKey", input, "secret apiKey { id }").await.done();
            let key = other.bearer(made["secret"].as_str().unwrap());
            assert!(sees(&key, acme).await);
            let input = json!({ "organizationId": acme, "apiKeyId": made["apiKey"]["id"] });
            ann.change(change, input.clone(), "cursor").await.done();
            assert!(!sees(&key, acme).await, "{change}");
            if change == "disableApiKey" {
                ann.change("enableApiKey", input, "cursor").await.done();
                assert!(sees(&key, acme).await);
            }
        }

        let member = ann.admit(acme, &sam, "sam@example.com", "MANAGER").await;
        let input = json!({ "organizationId": acme, "memberId": member });
        for (takes, gives_back) in [("deactivateMember", Some("reactivateMember")), ("removeMember", None)] {
            assert!(sees(&sam, acme).await);
            ann.change(takes, input.clone(), "cursor").await.done();
            assert!(!sees(&sam, acme).await, "{takes}");
            let refused = sam.invite(acme, "eve@example.com").await.refused();
            assert!(["MEMBER_INACTIVE", "NOT_FOUND"].contains(&&*refused), "{takes}: {refused}");
            if let Some(gives_back) = gives_back {
                ann.change(gives_back, input.clone(), "cursor").await.done();
            }
        }

        let ann_there = other.same(&ann);
        assert!(sees(&ann_there, acme).await);
        ann.change_without_input("signOut").await;
        assert!(!sees(&ann_there, acme).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_sees_what_the_other_server_wrote_and_ends_with_the_access() {
    with_two_servers(
        "a_subscriber_sees_what_the_other_server_wrote_and_ends_with_the_access",
        async |_, [one, other]| {
            let ann = one.sign_in("ann@example.com").await;
            let sam = other.sign_in("sam@example.com").await;
            let acme = &ann.create_organization("Acme").await;
            let member = ann.admit(acme, &sam, "sam@example.com", "AUDITOR").await;
            let mut subscription = sam.subscribe(acme, None).await;
            let mut sequence = 0;
            let mut cursor = None;
            let mut slowest = std::time::Duration::ZERO;
            for turn in 0..5 {
                ann.invite(acme, &format!("person-{turn}@example.com")).await.done();
                let written = Instant::now();
                loop {
                    let edge = subscription.next_event().await;
                    sequence += 1;
                    assert_eq!(edge["node"]["sequence"], sequence, "each exactly once, in order");
                    cursor = Some(edge["cursor"].as_str().unwrap().to_owned());
                    if sequence == turn + 4 {
                        break;
                    }
                }
                slowest = slowest.max(written.elapsed());
            }
            assert!(slowest.as_secs() < 5, "{slowest:?}");
            announce(&format!("a subscriber saw what the other server wrote within {slowest:?}"));
            // Cut off in the middle, it goes on behind its cursor, at whichever server.
            drop(subscription);
            for turn in 5..150 {
                other.same(&ann).invite(acme, &format!("person-{turn}@example.com")).await.done();
            }
            let mut subscription = one.same(&sam).subscribe(acme, cursor.as_deref()).await;
            for _ in 5..150 {
                sequence += 1;
                assert_eq!(subscription.next_event().await["node"]["sequence"], sequence);
            }
            let removed = json!({ "organizationId": acme, "memberId": member });
            other.same(&ann).change("removeMember", removed, "cursor").await.done();
            let message = loop {
                let message = subscription.hear().await.expect("a reason, before the end");
                let errors = message["payload"].get("errors").is_some() || message["type"] == "error";
                assert!(errors || message["type"] == "next", "{message}");
                if errors {
                    break message;
                }
            };
            assert!(message.to_string().contains("ACCESS_ENDED"), "{message}");
        },
    )
    .await;
}
