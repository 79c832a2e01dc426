//! How many statements a request costs, and that "may I?" costs none of its own.
//!
//! The schema runs in this thread, over a store and no socket, so that what is counted is what the request asked of the
//! database, and nothing of who signs in or of other requests.

use std::{cell::RefCell, fmt::Debug, sync::Once};

use futures_util::future::join_all;
use orgledger::domain::{
    OrganizationId, RoleId,
    organization::{Action, Permission, Permissions, api_keys::KeyType},
};
use serde_json::json;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

use super::{
    acme::{ADA, Acme},
    inside::Inside,
    operations,
    server::Server,
    socket::events_until,
};
use crate::store::world::{Person, World, change_role, rename};

/// Where the store says each statement that it runs.
const STATEMENTS: &str = "orgledger::statement";

thread_local! {
    /// The statements that this thread has run while it counts.
    static COUNTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps the text of each statement of a thread that counts. It is one subscriber for all threads, because a place that
/// tells something asks only once who wants to hear it, and may ask in a thread of another test.
struct Statements;

impl<S: Subscriber> Layer<S> for Statements {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == STATEMENTS
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Text<'a>(&'a mut Vec<String>);
        impl Visit for Text<'_> {
            fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
                self.0.push(format!("{value:?}"));
            }
        }
        COUNTED.with_borrow_mut(|counted| {
            if let Some(counted) = counted {
                event.record(&mut Text(counted));
            }
        });
    }
}

static LISTENING: Once = Once::new();

/// Has every statement told from now on.
fn listen() {
    LISTENING.call_once(|| tracing::subscriber::set_global_default(registry().with(Statements)).unwrap());
    tracing::callsite::rebuild_interest_cache();
}

/// What work comes to, with the statements that it runs in this thread.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    listen();
    COUNTED.set(Some(Vec::new()));
    let done = work.await;
    (done, COUNTED.take().unwrap())
}

/// A workspace with a custom role, sixty members and a pending invitation; its owner.
async fn crowd(world: &World) -> (OrganizationId, Person) {
    let ada = world.person("ada@example.com").await;
    let acme = world.organization(&ada, "Acme").await;
    let emails: Vec<_> = (0..60).map(|number| format!("m{number:02}@example.com")).collect();
    let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (some, role) in people.chunks(15).zip(["MEMBER", "AUDITOR", "MANAGER", "CO_ADMIN"]) {
        world.join(acme, &ada, some, role).await;
    }
    let create = Action::CreateRole {
        role: RoleId(world.store.entropy.uuid()),
        name: "Editor".parse().unwrap(),
        description: None,
        level: 3.try_into().unwrap(),
        permissions: Permissions::of(&[Permission::AppsRead]),
    };
    world.act(acme, &ada, create).await;
    let guest = world.person("guest@example.com").await;
    world.invite(acme, &ada, &guest, "MANAGER").await;
    (acme, ada)
}

/// The statements of one query by its owner, of an organization that is in memory.
async fn statements(inside: &Inside, by: &Person, organization: OrganizationId, selection: &str) -> Vec<String> {
    let document = format!("query ($id: ID!) {{ organization(id: $id) {{ {selection} }} }}");
    let variables = json!({ "id": Inside::id(organization) });
    let (answer, statements) = counted(inside.data(by, &document, variables)).await;
    assert!(answer["organization"].is_object(), "{answer}");
    statements
}

const MAY_I: &str = "viewerCan { changeRole { allowed code } deactivate { allowed code } remove { allowed code } \
     transferOwnership { allowed } assignableRoles { id key } }";

fn page(size: usize, more: &str) -> String {
    format!("members(first: {size}) {{ nodes {{ id role {{ key }} {more} }} }}")
}

/// What a page shows of who is on it is read by one statement: people, roles and who invited them.
async fn a_page_of_members_costs_the_same_however_long_it_is(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let inside = Inside::new(&world.store);
    for size in [5, 50] {
        // The organization as the caller meets it, and the page.
        let plain = statements(&inside, &ada, acme, &page(size, "user { name email }")).await;
        assert_eq!(plain.len(), 2, "{size} members: {plain:#?}");
        // The names of all inviters are one statement more; how many there are stands with the organization.
        let page = format!("members(first: {size}) {{ totalCount nodes {{ invitedBy {{ displayName }} }} }}");
        let more = statements(&inside, &ada, acme, &page).await;
        assert_eq!(more.len(), 3, "{size} members: {more:#?}");
    }
}

