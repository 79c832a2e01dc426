//! Who acts on a key, and keys that act.

use super::*;

#[test]
fn who_stands_no_higher_than_a_key_acts_on_it_only_if_they_made_it() {
    let story = workspace().having(ADMIN, new_key(KEY));
    for action in every_change() {
        story.when(CO_ADMIN, action.clone()).then_refused(Refusal::RankTooLow);
        story.when(ADMIN, action.clone()).then_accepted();
        workspace().having(CO_ADMIN, new_key(KEY)).when(CO_ADMIN, action).then_accepted();
    }
}

#[test]
fn an_admin_acts_on_every_key() {
    let story = workspace().with(OTHER_ADMIN, "ADMIN").having(ADMIN, new_key(KEY));
    for action in every_change() {
        story.when(OTHER_ADMIN, action).then_accepted();
    }
}

#[test]
fn a_key_does_not_act_on_itself_or_its_peers() {
    let keys = [P::ApiKeysManage];
    let story = team()
        .having(ADMIN, new_key(KEY).holding(&keys))
        .having(ADMIN, new_key(OTHER_KEY).named("Other").holding(&keys));
    for action in every_change() {
        story.when(KEY, action.clone()).then_refused(Refusal::RankTooLow);
        story.when(OTHER_KEY, action).then_refused(Refusal::RankTooLow);
    }
}

#[test]
fn a_key_acts_on_the_keys_it_made() {
    let story = team()
        .having(ADMIN, new_key(OTHER_KEY).named("parent").holding(&[P::ApiKeysManage]))
        .having(OTHER_KEY, new_key(KEY));
    for action in every_change() {
        story.when(OTHER_KEY, action).then_accepted();
    }
}

#[test]
fn a_key_acts_with_its_own_permissions_only() {
    let story = team().having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]));
    story.when(KEY, rename("Other")).then_accepted();
    story.when(KEY, invite()).then_refused(Refusal::PermissionRequired(P::MembersInvite));
    story.when(KEY, new_key(OTHER_KEY).named("Other")).then_refused(Refusal::PermissionRequired(P::ApiKeysManage));
}

#[test]
fn a_key_that_is_unknown_off_expired_or_revoked_finds_nothing() {
    let story = team().having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]).until(day(3)));
    story.when(OTHER_KEY, rename("Other")).then_not_found("organizationId");
    story.clone().at(day(3)).when(KEY, rename("Other")).then_not_found("organizationId");
    for ending in [disable(KEY), revoke(KEY)] {
        story.clone().having(ADMIN, ending).when(KEY, rename("Other")).then_not_found("organizationId");
    }
    let again = story.having(ADMIN, disable(KEY)).having(ADMIN, enable(KEY));
    again.when(KEY, rename("Other")).then_accepted();
}
