//! The PERSONAL organization: one for each person, from their first sign-in on.

use std::collections::HashSet;

use orgledger::domain::{OrganizationId, Refusal, organization::Event};

use super::*;

fn ensure() -> Action {
    Action::CreatePersonalOrganization { email_commitment: commitment() }
}

/// As the first sign-in leaves it.
fn personal() -> Story {
    nothing().having(ADMIN, ensure())
}

#[test]
fn the_first_sign_in_makes_it_with_the_person_as_its_owner() {
    for user in [ADMIN, STRANGER] {
        nothing().when(user, ensure()).then([
            // Whoever it belongs to: names of people are not in the ledger.
            Event::OrganizationCreated { kind: Kind::Personal, name: "Personal".to_owned(), description: None },
            joined(user, role("OWNER")),
        ]);
    }
}

#[test]
fn every_later_sign_in_finds_it() {
    personal().when(ADMIN, ensure()).then_nothing();
    personal().having(ADMIN, rename("Home")).when(ADMIN, ensure()).then_nothing();
}

#[test]
fn once_the_person_is_erased_it_does_not_come_back() {
    personal().given(Event::OrganizationDeleted {}).when(ADMIN, ensure()).then_not_found("organizationId");
}

#[test]
fn a_key_and_the_operator_have_none() {
    nothing().when(KEY, ensure()).then_refused(Refusal::UserRequired);
    nothing().when(Actor::Operator, ensure()).then_refused(Refusal::UserRequired);
}

#[test]
fn nobody_makes_one_by_choice() {
    let refusal = Refusal::invalid("kind", "must be TEAM, WORKSPACE or ENTERPRISE");
    nothing().when(ADMIN, create(Kind::Personal)).then_refused(refusal);
    // And none is made in its place.
    personal().when(ADMIN, create(Kind::Team)).then_not_found("organizationId");
}

#[test]
fn it_has_no_members_to_manage() {
    let actions = [
        invite(),
        resend(INVITATION),
        Action::RevokeInvitation { invitation: INVITATION },
        change_role(ADMIN, "OWNER"),
        change_role(STRANGER, "MEMBER"),
        deactivate(ADMIN),
        reactivate(ADMIN),
        remove(ADMIN),
        Action::TransferOwnership { member: STRANGER, former_owner_role: None },
    ];
    for action in actions {
        personal().when(ADMIN, action.clone()).then_refused(Refusal::MembersNotAvailable);
        personal().when(STRANGER, action).then_not_found("organizationId");
    }
}

#[test]
fn it_is_neither_left_nor_deleted() {
    personal().when(ADMIN, leave()).then_refused(Refusal::OwnerMustTransfer);
    let refusal =
        Refusal::NotPossible { field: "organizationId", sentence: "A personal organization stays with its person." };
    for confirm_name in ["Personal", "Acme"] {
        let action = Action::DeleteOrganization { confirm_name: confirm_name.to_owned() };
        personal().when(ADMIN, action).then_refused(refusal.clone());
    }
}

#[test]
fn it_has_neither_custom_roles_nor_a_certification() {
    let story = personal();
    assert_eq!(story.organization.roles().map(|(_, role)| role.key.as_str()).collect::<Vec<_>>(), ["OWNER"]);
    let request = story.when(ADMIN, Action::RequestCertification);
    let kind = "Organizations of this kind need no certification.";
    request.then_refused(Refusal::NotPossible { field: "organizationId", sentence: kind });
}

#[test]
fn it_is_renamed_and_described_like_any_other() {
    let event = Event::OrganizationRenamed { from: "Personal".to_owned(), to: "Home".to_owned() };
    personal().when(ADMIN, rename("Home")).then([event]);
}

#[test]
fn it_has_keys_like_any_other() {
    let story = personal().having(ADMIN, new_key(KEY).holding(&[Permission::OrganizationUpdate]));
    story.when(KEY, rename("Home")).then_accepted();
    story.when(KEY, delete()).then_refused(Refusal::UserRequired);
    story.when(ADMIN, Action::RevokeApiKey { api_key: KEY }).then_accepted();
}

#[test]
fn its_default_role_stays_the_only_one_it_has() {
    personal().when(ADMIN, set_default_role("OWNER")).then_nothing();
    personal().when(ADMIN, set_default_role("MEMBER")).then_not_found("roleId");
}

#[test]
fn its_id_follows_from_the_person() {
    assert_eq!(OrganizationId::personal(ADMIN), OrganizationId::personal(ADMIN));
    let ids: HashSet<_> = (0..1000).map(|number| OrganizationId::personal(person(number))).collect();
    assert_eq!(ids.len(), 1000);
    assert!((0..1000).all(|number| !ids.contains(&OrganizationId(person(number).0))), "and is not theirs");
    assert!(ids.iter().all(|id| id.0.get_version_num() == 5));
    // Whoever has signed in once has to find theirs again after every release.
    let kept = OrganizationId::personal(person(1)).to_string();
    assert_eq!(kept, "42d5140f-0250-55e3-8788-28a58feebba9");
}
