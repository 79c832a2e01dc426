//! Whose a token is: the first time its verified address decides, and from then on the provider's name of the person.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::provider::{Provider, Signer, with};
use crate::{
    graphql::{
        acme::{ADA, Acme},
        server::{Client, Server, text},
    },
    support::databases::both_databases,
};

struct World {
    signer: Signer,
    provider: Provider,
    server: Server,
}

impl World {
    async fn new(url: &str) -> Self {
        let signer = Signer::new("one", "ES256");
        let provider = Provider::start(&[&signer]).await;
        let server = provider.server(url).await;
        Self { signer, provider, server }
    }

    fn person(&self, subject: &str, email: &str) -> Client {
        self.provider.person(&self.server, &self.signer, subject, email)
    }

    fn claiming(&self, subject: &str, changes: Value) -> Client {
        let claims = self.provider.claims(&self.server, subject, ADA);
        self.server.with_key(&self.signer.sign(&with(claims, changes)))
    }
}

async fn id(client: &Client) -> String {
    text(&client.operation("Viewer", json!({})).await, "/viewer/user/id").to_owned()
}

async fn user(client: &Client) -> Value {
    client.operation("Viewer", json!({})).await["viewer"]["user"].clone()
}

both_databases! {
    async fn only_an_address_that_the_provider_has_verified_makes_somebody(url: &str) {
        let world = World::new(url).await;
        for changes in [
            json!({ "email_verified": false }),
            json!({ "email_verified": "false" }),
            json!({ "email_verified": "TRUE" }),
            json!({ "email_verified": 1 }),
            json!({ "email_verified": null }),
            json!({ "email": null }),
            json!({ "email": "" }),
            json!({ "email": "nonsense" }),
            json!({ "email": [ADA] }),
        ] {
            assert!(!world.claiming("ada", changes.clone()).is_let_in().await, "{changes}");
        }
        assert!(world.claiming("ada", json!({ "email_verified": "true" })).is_let_in().await, "some write the word");
        // Who is known needs no address any more.
        let known = world.claiming("ada", json!({ "email": null, "email_verified": null }));
        assert_eq!(id(&known).await, id(&world.person("ada", ADA)).await);
    }

    async fn one_person_is_the_same_by_link_and_by_token(url: &str) {
        let world = World::new(url).await;
        let by_link = world.server.person("Ada@Example.com").await;
        let by_token = world.person("ada", ADA);
        assert_eq!(id(&by_link).await, id(&by_token).await);
        assert_eq!(user(&by_token).await["email"], "Ada@Example.com", "as she typed it herself");
    }

    /// The invitation made a row for the address, which nobody had verified.
    async fn who_was_invited_accepts_with_a_token(url: &str) {
        let world = World::new(url).await;
        let acme = Acme::made_by(&world.server, world.person("ada", ADA), "TEAM").await;
        let invitation = acme.with(json!({ "email": "bea@example.com", "roleId": acme.role("MEMBER") }));
        assert_eq!(acme.ada.refusals("InviteMember", invitation).await, [""; 0]);
        let token = world.server.invitation_token("bea@example.com").await;
        let bea = world.person("bea", "bea@example.com");
        assert_eq!(bea.refusals("AcceptInvitation", json!({ "token": token })).await, [""; 0]);
    }

    async fn the_subject_decides_whatever_address_a_token_carries(url: &str) {
        let world = World::new(url).await;
        let ada = id(&world.person("ada", ADA)).await;
        let bea = id(&world.person("bea", "bea@example.com")).await;
        assert_ne!(ada, bea);
        for email in ["new@example.com", "bea@example.com"] {
            assert_eq!(id(&world.person("ada", email)).await, ada, "{email}");
        }
        assert_eq!(user(&world.person("ada", "new@example.com")).await["email"], ADA, "the account stays");
        assert_ne!(id(&world.server.person("new@example.com").await).await, ada);
        assert_ne!(id(&world.person("ADA", "ada2@example.com")).await, ada, "a subject has its case");
    }

    /// The address may have been given to somebody else at the provider; it is not theirs here.
    async fn a_second_subject_with_the_same_address_is_refused(url: &str) {
        let world = World::new(url).await;
        let ada = id(&world.person("ada", ADA)).await;
        assert!(!world.person("eve", ADA).is_let_in().await);
        assert!(!world.person("eve", "ADA@example.com").is_let_in().await);
        assert_eq!(id(&world.person("ada", ADA)).await, ada);
        assert!(world.person("eve", "eve@example.com").is_let_in().await, "nothing was bound by the refusal");
    }

    /// Neither their identity nor their address leads to the person who was erased.
    async fn an_identity_of_somebody_erased_makes_somebody_else(url: &str) {
        let world = World::new(url).await;
        let before = id(&world.person("ada", ADA)).await;
        let erased = world.person("ada", ADA).refusals("EraseViewer", json!({ "confirmEmail": ADA })).await;
        assert_eq!(erased, [""; 0]);
        let after = world.person("ada", ADA);
        assert!(after.is_let_in().await);
        assert_ne!(id(&after).await, before);
        assert_eq!(id(&world.server.person(ADA).await).await, id(&after).await);
    }

    async fn many_first_requests_at_once_make_one_person(url: &str) {
        let world = World::new(url).await;
        let (ada, eve) = (world.person("ada", ADA), world.person("eve", ADA));
        let clients = (0..16).map(|number| if number % 4 == 3 { &eve } else { &ada });
        let answers = futures_util::future::join_all(clients.map(|client| async {
            client.run("{ viewer { user { id } organizations { totalCount } } }", json!({})).await
        }));
        let answers = answers.await;
        let mut taken: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(|answer| &answer.body).collect();
        taken.dedup_by_key(|body| body["data"]["viewer"]["user"]["id"].clone());
        assert_eq!(taken.len(), 1, "{answers:?}");
        assert!(ada.is_let_in().await != eve.is_let_in().await, "whoever came first");
    }

    async fn last_login_follows_a_newer_auth_time_and_nothing_else(url: &str) {
        let world = World::new(url).await;
        let start = world.server.clock.now().timestamp();
        let last = async |auth_time: Value| {
            let ada = world.claiming("ada", json!({ "auth_time": auth_time }));
            user(&ada).await["lastLoginAt"].clone()
        };
        assert_eq!(last(Value::Null).await, Value::Null, "a token alone is no sign-in");
        assert_eq!(last(json!(start - 600)).await, "2026-03-02T08:50:00+00:00");
        assert_eq!(last(json!(start - 601)).await, "2026-03-02T08:50:00+00:00", "an older one");
        assert_eq!(last(json!(start + 86_400)).await, "2026-03-02T09:00:00+00:00", "nobody has signed in tomorrow");
        world.server.wait(TimeDelta::minutes(10));
        assert_eq!(last(json!(start + 300)).await, "2026-03-02T09:05:00+00:00");
        let by_link = world.server.person(ADA).await;
        let newest = user(&by_link).await["lastLoginAt"].clone();
        assert_eq!(newest, "2026-03-02T09:11:00+00:00");
        assert_eq!(last(json!(start + 400)).await, newest);
        // Lists of members are ordered by a copy of it.
        let acme = Acme::made_by(&world.server, by_link, "TEAM").await;
        world.server.wait(TimeDelta::minutes(10));
        last(json!(start + 1200)).await;
        let members = acme.ada.operation("Members", acme.with(json!({}))).await;
        let of_ada = members.pointer("/organization/members/edges/0/node/lastLoginAt");
        assert_eq!(of_ada.unwrap_or_else(|| panic!("{members:#}")), "2026-03-02T09:20:00+00:00");
    }

    async fn a_name_is_taken_once_and_only_by_who_has_none(url: &str) {
        let world = World::new(url).await;
        let named = async |name: &str| user(&world.claiming("ada", json!({ "name": name }))).await["name"].clone();
        assert_eq!(named("\u{202e}").await, Value::Null, "it cannot be a name");
        assert_eq!(named("Ada").await, Value::Null, "only the first token is asked for it");
        let bea = world.server.person("bea@example.com").await;
        bea.operation("UpdateViewer", json!({ "name": "Bea" })).await;
        let claims = json!({ "email": "bea@example.com", "name": "Beatrix" });
        assert_eq!(user(&world.claiming("bea", claims)).await["name"], "Bea");
        let cleo = json!({ "email": "cleo@example.com", "name": "Cleo" });
        assert_eq!(user(&world.claiming("cleo", cleo)).await["name"], "Cleo");
    }
}
