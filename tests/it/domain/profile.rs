//! Making, editing and deleting an organization.

use orgledger::domain::{
    Refusal,
    organization::{Action, Event, Kind, Permission as P},
};

use super::*;

fn describe(description: &str) -> Action {
    Action::UpdateOrganization { name: None, description: Some(text(description)), default_role: None }
}

fn renamed(from: &str, to: &str) -> Event {
    Event::OrganizationRenamed { from: from.to_owned(), to: to.to_owned() }
}

#[test]
fn who_creates_an_organization_is_its_owner() {
    for (kind, owner) in [(Kind::Team, "ADMIN"), (Kind::Workspace, "ADMIN"), (Kind::Enterprise, "SUPER_ADMIN")] {
        nothing().when(ADMIN, create(kind)).then([
            Event::OrganizationCreated { kind, name: "Acme".to_owned(), description: None },
            joined(ADMIN, role(owner)),
        ]);
    }
}

#[test]
fn people_create_every_kind_but_personal() {
    nothing()
        .when(ADMIN, create(Kind::Personal))
        .then_refused(Refusal::invalid("kind", "must be TEAM, WORKSPACE or ENTERPRISE"));
}

#[test]
fn a_key_creates_no_organization() {
    nothing().when(KEY, create(Kind::Team)).then_refused(Refusal::UserRequired);
}

#[test]
fn an_id_is_used_once() {
    team().when(ADMIN, create(Kind::Team)).then_not_found("organizationId");
    team().having(ADMIN, delete()).when(ADMIN, create(Kind::Team)).then_not_found("organizationId");
}

#[test]
fn a_person_creates_up_to_a_hundred_organizations() {
    let create_when_in = |organizations| Action::CreateOrganization {
        kind: Kind::Team,
        name: name("Acme"),
        description: None,
        email_commitment: commitment(),
        organizations,
    };
    nothing().when(ADMIN, create_when_in(99)).then_accepted();
    nothing().when(ADMIN, create_when_in(100)).then_refused(limit(100, "organizations of one person"));
}

#[test]
fn before_it_is_created_nothing_can_be_asked_of_it() {
    nothing().when(ADMIN, rename("Other")).then_not_found("organizationId");
    nothing().when(ADMIN, leave()).then_not_found("organizationId");
    nothing().when(ADMIN, accept(INVITATION, 1)).then_not_found("invitationId");
}

#[test]
fn admins_and_co_admins_edit_the_profile() {
    workspace().when(ADMIN, rename("Other")).then([renamed("Acme", "Other")]);
    workspace().when(CO_ADMIN, rename("Other")).then([renamed("Acme", "Other")]);
    for user in [MANAGER, MEMBER, AUDITOR] {
        workspace().when(user, rename("Other")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
    }
}

#[test]
fn an_event_per_field_says_what_was_before() {
    let edit = Action::UpdateOrganization {
        name: Some(name("Other")),
        description: Some(text("Makes anvils.")),
        default_role: Some(role("AUDITOR")),
    };
    team().when(ADMIN, edit).then([
        renamed("Acme", "Other"),
        Event::OrganizationDescriptionChanged { from: None, to: Some("Makes anvils.".to_owned()) },
        Event::OrganizationDefaultRoleChanged { from: role("MEMBER"), to: role("AUDITOR") },
    ]);
}

#[test]
fn an_edit_that_changes_nothing_writes_nothing() {
    let same = Action::UpdateOrganization {
        name: Some(name("Acme")),
        description: Some(None),
        default_role: Some(role("MEMBER")),
    };
    let empty = Action::UpdateOrganization { name: None, description: None, default_role: None };
    team().when(ADMIN, same).then_nothing();
    team().when(ADMIN, empty).then_nothing();
    team().having(ADMIN, describe("Same")).when(ADMIN, describe("Same")).then_nothing();
}

#[test]
fn a_name_changes_when_only_its_case_does() {
    team().when(ADMIN, rename("ACME")).then([renamed("Acme", "ACME")]);
}

#[test]
fn a_description_can_be_taken_away() {
    team()
        .having(ADMIN, describe("Old"))
        .when(ADMIN, describe(" "))
        .then([Event::OrganizationDescriptionChanged { from: Some("Old".to_owned()), to: None }]);
}

#[test]
fn the_default_role_is_never_an_owner_role() {
    team().when(ADMIN, set_default_role("ADMIN")).then_refused(not_assignable("ADMIN"));
    workspace().when(ADMIN, set_default_role("ADMIN")).then_refused(not_assignable("ADMIN"));
}

#[test]
fn the_default_role_is_below_who_sets_it() {
    workspace().when(CO_ADMIN, set_default_role("CO_ADMIN")).then_refused(not_assignable("CO_ADMIN"));
    workspace()
        .when(CO_ADMIN, set_default_role("MANAGER"))
        .then([Event::OrganizationDefaultRoleChanged { from: role("MEMBER"), to: role("MANAGER") }]);
}

#[test]
fn the_default_role_is_one_of_the_organization() {
    team().when(ADMIN, set_default_role("CO_ADMIN")).then_not_found("roleId");
}

#[test]
fn a_key_sets_no_default_role_that_allows_more_than_it_holds() {
    workspace()
        .having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]))
        .when(KEY, set_default_role("MANAGER"))
        .then_not_held(&[P::MembersRead, P::MembersInvite, P::AppsRead]);
}

