//! What is true after each step, whatever it was: who was heard, what the state is, and what an event reached.

use orgledger::domain::{
    organization::{
        Target, api_keys::KeyStatus, invitations::InvitationState, kinds::OwnerRule, members::MemberStatus,
        profile::Certification,
    },
    values::normalize,
};
use serde_json::Value;

use super::{
    mirror::{Lifecycle, Mirror},
    names::Wish,
    *,
};

/// What an action needs, as the specification lists it; membership alone, or being the owner, needs none.
pub(super) const fn needed(wish: Wish) -> Option<Permission> {
    Some(match wish {
        Wish::CreateOrganization
        | Wish::CreatePersonalOrganization
        | Wish::LeaveOrganization
        | Wish::DecideCertification
        | Wish::ErasePerson
        | Wish::TransferOwnership
        | Wish::AcceptInvitation
        | Wish::DeclineInvitation => return None,
        Wish::UpdateOrganization | Wish::SetLogo | Wish::RemoveLogo | Wish::RequestCertification => {
            Permission::OrganizationUpdate
        }
        Wish::RequestDataExport => Permission::DataExport,
        Wish::DeleteOrganization => Permission::OrganizationDelete,
        Wish::ChangeMemberRole => Permission::MembersAssignRole,
        Wish::DeactivateMember | Wish::ReactivateMember => Permission::MembersUpdate,
        Wish::RemoveMember => Permission::MembersRemove,
        Wish::InviteMembers | Wish::ResendInvitation | Wish::RevokeInvitation => Permission::MembersInvite,
        Wish::CreateRole | Wish::UpdateRole | Wish::DeleteRole => Permission::RolesManage,
        Wish::CreateApiKey
        | Wish::UpdateApiKey
        | Wish::DisableApiKey
        | Wish::EnableApiKey
        | Wish::RotateApiKey
        | Wish::RevokeApiKey => Permission::ApiKeysManage,
        Wish::ExportAuditLog => Permission::AuditExport,
    })
}

/// Whether the actor holds what the action needs. Lowering one's own role needs nothing.
pub(super) fn is_permitted(before: &Mirror, command: &Command) -> bool {
    let Some(by) = before.power(command.actor, command.now) else { return false };
    let lowers_own = match command.action {
        Action::ChangeMemberRole { member, role } => {
            member.actor() == command.actor && before.roles.get(&role).is_some_and(|role| role.level > by.level)
        }
        _ => false,
    };
    by.acts && (lowers_own || needed(Wish::of(&command.action)).is_none_or(|permission| by.permissions.has(permission)))
}

/// No outsider is heard, but for their own invitations; who rests can only leave; the operator only certifies; what
/// only a person can do, no key does.
pub(super) fn check_access(before: &Mirror, command: &Command, events: &[Event]) -> TestCaseResult {
    let by = before.power(command.actor, command.now);
    let heard = match (&command.action, command.actor) {
        (Action::CreateOrganization { .. }, Actor::User(_)) => before.lifecycle == Lifecycle::Absent,
        // Every sign-in asks for it, and where it is there nothing happens.
        (Action::CreatePersonalOrganization { .. }, Actor::User(_)) => {
            before.lifecycle == Lifecycle::Absent || (before.lives() && events.is_empty())
        }
        (Action::AcceptInvitation { invitation, .. } | Action::DeclineInvitation { invitation, .. }, actor) => {
            before.invitations.get(invitation).is_some_and(|seen| seen.user.actor() == actor)
        }
        (Action::DecideCertification { .. }, actor) => before.lives() && actor == Actor::Operator,
        // Nobody else erases a person, and nobody can be kept from it.
        (Action::ErasePerson { user }, actor) => actor == Actor::Operator || actor == user.actor(),
        (Action::LeaveOrganization { .. }, Actor::User(_)) => by.is_some(),
        (Action::TransferOwnership { .. }, Actor::User(_)) => by.is_some_and(|by| by.acts && by.owner),
        (Action::DeleteOrganization { .. }, Actor::User(_)) => {
            is_permitted(before, command) && before.kind != Kind::Personal
        }
        (
            Action::CreateOrganization { .. }
            | Action::CreatePersonalOrganization { .. }
            | Action::LeaveOrganization { .. }
            | Action::TransferOwnership { .. }
            | Action::DeleteOrganization { .. },
            _,
        ) => false,
        _ => is_permitted(before, command),
    };
    prop_assert!(heard, "accepted from {:?}, who is {:?}", command.actor, by);
    Ok(())
}

