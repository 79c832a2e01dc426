//! Custom roles: who makes them, at which level, and of what.

use orgledger::domain::{
    Refusal,
    organization::{
        Event, Permission as P,
        event::Change,
        roles::{Level, Role},
    },
};

use super::*;

mod deletion;
mod edits;
mod names;
mod reach;

const PORTER: RoleId = custom(1);
const OTHER_ROLE: RoleId = custom(2);
/// The role of [`LEADER`]: level 3, and allowed to manage roles.
const LEAD: RoleId = custom(3);
const LEADER: UserId = person(9);
/// What [`LEAD`] allows.
const LEADS: [P; 5] = [P::MembersRead, P::MembersInvite, P::MembersAssignRole, P::RolesManage, P::AppsRead];

const fn custom(number: u128) -> RoleId {
    RoleId(Uuid::from_u128(0xC000_0000 + number))
}

/// A role to make.
#[derive(Clone, Copy)]
struct NewRole {
    id: RoleId,
    name: &'static str,
    level: u8,
    permissions: Permissions,
}

/// A role called "Porter" with that level, which may do nothing.
const fn new_role(id: RoleId, level: u8) -> NewRole {
    NewRole { id, name: "Porter", level, permissions: Permissions::NONE }
}

impl NewRole {
    const fn holding(self, permissions: &[P]) -> Self {
        Self { permissions: Permissions::of(permissions), ..self }
    }

    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The event that makes it.
    fn created(self, key: &str) -> Event {
        Event::RoleCreated {
            role_id: self.id,
            key: key.to_owned(),
            name: self.name.to_owned(),
            description: None,
            level: self.level,
            permissions: self.permissions,
        }
    }

    /// The event that deletes it.
    fn deleted(self, key: &str) -> Event {
        Event::RoleDeleted {
            role_id: self.id,
            key: key.to_owned(),
            name: self.name.to_owned(),
            level: self.level,
            permissions: self.permissions,
        }
    }
}

impl From<NewRole> for Action {
    fn from(role: NewRole) -> Self {
        Self::CreateRole {
            role: role.id,
            name: name(role.name),
            description: None,
            level: level(role.level),
            permissions: role.permissions,
        }
    }
}

fn level(number: u8) -> Level {
    i32::from(number).try_into().unwrap()
}

/// An edit; what is not named stays.
#[derive(Default)]
struct Edit {
    name: Option<&'static str>,
    level: Option<u8>,
    permissions: Option<Permissions>,
}

impl Edit {
    fn of(self, role: RoleId) -> Action {
        Action::UpdateRole {
            role,
            name: self.name.map(name),
            description: None,
            level: self.level.map(level),
            permissions: self.permissions,
        }
    }
}

fn rename_role(role: RoleId, to: &'static str) -> Action {
    Edit { name: Some(to), ..Edit::default() }.of(role)
}

fn move_role(role: RoleId, to: u8) -> Action {
    Edit { level: Some(to), ..Edit::default() }.of(role)
}

fn allow(role: RoleId, permissions: &[P]) -> Action {
    Edit { permissions: Some(Permissions::of(permissions)), ..Edit::default() }.of(role)
}

fn delete_role(role: RoleId) -> Action {
    Action::DeleteRole { role, reassign_to: None }
}

/// A role is given to somebody by its id.
fn give(member: UserId, role: RoleId) -> Action {
    Action::ChangeMemberRole { member, role }
}

/// A WORKSPACE where [`LEADER`] leads.
fn led_workspace() -> Story {
    let lead = NewRole { id: LEAD, name: "Lead", level: 3, permissions: Permissions::of(&LEADS) };
    workspace().given(lead.created("LEAD")).given(joined(LEADER, LEAD))
}

impl Story {
    #[track_caller]
    fn role(&self, id: RoleId) -> Role {
        self.organization.roles().find(|(found, _)| *found == id).map(|(_, role)| role.clone()).unwrap()
    }
}

fn renamed(role_id: RoleId, from: &str, to: &str) -> Event {
    let name = Some(Change { from: from.to_owned(), to: to.to_owned() });
    Event::RoleUpdated { role_id, name, description: None, level: None, permissions: None }
}

