//! The plans of what is read: an index of one organization, never a whole table.
//!
//! Twenty organizations of a thousand members each among three thousand small ones, made by set-wise statements; then
//! statistics, so that PostgreSQL's planner knows what it has. The statements are those that PostgreSQL has prepared after every
//! reading function was called once; their text is SQLite's as well.

use chrono::TimeDelta;
use orgledger::{
    domain::{Actor, ApiKeyId, InvitationId, OrganizationId, UserId, organization::members::MemberStatus},
    secrets::SecretHash,
    store::{
        Database, api_keys, commands,
        database::Pooling,
        export, history, hot, invitations,
        members::{self, Filter, OrderField},
        news,
        page::{Direction, End, Key, Position, Window},
        profile,
        refusals::Kept,
        roles,
        standing::{Credential, standings},
        statement::{Statement, Value},
    },
};
use sqlx::{Row, postgres::PgPoolOptions};
use uuid::Uuid;

use super::{
    faults::{explained, faults_in_postgres, faults_in_sqlite, sqlite_plan},
    world::{World, beginning, change_role, role},
};
use crate::support::databases::{on_postgres, on_sqlite};

/// The organization whose plans are looked at; the big ones lie among the small ones, as random ids do.
pub const BIG: OrganizationId = OrganizationId(Uuid::from_u128(7 * 150));

/// The SQL of an id with this number.
pub fn id(database: &Database, number: &str) -> String {
    match database {
        Database::Postgres { .. } => format!("lpad(to_hex({number}), 32, '0')::uuid"),
        Database::Sqlite { .. } => format!("unhex(printf('%032x', {number}))"),
    }
}

/// What an event's row says of who did it.
const METADATA: &str = r#"{"actorKind": "USER", "actorId": "00000000-0000-0000-0000-000000000001", "requestId": "r"}"#;