/// What a kind does not have never happens there.
pub(super) fn check_kind(before: &Mirror, event: &Event) -> TestCaseResult {
    let members = match before.kind {
        Kind::Personal => false,
        Kind::Enterprise => before.certification == Certification::Certified,
        Kind::Team | Kind::Workspace => true,
    };
    let certifies = before.kind == Kind::Enterprise;
    let allowed = match event {
        // Leaving never is refused for what the organization is, and neither is deleting. The answer to an invitation is
        // the recipient's own.
        Event::MemberLeft { .. } | Event::InvitationDeclined { .. } | Event::OrganizationDeleted {} => true,
        Event::OrganizationCertificationRequested { .. }
        | Event::OrganizationCertified {}
        | Event::OrganizationCertificationRejected {} => certifies,
        _ => match event.target() {
            Target::Member(_) | Target::Invitation(_) => members,
            Target::Role(_) => before.kind == Kind::Workspace,
            Target::Organization | Target::ApiKey(_) => true,
        },
    };
    prop_assert!(allowed || !before.lives(), "{:?} in {:?}", event, before.kind);
    Ok(())
}

/// What was sent before the last minute is not sent again, and nothing that has expired comes to anything.
pub(super) fn check_time(before: &Mirror, now: Timestamp, event: &Event) -> TestCaseResult {
    let Target::Invitation(id) = event.target() else { return Ok(()) };
    let Some(seen) = before.invitations.get(&id) else { return Ok(()) };
    prop_assert!(now < seen.expires_at, "{:?} of an expired invitation", event);
    let resent = matches!(event, Event::InvitationResent { .. });
    prop_assert!(!resent || now - seen.sent_at >= TimeDelta::minutes(1), "two sendings within a minute");
    Ok(())
}

/// Always an active owner: exactly one, who never rests, where the kind says so.
pub(super) fn check_owners(mirror: &Mirror) -> TestCaseResult {
    let owners: Vec<_> =
        mirror.inside().filter(|(_, _, role)| role.owner).map(|(_, member, _)| member.status).collect();
    match mirror.kind.rules().owners {
        OwnerRule::ExactlyOne => prop_assert_eq!(owners, [MemberStatus::Active]),
        OwnerRule::AtLeastOne => prop_assert!(owners.contains(&MemberStatus::Active), "no active owner"),
    }
    Ok(())
}

/// Names that are one to a reader are one's alone; limits hold; every role that somebody holds or is invited with
/// is there.
pub(super) fn check_shape(mirror: &Mirror, now: Timestamp) -> TestCaseResult {
    let unique = |all: Vec<String>| all.len() == all.iter().collect::<BTreeSet<_>>().len();
    prop_assert!(unique(mirror.roles.values().map(|role| normalize(&role.name)).collect()), "two roles of one name");
    prop_assert!(unique(mirror.roles.values().map(|role| role.key.clone()).collect()), "two roles of one key");
    let living: Vec<_> = mirror.api_keys.values().filter(|key| key.status != KeyStatus::Revoked).collect();
    prop_assert!(unique(living.iter().map(|key| normalize(&key.name)).collect()), "two living keys of one name");
    let open: Vec<_> = mirror.invitations.iter().filter(|(id, _)| mirror.is_open(**id, now)).collect();
    prop_assert!(unique(open.iter().map(|(_, seen)| seen.user.to_string()).collect()), "two open invitations of one");

    let custom: Vec<_> = mirror.roles.values().filter(|role| !role.built_in).collect();
    prop_assert!(custom.len() <= 50 && living.len() <= 1000 && open.len() <= 1000, "a limit is passed");
    prop_assert!(custom.iter().all(|role| !role.owner && (2..=9).contains(&role.level)), "a custom role of owners");
    prop_assert!(mirror.api_keys.values().all(|key| key.level >= 2), "a key that stands as high as an owner");
    prop_assert!(mirror.invitations.values().all(|seen| seen.generation <= 10), "sent too often");

    let inside = mirror.members.values().filter(|member| member.status != MemberStatus::Former).count();
    prop_assert_eq!(mirror.inside().count(), inside, "somebody holds a role that is not there");
    prop_assert!(open.iter().all(|(_, seen)| mirror.roles.contains_key(&seen.role)), "invited with no role");
    let default = mirror.default_role.and_then(|id| mirror.roles.get(&id));
    // A PERSONAL organization has no other role, and nobody is invited there.
    prop_assert!(default.is_some_and(|role| !role.owner || mirror.kind == Kind::Personal), "owners by default");
    Ok(())
}

