//! Edits of a role: from above, and within what one holds.

use super::*;

#[test]
fn an_edit_says_what_was_and_what_is() {
    let story = workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::AppsRead]));
    story.when(ADMIN, rename_role(PORTER, "Doorman")).then([renamed(PORTER, "Porter", "Doorman")]);
    story.when(ADMIN, move_role(PORTER, 9)).then([moved(PORTER, 5, 9)]);
    story.when(ADMIN, allow(PORTER, &[P::DataExport])).then([allowed(PORTER, &[P::AppsRead], &[P::DataExport])]);
    let describe = |description| Action::UpdateRole {
        role: PORTER,
        name: Some(name("Doorman")),
        description: Some(description),
        level: Some(level(2)),
        permissions: None,
    };
    let everything = |from: (&str, Option<&str>, u8), to: (&str, Option<&str>, u8)| Event::RoleUpdated {
        role_id: PORTER,
        name: (from.0 != to.0).then(|| Change { from: from.0.to_owned(), to: to.0.to_owned() }),
        description: Some(Change { from: from.1.map(str::to_owned), to: to.1.map(str::to_owned) }),
        level: (from.2 != to.2).then_some(Change { from: from.2, to: to.2 }),
        permissions: None,
    };
    let first = everything(("Porter", None, 5), ("Doorman", Some("Opens."), 2));
    story.when(ADMIN, describe(text("Opens."))).then([first]);
    let second = everything(("Doorman", Some("Opens."), 2), ("Doorman", None, 2));
    story.having(ADMIN, describe(text("Opens."))).when(ADMIN, describe(None)).then([second]);
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let story = led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::BillingRead]));
    story.when(ADMIN, Edit::default().of(PORTER)).then_nothing();
    let form = || Action::UpdateRole {
        role: PORTER,
        name: Some(name("Porter")),
        description: Some(None),
        level: Some(level(5)),
        permissions: Some(Permissions::of(&[P::BillingRead])),
    };
    story.when(ADMIN, form()).then_nothing();
    // Naming what is there adds nothing, so it asks for nothing that the role holds already.
    story.when(LEADER, form()).then_nothing();
}

#[test]
fn a_role_is_edited_from_above_only() {
    let story = led_workspace();
    for number in [2, 3] {
        let story = story.clone().having(ADMIN, new_role(PORTER, number));
        for action in [rename_role(PORTER, "Other"), move_role(PORTER, 9), allow(PORTER, &[]), delete_role(PORTER)] {
            story.when(LEADER, action).then_refused(Refusal::RankTooLow);
        }
    }
    let below = story.having(ADMIN, new_role(PORTER, 4));
    below.when(LEADER, rename_role(PORTER, "Other")).then_accepted();
    below.when(LEADER, delete_role(PORTER)).then_accepted();
}

#[test]
fn nobody_edits_or_deletes_the_role_they_hold() {
    for action in [rename_role(LEAD, "Boss"), move_role(LEAD, 2), move_role(LEAD, 9), delete_role(LEAD)] {
        led_workspace().when(LEADER, action).then_refused(Refusal::RankTooLow);
    }
    let everything = Edit { permissions: Some(Permissions::ALL), ..Edit::default() };
    led_workspace().when(LEADER, everything.of(LEAD)).then_refused(Refusal::RankTooLow);
}

#[test]
fn nobody_moves_a_role_as_high_as_they_stand() {
    let story = led_workspace().having(ADMIN, new_role(PORTER, 5));
    for number in [2, 3] {
        story.when(LEADER, move_role(PORTER, number)).then_refused(Refusal::RankTooLow);
    }
    story.when(LEADER, move_role(PORTER, 4)).then([moved(PORTER, 5, 4)]);
    story.when(ADMIN, move_role(PORTER, 2)).then([moved(PORTER, 5, 2)]);
}

#[test]
fn an_edit_adds_only_what_the_editor_holds() {
    let held = [P::BillingRead, P::AppsRead];
    let story = led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&held));
    let grown = [P::BillingRead, P::AppsRead, P::MembersRead, P::DataExport];
    story.when(LEADER, allow(PORTER, &grown)).then_not_held(&[P::DataExport]);
    let within = [P::BillingRead, P::AppsRead, P::MembersRead];
    story.when(LEADER, allow(PORTER, &within)).then([allowed(PORTER, &held, &within)]);
}

#[test]
fn what_the_editor_does_not_hold_may_stay_and_go_but_not_come_back() {
    let story = led_workspace().having(ADMIN, new_role(PORTER, 5).holding(&[P::BillingRead, P::AppsRead]));
    story.when(LEADER, allow(PORTER, &[P::BillingRead])).then_accepted();
    let gone = story.having(LEADER, allow(PORTER, &[P::AppsRead]));
    gone.when(LEADER, allow(PORTER, &[P::BillingRead, P::AppsRead])).then_not_held(&[P::BillingRead]);
}

#[test]
fn a_change_can_expect_a_version_of_the_role() {
    let story = workspace().having(ADMIN, new_role(PORTER, 5));
    let actual = story.organization.version();
    let story = story.having(ADMIN, new_role(OTHER_ROLE, 5).named("Other")).having(ADMIN, rename("Other"));
    let mismatch = |expected| Refusal::VersionMismatch { expected, actual };
    for action in [rename_role(PORTER, "Doorman"), Edit::default().of(PORTER), delete_role(PORTER)] {
        story.clone().expecting(actual).when(ADMIN, action.clone()).then_accepted();
        story.clone().expecting(actual + 1).when(ADMIN, action.clone()).then_refused(mismatch(actual + 1));
        // Who may not do it at all is told so, and not at which version it is.
        let refusal = Refusal::PermissionRequired(P::RolesManage);
        story.clone().expecting(actual + 1).when(CO_ADMIN, action).then_refused(refusal);
    }
    let edited = story.having(ADMIN, rename_role(PORTER, "Doorman"));
    let version = edited.organization.version();
    edited.expecting(version).when(ADMIN, rename_role(PORTER, "Porter")).then_accepted();
}
