//! Many commands at one moment, which one transaction writes, and a database that fails in it. Whatever each was told
//! is true: what was done is there as a whole and once, what was not can be done.

use futures_util::future::join_all;
use orgledger::{
    domain::{
        Organization, OrganizationId, RoleId,
        organization::{Action, Permissions},
    },
    store::{
        Database, hot,
        ledger::{Failure, Freshness, Request},
        statement::Statement,
        verify,
    },
};

use super::trial::{Faults, PATIENCE};
use crate::{
    store::world::{Person, World, change_role, named},
    support::databases::announce,
};

/// How many organizations have a command at one moment.
const ORGANIZATIONS: usize = 20;
/// How many members of one organization have one.
const MEMBERS: usize = 20;

/// An organization with a member whose role changes, and a role that comes and goes.
struct Team {
    id: OrganizationId,
    version: u64,
    role: RoleId,
}

/// Commands of many organizations. The nearer the places where something fails, the longer it takes.
pub async fn fail_many(world: &World, beside: &Database, faults: &Faults<'_>, distance: usize) {
    let [ada, bob] = world.people(&["ada@example.com", "bob@example.com"]).await.try_into().unwrap();
    let mut teams = Vec::new();
    for number in 0..ORGANIZATIONS {
        let id = world.organization(&ada, &format!("Acme {number}")).await;
        world.join(id, &ada, std::slice::from_ref(&bob), "MEMBER").await;
        let version = world.store.ledger.view(id, Freshness::Compared, Organization::version).await.unwrap();
        teams.push(Team { id, version, role: RoleId(world.store.entropy.uuid()) });
    }
    let mut failures = 0;
    for round in 0..PATIENCE {
        let guest = world.person(&format!("guest-{round}@example.com")).await;
        let mut requests = Vec::new();
        for (number, team) in teams.iter_mut().enumerate() {
            requests.push(command(world, (&ada, &bob, &guest), team, (round, number)));
        }
        faults.arm(round * distance).await;
        let told = join_all(requests.iter().map(|request| world.store.ledger.execute(request.clone()))).await;
        let fired = faults.disarm();
        verify::verify(beside).await.unwrap();
        for ((request, told), team) in requests.into_iter().zip(told).zip(&mut teams) {
            let done = told.is_ok();
            let store_failed = matches!(&told, Err(Failure::Store(_)));
            assert!(done || store_failed && fired, "round {round}: {:?} was told {told:?}", request.command.action);
            failures += usize::from(store_failed);
            team.version += 1;
            if request.idempotency.is_some() {
                let again = world.store.ledger.execute(request).await.unwrap();
                assert_eq!(again.version, team.version, "round {round}: it is done once");
                assert!(told.is_ok_and(|told| told.objects == again.objects && again.replayed) || store_failed);
            } else if head(beside, team.id).await < team.version {
                assert!(!done, "round {round}: it was told that it is done");
                world.store.ledger.execute(request).await.unwrap();
            }
            assert_eq!(head(beside, team.id).await, team.version, "round {round}");
        }
        if !fired {
            assert!(failures > 0, "nothing has failed");
            assert_eq!(verify::verify(beside).await.unwrap(), world.holds().await);
            return announce(&format!("{round} failures of the database failed {failures} commands"));
        }
    }
    panic!("commands fail without end");
}

/// Commands of one organization, which are decided one after another before the first is written.
pub async fn fail_one(world: &World, beside: &Database, faults: &Faults<'_>, distance: usize) {
    let emails: Vec<_> = (0..=MEMBERS).map(|number| format!("m{number}@example.com")).collect();
    let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (ada, members) = people.split_first().unwrap();
    let acme = world.organization(ada, "Acme").await;
    world.join(acme, ada, members, "MEMBER").await;
    let mut version = head(beside, acme).await;
    let mut failures = 0;
    for round in 0..PATIENCE {
        let role = ["MANAGER", "MEMBER"][round % 2];
        let change = |(number, member): (usize, &Person)| {
            let idempotency = Some(world.idempotency(&format!("round {round}, {number}"), "the same"));
            Request { idempotency, ..world.request(acme, ada, change_role(member, role)) }
        };
        let requests: Vec<_> = members.iter().enumerate().map(change).collect();
        faults.arm(round * distance).await;
        let told = join_all(requests.iter().map(|request| world.store.ledger.execute(request.clone()))).await;
        let fired = faults.disarm();
        verify::verify(beside).await.unwrap();
        let mut versions = Vec::new();
        for (request, told) in requests.into_iter().zip(told) {
            let again = world.store.ledger.execute(request).await.unwrap();
            versions.push(again.version);
            match told {
                Ok(told) => assert!(again.replayed && again.version == told.version, "round {round}: {again:?}"),
                Err(Failure::Store(_)) if fired => failures += 1,
                Err(failure) => panic!("round {round}: {failure:?}"),
            }
        }
        versions.sort_unstable();
        let next = version + MEMBERS as u64;
        assert_eq!(versions, (version + 1..=next).collect::<Vec<_>>(), "round {round}: each is done once");
        version = next;
        assert_eq!(head(beside, acme).await, version, "round {round}");
        if !fired {
            assert!(failures > 0, "nothing has failed");
            assert_eq!(verify::verify(beside).await.unwrap(), world.holds().await);
            return announce(&format!(
                "{round} failures of the database failed {failures} commands of one organization"
            ));
        }
    }
    panic!("commands fail without end");
}

/// The next command of a team, which makes one event: some can be recognized when they come again, others cannot, and
/// would be refused if they were decided again after they were done.
fn command(
    world: &World,
    (ada, bob, guest): (&Person, &Person, &Person),
    team: &mut Team,
    (round, number): (usize, usize),
) -> Request {
    let roles = ["MANAGER", "MEMBER"];
    let request = match number % 3 {
        0 => world.invitation(team.id, ada, &[(guest, None)], "MEMBER"),
        1 => world.request(team.id, ada, change_role(bob, roles[round % 2])),
        _ if round % 2 == 1 => {
            let delete = Action::DeleteRole { role: team.role, reassign_to: None };
            return world.request(team.id, ada, delete);
        }
        _ => {
            team.role = RoleId(world.store.entropy.uuid());
            let create = Action::CreateRole {
                role: team.role,
                name: named("Editor"),
                description: None,
                level: 3.try_into().unwrap(),
                permissions: Permissions::default(),
            };
            return world.request(team.id, ada, create);
        }
    };
    Request { idempotency: Some(world.idempotency(&format!("round {round}"), "the same")), ..request }
}

async fn head(database: &Database, organization: OrganizationId) -> u64 {
    hot::head(database, organization).await.unwrap().unwrap().version
}

/// How many organizations one transaction of PostgreSQL has changed roles in at most, and how many in one of them.
pub async fn largest(database: &Database) -> (u64, u64) {
    let most = async |what: &str, each: &str| {
        let text = format!(
            "SELECT MAX(n) FROM (SELECT COUNT(DISTINCT {what}) AS n FROM events \
             WHERE event_type = 'member.role_changed' GROUP BY {each}) x"
        );
        Statement::new(text).count(database).await.unwrap()
    };
    (most("organization_id", "xmin::text").await, most("sequence", "xmin::text, organization_id").await)
}