fn moved(role_id: RoleId, from: u8, to: u8) -> Event {
    Event::RoleUpdated { role_id, name: None, description: None, level: Some(Change { from, to }), permissions: None }
}

fn allowed(role_id: RoleId, from: &[P], to: &[P]) -> Event {
    let permissions = Some(Change { from: Permissions::of(from), to: Permissions::of(to) });
    Event::RoleUpdated { role_id, name: None, description: None, level: None, permissions }
}

#[test]
fn an_admin_makes_a_role_and_gives_it() {
    let porter = new_role(PORTER, 5).holding(&[P::AppsRead]);
    workspace().when(ADMIN, porter).then([porter.created("PORTER")]);
    workspace().having(ADMIN, porter).when(ADMIN, give(MEMBER, PORTER)).then([Event::MemberRoleChanged {
        user_id: MEMBER,
        from: role("MEMBER"),
        to: PORTER,
    }]);
}

#[test]
fn a_role_is_made_with_its_description() {
    let action = Action::CreateRole {
        role: PORTER,
        name: name(" Porter "),
        description: text("Carries."),
        level: level(2),
        permissions: Permissions::NONE,
    };
    workspace().when(ADMIN, action).then([Event::RoleCreated {
        role_id: PORTER,
        key: "PORTER".to_owned(),
        name: "Porter".to_owned(),
        description: Some("Carries.".to_owned()),
        level: 2,
        permissions: Permissions::NONE,
    }]);
}

#[test]
fn the_level_of_a_role_is_2_to_9() {
    for number in 2..=9_u8 {
        assert_eq!(Level::try_from(i32::from(number)).map(Level::get), Ok(number));
        workspace().when(ADMIN, new_role(PORTER, number)).then([new_role(PORTER, number).created("PORTER")]);
    }
    for number in [i32::MIN, -2, 0, 1, 10, 255, 258, i32::MAX] {
        assert_eq!(Level::try_from(number).unwrap_err().to_string(), "must be 2 to 9", "{number}");
    }
}

#[test]
fn only_a_workspace_has_custom_roles() {
    let refusal =
        Refusal::NotPossible { field: "organizationId", sentence: "Organizations of this kind have no custom roles." };
    for kind in [Kind::Personal, Kind::Team, Kind::Enterprise] {
        for action in [new_role(PORTER, 5).into(), rename_role(PORTER, "Other"), delete_role(PORTER)] {
            only_admin(kind).when(ADMIN, action).then_refused(refusal.clone());
        }
    }
    // Nor is anybody told that a permission would help.
    team().when(MEMBER, new_role(PORTER, 5)).then_refused(refusal);
}

#[test]
fn making_editing_and_deleting_roles_needs_its_permission() {
    let story = workspace().having(ADMIN, new_role(PORTER, 9));
    for user in [CO_ADMIN, MANAGER, MEMBER, AUDITOR] {
        for action in [new_role(OTHER_ROLE, 9).into(), rename_role(PORTER, "Other"), delete_role(PORTER)] {
            story.when(user, action).then_refused(Refusal::PermissionRequired(P::RolesManage));
        }
    }
    for action in [new_role(OTHER_ROLE, 9).into(), rename_role(PORTER, "Other"), delete_role(PORTER)] {
        story.when(STRANGER, action).then_not_found("organizationId");
    }
}

#[test]
fn nobody_makes_a_role_that_stands_as_high_as_they_do() {
    let story = led_workspace();
    for number in [2, 3] {
        story.when(LEADER, new_role(PORTER, number)).then_refused(Refusal::RankTooLow);
    }
    for number in 4..=9 {
        story.when(LEADER, new_role(PORTER, number)).then_accepted();
    }
}

#[test]
fn nobody_puts_into_a_role_what_they_do_not_hold() {
    let story = led_workspace();
    story.when(LEADER, new_role(PORTER, 5).holding(&LEADS)).then_accepted();
    let more = [P::RolesManage, P::AppsManage, P::BillingRead];
    story.when(LEADER, new_role(PORTER, 5).holding(&more)).then_not_held(&[P::AppsManage, P::BillingRead]);
    story.when(ADMIN, NewRole { permissions: Permissions::ALL, ..new_role(PORTER, 5) }).then_accepted();
}

