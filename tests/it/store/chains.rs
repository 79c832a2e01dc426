//! Commands of one organization that come at one moment: each is decided on what the one before it will have done, before
//! that is written. All run in one thread here, so that they are decided before the first of them is written.

use futures_util::future::join_all;
use orgledger::{
    domain::{
        Organization, OrganizationId, RoleId,
        organization::{Action, Permissions, api_keys::KeyType},
    },
    store::{
        ledger::{Failure, Freshness, Receipt, Request},
        rebuild::{Which, rebuild},
        statement::Statement,
    },
};
use tokio::task::yield_now;

use super::{
    rebuild::dump,
    world::{Person, World, change_role, deactivate, named, refusal, remove, rename},
};
use crate::graphql::statements::{counted, in_one_thread};

/// Gives commands at one moment. What became of each, and how often a head was moved for it.
async fn at_once(world: &World, requests: Vec<Request>) -> (Vec<Result<Receipt, Failure>>, usize) {
    let execute = |request| world.store.ledger.execute(request);
    let (results, statements) = counted(join_all(requests.into_iter().map(execute))).await;
    (results, statements.iter().filter(|text| text.contains("UPDATE streams")).count())
}

/// An organization with members, its owner first.
async fn crowd(world: &World, members: usize) -> (OrganizationId, Vec<Person>) {
    let emails: Vec<_> = (0..=members).map(|number| format!("m{number:02}@example.com")).collect();
    let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let acme = world.organization(&people[0], "Acme").await;
    world.join(acme, &people[0], &people[1..], "MEMBER").await;
    (acme, people)
}

async fn version(world: &World, acme: OrganizationId) -> u64 {
    world.store.ledger.view(acme, Freshness::Compared, Organization::version).await.unwrap()
}

fn create_role(role: RoleId, name: &str) -> Action {
    let (name, level) = (named(name), 3.try_into().unwrap());
    Action::CreateRole { role, name, description: None, level, permissions: Permissions::NONE }
}

/// What was decided one after another and written at once is what the ledger says, row by row.
async fn what_is_written_at_once_is_what_a_rebuild_makes(url: &str) {
    let world = World::open(url).await;
    let (acme, people) = crowd(&world, 12).await;
    let [ada, bob, cy, members @ ..] = &people[..] else { panic!() };
    let guests = world.people(&["g1@example.com", "g2@example.com"]).await;
    let role = RoleId(world.store.entropy.uuid());
    let before = version(&world, acme).await;
    let mut requests = vec![world.request(acme, ada, create_role(role, "Editor"))];
    let mut actions = Vec::new();
    for key in ["MANAGER", "AUDITOR", "MEMBER"] {
        actions.extend(members.iter().map(|member| change_role(member, key)));
    }
    actions.extend(members.iter().map(deactivate));
    actions.push(Action::ChangeMemberRole { member: bob.id, role });
    actions.push(rename("Apex"));
    actions.push(world.new_key("ci", None, KeyType::Standard));
    actions.extend(members.iter().take(5).map(|member| Action::ReactivateMember { member: member.id }));
    actions.extend(members.iter().take(3).map(remove));
    actions.push(change_role(cy, "ADMIN"));
    actions.push(rename("Apex & Sons"));
    actions.push(Action::DeleteRole { role, reassign_to: Some(super::world::role("AUDITOR")) });
    requests.extend(actions.into_iter().map(|action| world.request(acme, ada, action)));
    for guest in &guests {
        requests.push(world.invitation(acme, ada, &[(guest, None)], "MANAGER"));
    }
    requests.push(world.request(acme, cy, change_role(ada, "MANAGER")));
    let all = requests.len();

    let (results, moves) = at_once(&world, requests).await;
    assert_eq!(moves, 1, "for {all} commands");
    let mut last = before;
    for (number, result) in results.iter().enumerate() {
        let receipt = result.as_ref().unwrap();
        assert!(receipt.written && receipt.version > last, "{number}: {receipt:?}");
        last = receipt.version;
    }
    assert_eq!(version(&world, acme).await, last);
    // What can be recognized is looked for first, each by itself.
    let request = |(number, member)| {
        let idempotency = Some(world.idempotency(&format!("k{number}"), "once"));
        Request { idempotency, ..world.request(acme, cy, change_role(member, "CO_ADMIN")) }
    };
    let requests: Vec<_> = members[5..].iter().enumerate().map(request).collect();
    let (results, _) = at_once(&world, requests.clone()).await;
    assert!(results.into_iter().all(|result| result.unwrap().written));
    let (again, moves) = at_once(&world, requests).await;
    assert!(again.into_iter().all(|result| result.unwrap().replayed) && moves == 0);
    let rows = dump(world.database()).await;
    rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
    assert_eq!(dump(world.database()).await, rows);
    world.holds().await;
}

