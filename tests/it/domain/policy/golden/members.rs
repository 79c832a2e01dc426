//! What the access policy says about members.

use super::{
    sheet::Sheet,
    worlds::{Rank, Where},
    *,
};

pub(super) fn ask(sheet: &mut Sheet<'_>) {
    leave_organization(sheet);
    transfer_ownership(sheet);
    change_role_of_others(sheet);
    change_own_role(sheet);
    rest_and_end(sheet);
}

/// Everybody who stands there, on the organization as it stands.
fn each(sheet: &Sheet<'_>, place: Where, action: impl Fn(UserId) -> Action) -> Vec<(Story, Action)> {
    let story = &sheet.world.story;
    sheet.world.others(sheet.seat, place).map(|(user, _)| (story.clone(), action(user))).collect()
}

/// The same, each of them inactive.
fn each_inactive(sheet: &Sheet<'_>, place: Where, action: impl Fn(UserId) -> Action) -> Vec<(Story, Action)> {
    let resting = |(user_id, _): (UserId, _)| {
        (sheet.world.story.clone().given(Event::MemberDeactivated { user_id }), action(user_id))
    };
    sheet.world.others(sheet.seat, place).map(resting).collect()
}

/// The same, each of them the maker of a key that stands where they stand.
fn each_with_key(sheet: &Sheet<'_>, place: Where, action: impl Fn(UserId) -> Action) -> Vec<(Story, Action)> {
    let maker = |(user, rank): (UserId, &Rank)| {
        (sheet.world.story.clone().given(new_key(OTHER_KEY).created(user, rank.level.max(2))), action(user))
    };
    sheet.world.others(sheet.seat, place).map(maker).collect()
}

fn leave_organization(sheet: &mut Sheet<'_>) {
    let (seat, story) = (sheet.seat, sheet.world.story.clone());
    sheet.plain("leaveOrganization", "", leave());
    let with_key = story.given(new_key(OTHER_KEY).created(seat.actor, seat.level.max(2)));
    let with_keys = Action::LeaveOrganization { created_keys: CreatedKeys::Revoke };
    sheet.line("leaveOrganization", "and one's own keys are revoked", [(with_key, with_keys)]);
    let alone = seat.owner.then(|| (sheet.world.with_one_owner(seat), leave()));
    sheet.line("leaveOrganization", "the only owner", alone);
}

fn transfer_ownership(sheet: &mut Sheet<'_>) {
    let transfer = |member| Action::TransferOwnership { member, former_owner_role: None };
    for place in Where::ALL {
        let commands = each(sheet, place, transfer);
        sheet.line("transferOwnership", place.name(), commands);
    }
    let commands = each_inactive(sheet, Where::Below, transfer);
    sheet.line("transferOwnership", "below, who is inactive", commands);
    for rank in &sheet.world.roles {
        let become_role = |member| Action::TransferOwnership { member, former_owner_role: Some(rank.id) };
        let commands = each(sheet, Where::Below, become_role);
        sheet.line("transferOwnership", format!("below, and become {}", rank.key), commands);
    }
    let oneself = sheet.seat.actor.user().map(|user| (sheet.world.story.clone(), transfer(user)));
    sheet.line("transferOwnership", "oneself", oneself);
}

fn change_role_of_others(sheet: &mut Sheet<'_>) {
    let member = role("MEMBER");
    for place in [Where::Above, Where::Beside] {
        let commands = each(sheet, place, |user| Action::ChangeMemberRole { member: user, role: member });
        sheet.line("changeMemberRole", format!("{}, to MEMBER", place.name()), commands);
    }
    for given in &sheet.world.roles {
        let others = sheet.world.others(sheet.seat, Where::Below).filter(|(_, rank)| rank.id != given.id);
        let give = |(user, _)| (sheet.world.story.clone(), Action::ChangeMemberRole { member: user, role: given.id });
        let commands: Vec<_> = others.map(give).collect();
        sheet.line("changeMemberRole", format!("below, to {}", given.key), commands);
    }
    let keep = |(user, rank): (UserId, &Rank)| {
        (sheet.world.story.clone(), Action::ChangeMemberRole { member: user, role: rank.id })
    };
    let commands: Vec<_> = sheet.world.others(sheet.seat, Where::Below).map(keep).collect();
    sheet.line("changeMemberRole", "below, to the role they hold", commands);
}

fn change_own_role(sheet: &mut Sheet<'_>) {
    let seat = sheet.seat;
    let Some(member) = seat.actor.user() else {
        for rank in &sheet.world.roles {
            sheet.line("changeMemberRole", format!("oneself, to {}", rank.key), []);
        }
        return sheet.line("changeMemberRole", "oneself, the only owner, to MEMBER", []);
    };
    for rank in &sheet.world.roles {
        let action = Action::ChangeMemberRole { member, role: rank.id };
        sheet.plain("changeMemberRole", format!("oneself, to {}", rank.key), action);
    }
    let alone = seat.owner.then(|| (sheet.world.with_one_owner(seat), change_role(member, "MEMBER")));
    sheet.line("changeMemberRole", "oneself, the only owner, to MEMBER", alone);
}

fn rest_and_end(sheet: &mut Sheet<'_>) {
    let oneself = |sheet: &Sheet<'_>, action: fn(UserId) -> Action| {
        sheet.seat.actor.user().map(|user| (sheet.world.story.clone(), action(user)))
    };
    for place in Where::ALL {
        let commands = each(sheet, place, deactivate);
        sheet.line("deactivateMember", place.name(), commands);
    }
    let commands = each_inactive(sheet, Where::Below, deactivate);
    sheet.line("deactivateMember", "below, who is inactive", commands);
    let commands = each_with_key(sheet, Where::Below, |member| Action::DeactivateMember {
        member,
        created_keys: CreatedKeys::Disable,
    });
    sheet.line("deactivateMember", "below, and their keys are disabled", commands);
    let commands = oneself(sheet, deactivate);
    sheet.line("deactivateMember", "oneself", commands);

    for place in Where::ALL {
        let commands = each_inactive(sheet, place, reactivate);
        sheet.line("reactivateMember", place.name(), commands);
    }
    let commands = each(sheet, Where::Below, reactivate);
    sheet.line("reactivateMember", "below, who is active", commands);
    let commands = oneself(sheet, reactivate);
    sheet.line("reactivateMember", "oneself", commands);

    for place in Where::ALL {
        let commands = each(sheet, place, remove);
        sheet.line("removeMember", place.name(), commands);
    }
    let commands =
        each_with_key(sheet, Where::Below, |member| Action::RemoveMember { member, created_keys: CreatedKeys::Revoke });
    sheet.line("removeMember", "below, and their keys are revoked", commands);
    let commands = oneself(sheet, remove);
    sheet.line("removeMember", "oneself", commands);
}
