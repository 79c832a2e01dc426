//! Paths to power that were open once, told one by one here, so that each has its own name.

use super::*;

/// Keeps keys and roles in order, from far below.
const KEEPER: RoleId = custom_role(1);

/// CO_ADMIN made a key, and was given another role since, which can still manage keys.
fn demoted_maker(of: NewKey, level: u8, permissions: &[Permission]) -> Story {
    let keeper = Event::RoleCreated {
        role_id: KEEPER,
        key: "KEEPER".to_owned(),
        name: "Keeper".to_owned(),
        description: None,
        level,
        permissions: Permissions::of(permissions),
    };
    workspace()
        .given(keeper)
        .having(CO_ADMIN, of)
        .having(ADMIN, Action::ChangeMemberRole { member: CO_ADMIN, role: KEEPER })
}

#[test]
fn nobody_gets_the_secret_of_a_key_that_stands_above_them_though_they_made_it() {
    let held = [Permission::ApiKeysManage, Permission::MembersAssignRole, Permission::AppsRead];
    let story = demoted_maker(new_key(KEY).holding(&held), 6, &held);
    story.when(CO_ADMIN, rotate(KEY)).then_refused(Refusal::RankTooLow);
    // What the new secret would be good for: the key, at level 2, raises its maker from level 6 to level 4.
    story.when(KEY, change_role(CO_ADMIN, "MEMBER")).then_accepted();
}

#[test]
fn more_time_for_a_key_needs_what_it_holds_before_its_time_is_over_too() {
    let lost = [Permission::MembersRemove];
    let story = demoted_maker(new_key(KEY).holding(&lost).until(day(1)), 2, &[Permission::ApiKeysManage]);
    let for_ever = Action::UpdateApiKey {
        api_key: KEY,
        name: None,
        description: None,
        permissions: None,
        rate_limit: None,
        expires_at: Some(None),
    };
    story.clone().at(day(2)).when(CO_ADMIN, for_ever.clone()).then_not_held(&lost);
    story.when(CO_ADMIN, for_ever).then_not_held(&lost);
}
