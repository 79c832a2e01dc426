//! What people choose to be written to about: their own, organization by organization.

use serde_json::{Value, json};

use super::{
    acme::Acme,
    roles::refusal,
    server::{Client, Server},
};
use crate::support::databases::both_databases;

const BEA: &str = "bea@example.com";

/// The categories that somebody hears of.
async fn heard(by: &Client, acme: &Acme<'_>) -> Vec<String> {
    let answer = by.operation("NotificationPreferences", acme.with(json!({}))).await;
    on(&answer["organization"]["notificationPreferences"])
}

fn on(preferences: &Value) -> Vec<String> {
    let on = preferences.as_array().unwrap().iter().filter(|preference| preference["email"] == true);
    on.map(|preference| preference["category"].as_str().unwrap().to_owned()).collect()
}

/// What comes of choosing; every fact of it.
async fn choose(by: &Client, acme: &Acme<'_>, choices: &[(&str, bool)]) -> Value {
    let choices: Vec<_> =
        choices.iter().map(|(category, email)| json!({ "category": category, "email": email })).collect();
    let document = "mutation ($id: ID!, $preferences: [NotificationPreferenceInput!]!) { \
        updateNotificationPreferences(input: { organizationId: $id, preferences: $preferences }) { \
        preferences { category email } userErrors { code message field } } }";
    let answer = by.data(document, acme.with(json!({ "preferences": choices }))).await;
    answer["updateNotificationPreferences"].clone()
}

both_databases! {
    async fn everything_is_told_until_somebody_chooses_and_a_choice_is_their_own(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let other = Acme::made_by(&server, acme.ada.clone(), "TEAM").await;
        let bea = acme.join(BEA, "MEMBER").await;
        let all = ["MEMBERS", "ROLES", "API_KEYS", "SECURITY", "BILLING"];
        assert_eq!(heard(&acme.ada, &acme).await, all);
        let chosen = choose(&acme.ada, &acme, &[("ROLES", false), ("BILLING", false), ("SECURITY", true)]).await;
        assert_eq!((on(&chosen["preferences"]), &chosen["userErrors"]), (vec!["MEMBERS".into(), "API_KEYS".into(), "SECURITY".into()], &json!([])));
        assert_eq!(heard(&acme.ada, &acme).await, ["MEMBERS", "API_KEYS", "SECURITY"]);
        let chosen = choose(&acme.ada, &acme, &[("ROLES", true), ("MEMBERS", false)]).await;
        assert_eq!(on(&chosen["preferences"]), ["ROLES", "API_KEYS", "SECURITY"], "what is left out stays");
        assert_eq!(on(&choose(&acme.ada, &acme, &[]).await["preferences"]), ["ROLES", "API_KEYS", "SECURITY"]);
        assert_eq!((heard(&bea, &acme).await, heard(&acme.ada, &other).await), (all.map(String::from).to_vec(), all.map(String::from).to_vec()));
    }

    async fn what_cannot_be_chosen_is_refused_and_nothing_is_kept_of_it(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let invalid = |what: &str| json!({ "code": "INVALID_INPUT", "message": format!("preferences {what}."), "field": ["input", "preferences"] });
        let muted = choose(&acme.ada, &acme, &[("ROLES", false), ("SECURITY", false)]).await;
        assert_eq!(refusal(&muted), invalid("cannot switch SECURITY off"));
        for twice in [[("ROLES", false), ("ROLES", false)], [("ROLES", true), ("ROLES", false)]] {
            assert_eq!(refusal(&choose(&acme.ada, &acme, &twice).await), invalid("names a category twice"));
        }
        let many = vec![("ROLES", false); 1000];
        assert_eq!(refusal(&choose(&acme.ada, &acme, &many).await), invalid("names a category twice"));
        assert_eq!(heard(&acme.ada, &acme).await.len(), 5);
    }

    async fn only_people_with_access_choose(url: &str) {
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let bea = acme.join(BEA, "MEMBER").await;
        let (_, key) = acme.key("Robot", &["MEMBERS_READ"]).await;
        let eve = server.person("eve@example.com").await;
        let off = [("ROLES", false)];
        let codes = async |by: &Client| choose(by, &acme, &off).await["userErrors"][0]["code"].clone();
        assert_eq!((codes(&key).await, codes(&eve).await), (json!("USER_REQUIRED"), json!("NOT_FOUND")));
        let reply = key.try_operation("NotificationPreferences", acme.with(json!({}))).await;
        assert_eq!((reply.codes(), &reply.body["data"]), (vec!["USER_REQUIRED"], &json!({ "organization": { "notificationPreferences": null } })));
        let member = acme.with(json!({ "memberId": acme.member(BEA).await }));
        choose(&bea, &acme, &off).await;
        acme.ada.operation("DeactivateMember", member.clone()).await;
        assert_eq!(codes(&bea).await, "MEMBER_INACTIVE");
        acme.ada.operation("ReactivateMember", member.clone()).await;
        assert_eq!(heard(&bea, &acme).await, ["MEMBERS", "API_KEYS", "SECURITY", "BILLING"], "the choice was kept");
        acme.ada.operation("RemoveMember", member).await;
        assert_eq!(codes(&bea).await, "NOT_FOUND");
        acme.ada.operation("DeleteOrganization", acme.with(json!({ "confirmName": "Acme" }))).await;
        assert_eq!(codes(&acme.ada).await, "NOT_FOUND");
    }
}
