//! A history in which every type of event happens: one organization that lives on, and one that is deleted.

use chrono::TimeDelta;
use orgledger::{
    domain::{
        ApiKeyId, OrganizationId,
        organization::{
            Action, CreatedKeys, Permission, Permissions,
            api_keys::{Grace, KeyType, RateLimit},
        },
        values::Text,
    },
    store::{
        append::{Origin, Reason},
        ledger::Request,
    },
};

use super::world::{Person, World, change_role, deactivate, named, remove, rename, role};

/// What was lived.
pub struct Life {
    pub acme: OrganizationId,
    pub gone: OrganizationId,
    pub ada: Person,
    pub key: ApiKeyId,
}

impl Life {
    /// Lives it. Time passes between the commands, in microseconds, milliseconds and whole seconds.
    pub async fn live(world: &World) -> Self {
        let [ada, bob] = world.people(&["ada@example.com", "bob@example.com"]).await.try_into().unwrap();
        let acme = world.organization(&ada, "Acme").await;
        world.pass(TimeDelta::microseconds(7));
        profile(world, acme, &ada).await;
        invitations(world, acme, &ada, &bob).await;
        world.pass(TimeDelta::milliseconds(250));
        members(world, acme, &ada, &bob).await;
        let key = api_keys(world, acme, &ada).await;
        let gone = world.organization(&bob, "Gone").await;
        let cy = world.person("cy@example.com").await;
        world.invite(gone, &bob, &cy, "MEMBER").await;
        world.api_key(gone, &bob, "ci").await;
        world.act(gone, &bob, Action::DeleteOrganization { confirm_name: "Gone".to_owned() }).await;
        Self { acme, gone, ada, key }
    }
}

async fn profile(world: &World, acme: OrganizationId, ada: &Person) {
    let text = |text| Text::parse(text).unwrap();
    let action = Action::UpdateOrganization {
        name: Some(named("Acmé \u{1d11e}")),
        description: Some(text("Anvils.\n\"Rockets\" & \\ more")),
        default_role: Some(role("AUDITOR")),
    };
    let reason = Some(Reason { text: text("A new brand").unwrap(), salt: world.store.entropy.bytes() });
    let origin = Origin {
        request_id: "brand".to_owned(),
        ip: Some("192.0.2.1".to_owned()),
        user_agent: Some("curl/8".to_owned()),
        reason,
    };
    let request = Request { origin, ..world.request(acme, ada, action) };
    world.store.ledger.execute(request).await.unwrap();
    world.act(acme, ada, rename("Acme")).await;
}

async fn invitations(world: &World, acme: OrganizationId, ada: &Person, bob: &Person) {
    let first = world.invite(acme, ada, bob, "CO_ADMIN").await;
    world.pass(TimeDelta::seconds(61));
    let expires_at = world.now() + TimeDelta::days(14);
    world.act(acme, ada, Action::ResendInvitation { invitation: first, expires_at }).await;
    world.accept(acme, bob, first).await;
    let cy = world.person("cy@example.com").await;
    let declined = world.invite(acme, bob, &cy, "MEMBER").await;
    let masked_email = "c***@example.com".to_owned();
    world.act(acme, &cy, Action::DeclineInvitation { invitation: declined, generation: Some(1), masked_email }).await;
    let revoked = world.invite(acme, bob, &cy, "MEMBER").await;
    world.act(acme, ada, Action::RevokeInvitation { invitation: revoked }).await;
    world.invite(acme, bob, &cy, "MEMBER").await;
}

async fn members(world: &World, acme: OrganizationId, ada: &Person, bob: &Person) {
    let dee = world.member(acme, ada, "dee@example.com", "MEMBER").await;
    let eve = world.member(acme, bob, "eve@example.com", "AUDITOR").await;
    world.ask(acme, &eve, rename("Eve's")).await.unwrap_err();
    world.act(acme, bob, change_role(&dee, "MANAGER")).await;
    world.act(acme, bob, deactivate(&dee)).await;
    world.act(acme, bob, Action::ReactivateMember { member: dee.id }).await;
    world.act(acme, bob, remove(&dee)).await;
    world.act(acme, &eve, Action::LeaveOrganization { created_keys: CreatedKeys::Keep }).await;
    world.pass(TimeDelta::seconds(5));
    world.member(acme, ada, "dee@example.com", "AUDITOR").await;
}

async fn api_keys(world: &World, acme: OrganizationId, ada: &Person) -> ApiKeyId {
    let agent = world.new_key("Agent", Some("Looks things up"), KeyType::AiAgent);
    let api_key = ApiKeyId(world.act(acme, ada, agent).await.objects[0]);
    let update = Action::UpdateApiKey {
        api_key,
        name: Some(named("Agent 2")),
        description: Some(None),
        permissions: Some(Permissions::of(&[Permission::MembersRead, Permission::AuditRead])),
        rate_limit: Some(Some(RateLimit::new(6, 1).unwrap())),
        expires_at: Some(Some(world.now() + TimeDelta::days(1))),
    };
    world.act(acme, ada, update).await;
    world.act(acme, ada, Action::DisableApiKey { api_key }).await;
    world.act(acme, ada, Action::EnableApiKey { api_key }).await;
    for _ in 0..2 {
        let grace = Grace::try_from(3600).unwrap();
        let secret = world.secret();
        world.act(acme, ada, Action::RotateApiKey { api_key, secret, grace }).await;
    }
    let second = world.api_key(acme, ada, "ci").await;
    world.act(acme, ada, Action::RevokeApiKey { api_key: second }).await;
    api_key
}