/// Twenty big organizations and three thousand small ones.
pub async fn fill(database: &Database) {
    let numbers =
        |last: u32| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) ");
    let (of, one) = (|number: &str| id(database, number), beginning());
    let small = numbers(3000);
    for text in [
        format!(
            "{small}INSERT INTO organizations SELECT {}, 'TEAM', 'Acme', NULL, {}, $1, 1, \
             CASE WHEN i % 500 = 0 THEN 'REQUESTED' ELSE 'NOT_REQUESTED' END, \
             NULL, 0 FROM n",
            of("i"),
            of("1")
        ),
        format!("{small}INSERT INTO streams SELECT {}, 1, $2, $1, 'LIVING' FROM n", of("i")),
        format!(
            "{small}, r(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM r WHERE j < 6) INSERT INTO roles \
             SELECT {}, {}, 'KEY', 'Name', NULL, j, 0, FALSE, j < 6, 1, j = 6 FROM n, r",
            of("i"),
            of("j")
        ),
        "INSERT INTO role_history SELECT organization_id, role_id, 1, 9223372036854775807, key, name, description, \
         level, permissions, owner, built_in, deleted, version FROM roles WHERE key = 'KEY'"
            .to_owned(),
    ] {
        let statement = Statement::new(text).bind(one);
        statement.bind(vec![0_u8; 32]).run(database).await.unwrap();
    }
    for organization in 1..=20_u32 {
        let user = of(&format!("{organization} * 100000 + i"));
        let thing = of("i");
        let (ten, many) = (numbers(200), numbers(1000));
        for text in [
            format!(
                "{many}INSERT INTO users SELECT {user}, 'E', 'e' || {organization} || '.' || i, TRUE, NULL, \
                 'name' || i, NULL, $3, $2, $2, NULL, NULL FROM n"
            ),
            format!("{many}INSERT INTO user_organizations SELECT {user}, $1, TRUE FROM n"),
            format!(
                "{many}INSERT INTO members SELECT $1, {user}, {}, 'ACTIVE', $2, NULL, NULL, 1, 'name' || i, 'e' || i, \
                 'name' || i || 'e' || i, $2 FROM n",
                of("i % 6 + 1")
            ),
            format!(
                "{many}INSERT INTO member_history SELECT $1, {user}, i, 9223372036854775807, {}, 'ACTIVE', $2, $2, \
                 NULL, NULL, NULL FROM n",
                of("i % 6 + 1")
            ),
            format!(
                "{many}INSERT INTO events SELECT 'organization', 'o' || {organization}, i, 'organization.certified', '1', $4, \
                 '{METADATA}', $1, $2, $3, $3 FROM n"
            ),
            format!(
                "{many}INSERT INTO audit_entries SELECT $1, i, 'type.' || (i % 20), {}, {user}, 'USER' FROM n",
                of("i % 50")
            ),
            format!(
                "{many}INSERT INTO refusals SELECT $1, i, 1, $2, 'member.remove', 'RANK_TOO_LOW', 'USER', {user}, \
                 'MEMBER', {user}, 'r', NULL, NULL, 0 FROM n"
            ),
            format!("{many}INSERT INTO event_context SELECT $1, i, NULL, NULL, 'R', 'r', $3 FROM n WHERE i % 2 = 0"),
            format!(
                "{ten}INSERT INTO invitations SELECT $1, {thing}, {user}, {}, 'PENDING', 1, $2, $2, 'USER', {user}, 1 \
                 FROM n",
                of("1")
            ),
            format!("{ten}INSERT INTO invitation_details SELECT $1, {thing}, 'e', NULL, 'e' || i FROM n"),
            format!("{ten}INSERT INTO user_invitations SELECT {user}, $1, {thing}, TRUE FROM n"),
            format!(
                "{ten}INSERT INTO outbox SELECT {}, 'INVITATION', $1, {thing}, 1, 'SENT', 1, NULL, $2, $2 FROM n",
                of(&format!("{organization} * 1000 + i"))
            ),
            format!(
                "{ten}INSERT INTO api_keys SELECT $1, {thing}, 'k', NULL, 'k' || i, 'p', 'STANDARD', 'ACTIVE', 0, \
                 NULL, NULL, NULL, $2, 'USER', {user}, NULL, 1 FROM n"
            ),
            format!("{ten}INSERT INTO api_key_usage SELECT $1, {thing}, $2 FROM n"),
            format!("{ten}INSERT INTO api_key_secrets SELECT {organization} || '.' || i, $1, {thing}, $3, NULL FROM n"),
            format!("{many}INSERT INTO notification_preferences SELECT $1, {user}, i % 32 FROM n"),
            format!("{ten}INSERT INTO commands SELECT $1, {user}, 'key', $3, 1, $4, $2 FROM n"),
        ] {
            let values = [
                Value::from(Uuid::from_u128(u128::from(organization) * 150)),
                (one + TimeDelta::seconds(organization.into())).into(),
                vec![0_u8; 32].into(),
                serde_json::json!({}).into(),
            ];
            // A database counts the values, so a statement gets those up to the last that it names.
            let last = (1..=4).rev().find(|place| text.contains(&format!("${place}"))).unwrap();
            let statement = values.into_iter().take(last).fold(Statement::new(text), Statement::bind);
            statement.run(database).await.unwrap();
        }
    }
    analyze(database).await;
}

/// Has PostgreSQL know what it has. SQLite knows nothing, as in service: nobody has it look.
pub async fn analyze(database: &Database) {
    if let Database::Postgres { .. } = database {
        Statement::new("ANALYZE").run(database).await.unwrap();
    }
}

fn window(after: Option<Key>) -> Window {
    let after = after.map(|key| {
        let id = (!matches!(key, Key::Number(_))).then(Uuid::nil);
        Position { key, id }
    });
    Window { limit: 50, end: End::First, after, before: None }
}

const ORDERS: [OrderField; 4] = [OrderField::Name, OrderField::Email, OrderField::JoinedAt, OrderField::LastLoginAt];

