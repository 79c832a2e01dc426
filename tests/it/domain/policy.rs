//! Who holds what, who may do what, and in which order the rules answer.

use orgledger::domain::{
    Refusal,
    organization::{
        Ask, Event, Kind, OrganizationAction as A, Permission as P, Permissions, api_keys::KeyType, kinds::OwnerRule,
        members::MemberStatus,
    },
};

use super::*;

mod golden;

const INVITING: [A; 3] = [A::InviteMember, A::ResendInvitation, A::RevokeInvitation];

fn holds(kind: Kind, key: &str) -> Permissions {
    let found = kind.rules().roles.iter().find(|role| role.key == key);
    found.map_or_else(|| panic!("no role {key}"), |role| role.permissions)
}

/// What this person may do, targets aside.
fn may(story: &Story, user: UserId) -> Vec<A> {
    let allowed = |action: &A| story.organization.may(user.actor(), &Ask::about(*action), story.now).is_ok();
    A::ALL.into_iter().filter(allowed).collect()
}

#[test]
fn every_kind_has_its_roles_at_their_levels() {
    let table = |kind: Kind| kind.rules().roles.iter().map(|role| (role.key, role.level)).collect::<Vec<_>>();
    assert_eq!(table(Kind::Personal), [("OWNER", 1)]);
    assert_eq!(table(Kind::Team), [("ADMIN", 1), ("MEMBER", 2), ("AUDITOR", 2)]);
    assert_eq!(table(Kind::Workspace), [("ADMIN", 1), ("CO_ADMIN", 2), ("MANAGER", 3), ("MEMBER", 4), ("AUDITOR", 4)]);
    assert_eq!(
        table(Kind::Enterprise),
        [("SUPER_ADMIN", 1), ("FINANCE_ADMIN", 2), ("DEV_ADMIN", 2), ("MEMBER", 3), ("AUDITOR", 3)]
    );
}

#[test]
fn every_kind_has_one_owner_role_which_is_the_highest() {
    for kind in Kind::ALL {
        let owners: Vec<_> = kind.rules().roles.iter().filter(|role| role.owner).collect();
        assert_eq!(owners, [kind.rules().owner_role()]);
        assert_eq!(kind.rules().owner_role().permissions, Permissions::ALL);
        assert_eq!(Kind::from_name(kind.rules().name), Some(kind));
    }
    assert_eq!(Kind::from_name("TRIBE"), None);
}

#[test]
fn teams_and_workspaces_need_an_admin_and_invite_members_by_default() {
    for kind in [Kind::Team, Kind::Workspace] {
        assert_eq!(kind.rules().owners, OwnerRule::AtLeastOne);
        assert_eq!(kind.rules().default_invitation_role().key, "MEMBER");
        assert!(kind.rules().created_by_people);
    }
    assert!(Kind::Workspace.rules().custom_roles && !Kind::Team.rules().custom_roles);
}

#[test]
fn every_role_holds_what_the_table_says() {
    let auditor = Permissions::of(&[P::MembersRead, P::ApiKeysRead, P::AuditRead, P::AuditExport, P::EventsSubscribe]);
    for kind in [Kind::Team, Kind::Workspace] {
        assert_eq!(holds(kind, "ADMIN"), Permissions::ALL);
        assert_eq!(holds(kind, "AUDITOR"), auditor);
    }
    assert_eq!(holds(Kind::Team, "MEMBER"), Permissions::of(&[P::MembersRead, P::AppsRead]));
    assert_eq!(holds(Kind::Workspace, "MEMBER"), Permissions::of(&[P::AppsRead]));
    assert_eq!(holds(Kind::Workspace, "MANAGER"), Permissions::of(&[P::MembersRead, P::MembersInvite, P::AppsRead]));
    assert_eq!(
        Permissions::ALL.without(holds(Kind::Workspace, "CO_ADMIN")),
        Permissions::of(&[P::OrganizationDelete, P::RolesManage, P::BillingManage])
    );
}

/// Every action but these.
fn all_but(left_out: &[A]) -> Vec<A> {
    A::ALL.into_iter().filter(|action| !left_out.contains(action)).collect()
}

