//! What becomes of the keys that a person made, when their membership rests or ends.

use orgledger::domain::organization::{CreatedKeys, api_keys::KeyStatus};

use super::*;

/// [`CO_ADMIN`] made three keys of which one is disabled and one revoked; [`ADMIN`] made another.
fn with_created_keys() -> Story {
    workspace()
        .having(CO_ADMIN, new_key(key(3)).named("active"))
        .having(CO_ADMIN, new_key(key(2)).named("disabled"))
        .having(CO_ADMIN, Action::DisableApiKey { api_key: key(2) })
        .having(CO_ADMIN, new_key(key(1)).named("revoked"))
        .having(CO_ADMIN, Action::RevokeApiKey { api_key: key(1) })
        .having(ADMIN, new_key(key(4)).named("another's"))
}

/// The events about keys for each choice.
fn choices() -> [(CreatedKeys, Vec<Event>); 3] {
    let revoked = |number, status| Event::ApiKeyRevoked { api_key_id: key(number), status };
    [
        (CreatedKeys::Keep, vec![]),
        (CreatedKeys::Disable, vec![Event::ApiKeyDisabled { api_key_id: key(3) }]),
        (CreatedKeys::Revoke, vec![revoked(2, KeyStatus::Disabled), revoked(3, KeyStatus::Active)]),
    ]
}

#[test]
fn the_keys_a_removed_or_resting_member_created_are_kept_disabled_or_revoked() {
    for (created_keys, keys) in choices() {
        let remove = Action::RemoveMember { member: CO_ADMIN, created_keys };
        let expected = [vec![removed(CO_ADMIN, "CO_ADMIN")], keys.clone()].concat();
        with_created_keys().when(ADMIN, remove).then(expected);

        let deactivate = Action::DeactivateMember { member: CO_ADMIN, created_keys };
        let expected = [vec![Event::MemberDeactivated { user_id: CO_ADMIN }], keys].concat();
        with_created_keys().when(ADMIN, deactivate).then(expected);
    }
}

#[test]
fn deactivating_who_rests_already_still_does_to_their_keys_what_is_asked() {
    let story = with_created_keys().having(ADMIN, deactivate(CO_ADMIN));
    for (created_keys, keys) in choices() {
        let answer = story.when(ADMIN, Action::DeactivateMember { member: CO_ADMIN, created_keys });
        answer.then(keys);
        let again = story.clone().having(ADMIN, Action::DeactivateMember { member: CO_ADMIN, created_keys });
        again.when(ADMIN, Action::DeactivateMember { member: CO_ADMIN, created_keys }).then_nothing();
    }
    let answer = story.when(ADMIN, deactivate(CO_ADMIN));
    assert_eq!(answer.notes().created_keys, [key(2), key(3)], "the answer names them all the same");
    // Not by who could not do it to each of those keys alone.
    story
        .with(STRANGER, "CO_ADMIN")
        .having(ADMIN, change_role(CO_ADMIN, "MANAGER"))
        .when(STRANGER, Action::DeactivateMember { member: CO_ADMIN, created_keys: CreatedKeys::Disable })
        .then_refused(Refusal::RankTooLow);
}

#[test]
fn who_leaves_says_what_becomes_of_their_keys() {
    for (created_keys, keys) in choices() {
        let expected = [vec![left(CO_ADMIN, "CO_ADMIN")], keys].concat();
        with_created_keys().when(CO_ADMIN, Action::LeaveOrganization { created_keys }).then(expected);
    }
}

#[test]
fn the_answer_names_the_living_keys_that_the_person_created() {
    for created_keys in [CreatedKeys::Keep, CreatedKeys::Disable, CreatedKeys::Revoke] {
        let action = Action::RemoveMember { member: CO_ADMIN, created_keys };
        assert_eq!(with_created_keys().when(ADMIN, action).notes().created_keys, [key(2), key(3)]);
    }
}

#[test]
fn keys_outlive_their_creator_unless_told_otherwise() {
    let permissions = [P::OrganizationUpdate];
    workspace()
        .having(CO_ADMIN, new_key(KEY).holding(&permissions))
        .having(ADMIN, remove(CO_ADMIN))
        .when(KEY, rename("Other"))
        .then_accepted();
}

#[test]
fn ending_the_created_keys_needs_what_ending_them_one_by_one_needs() {
    // The manager made a key as a co-admin, and can no longer manage keys.
    let story = with_created_keys().having(ADMIN, change_role(CO_ADMIN, "MANAGER"));
    for created_keys in [CreatedKeys::Disable, CreatedKeys::Revoke] {
        story
            .when(CO_ADMIN, Action::LeaveOrganization { created_keys })
            .then_refused(Refusal::PermissionRequired(P::ApiKeysManage));
    }
    story.when(CO_ADMIN, leave()).then([left(CO_ADMIN, "MANAGER")]);
    // The other co-admin stands no higher than those keys.
    story
        .with(STRANGER, "CO_ADMIN")
        .when(STRANGER, Action::RemoveMember { member: CO_ADMIN, created_keys: CreatedKeys::Revoke })
        .then_refused(Refusal::RankTooLow);
}

#[test]
fn the_last_admin_is_told_so_before_anything_about_keys() {
    team()
        .having(ADMIN, new_key(KEY))
        .when(ADMIN, Action::LeaveOrganization { created_keys: CreatedKeys::Revoke })
        .then_refused(Refusal::LastOwner);
}