/// A row that the ledger knows nothing of, in the way of the role with this person's id.
async fn obstruct(world: &World, person: &Person) -> RoleId {
    let text = format!(
        "INSERT INTO roles (organization_id, role_id, key, name, level, permissions, owner, built_in, version) \
         SELECT r.organization_id, u.user_id, 'OTHER', r.name, r.level, r.permissions, r.owner, r.built_in, r.version \
         FROM roles r CROSS JOIN users u WHERE r.key = 'MEMBER' AND u.email = '{}'",
        person.email.as_str()
    );
    assert_eq!(world.raw(&text).await, 1);
    RoleId(person.id.0)
}

/// A command that cannot be written takes with it what was decided after it, which is decided again, and nothing else.
async fn only_what_cannot_be_written_fails(url: &str) {
    let world = World::open(url).await;
    let (acme, people) = crowd(&world, 20).await;
    let [ada, bob, members @ ..] = &people[..] else { panic!() };
    let role = obstruct(&world, bob).await;
    let before = version(&world, acme).await;
    let mut requests: Vec<_> =
        members.iter().map(|member| world.request(acme, ada, change_role(member, "MANAGER"))).collect();
    let give = Action::ChangeMemberRole { member: bob.id, role };
    requests.insert(5, world.request(acme, ada, create_role(role, "Editor")));
    requests.insert(10, world.request(acme, ada, give));

    let (results, _) = at_once(&world, requests).await;
    let mut versions = Vec::new();
    for (number, result) in results.into_iter().enumerate() {
        match number {
            5 => assert!(matches!(result, Err(Failure::Store(_))), "{result:?}"),
            10 => assert_eq!(refusal(result).code(), "NOT_FOUND", "the role that it was decided on is not there"),
            _ => versions.push(result.unwrap().version),
        }
    }
    versions.sort_unstable();
    assert_eq!(versions, (before + 1..=before + 19).collect::<Vec<_>>());
    world.raw("DELETE FROM roles WHERE role_id IN (SELECT user_id FROM users)").await;
    world.holds().await;
}

/// What is decided and not written is seen by nobody, and nobody is refused because of it.
async fn what_is_not_written_is_not_seen(url: &str) {
    let world = World::open(url).await;
    let (acme, people) = crowd(&world, 2).await;
    let [ada, bob, cy] = &people[..] else { panic!() };
    let role = obstruct(&world, bob).await;
    let before = version(&world, acme).await;
    for freshness in [Freshness::Cached, Freshness::Compared] {
        let look = async {
            yield_now().await;
            world.store.ledger.view(acme, freshness, Organization::version).await.unwrap()
        };
        let (failed, seen) = tokio::join!(world.ask(acme, ada, create_role(role, "Editor")), look);
        assert!(matches!(failed, Err(Failure::Store(_))), "{failed:?}");
        assert_eq!(seen, before, "{freshness:?}");
    }
    // This name is taken by what will not be.
    let same_name = async {
        yield_now().await;
        world.act(acme, ada, create_role(RoleId(cy.id.0), "Editor")).await
    };
    let (failed, receipt) = tokio::join!(world.ask(acme, ada, create_role(role, "Editor")), same_name);
    assert!(matches!(failed, Err(Failure::Store(_))), "{failed:?}");
    assert_eq!(receipt.version, before + 1);
}

/// A deletion erases what was written a moment before, and nothing comes after it.
async fn a_deletion_ends_what_comes_with_it(url: &str) {
    let world = World::open(url).await;
    let (acme, people) = crowd(&world, 10).await;
    let (ada, members) = people.split_first().unwrap();
    let before = version(&world, acme).await;
    let change = |role| members.iter().map(move |member| change_role(member, role));
    let delete = Action::DeleteOrganization { confirm_name: "Acme".to_owned() };
    let actions = change("MANAGER").chain([delete]).chain(change("AUDITOR"));
    let request = |(number, action)| {
        let mut request = world.request(acme, ada, action);
        request.origin.ip = Some("192.0.2.1".to_owned());
        Request { idempotency: Some(world.idempotency(&format!("k{number}"), "once")), ..request }
    };
    let (results, _) = at_once(&world, actions.enumerate().map(request).collect()).await;
    assert!(results[10].as_ref().unwrap().written);
    let mut written = Vec::new();
    for result in results {
        match result {
            Ok(receipt) => written.push(receipt.version),
            result => assert_eq!(refusal(result).code(), "NOT_FOUND"),
        }
    }
    written.sort_unstable();
    assert_eq!(written, (before + 1..=before + written.len() as u64).collect::<Vec<_>>());
    for (table, rows) in [("commands", 1), ("event_context", 0), ("members", 0)] {
        let count = Statement::new(format!("SELECT COUNT(*) FROM {table}")).count(world.database()).await;
        assert_eq!(count.unwrap(), rows, "{table}");
    }
    world.holds().await;
}

in_one_thread! {
    what_is_written_at_once_is_what_a_rebuild_makes
    only_what_cannot_be_written_fails
    what_is_not_written_is_not_seen
    a_deletion_ends_what_comes_with_it
}