/// The state is what the events tell, down to the versions; and what it keeps beside them, to be quick, agrees.
pub(super) fn check_state(state: &Value, mirror: &Mirror, now: Timestamp) -> TestCaseResult {
    let mut told = state.clone();
    let mut kept = |field: &str| told.as_object_mut().and_then(|fields| fields.remove(field)).unwrap_or_default();
    let [members, owners, open, living] =
        ["member_count", "active_owners", "open_invitations", "living_keys"].map(&mut kept);
    prop_assert_eq!(told, json(mirror));
    prop_assert_eq!(members, mirror.inside().count());
    let acts = mirror.inside().filter(|(_, member, role)| role.owner && member.status == MemberStatus::Active);
    prop_assert_eq!(owners, acts.count());
    let keys = mirror.api_keys.iter().filter(|(_, key)| key.status != KeyStatus::Revoked);
    let names: BTreeMap<_, _> = keys.map(|(id, key)| (normalize(&key.name), *id)).collect();
    prop_assert_eq!(living, json(&names));
    let pending = |id: &InvitationId| mirror.invitations.get(id).map(|seen| (seen.user, seen.state));
    let open: BTreeMap<UserId, InvitationId> = serde_json::from_value(open).unwrap_or_default();
    for (user, id) in &open {
        prop_assert_eq!(pending(id), Some((*user, InvitationState::Pending)));
    }
    for (id, seen) in mirror.invitations.iter().filter(|(id, _)| mirror.is_open(**id, now)) {
        prop_assert_eq!(open.get(&seen.user), Some(id));
    }
    Ok(())
}

/// Every field of the state belongs to a noun, and an event changes its own noun only: of it, the object that it
/// names; in a transfer the old owner too.
pub(super) fn check_reach(before: &Value, after: &Value, event: &Event) -> TestCaseResult {
    if matches!(event, Event::OrganizationCreated { .. } | Event::OrganizationDeleted {}) {
        return Ok(());
    }
    let (noun, id) = match event.target() {
        Target::Organization => ("organization", String::new()),
        Target::Member(id) => ("members", id.to_string()),
        Target::Invitation(id) => ("invitations", id.to_string()),
        Target::Role(id) => ("roles", id.to_string()),
        Target::ApiKey(id) => ("api_keys", id.to_string()),
    };
    let other = match event {
        Event::MemberOwnershipTransferred { former_owner_id, .. } => former_owner_id.to_string(),
        _ => String::new(),
    };
    for (field, value) in after.as_object().into_iter().flatten() {
        let owner = match field.as_str() {
            "version" => continue,
            "kind" | "lifecycle" | "name" | "description" | "logo" | "certification" | "default_role"
            | "profile_version" | "data_export" => "organization",
            "members" | "member_count" | "active_owners" => "members",
            "invitations" | "open_invitations" => "invitations",
            "roles" => "roles",
            "api_keys" | "living_keys" => "api_keys",
            unknown => return Err(TestCaseError::fail(format!("{unknown} belongs to no noun"))),
        };
        if owner != noun {
            prop_assert_eq!(Some(value), before.get(field), "{:?} changed {}", event, field);
        } else if field == noun {
            let others = |value: &Value| {
                let mut all = value.as_object().cloned().unwrap_or_default();
                all.retain(|key, _| *key != id && *key != other);
                all
            };
            prop_assert_eq!(others(value), others(&before[field]), "{:?} changed another one", event);
        }
    }
    Ok(())
}

/// An event comes back from the form in which it is stored.
pub(super) fn check_round_trip(event: &Event) -> TestCaseResult {
    let stored = json(event);
    prop_assert_eq!(&stored["type"], event.name());
    prop_assert_eq!(serde_json::from_value(stored).ok(), Some(event.clone()));
    Ok(())
}

/// Row by row: a refused one sends nothing, and an accepted one sends its own invitation or names the one that is
/// pending.
pub(super) fn check_rows(before: &Mirror, command: &Command, decided: &Decided) -> TestCaseResult {
    let Action::InviteMembers { rows, .. } = &command.action else { return Ok(()) };
    prop_assert_eq!(rows.len(), decided.notes.invited.len());
    let sent = decided.events.iter().filter_map(|event| match event {
        Event::InvitationSent { invitation_id, user_id, .. } => Some((*invitation_id, *user_id)),
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    let mut fresh = vec![];
    for (row, invited) in rows.iter().zip(&decided.notes.invited) {
        let Ok(invited) = invited else { continue };
        if invited.already_pending {
            let earlier = before.is_open(invited.invitation, command.now)
                && before.invitations.get(&invited.invitation).is_some_and(|seen| seen.user == row.user);
            prop_assert!(earlier || fresh.contains(&(invited.invitation, row.user)), "was not pending");
        } else {
            prop_assert_eq!(invited.invitation, row.invitation);
            fresh.push((row.invitation, row.user));
        }
    }
    prop_assert_eq!(sent, fresh);
    Ok(())
}

pub(super) fn json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_else(|error| panic!("{error}"))
}
