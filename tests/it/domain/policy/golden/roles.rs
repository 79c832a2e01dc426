//! What the access policy says about custom roles.

use orgledger::domain::organization::roles::Level;

use super::{
    sheet::Sheet,
    worlds::{LEAD, Seat, Where},
    *,
};

/// The role that is edited and deleted.
const PORTER: RoleId = RoleId(Uuid::from_u128(0xC000_0002));

fn porter(level: u8, permissions: Permissions) -> Event {
    Event::RoleCreated {
        role_id: PORTER,
        key: "PORTER".to_owned(),
        name: "Porter".to_owned(),
        description: None,
        level,
        permissions,
    }
}

/// The levels of custom roles that stand there.
fn levels(seat: &Seat, place: Where) -> impl Iterator<Item = u8> {
    (2..=9).filter(move |level| place.is(*level, seat.level))
}

fn level(level: u8) -> Option<Level> {
    i32::from(level).try_into().ok()
}

pub(super) fn ask(sheet: &mut Sheet<'_>) {
    create(sheet);
    update(sheet);
    delete(sheet);
    delete_in_use(sheet);
}

fn create(sheet: &mut Sheet<'_>) {
    let (seat, story) = (sheet.seat, &sheet.world.story);
    let make = |title: &str, at: u8, permissions| {
        let level = level(at)?;
        let action = Action::CreateRole { role: PORTER, name: name(title), description: None, level, permissions };
        Some((story.clone(), action))
    };
    for place in Where::ALL {
        let commands: Vec<_> = levels(seat, place).filter_map(|at| make("Porter", at, Permissions::NONE)).collect();
        sheet.line("createRole", place.name(), commands);
    }
    let lacked = Permissions::ALL.without(seat.permissions);
    let below = |title, permissions| levels(seat, Where::Below).filter_map(move |at| make(title, at, permissions));
    let commands: Vec<_> = below("Porter", seat.permissions).collect();
    sheet.line("createRole", "below, with everything one holds", commands);
    let commands: Vec<_> = below("Porter", lacked).filter(|_| !lacked.is_empty()).collect();
    sheet.line("createRole", "below, with what one does not hold", commands);
    let commands: Vec<_> = below("auditor", Permissions::NONE).collect();
    sheet.line("createRole", "below, with the name of a built-in role", commands);
}

fn update(sheet: &mut Sheet<'_>) {
    let (seat, world) = (sheet.seat, sheet.world);
    let edit = |role, title, level, permissions| Action::UpdateRole {
        role,
        name: Some(name(title)),
        description: None,
        level,
        permissions,
    };
    let with = |at, permissions| world.story.clone().given(porter(at, permissions));
    let built_in = world.kind.rules().roles.iter();
    let commands: Vec<_> = built_in.map(|role| (world.story.clone(), edit(role.id, "Doorman", None, None))).collect();
    sheet.line("updateRole", "a built-in one", commands);
    for place in Where::ALL {
        let rename = |at| (with(at, Permissions::NONE), edit(PORTER, "Doorman", None, None));
        let commands: Vec<_> = levels(seat, place).map(rename).collect();
        sheet.line("updateRole", format!("{}, its name", place.name()), commands);
    }
    for (case, to) in [("below, to one's own level", seat.level), ("below, to a level above", seat.level - 1)] {
        let to = level(to).map(Some);
        let rise = |at| Some((with(at, Permissions::NONE), edit(PORTER, "Porter", to?, None)));
        let commands: Vec<_> = levels(seat, Where::Below).filter_map(rise).collect();
        sheet.line("updateRole", case, commands);
    }
    let lacked = Permissions::ALL.without(seat.permissions);
    let grow = |at| (with(at, Permissions::NONE), edit(PORTER, "Porter", None, Some(lacked)));
    let commands: Vec<_> = levels(seat, Where::Below).filter(|_| !lacked.is_empty()).map(grow).collect();
    sheet.line("updateRole", "below, given what one does not hold", commands);
    let shrink = |at| (with(at, lacked), edit(PORTER, "Porter", None, Some(Permissions::NONE)));
    let commands: Vec<_> = levels(seat, Where::Below).filter(|_| !lacked.is_empty()).map(shrink).collect();
    sheet.line("updateRole", "below, rid of what one does not hold", commands);
    let keep = |at| (with(at, Permissions::ALL), edit(PORTER, "Porter", level(at), Some(Permissions::ALL)));
    let commands: Vec<_> = levels(seat, Where::Below).map(keep).collect();
    sheet.line("updateRole", "below, as it is", commands);
    let own = (seat.role == Some(LEAD)).then(|| (world.story.clone(), edit(LEAD, "Doorman", None, None)));
    sheet.line("updateRole", "one's own", own);
}

fn delete(sheet: &mut Sheet<'_>) {
    let (seat, world) = (sheet.seat, sheet.world);
    let delete = |role| Action::DeleteRole { role, reassign_to: None };
    let built_in = world.kind.rules().roles.iter();
    let commands: Vec<_> = built_in.map(|role| (world.story.clone(), delete(role.id))).collect();
    sheet.line("deleteRole", "a built-in one", commands);
    for place in Where::ALL {
        let unused = |at| (world.story.clone().given(porter(at, Permissions::NONE)), delete(PORTER));
        let commands: Vec<_> = levels(seat, place).map(unused).collect();
        sheet.line("deleteRole", format!("{}, not in use", place.name()), commands);
    }
    let own = (seat.role == Some(LEAD)).then(|| (world.story.clone(), delete(LEAD)));
    sheet.line("deleteRole", "one's own", own);
}

fn delete_in_use(sheet: &mut Sheet<'_>) {
    let (seat, world) = (sheet.seat, sheet.world);
    let invited = || Event::InvitationSent {
        invitation_id: INVITATION,
        user_id: STRANGER,
        role_id: PORTER,
        email_commitment: commitment(),
        invited_by: world.owner().actor(),
        sent_at: day(0),
        expires_at: day(7),
    };
    let default = world.kind.rules().default_invitation_role().id;
    let uses = [
        ("held by a member", joined(STRANGER, PORTER)),
        ("in an invitation", invited()),
        ("the default role", Event::OrganizationDefaultRoleChanged { from: default, to: PORTER }),
    ];
    for (case, event) in uses {
        let in_use = |at| world.story.clone().given(porter(at, Permissions::NONE)).given(event.clone());
        let moved = |reassign_to| {
            let action = Action::DeleteRole { role: PORTER, reassign_to };
            levels(seat, Where::Below).map(|at| (in_use(at), action.clone())).collect::<Vec<_>>()
        };
        sheet.line("deleteRole", format!("below, {case}"), moved(None));
        for rank in &world.roles {
            sheet.line("deleteRole", format!("below, {case}, in favour of {}", rank.key), moved(Some(rank.id)));
        }
    }
}