/// Who may do what to whom is answered from memory, after one comparison with the head and one list of the roles.
async fn what_may_be_done_to_a_page_of_members_costs_two_statements_more(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let inside = Inside::new(&world.store);
    let count = async |selection: String| {
        let statements = statements(&inside, &ada, acme, &selection).await;
        (statements.len(), statements)
    };
    for size in [5, 50] {
        let (cost, statements) = count(page(size, MAY_I)).await;
        assert_eq!(cost, 2 + 2, "{size} members: {statements:#?}");
    }
    // What needs no list of roles needs the comparison alone.
    let (cost, statements) = count(page(50, "viewerCan { deactivate { code } remove { code } }")).await;
    assert_eq!(cost, 2 + 1, "{statements:#?}");
    // Questions that name their action cost one comparison among them.
    let named =
        "leave: viewerCan(action: LEAVE_ORGANIZATION) { code } delete: viewerCan(action: DELETE_ORGANIZATION) { code }";
    let (cost, statements) = count(named.to_owned()).await;
    assert_eq!(cost, 1 + 1, "{statements:#?}");
}

/// Every role is asked about in one look, and all are counted by one statement each.
async fn roles_with_their_counts_cost_the_same_however_many_there_are(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let inside = Inside::new(&world.store);
    let selection = "roles { key viewerCanAssign memberCount pendingInvitationCount }";
    let six = statements(&inside, &ada, acme, selection).await;
    // The organization, its roles, the comparison with the head, the members and the invitations by role.
    assert_eq!(six.len(), 5, "{six:#?}");
    for number in 0..20 {
        let create = Action::CreateRole {
            role: RoleId(world.store.entropy.uuid()),
            name: format!("Role {number}").parse().unwrap(),
            description: None,
            level: 4.try_into().unwrap(),
            permissions: Permissions::NONE,
        };
        world.act(acme, &ada, create).await;
    }
    let many = statements(&inside, &ada, acme, selection).await;
    assert_eq!(many.len(), 5, "{many:#?}");
    // The role of each member shows the counts too, and they are counted once.
    let page = "members(first: 50) { nodes { role { key memberCount pendingInvitationCount viewerCanAssign } } }";
    let page = statements(&inside, &ada, acme, page).await;
    assert_eq!(page.len(), 5, "{page:#?}");
}

/// Whoever comes at one moment is looked up together, each as what they are.
async fn who_comes_at_one_moment_is_looked_up_in_one_statement(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let inside = Inside::new(&world.store);
    let bob = world.person("m00@example.com").await;
    let stranger = world.person("stranger@example.com").await;
    let (document, id) = ("query ($id: ID!) { organization(id: $id) { viewerRole { key } } }", Inside::id(acme));
    let ask = |by: &Person| inside.data(by.id, document, json!({ "id": id }));
    let all = join_all((0..120).map(|number| ask([&ada, &bob, &stranger][number % 3])));
    let (answers, statements) = counted(all).await;
    assert_eq!(statements.len(), 1, "{statements:#?}");
    for (number, answer) in answers.iter().enumerate() {
        let role = ["ADMIN", "MEMBER"].get(number % 3);
        assert_eq!(answer["organization"]["viewerRole"]["key"].as_str(), role.copied(), "{number}");
    }
}

/// That something is to be told costs a command one statement, however much happens, and what nobody is told of none.
async fn what_is_told_by_letter_costs_a_command_one_statement(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let emails: Vec<_> = (0..50).map(|number| format!("g{number:02}@example.com")).collect();
    let guests = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let rows: Vec<_> = guests.iter().map(|guest| (guest, None)).collect();
    let written = async |request| {
        let (receipt, statements) = counted(world.store.ledger.execute(request)).await;
        assert!(receipt.unwrap().written);
        statements.iter().filter(|text| text.contains("INTO outbox")).count()
    };
    assert_eq!(written(world.request(acme, &ada, rename("Apex"))).await, 0);
    assert_eq!(written(world.request(acme, &ada, world.new_key("ci", None, KeyType::Standard))).await, 1);
    // The letters to those who are invited are of the same statement.
    assert_eq!(written(world.invitation(acme, &ada, &rows, "MEMBER")).await, 1);
}

