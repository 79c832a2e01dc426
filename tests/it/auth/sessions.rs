//! Sessions as their person sees them: with what and from where, how they end by themselves, and all at once.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    graphql::{
        acme::ADA,
        server::{Client, Server, list, reply},
    },
    support::databases::both_databases,
};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const EDGE: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
    Version/18.6 Mobile/15E148 Safari/604.1";

const SESSIONS: &str = "{ viewer { sessions { device ipAddress current createdAt lastSeenAt } } }";

/// Sends a document with another program.
async fn with_program(client: &Client, program: &str, document: &str, variables: Value) -> Value {
    let http = reqwest::Client::builder().user_agent(program).build().unwrap();
    let request = http.post(format!("{}/graphql", client.url)).bearer_auth(client.credential.as_ref().unwrap());
    reply(request.json(&json!({ "query": document, "variables": variables }))).await.body["data"].clone()
}

async fn devices(client: &Client) -> Vec<Value> {
    let answer = client.data(SESSIONS, json!({})).await;
    list(&answer, "/viewer/sessions").iter().map(|session| session["device"].clone()).collect()
}

both_databases! {
    async fn a_session_says_with_what_and_from_where_it_was_last_used(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        let answer = ada.data(SESSIONS, json!({})).await;
        assert_eq!(answer["viewer"]["sessions"][0]["device"], "tests", "from the sign-in on");
        assert_eq!(answer["viewer"]["sessions"][0]["ipAddress"], "127.0.0.1");
        for (program, device) in [
            (FIREFOX, "Firefox on Linux"),
            (EDGE, "Edge on Windows"),
            (IPHONE, "Safari on iPhone"),
            ("curl/8.14.1", "curl/8.14.1"),
            (&"x".repeat(2000), &"x".repeat(60)),
        ] {
            with_program(&ada, program, SESSIONS, json!({})).await;
            server.flush_usage().await;
            let answer = with_program(&ada, program, SESSIONS, json!({})).await;
            assert_eq!(answer["viewer"]["sessions"][0]["device"], device);
        }
    }

    async fn many_sessions_are_noted_in_one_go(url: &str) {
        let server = Server::start(url).await;
        let (first, second) = (server.person(ADA).await, server.person(ADA).await);
        server.wait(TimeDelta::minutes(5));
        with_program(&first, FIREFOX, SESSIONS, json!({})).await;
        with_program(&second, EDGE, SESSIONS, json!({})).await;
        server.flush_usage().await;
        assert_eq!(devices(&first).await, ["Edge on Windows", "Firefox on Linux"], "newest first");
    }

    async fn a_session_that_is_not_used_for_two_weeks_ends(url: &str) {
        let server = Server::start(url).await;
        let ada = server.person(ADA).await;
        server.wait(TimeDelta::days(14) - TimeDelta::seconds(1));
        assert!(ada.is_let_in().await);
        server.flush_usage().await;
        server.wait(TimeDelta::days(14) - TimeDelta::seconds(1));
        assert!(ada.is_let_in().await, "it was used in between");
        server.flush_usage().await;
        let other = server.person(ADA).await;
        assert_eq!(devices(&other).await.len(), 2);

        let bea = server.person("bea@example.com").await;
        server.wait(TimeDelta::days(14));
        assert!(!bea.is_let_in().await, "it was not");
        let bea = server.person("bea@example.com").await;
        assert_eq!(devices(&bea).await.len(), 1, "the list knows it too");
        assert!(!ada.is_let_in().await, "used, but thirty days old");
    }

    async fn all_other_sessions_end_at_once(url: &str) {
        let server = Server::start(url).await;
        let (first, second, third) = (server.person(ADA).await, server.person(ADA).await, server.person(ADA).await);
        let bea = server.person("bea@example.com").await;
        let end = "mutation { endOtherSessions { endedCount userErrors { code } } }";
        let answer = second.data(end, json!({})).await;
        assert_eq!(answer["endOtherSessions"], json!({ "endedCount": 2, "userErrors": [] }));
        assert!(!first.is_let_in().await && second.is_let_in().await && !third.is_let_in().await);
        assert!(bea.is_let_in().await, "another person's");
        assert_eq!(second.data(end, json!({})).await["endOtherSessions"]["endedCount"], 0);
        assert_eq!(devices(&second).await.len(), 1);
        let nobody = server.anonymous().run(end, json!({})).await;
        assert_eq!(nobody.codes(), ["UNAUTHENTICATED"]);
    }
}
