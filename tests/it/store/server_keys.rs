//! The server's own keys: made once, the same for every instance, and wrapped where the operator has a secret.

use orgledger::{
    domain::OrganizationId,
    entropy::Entropy,
    secrets::{InvitationLink, ServerKey},
    store::{
        Database, Error,
        note::Checkpoint,
        server_keys::{Keys, Locked, OperatorSecret, open},
        statement::Statement,
    },
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::support::databases::both_databases;

const SECRET: &str = "correct horse battery staple, and more";
const OTHER: &str = "another secret of more than 32 characters";

fn secret(text: &str) -> OperatorSecret {
    OperatorSecret::try_from(secrecy::SecretString::from(text)).unwrap()
}

async fn migrated(url: &str) -> Database {
    let database = Database::connect(url).await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// Opens the keys as a server does that starts now.
async fn start(database: &Database, seed: u64, text: Option<&str>) -> Result<Keys, Error> {
    open(database, &Entropy::seeded(seed), text.map(secret).as_ref()).await
}

/// What tells two sets of keys apart: a link and a signature.
fn said(keys: &Keys) -> (String, String) {
    let link = InvitationLink {
        organization: OrganizationId(Uuid::nil()),
        invitation: orgledger::domain::InvitationId(Uuid::nil()),
        generation: 1,
    };
    let token = keys.links.invitation_token(link).expose_secret().to_owned();
    (token, keys.signer.sign(&Checkpoint { organization: OrganizationId(Uuid::nil()), size: 1, hash: [0; 32] }))
}

/// The rows as they are stored.
async fn stored(database: &Database) -> Vec<(String, Vec<u8>, bool)> {
    Statement::new("SELECT name, key, wrapped FROM server_keys ORDER BY name").all(database).await.unwrap()
}

fn locked(result: Result<Keys, Error>) -> Locked {
    match result {
        Err(Error::Locked(locked)) => locked,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it started"),
    }
}

#[test]
fn a_secret_that_could_be_guessed_is_none() {
    let parse = |text: &str| OperatorSecret::try_from(secrecy::SecretString::from(text));
    for short in ["", "secret", &"x".repeat(31)] {
        assert!(parse(short).is_err());
    }
    assert!(parse(&"é".repeat(32)).is_ok());
    assert!(!format!("{:?}", parse(SECRET)).contains("horse"));
}

both_databases! {
    async fn every_server_of_a_database_has_the_same_keys(url: &str) {
        let database = migrated(url).await;
        let (one, other) = tokio::join!(start(&database, 1, None), start(&database, 2, None));
        let (one, other) = (said(&one.unwrap()), said(&other.unwrap()));
        assert_eq!(one, other);
        assert_eq!(said(&start(&database, 3, None).await.unwrap()), one);
        let rows = stored(&database).await;
        assert_eq!(rows.iter().map(|(name, key, wrapped)| (&**name, key.len(), *wrapped)).collect::<Vec<_>>(),
            [("links", 32, false), ("signing", 32, false)]);
        assert_ne!(rows[0].1, rows[1].1);
    }

    /// A database from before has one key: links that were sent keep working.
    async fn the_key_of_an_older_database_is_kept(url: &str) {
        let database = migrated(url).await;
        let old = [5; 32];
        Statement::new("INSERT INTO server_keys (name, key) VALUES ('links', $1)").bind(&old[..]).run(&database).await.unwrap();
        let keys = start(&database, 1, Some(SECRET)).await.unwrap();
        assert_eq!(keys.links.fingerprint("input"), ServerKey::new(old).fingerprint("input"));
        let rows = stored(&database).await;
        assert!(rows.len() == 2 && rows.iter().all(|(_, key, wrapped)| *wrapped && key.len() == 60), "{rows:?}");
        assert_eq!(said(&start(&database, 2, Some(SECRET)).await.unwrap()), said(&keys));
    }

    async fn keys_are_wrapped_where_they_stand_and_open_with_that_secret_alone(url: &str) {
        let database = migrated(url).await;
        let before = said(&start(&database, 1, None).await.unwrap());
        let bare = stored(&database).await;
        // Two servers get the secret at once.
        let (one, other) = tokio::join!(start(&database, 2, Some(SECRET)), start(&database, 3, Some(SECRET)));
        assert_eq!((said(&one.unwrap()), said(&other.unwrap())), (before.clone(), before.clone()));
        let wrapped = stored(&database).await;
        for ((_, bare, _), (_, sealed, wrapped)) in bare.iter().zip(&wrapped) {
            assert!(*wrapped && !sealed.windows(8).any(|part| bare.windows(8).any(|of| of == part)));
        }
        assert_eq!(locked(start(&database, 4, None).await), Locked::Closed);
        assert_eq!(locked(start(&database, 5, Some(OTHER)).await), Locked::OtherSecret);
        assert!(Locked::Closed.to_string().contains("ORGLEDGER_SECRET") && Locked::OtherSecret.to_string().contains("ORGLEDGER_SECRET"));
        assert_eq!(stored(&database).await, wrapped, "nothing was overwritten");
        assert_eq!(said(&start(&database, 6, Some(SECRET)).await.unwrap()), before);
    }

    async fn a_new_database_never_has_a_bare_key_where_there_is_a_secret(url: &str) {
        let database = migrated(url).await;
        let keys = start(&database, 1, Some(SECRET)).await.unwrap();
        assert!(stored(&database).await.iter().all(|(_, _, wrapped)| *wrapped));
        assert_eq!(said(&start(&database, 2, Some(SECRET)).await.unwrap()), said(&keys));
    }

    /// A key in the place of another, or one that was changed, is not used.
    async fn a_key_that_was_changed_or_moved_is_found(url: &str) {
        let database = migrated(url).await;
        start(&database, 1, Some(SECRET)).await.unwrap();
        let rows = stored(&database).await;
        let put = async |name: &str, key: &[u8]| {
            let update = Statement::new("UPDATE server_keys SET key = $2 WHERE name = $1").bind(name).bind(key);
            assert_eq!(update.run(&database).await.unwrap(), 1);
        };
        let mut flipped = rows[0].1.clone();
        flipped[20] ^= 1;
        for (key, expected) in [
            (&rows[1].1[..], Locked::OtherSecret),
            (&flipped, Locked::OtherSecret),
            (&rows[0].1[..59], Locked::OtherSecret),
            (&[], Locked::Broken("links")),
        ] {
            put("links", key).await;
            assert_eq!(locked(start(&database, 2, Some(SECRET)).await), expected);
        }
        put("links", &rows[0].1).await;
        start(&database, 3, Some(SECRET)).await.unwrap();
    }
}