#[test]
fn each_role_may_do_what_its_permissions_say_and_leave() {
    let story = workspace().with(OTHER_ADMIN, "ADMIN");
    assert_eq!(may(&story, ADMIN), all_but(&[A::RequestCertification]));
    let not_a_co_admin = [
        A::RequestCertification,
        A::DeleteOrganization,
        A::TransferOwnership,
        A::CreateRole,
        A::UpdateRole,
        A::DeleteRole,
    ];
    assert_eq!(may(&story, CO_ADMIN), all_but(&not_a_co_admin));
    assert_eq!(may(&story, MANAGER), [&[A::LeaveOrganization], &INVITING[..]].concat());
    assert_eq!(may(&story, MEMBER), [A::LeaveOrganization]);
    assert_eq!(may(&story, AUDITOR), [A::LeaveOrganization, A::ExportAuditLog]);

    let not_in_a_team = [A::RequestCertification, A::CreateRole, A::UpdateRole, A::DeleteRole];
    assert_eq!(may(&team().with(OTHER_ADMIN, "ADMIN"), ADMIN), all_but(&not_in_a_team));
    assert_eq!(may(&team(), MEMBER), [A::LeaveOrganization]);
    assert_eq!(may(&team(), AUDITOR), [A::LeaveOrganization, A::ExportAuditLog]);
    assert_eq!(may(&team(), STRANGER), []);
}

#[test]
fn each_action_names_the_permission_it_needs() {
    let needed = [
        (A::UpdateOrganization, P::OrganizationUpdate),
        (A::CreateLogoUpload, P::OrganizationUpdate),
        (A::RemoveLogo, P::OrganizationUpdate),
        (A::RequestCertification, P::OrganizationUpdate),
        (A::RequestDataExport, P::DataExport),
        (A::DeleteOrganization, P::OrganizationDelete),
        (A::ChangeMemberRole, P::MembersAssignRole),
        (A::DeactivateMember, P::MembersUpdate),
        (A::ReactivateMember, P::MembersUpdate),
        (A::RemoveMember, P::MembersRemove),
        (A::InviteMember, P::MembersInvite),
        (A::ResendInvitation, P::MembersInvite),
        (A::RevokeInvitation, P::MembersInvite),
        (A::CreateRole, P::RolesManage),
        (A::UpdateRole, P::RolesManage),
        (A::DeleteRole, P::RolesManage),
        (A::CreateApiKey, P::ApiKeysManage),
        (A::UpdateApiKey, P::ApiKeysManage),
        (A::DisableApiKey, P::ApiKeysManage),
        (A::EnableApiKey, P::ApiKeysManage),
        (A::RotateApiKey, P::ApiKeysManage),
        (A::RevokeApiKey, P::ApiKeysManage),
        (A::ExportAuditLog, P::AuditExport),
    ];
    assert_eq!(needed.map(|(action, _)| action).to_vec(), all_but(&[A::LeaveOrganization, A::TransferOwnership]));
    let enterprise = only_admin(Kind::Enterprise).with(MEMBER, "MEMBER");
    for (action, permission) in needed {
        let story = if action == A::RequestCertification { &enterprise } else { &workspace() };
        let refusal = story.organization.may(MEMBER.actor(), &Ask::about(action), story.now).err();
        assert_eq!(refusal, Some(Refusal::PermissionRequired(permission)), "{action:?}");
    }
}

#[test]
fn access_comes_before_kind() {
    only_admin(Kind::Personal).when(STRANGER, invite()).then_not_found("organizationId");
    only_admin(Kind::Enterprise)
        .with(MEMBER, "MEMBER")
        .given(Event::MemberDeactivated { user_id: MEMBER })
        .when(MEMBER, invite())
        .then_refused(Refusal::MemberInactive);
}

#[test]
fn kind_comes_before_permission() {
    let story = only_admin(Kind::Enterprise).with(MEMBER, "MEMBER");
    for action in [invite(), resend(INVITATION), remove(ADMIN), deactivate(ADMIN), change_role(ADMIN, "MEMBER")] {
        story.when(MEMBER, action.clone()).then_refused(Refusal::NotCertified);
        only_admin(Kind::Personal).when(ADMIN, action).then_refused(Refusal::MembersNotAvailable);
    }
}

#[test]
fn leaving_and_deleting_wait_for_no_certification() {
    let story = only_admin(Kind::Enterprise).with(MEMBER, "MEMBER");
    story.when(MEMBER, leave()).then([Event::MemberLeft {
        user_id: MEMBER,
        role_id: role("MEMBER"),
        status: MemberStatus::Active,
    }]);
    story.when(ADMIN, delete()).then([Event::OrganizationDeleted {}]);
}

#[test]
fn the_one_owner_does_not_leave() {
    for kind in [Kind::Personal, Kind::Enterprise] {
        only_admin(kind).when(ADMIN, leave()).then_refused(Refusal::OwnerMustTransfer);
    }
}

#[test]
fn permission_comes_before_target() {
    let story = workspace();
    story.when(MEMBER, remove(STRANGER)).then_refused(Refusal::PermissionRequired(P::MembersRemove));
    story.when(MEMBER, rotate(KEY)).then_refused(Refusal::PermissionRequired(P::ApiKeysManage));
    story.when(MEMBER, resend(INVITATION)).then_refused(Refusal::PermissionRequired(P::MembersInvite));
}