fn key(order: OrderField) -> Key {
    match order {
        OrderField::Name | OrderField::Email => Key::Text("name5".to_owned()),
        OrderField::JoinedAt | OrderField::LastLoginAt => Key::Time(beginning()),
    }
}

/// Calls every function that reads members.
async fn read_members(database: &Database) {
    let present = Filter::present(BIG);
    let filters = [
        present.clone(),
        Filter { as_of: Some(500), ..present.clone() },
        Filter { search: Some("name99".to_owned()), ..present.clone() },
        Filter { search: Some("n".to_owned()), as_of: Some(500), ..present.clone() },
        Filter { roles: vec![role("MEMBER")], ..present.clone() },
        Filter { joined_from: Some(beginning()), joined_to: Some(beginning()), ..present.clone() },
    ];
    for filter in filters {
        for order in ORDERS {
            for (direction, after) in [(Direction::Ascending, None), (Direction::Descending, Some(key(order)))] {
                filter.page(database, (order, direction), &window(after)).await.unwrap();
            }
        }
        filter.count(database).await.unwrap();
        filter.find(database, UserId(Uuid::nil())).await.unwrap();
    }
    members::periods(database, BIG, UserId(Uuid::nil())).await.unwrap();
    roles::member_counts(database, BIG).await.unwrap();
    roles::invitation_counts(database, BIG, beginning()).await.unwrap();
}

/// Calls every function that reads invitations and keys.
async fn read_invitations_and_keys(database: &Database) {
    let (now, some) = (beginning(), |text: &str| vec![text.to_owned()]);
    let any = invitations::Filter { organization: BIG, states: Vec::new(), search: None, now };
    for filter in [
        any.clone(),
        invitations::Filter { states: some("EXPIRED"), ..any.clone() },
        invitations::Filter { search: Some("e1".to_owned()), ..any },
    ] {
        for after in [None, Some(Key::Time(now))] {
            filter.page(database, &window(after)).await.unwrap();
        }
        filter.count(database).await.unwrap();
    }
    invitations::find(database, BIG, [Uuid::nil()]).await.unwrap();
    invitations::preview(database, BIG, InvitationId(Uuid::nil())).await.unwrap();
    invitations::previews_of_user(database, UserId(Uuid::nil()), now).await.unwrap();

    let any = api_keys::Filter { organization: BIG, statuses: Vec::new(), types: Vec::new(), search: None, now };
    for filter in [
        any.clone(),
        api_keys::Filter { statuses: some("EXPIRED"), types: some("STANDARD"), ..any.clone() },
        api_keys::Filter { search: Some("k1".to_owned()), ..any },
    ] {
        for after in [None, Some(Key::Time(now))] {
            filter.page(database, &window(after)).await.unwrap();
        }
        filter.count(database).await.unwrap();
    }
    api_keys::find(database, BIG, [Uuid::nil()]).await.unwrap();
    api_keys::find_secrets(database, &["7.1".to_owned(), "7.2".to_owned()]).await.unwrap();
    // Of the others nobody is here: empty tables are read whole.
    let nobody =
        Credential::ApiKey { api_key: ApiKeyId(Uuid::nil()), secret: SecretHash::from_column(vec![0; 32]).unwrap() };
    standings(database, &[(nobody, BIG)], now).await.unwrap();
}

