//! Paths to power that the machine walks and lets pass, each until the rules close it: told one by one here, so that
//! each has its own name.

use super::*;

/// Keeps keys and roles in order, from far below.
const KEEPER: RoleId = custom_role(1);

/// CO_ADMIN made a key, and was given a much lower role since, which can still manage keys.
fn demoted_maker(of: NewKey, permissions: &[Permission]) -> Story {
    let keeper = Event::RoleCreated {
        role_id: KEEPER,
        key: "KEEPER".to_owned(),
        name: "Keeper".to_owned(),
        description: None,
        level: 6,
        permissions: Permissions::of(permissions),
    };
    workspace()
        .given(keeper)
        .having(CO_ADMIN, of)
        .having(ADMIN, Action::ChangeMemberRole { member: CO_ADMIN, role: KEEPER })
}

#[test]
#[ignore = "the maker of a key may act on it whatever their rank, so a demoted maker gets a secret that outranks them"]
fn nobody_gets_the_secret_of_a_key_that_stands_above_them_though_they_made_it() {
    let held = [Permission::ApiKeysManage, Permission::MembersAssignRole, Permission::AppsRead];
    let story = demoted_maker(new_key(KEY).holding(&held), &held);
    story.when(CO_ADMIN, rotate(KEY)).then_refused(Refusal::RankTooLow);
    // What the new secret would be good for: the key, at level 2, raises its maker from level 6 to level 4.
    story.when(KEY, change_role(CO_ADMIN, "MEMBER")).then_accepted();
}

#[test]
#[ignore = "more time asks for what the key holds only once its time is over, so its maker keeps what they lost"]
fn more_time_for_a_key_needs_what_it_holds_before_its_time_is_over_too() {
    let lost = [Permission::MembersRemove];
    let story = demoted_maker(new_key(KEY).holding(&lost).until(day(1)), &[Permission::ApiKeysManage]);
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