#[test]
fn a_key_makes_roles_below_its_level_of_what_it_holds() {
    let story = workspace().having(ADMIN, new_key(KEY).holding(&[P::RolesManage, P::AppsRead]));
    story.when(KEY, new_role(PORTER, 3).holding(&[P::AppsRead])).then_accepted();
    story.when(KEY, new_role(PORTER, 2)).then_refused(Refusal::RankTooLow);
    story.when(KEY, new_role(PORTER, 3).holding(&[P::AppsManage])).then_not_held(&[P::AppsManage]);
    let without = workspace().having(ADMIN, new_key(KEY).holding(&[P::AppsRead]));
    without.when(KEY, new_role(PORTER, 3)).then_refused(Refusal::PermissionRequired(P::RolesManage));
}

#[test]
fn an_organization_has_up_to_fifty_custom_roles() {
    let fill = |story: Story, number: u128| {
        let event = Event::RoleCreated {
            role_id: custom(100 + number),
            key: format!("ROLE_{number}"),
            name: format!("Role {number}"),
            description: None,
            level: 9,
            permissions: Permissions::NONE,
        };
        story.given(event)
    };
    let nearly = (1..=49).fold(workspace(), fill);
    let whole = nearly.having(ADMIN, new_role(PORTER, 5));
    let refusal = limit(50, "custom roles");
    whole.when(ADMIN, new_role(OTHER_ROLE, 5).named("Other")).then_refused(refusal);
    whole.when(ADMIN, rename_role(PORTER, "Other")).then_accepted();
    let room = whole.having(ADMIN, delete_role(PORTER));
    room.when(ADMIN, new_role(OTHER_ROLE, 5).named("Other")).then_accepted();
}

#[test]
fn built_in_roles_are_neither_edited_nor_deleted() {
    let refusal = Refusal::NotPossible { field: "roleId", sentence: "A built-in role stays as it is." };
    for key in ["ADMIN", "CO_ADMIN", "MANAGER", "MEMBER", "AUDITOR"] {
        let to = Some(role("MEMBER"));
        let replaced = Action::DeleteRole { role: role(key), reassign_to: to };
        for action in [rename_role(role(key), "Other"), allow(role(key), &[]), delete_role(role(key)), replaced] {
            led_workspace().when(ADMIN, action.clone()).then_refused(refusal.clone());
            led_workspace().when(LEADER, action).then_refused(refusal.clone());
        }
    }
}

#[test]
fn an_unknown_role_is_not_found() {
    let story = workspace().having(ADMIN, new_role(PORTER, 5)).having(ADMIN, delete_role(PORTER));
    for id in [PORTER, OTHER_ROLE, role("DEV_ADMIN")] {
        story.when(ADMIN, rename_role(id, "Other")).then_not_found("roleId");
        story.when(ADMIN, delete_role(id)).then_not_found("roleId");
        story.when(ADMIN, give(MEMBER, id)).then_not_found("roleId");
    }
}

#[test]
fn the_rules_are_asked_in_their_order() {
    let story = led_workspace();
    // Permission before target, target before rank, rank before what is held, that before the name.
    story.when(CO_ADMIN, rename_role(PORTER, "Other")).then_refused(Refusal::PermissionRequired(P::RolesManage));
    let high = Edit { level: Some(2), permissions: Some(Permissions::ALL), ..Edit::default() };
    story.when(LEADER, high.of(PORTER)).then_not_found("roleId");
    let both = NewRole { permissions: Permissions::ALL, ..new_role(PORTER, 3) };
    story.when(LEADER, both).then_refused(Refusal::RankTooLow);
    story.when(LEADER, new_role(PORTER, 4).named("Admin").holding(&[P::DataExport])).then_not_held(&[P::DataExport]);
    story.when(LEADER, new_role(PORTER, 4).named("Admin")).then_refused(Refusal::NameTaken);
}