/// Calls every function that reads the audit log, the head, and what decides about access.
async fn read_the_rest(database: &Database) {
    let (now, nobody) = (beginning(), UserId(Uuid::nil()));
    let types = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let every = history::Filter::default;
    let window = |after| Window { after, ..window(None) };
    for filter in [
        every(),
        history::Filter { types: types(&["member.left"]), ..every() },
        history::Filter { types: types(&["member.*", "role.created"]), ..every() },
        history::Filter { actors: vec![Uuid::nil()], ..every() },
        history::Filter { targets: vec![Uuid::nil()], ..every() },
        history::Filter { from: Some(now), to: Some(now), ..every() },
        history::Filter { search: Some("reason".to_owned()), ..every() },
    ] {
        for after in [None, Some(Position { key: Key::Number(5), id: None })] {
            filter.log(database, BIG, Kept::Both, &window(after)).await.unwrap();
        }
        filter.log_count(database, BIG, Kept::Both).await.unwrap();
        export::page(database, BIG, &filter, 5000, 6000).await.unwrap();
    }
    history::after(database, BIG, 5000, 6000).await.unwrap();
    history::next(database, BIG, 5000, 10).await.unwrap();
    hot::head(database, BIG).await.unwrap();
    profile::find(database, &[(BIG, Some(nobody)), (BIG, None)]).await.unwrap();
    profile::page_of_user(database, nobody, &window(None)).await.unwrap();
    profile::count_of_user(database, nobody).await.unwrap();
    profile::counts(database, BIG, now).await.unwrap();
    profile::sequence_at(database, BIG, now).await.unwrap();
    profile::logos(database, [BIG]).await.unwrap();
    profile::requests_for_certification(database).await.unwrap();
    roles::list(database, BIG).await.unwrap();
    roles::list_at(database, BIG, 500).await.unwrap();
    roles::find_at(database, BIG, role("MEMBER"), 500).await.unwrap();
    roles::named_at(database, BIG, [role("MEMBER")], 500).await.unwrap();
    roles::member_counts_at(database, BIG, 500).await.unwrap();
    commands::find(database, BIG, Actor::User(nobody), "key", now).await.unwrap();
    super::notices::read(database, BIG).await;
}

/// What is planned with its values each time, and the faults in those plans.
async fn narrow(database: &Database) -> Vec<(String, String)> {
    let (types, ids) = (vec!["member.left".to_owned()], vec![Uuid::nil()]);
    let by_type = history::Filter { types, ..history::Filter::default() };
    let by_id = history::Filter { targets: ids.clone(), ..by_type.clone() };
    let mut plans = Vec::new();
    for filter in [history::Filter { actors: ids, ..by_type.clone() }, by_id] {
        let statement = filter.page_statement(BIG, Direction::Descending, &window(None)).unwrap();
        plans.push(explained(database, statement).await);
    }
    plans
}

/// Every prepared statement that begins with one of these words, and the faults in its plan that is made for any values.
pub async fn prepared_plans(pool: &sqlx::PgPool, words: &[&str]) -> Vec<(String, String)> {
    let text = "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements";
    let prepared: Vec<(String, String, i32)> = sqlx::query_as(text).persistent(false).fetch_all(pool).await.unwrap();
    let mut found = Vec::new();
    let meant = |text: &str| words.iter().any(|word| text.starts_with(word));
    for (name, statement, parameters) in prepared.into_iter().filter(|(_, text, _)| meant(text)) {
        let values = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
        let values = if values.is_empty() { values } else { format!("({values})") };
        let explain = format!("EXPLAIN EXECUTE {name}{values}");
        let lines = sqlx::raw_sql(&explain).fetch_all(pool).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
        let faults = faults_in_postgres(&plan);
        found.push((statement, if faults.is_empty() { String::new() } else { plan.join("\n") }));
    }
    found
}

/// Holds statements to reading no more than they need: by their faults in PostgreSQL, and by their plans in SQLite, filled like it.
pub async fn hold(plans: &[(String, String)], fill: impl AsyncFn(&Database)) {
    let faulty = plans.iter().filter(|(_, plan)| !plan.is_empty());
    let faulty: Vec<_> = faulty.map(|(text, plan)| format!("{text}\n{plan}")).collect();
    assert!(faulty.is_empty(), "PostgreSQL:\n{}", faulty.join("\n\n"));

    on_sqlite(async |url| {
        let world = World::open(url).await;
        fill(world.database()).await;
        let mut faulty = Vec::new();
        for (text, _) in plans {
            let text = text.replace(" FOR UPDATE", "");
            let plan = sqlite_plan(world.database(), &text).await;
            if !faults_in_sqlite(&plan).is_empty() {
                faulty.push(format!("{text}\n{}", plan.join("\n")));
            }
        }
        assert!(faulty.is_empty(), "SQLite:\n{}", faulty.join("\n\n"));
    })
    .await;
}

