//! What the access policy says about API keys.

use super::{
    sheet::Sheet,
    worlds::{Seat, Where},
    *,
};

/// Who made the keys that nobody at the table made.
const MAKER: UserId = person(93);

/// A mutation of a key, and whether the key has to be disabled first for it to do anything.
struct Mutation {
    name: &'static str,
    action: fn(ApiKeyId) -> Action,
    disabled: bool,
}

const MUTATIONS: [Mutation; 5] = [
    Mutation { name: "updateApiKey", action: |key| edit(key, Some("other"), None), disabled: false },
    Mutation { name: "disableApiKey", action: |api_key| Action::DisableApiKey { api_key }, disabled: false },
    Mutation { name: "enableApiKey", action: |api_key| Action::EnableApiKey { api_key }, disabled: true },
    Mutation { name: "rotateApiKey", action: rotate, disabled: false },
    Mutation { name: "revokeApiKey", action: |api_key| Action::RevokeApiKey { api_key }, disabled: false },
];

fn edit(api_key: ApiKeyId, title: Option<&str>, permissions: Option<Permissions>) -> Action {
    let name = title.map(name);
    Action::UpdateApiKey { api_key, name, description: None, permissions, rate_limit: None, expires_at: None }
}

/// The levels of keys that stand there.
fn levels(seat: &Seat, place: Where) -> impl Iterator<Item = u8> {
    (2..=9).filter(move |level| place.is(*level, seat.level))
}

pub(super) fn ask(sheet: &mut Sheet<'_>) {
    create(sheet);
    for mutation in &MUTATIONS {
        act(sheet, mutation);
    }
}

fn create(sheet: &mut Sheet<'_>) {
    let (held, story) = (sheet.seat.permissions, &sheet.world.story);
    let lacked = Permissions::ALL.without(held);
    let make = |permissions| (story.clone(), NewKey { permissions, ..new_key(KEY) }.into());
    sheet.line("createApiKey", "which holds nothing", [make(Permissions::NONE)]);
    sheet.line("createApiKey", "which holds everything one holds", [make(held)]);
    let commands = (!lacked.is_empty()).then(|| make(lacked));
    sheet.line("createApiKey", "which holds what one does not hold", commands);
    sheet.plain("createApiKey", "with the name of a living one", new_key(KEY).named("Acting"));
}

fn act(sheet: &mut Sheet<'_>, mutation: &Mutation) {
    let (seat, world) = (sheet.seat, sheet.world);
    let Mutation { name, action, disabled } = *mutation;
    let api_key_id = KEY;
    let with = |by: Actor, level, permissions| {
        let story = world.story.clone().given(NewKey { permissions, ..new_key(KEY) }.created(by, level));
        if disabled { story.given(Event::ApiKeyDisabled { api_key_id }) } else { story }
    };
    let lacked = Permissions::ALL.without(seat.permissions);
    let place = |by: Actor, place, permissions| {
        levels(seat, place).map(|level| (with(by, level, permissions), action(KEY))).collect::<Vec<_>>()
    };
    for there in Where::ALL {
        sheet.line(name, there.name(), place(MAKER.actor(), there, Permissions::NONE));
    }
    for there in [Where::Above, Where::Beside] {
        let case = format!("{}, made by oneself", there.name());
        sheet.line(name, case, place(seat.actor, there, Permissions::NONE));
    }
    let itself = matches!(seat.actor, Actor::ApiKey(_)).then_some(seat.actor);
    let itself = itself.map(|actor| (world.story.clone(), action(ApiKeyId(actor.id()))));
    sheet.line(name, "itself", itself);

    let below = || levels(seat, Where::Below).filter(|_| !lacked.is_empty());
    let commands: Vec<_> = below().map(|level| (with(MAKER.actor(), level, lacked), action(KEY))).collect();
    sheet.line(name, "below, which holds what one does not hold", commands);
    if name == "updateApiKey" {
        let give = |level| (with(MAKER.actor(), level, Permissions::NONE), edit(KEY, None, Some(lacked)));
        sheet.line(name, "below, given what one does not hold", below().map(give).collect::<Vec<_>>());
    }
    let ended = |level| {
        let status = orgledger::domain::organization::api_keys::KeyStatus::Active;
        (with(MAKER.actor(), level, Permissions::NONE).given(Event::ApiKeyRevoked { api_key_id, status }), action(KEY))
    };
    sheet.line(name, "below, which is revoked", levels(seat, Where::Below).map(ended).collect::<Vec<_>>());
}
