//! What there is before anything is measured: people, organizations short and long, sessions and keys. `orgledger verify`
//! holds of it.

use std::time::Duration;

use chrono::TimeDelta;
use orgledger::{
    clock::Clock,
    commands::{Caller, Commands, INVITATION_LIFETIME, NewApiKey, Terms},
    domain::{
        Actor, OrganizationId, RoleId, SessionId, Timestamp, UserId,
        organization::{Kind, Permission, Permissions, api_keys::KeyType},
    },
    entropy::Entropy,
    store::{Database, Store, append::Origin, ledger::Freshness, statement::Statement},
};

use super::{clients::Failure, ledgers::Seeder};

/// How many clients there are at once, each with a session and a key of its own.
pub const CLIENTS: usize = 64;
/// How many organizations the commands over many are spread over.
pub const MANY: usize = 2000;
/// How many members of the crowd are found by [`NEEDLE`].
pub const HITS: usize = 100;
/// What they are found by.
pub const NEEDLE: &str = "quintana";
/// How many events the crowd has.
pub const CROWD_EVENTS: usize = 100_000;

/// What every organization is.
pub const KIND: Kind = Kind::Workspace;
/// Everybody and everything that is asked about.
pub struct World {
    /// The owner of every organization, and behind them the members: an organization of n members has the first n.
    pub people: Vec<UserId>,
    /// The owner's sessions, each with its token.
    pub sessions: Vec<(SessionId, String)>,
    /// Keys without a limit, each of another organization.
    pub keys: Vec<String>,
    /// 10,000 members and 100,000 events.
    pub crowd: OrganizationId,
    /// 100,000 members and 200,000 events.
    pub large: OrganizationId,
    /// 10 members and 11 events.
    pub small: OrganizationId,
    /// 200 members.
    pub one: OrganizationId,
    /// 4 members each.
    pub many: Vec<OrganizationId>,
    /// The middle of the crowd's ledger.
    pub past: Timestamp,
}

/// The role of this key.
pub fn role(key: &str) -> RoleId {
    KIND.rules().roles.iter().find(|role| role.key == key).unwrap_or(KIND.rules().owner_role()).id
}

/// Opens the store of a database as the server does.
pub async fn open(url: &str) -> Result<Store, Failure> {
    Ok(Store::open(Database::connect(url).await?, Clock::System, Entropy::from_machine()).await?)
}

impl World {
    /// Fills an empty database with all of it.
    pub async fn make(url: &str) -> Result<Self, Failure> {
        let store = open(url).await?;
        let mut seeder = Seeder::begin(&store, 100_000).await?;
        let begun = seeder.begun;
        let crowd = seeder.organization(10_000, CROWD_EVENTS).await?;
        let large = seeder.organization(100_000, 200_000).await?;
        let small = seeder.organization(10, 0).await?;
        let one = seeder.organization(200, 0).await?;
        let mut many = Vec::new();
        for _ in 0..MANY {
            many.push(seeder.organization(4, 0).await?);
        }
        let (people, sessions) = seeder.end().await?;
        let mut keys = Vec::new();
        for organization in &many[..CLIENTS] {
            keys.push(key(&store, people[0], *organization).await?);
        }
        // What the server of a living database has done long ago.
        for organization in [crowd, large] {
            snapshot(&store, organization).await?;
        }
        if let Database::Postgres { pool, .. } = &store.database {
            sqlx::raw_sql("VACUUM ANALYZE").execute(pool).await?;
            sqlx::raw_sql("CHECKPOINT").execute(pool).await?;
        }
        store.database.forget().await?;
        store.database.close().await;
        let past = begun + TimeDelta::seconds(i64::try_from(CROWD_EVENTS / 2)?);
        Ok(Self { people, sessions, keys, crowd, large, small, one, many, past })
    }

    /// Fills an empty database with 100 organizations of 10 members.
    pub async fn make_small(url: &str) -> Result<(), Failure> {
        let store = open(url).await?;
        let mut seeder = Seeder::begin(&store, 10).await?;
        for _ in 0..100 {
            seeder.organization(10, 0).await?;
        }
        seeder.end().await?;
        store.database.close().await;
        Ok(())
    }
}

/// Loads an organization, and waits until there is a snapshot of it.
async fn snapshot(store: &Store, organization: OrganizationId) -> Result<(), Failure> {
    store.ledger.view(organization, Freshness::Compared, |_| ()).await?;
    let taken = "SELECT COUNT(*) FROM snapshots WHERE organization_id = $1";
    for _ in 0..600 {
        if Statement::new(taken).bind(organization.0).count(&store.database).await? > 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("no snapshot was taken within a minute".into())
}

async fn key(store: &Store, owner: UserId, organization: OrganizationId) -> Result<String, Failure> {
    let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
    let caller = Caller { actor: Actor::User(owner), origin: Origin::default() };
    let key = NewApiKey {
        name: "verified".parse()?,
        description: None,
        key_type: KeyType::Standard,
        permissions: Permissions::of(&[Permission::MembersRead]),
        rate_limit: None,
        expires_at: None,
    };
    let (secret, _) = commands.create_api_key(&caller, organization, key, Terms::default()).await?;
    Ok(secret.expose().to_owned())
}
