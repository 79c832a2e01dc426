//! API keys as they are listed and looked up.

use chrono::TimeDelta;
use orgledger::{
    domain::{
        ApiKeyId,
        organization::{
            Action,
            api_keys::{Grace, KeyType, RateLimit},
        },
        values::normalize,
    },
    secrets::SecretHash,
    store::{
        api_keys::{self, ApiKeyRow, Filter, status_at},
        page::{End, Window},
        rebuild::{Which, rebuild},
        standing::{Credential, standings},
        statement::Statement,
    },
};

use super::{
    pages::{SIZES, both_ways},
    world::{World, named},
};
use crate::support::databases::both_databases;

fn everything(world: &World, organization: orgledger::domain::OrganizationId) -> Filter {
    let statuses = ["ACTIVE", "DISABLED", "REVOKED", "EXPIRED"].map(str::to_owned).into();
    Filter { organization, statuses, types: Vec::new(), search: None, now: world.now() }
}

const ALL: Window = Window { limit: 1000, end: End::First, after: None, before: None };

both_databases! {
    /// Pages of every filter are those of a list that is filtered and sorted by hand.
    async fn pages_of_keys_are_the_whole_list_in_pieces(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        for number in 0..24 {
            let key_type = if number % 3 == 0 { KeyType::AiAgent } else { KeyType::Standard };
            let description = (number % 2 == 0).then_some("100% Ünïcode_\\ 'quoted'");
            let mut action = world.new_key(&format!("Key {number} Ä"), description, key_type);
            if let Action::CreateApiKey { expires_at, .. } = &mut action {
                *expires_at = (number % 4 == 1).then(|| world.now() + TimeDelta::hours(1 + number % 2 * 23));
            }
            let api_key = ApiKeyId(world.act(acme, &ada, action).await.objects[0]);
            match number % 6 {
                0 => drop(world.act(acme, &ada, Action::DisableApiKey { api_key }).await),
                1 if number > 6 => drop(world.act(acme, &ada, Action::DisableApiKey { api_key }).await),
                2 => drop(world.act(acme, &ada, Action::RevokeApiKey { api_key }).await),
                _ => {}
            }
            // Every third is made at the same moment as its predecessor.
            world.pass(TimeDelta::microseconds(number % 3 * 500));
        }
        world.pass(TimeDelta::days(2));
        let now = world.now();
        let base = everything(&world, acme);
        let mut all = base.page(world.database(), &ALL).await.unwrap().rows;
        assert_eq!(all.len(), 24);
        all.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.api_key_id)));

        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut filters = vec![base.clone(), Filter { statuses: Vec::new(), ..base.clone() }];
        filters.extend(
            [&["ACTIVE"][..], &["EXPIRED"], &["DISABLED", "EXPIRED"], &["REVOKED"]]
                .map(|statuses| Filter { statuses: texts(statuses), ..base.clone() }),
        );
        filters
            .extend([&["AI_AGENT"][..], &["STANDARD", "AI_AGENT"]].map(|t| Filter { types: texts(t), ..base.clone() }));
        filters.extend(
            ["key 1", "ä", "A\u{308}", "%", "_", "\\", "'", "100% ü", "ey 2", "none", "1"]
                .map(|search| Filter { search: Some(search.to_owned()), ..base.clone() }),
        );
        for filter in filters {
            let meant = |key: &&ApiKeyRow| {
                let status = status_at(&key.status, key.expires_at, now);
                let text = format!("{}\n{}", key.name, key.description.as_deref().unwrap_or_default());
                let wanted = if filter.statuses.is_empty() {
                    status != "REVOKED"
                } else {
                    filter.statuses.iter().any(|wanted| wanted == status)
                };
                wanted
                    && (filter.types.is_empty() || filter.types.contains(&key.key_type))
                    && filter.search.as_ref().is_none_or(|search| normalize(&text).contains(&normalize(search)))
            };
            let expected: Vec<_> = all.iter().filter(meant).map(|key| key.api_key_id).collect();
            assert_eq!(filter.count(world.database()).await.unwrap(), expected.len() as u64, "{filter:?}");
            for size in SIZES {
                let read = async |window: Window| filter.page(world.database(), &window).await.unwrap();
                both_ways(size, &expected, read, ApiKeyRow::position, |key| key.api_key_id).await;
            }
        }
    }

    /// After a rotation two secrets open the door, the old one for its grace; after another, still only two.
    async fn at_most_two_secrets_of_a_key_live(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let key = world.api_key(acme, &ada, "ci").await;
        let row = api_keys::find(world.database(), acme, [key.0]).await.unwrap().remove(0);
        let mut secrets = vec![row.public_id];
        for seconds in [3600, 7200, 0] {
            let (secret, until) = (world.secret(), world.now() + TimeDelta::seconds(seconds.into()));
            let grace = Grace::try_from(seconds).unwrap();
            secrets.push(secret.public_id.clone());
            let rotate = Action::RotateApiKey { api_key: key, secret: secret.clone(), grace };
            world.act(acme, &ada, rotate).await;
            let (newest, older) = secrets.split_last().unwrap();
            let (previous, dead) = older.split_last().unwrap();
            for _ in 0..2 {
                let all = api_keys::find_secrets(world.database(), &secrets).await.unwrap();
                let found = &all[newest];
                assert_eq!((found.api_key_id, found.secret_expires_at), (key.0, None));
                assert_eq!(orgledger::secrets::hex(&found.hash), secret.hash);
                let found = &all[previous];
                assert_eq!(found.secret_expires_at, Some(until));
                for gone in dead {
                    assert!(!all.contains_key(gone));
                }
                rebuild(world.database(), Which::Every, |_| ()).await.unwrap();
            }
            let row = api_keys::find(world.database(), acme, [key.0]).await.unwrap().remove(0);
            assert_eq!(&row.public_id, newest, "lists show the newest");
        }
    }

    /// A key stops at the moment it is switched off, revoked or over, and its row says what it is.
    async fn a_key_is_good_until_it_is_not(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let api_key = world.api_key(acme, &ada, "ci").await;
        let secrets = Statement::new("SELECT hash FROM api_key_secrets WHERE api_key_id = $1").bind(api_key.0);
        let (hash,): (Vec<u8>,) = secrets.optional(world.database()).await.unwrap().unwrap();
        let secret = SecretHash::from_column(hash).unwrap();
        let asked = [(Credential::ApiKey { api_key, secret }, acme)];
        let good = async || standings(world.database(), &asked, world.now()).await.unwrap().len() == 1;
        assert!(good().await);
        world.act(acme, &ada, Action::DisableApiKey { api_key }).await;
        assert!(!good().await);
        world.act(acme, &ada, Action::EnableApiKey { api_key }).await;
        let update = Action::UpdateApiKey {
            api_key,
            name: Some(named("Nightly")),
            description: None,
            permissions: None,
            rate_limit: Some(Some(RateLimit::new(6, 1).unwrap())),
            expires_at: Some(Some(world.now() + TimeDelta::seconds(1))),
        };
        world.act(acme, &ada, update).await;
        assert!(good().await);
        world.pass(TimeDelta::seconds(1));
        assert!(!good().await, "over at that very moment");
        let search = |text: &str| Filter { search: Some(text.to_owned()), ..everything(&world, acme) };
        assert_eq!(search("ci").count(world.database()).await.unwrap(), 0, "the old name is gone");
        let found = search("nightly").page(world.database(), &ALL).await.unwrap().rows.remove(0);
        assert_eq!((found.units_per_minute, found.burst), (Some(6), Some(1)));
        assert_eq!(status_at(&found.status, found.expires_at, world.now()), "EXPIRED");
    }

    /// The last use goes forwards only, whichever server notes it last.
    async fn the_last_use_never_goes_back(url: &str) {
        let world = World::open(url).await;
        let ada = world.person("ada@example.com").await;
        let acme = world.organization(&ada, "Acme").await;
        let key = world.api_key(acme, &ada, "ci").await;
        for minutes in [5, 3, 9, 9, 1] {
            let at = world.now() + TimeDelta::minutes(minutes);
            api_keys::note_usage(world.database(), vec![(acme, key, at)]).await.unwrap();
        }
        let row = api_keys::find(world.database(), acme, [key.0]).await.unwrap().remove(0);
        assert_eq!(row.last_used_at, Some(world.now() + TimeDelta::minutes(9)));
    }
}