#[test]
fn target_comes_before_rank() {
    workspace().when(CO_ADMIN, change_role(ADMIN, "DEV_ADMIN")).then_not_found("roleId");
    workspace().when(CO_ADMIN, change_role(STRANGER, "ADMIN")).then_not_found("memberId");
}

#[test]
fn rank_comes_before_assignable() {
    workspace().when(CO_ADMIN, change_role(ADMIN, "CO_ADMIN")).then_refused(Refusal::RankTooLow);
}

#[test]
fn assignable_comes_before_not_held() {
    workspace().when(MANAGER, invite_as("ADMIN")).then_rows([Err(not_assignable("ADMIN"))]);
    workspace().when(CO_ADMIN, set_default_role("ADMIN")).then_refused(not_assignable("ADMIN"));
}

#[test]
fn every_rule_comes_before_the_limits_and_the_names() {
    let crowd = || invite_all((100..151).map(|number| row(invitation(number), person(number))));
    workspace().when(MEMBER, crowd()).then_refused(Refusal::PermissionRequired(P::MembersInvite));
    workspace()
        .having(ADMIN, new_key(KEY))
        .when(CO_ADMIN, new_key(OTHER_KEY).holding(&[P::BillingManage]))
        .then_not_held(&[P::BillingManage]);
}

#[test]
fn every_rule_comes_before_the_expected_version() {
    let story = workspace().having(ADMIN, invite_as("CO_ADMIN")).having(ADMIN, new_key(KEY)).expecting(99);
    story.when(CO_ADMIN, remove(ADMIN)).then_refused(Refusal::RankTooLow);
    story.when(CO_ADMIN, rotate(KEY)).then_refused(Refusal::RankTooLow);
    story.when(MANAGER, resend(INVITATION)).then_refused(not_assignable("CO_ADMIN"));
    story.when(MEMBER, rename("Other")).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
}

#[test]
fn what_a_person_alone_can_do_refuses_a_key_before_asking_for_permissions() {
    let story = team().having(ADMIN, NewKey { key_type: KeyType::AiAgent, ..new_key(KEY) });
    for action in [leave(), delete(), accept(INVITATION, 1), decline(INVITATION)] {
        story.when(KEY, action).then_refused(Refusal::UserRequired);
    }
}

#[test]
fn a_refusal_has_a_permanent_code_and_points_at_an_input() {
    let refusals = [
        (Refusal::NotFound { field: "memberId" }, "NOT_FOUND", Some("memberId")),
        (Refusal::MemberInactive, "MEMBER_INACTIVE", None),
        (Refusal::UserRequired, "USER_REQUIRED", None),
        (Refusal::MembersNotAvailable, "MEMBERS_NOT_AVAILABLE", None),
        (Refusal::NotCertified, "NOT_CERTIFIED", None),
        (Refusal::PermissionRequired(P::AppsRead), "PERMISSION_REQUIRED", None),
        (Refusal::RankTooLow, "RANK_TOO_LOW", None),
        (Refusal::OwnerMustTransfer, "OWNER_MUST_TRANSFER", None),
        (not_assignable("ADMIN"), "ROLE_NOT_ASSIGNABLE", Some("roleId")),
        (Refusal::PermissionNotHeld { missing: Permissions::ALL }, "PERMISSION_NOT_HELD", Some("permissions")),
        (Refusal::LastOwner, "LAST_OWNER", None),
        (Refusal::RoleInUse { member_count: 1, invitation_count: 0 }, "ROLE_IN_USE", Some("reassignToRoleId")),
        (Refusal::NameTaken, "NAME_TAKEN", Some("name")),
        (Refusal::AlreadyAMember, "ALREADY_A_MEMBER", None),
        (Refusal::InvitationPending, "INVITATION_PENDING", None),
        (Refusal::InvitationExpired, "INVITATION_EXPIRED", None),
        (Refusal::InvitationClosed, "INVITATION_CLOSED", None),
        (Refusal::WrongRecipient { masked: MASKED.to_owned() }, "WRONG_RECIPIENT", None),
        (Refusal::InviterCannotGrant, "INVITER_CANNOT_GRANT", None),
        (limit(3, "wishes"), "LIMIT_REACHED", None),
        (Refusal::invalid("email", "must be an email address"), "INVALID_INPUT", Some("email")),
        (Refusal::VersionMismatch { expected: 1, actual: 2 }, "VERSION_MISMATCH", Some("expectedVersion")),
        (Refusal::IdempotencyMismatch, "IDEMPOTENCY_MISMATCH", Some("idempotencyKey")),
        (Refusal::Conflict, "CONFLICT", None),
    ];
    for (refusal, code, field) in refusals {
        assert_eq!((refusal.code(), refusal.field()), (code, field));
        assert!(refusal.to_string().ends_with('.'), "{refusal}");
    }
}