#[test]
fn naming_the_default_role_that_is_set_already_asks_nothing() {
    let story = workspace()
        .having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]))
        .having(ADMIN, set_default_role("AUDITOR"));
    story.when(KEY, set_default_role("MEMBER")).then_not_held(&[P::AppsRead]);
    story.when(KEY, set_default_role("AUDITOR")).then_nothing();
    let form = |role_key| Action::UpdateOrganization {
        name: Some(name("Other")),
        description: Some(None),
        default_role: Some(role(role_key)),
    };
    story.when(KEY, form("AUDITOR")).then([renamed("Acme", "Other")]);
    story.when(MEMBER, set_default_role("AUDITOR")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
}

#[test]
fn an_edit_can_expect_a_version_of_the_profile() {
    // Created at 1; the members who joined since have not touched the profile.
    workspace().expecting(1).when(ADMIN, rename("Other")).then_accepted();
    let renamed = workspace().having(ADMIN, rename("Other"));
    let actual = renamed.organization.version();
    renamed.expecting(1).when(ADMIN, rename("Third")).then_refused(Refusal::VersionMismatch { expected: 1, actual });
}

#[test]
fn an_admin_deletes_the_organization_by_typing_its_name() {
    for typed in ["Acme", " acme ", "ACME"] {
        let action = Action::DeleteOrganization { confirm_name: typed.to_owned() };
        team().when(ADMIN, action).then([Event::OrganizationDeleted {}]);
    }
    for typed in ["", "Acm", "Acme Inc"] {
        let action = Action::DeleteOrganization { confirm_name: typed.to_owned() };
        let refusal = Refusal::invalid("confirmName", "must be the name of the organization");
        team().when(ADMIN, action).then_refused(refusal);
    }
}

#[test]
fn only_admins_delete() {
    for user in [CO_ADMIN, MANAGER, MEMBER, AUDITOR] {
        workspace().when(user, delete()).then_refused(Refusal::PermissionRequired(P::OrganizationDelete));
    }
}

#[test]
fn a_key_deletes_nothing_whatever_it_holds() {
    team()
        .having(ADMIN, new_key(KEY).holding(&[P::OrganizationDelete]))
        .when(KEY, delete())
        .then_refused(Refusal::UserRequired);
}

#[test]
fn of_a_deleted_organization_only_the_version_is_left() {
    let story = team().having(ADMIN, new_key(KEY)).having(ADMIN, invite());
    let version = story.organization.version();
    let deleted = story.having(ADMIN, delete());

    assert_eq!(deleted.organization.version(), version + 1);
    assert_eq!(deleted.organization.members().count(), 0);
    assert_eq!(deleted.organization.invitations().count(), 0);
    assert_eq!(deleted.organization.api_keys().count(), 0);
    assert_eq!(deleted.organization.weight(), 1);
    deleted.when(ADMIN, delete()).then_not_found("organizationId");
    deleted.when(ADMIN, rename("Other")).then_not_found("organizationId");
    deleted.when(KEY, rename("Other")).then_not_found("organizationId");
    deleted.when(STRANGER, accept(INVITATION, 1)).then_not_found("invitationId");
    deleted.when(STRANGER, decline(INVITATION)).then_not_found("invitationId");
}

#[test]
fn the_weight_counts_what_is_held() {
    let story = team().having(ADMIN, new_key(KEY)).having(ADMIN, invite());
    assert_eq!(story.organization.weight(), 1 + 3 + 1 + 1);
}

/// As long as the last one is of use it is given again; it can be outlived once.
#[test]
fn an_export_of_data_is_asked_for_once() {
    let [first, second] = [1, 2].map(|number| DataExportId(Uuid::from_u128(number)));
    let ask = |export, outlived| Action::RequestDataExport { export, outlived };
    let asked = |export_id| Event::OrganizationDataExportRequested { export_id };
    team().when(ADMIN, ask(first, None)).then([asked(first)]);
    let story = team().having(ADMIN, ask(first, None));
    story.when(ADMIN, ask(second, None)).then_nothing();
    story.when(ADMIN, ask(second, Some(first))).then([asked(second)]);
    let story = story.having(ADMIN, ask(second, Some(first)));
    story.when(ADMIN, ask(DataExportId(Uuid::from_u128(3)), Some(first))).then_nothing();
    story.when(MEMBER, ask(first, None)).then_refused(Refusal::PermissionRequired(P::DataExport));
}