/// That commands of many organizations are written together: the first alone, what gathers meanwhile at once; or, where
/// there are two writers, half of them by each.
async fn commands_of_one_moment_are_written_at_once(url: &str) {
    let world = World::open(url).await;
    let ada = world.person("ada@example.com").await;
    let mut all = Vec::new();
    for number in 0..41 {
        all.push(world.organization(&ada, &format!("Acme {number}")).await);
    }
    let written = async |some: &[OrganizationId]| {
        let execute = |acme: &OrganizationId| world.store.ledger.execute(world.request(*acme, &ada, rename("Apex")));
        let (receipts, statements) = counted(join_all(some.iter().map(execute))).await;
        assert!(receipts.into_iter().all(|receipt| receipt.unwrap().written));
        statements
    };
    let one = written(&all[..1]).await;
    let forty = written(&all[1..]).await;
    // Alone, a command writes two of its tables by one statement.
    assert!(forty.len() <= 2 * (one.len() + 1), "{one:#?}, {forty:#?}");
    assert!(forty.iter().filter(|text| text.contains("UPDATE streams")).count() <= 2, "{forty:#?}");
}

/// That commands of one organization are written together too, however many come.
async fn commands_of_one_organization_are_written_at_once(url: &str) {
    let world = World::open(url).await;
    let (acme, ada) = crowd(&world).await;
    let emails: Vec<_> = (0..60).map(|number| format!("m{number:02}@example.com")).collect();
    let people = world.people(&emails.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let written = async |some: &[Person], role: &str| {
        let execute = |who: &Person| world.store.ledger.execute(world.request(acme, &ada, change_role(who, role)));
        let (receipts, statements) = counted(join_all(some.iter().map(execute))).await;
        assert!(receipts.into_iter().all(|receipt| receipt.unwrap().written));
        statements
    };
    let two = written(&people[..2], "AUDITOR").await;
    let sixty = written(&people, "ADMIN").await;
    assert_eq!(sixty.len(), two.len(), "{two:#?}, {sixty:#?}");
}

/// Who follows an organization reads what happens with all others who follow it.
async fn an_event_is_read_once_for_all_who_follow_it(url: &str) {
    let server = Server::start(url).await;
    let acme = Acme::workspace(&server).await;
    let mut sockets = Vec::new();
    for _ in 0..32 {
        let mut socket = acme.changes(&acme.ada).await;
        socket.subscribe("events", &operations::document("OrganizationEvents"), acme.with(json!({}))).await;
        events_until(&mut socket, "events", 2).await;
        sockets.push(socket);
    }
    let told = async {
        acme.ada.operation("UpdateOrganization", acme.with(json!({ "name": "Apex" }))).await;
        for socket in &mut sockets {
            assert_eq!(socket.answer("events").await["node"]["actor"]["displayName"], ADA);
            assert_eq!(socket.answer("changes").await["areas"], json!(["PROFILE"]));
        }
    };
    let ((), statements) = counted(told).await;
    let count = |part: &str| statements.iter().filter(|text| text.contains(part)).count();
    // Of 64 who follow; the second time is for who came too late for the first. Standings are also looked at by the clock.
    for part in ["FROM events e WHERE", "CROSS JOIN users t", "CROSS JOIN sessions s"] {
        assert!((1..=4).contains(&count(part)), "{part}: {statements:#?}");
    }
}

/// Makes the tests of a function. What runs for a request runs in one thread here, where it is counted.
macro_rules! in_one_thread {
    ($($(#[$meta:meta])* $name:ident)+) => {$(
        mod $name {
            #[tokio::test]
            $(#[$meta])*
            async fn on_sqlite() {
                crate::support::databases::on_sqlite(super::$name).await;
            }

            #[tokio::test]
            $(#[$meta])*
            async fn on_postgres() {
                crate::support::databases::on_postgres(concat!(module_path!(), "::on_postgres"), super::$name).await;
            }
        }
    )+};
}
pub(crate) use in_one_thread;

in_one_thread! {
    a_page_of_members_costs_the_same_however_long_it_is
    what_may_be_done_to_a_page_of_members_costs_two_statements_more
    roles_with_their_counts_cost_the_same_however_many_there_are
    who_comes_at_one_moment_is_looked_up_in_one_statement
    what_is_told_by_letter_costs_a_command_one_statement
    commands_of_one_moment_are_written_at_once
    commands_of_one_organization_are_written_at_once
    an_event_is_read_once_for_all_who_follow_it
}