/// The plans that PostgreSQL makes for these values, where a statement can be had with its values.
async fn plans_for_values(database: &Database) -> Vec<String> {
    let mut cases: Vec<(Statement, Vec<Value>)> = Vec::new();
    let statuses = || [MemberStatus::Active, MemberStatus::Inactive].map(|status| Value::from(status.name()));
    let head = || [vec![Value::from(BIG.0)], statuses().to_vec()].concat();
    let present = Filter::present(BIG);
    for order in ORDERS {
        let page = present.page_statement((order, Direction::Ascending), &window(Some(key(order))));
        let at = match key(order) {
            Key::Text(text) => Value::from(text),
            Key::Time(at) => at.into(),
            Key::Number(number) | Key::Pair(number, _) => number.into(),
        };
        cases.push((page, [head(), vec![at, Uuid::nil().into(), 51_i64.into()]].concat()));
        let past = Filter { as_of: Some(500), ..present.clone() };
        let page = past.page_statement((order, Direction::Descending), &window(None));
        let joined = match order {
            OrderField::JoinedAt => vec![Value::from(BIG.0), 500_i64.into()],
            _ => Vec::new(),
        };
        cases.push((page, [vec![500_i64.into(), 500_i64.into()], head(), joined, vec![51_i64.into()]].concat()));
        for search in ["name99", "99", "zzz"] {
            let filter = Filter { search: Some(search.to_owned()), ..present.clone() };
            let page = filter.page_statement((order, Direction::Ascending), &window(None));
            let pattern = Value::from(format!("%{search}%"));
            cases.push((page, [head(), vec![pattern.clone(), 51_i64.into()]].concat()));
            cases.push((filter.count_statement(), [head(), vec![pattern]].concat()));
        }
    }
    cases.push((present.count_statement(), head()));
    let mut faulty = Vec::new();
    for (statement, values) in cases {
        let explain = Statement::new(format!("EXPLAIN {}", statement.text()));
        let explain = values.into_iter().fold(explain, Statement::bind);
        let plan: Vec<(String,)> = explain.all(database).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|(line,)| line).collect();
        if !faults_in_postgres(&plan).is_empty() {
            faulty.push(format!("{}\n{}", statement.text(), plan.join("\n")));
        }
    }
    faulty
}

/// Whatever is asked of an organization is read from an index of that organization, on both databases.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_beyond_one_organization() {
    on_postgres("store::plans::nothing_is_read_beyond_one_organization", async |url| {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let bob = world.member(acme, &ada, "bob@example.com", "MEMBER").await;
        let change = world.act(acme, &ada, change_role(&bob, "MANAGER")).await.version;
        drop(world);
        // One connection, so that what is prepared is seen.
        let options = PgPoolOptions::new().max_connections(1);
        let pool = options
            .connect_with(url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().statement_cache_capacity(1000));
        let pool = pool.await.unwrap();
        let postgres = Database::Postgres { pool: pool.clone(), appender: pool.clone(), pooling: Pooling::Session };
        fill(&postgres).await;
        let faulty = plans_for_values(&postgres).await;
        assert!(faulty.is_empty(), "{}", faulty.join("\n\n"));

        read_members(&postgres).await;
        read_invitations_and_keys(&postgres).await;
        read_the_rest(&postgres).await;
        // Of an organization that was lived, because the event has to be one.
        news::find(&postgres, &[(acme, bob.id, change)]).await.unwrap().into_values().next().unwrap().unwrap();
        sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&pool).await.unwrap();
        let plans = [prepared_plans(&pool, &["SELECT"]).await, narrow(&postgres).await].concat();
        assert!(plans.len() > 100, "{} statements", plans.len());
        hold(&plans, fill).await;
    })
    .await;
}
