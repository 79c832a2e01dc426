//! Certification of an ENTERPRISE: asked for by the organization, answered by the operator.

use orgledger::domain::{
    Refusal,
    organization::{
        Event, Permission as P,
        profile::{Certification as C, CertificationDecision as Answer},
    },
};

use super::*;

const REQUEST: Action = Action::RequestCertification;

const fn decide(decision: Answer) -> Action {
    Action::DecideCertification { decision }
}

const fn requested(from: C) -> Event {
    Event::OrganizationCertificationRequested { from }
}

/// An ENTERPRISE with one person per role, whose certification is that far.
fn enterprise(certification: C) -> Story {
    let story = only_admin(Kind::Enterprise)
        .with(CO_ADMIN, "FINANCE_ADMIN")
        .with(MANAGER, "DEV_ADMIN")
        .with(MEMBER, "MEMBER")
        .with(AUDITOR, "AUDITOR");
    let asked = |story: Story| story.given(requested(C::NotRequested));
    match certification {
        C::NotRequested => story,
        C::Requested => asked(story),
        C::Certified => asked(story).given(Event::OrganizationCertified {}),
        C::Rejected => asked(story).given(Event::OrganizationCertificationRejected {}),
    }
}

/// What changes members, in whatever way.
fn changes_of_members() -> [Action; 9] {
    [
        Action::TransferOwnership { member: MEMBER, former_owner_role: None },
        change_role(MEMBER, "AUDITOR"),
        deactivate(MEMBER),
        reactivate(MEMBER),
        remove(MEMBER),
        invite(),
        invite_as("SUPER_ADMIN"),
        resend(INVITATION),
        Action::RevokeInvitation { invitation: INVITATION },
    ]
}

#[test]
fn the_owner_asks_once_and_again_when_it_was_rejected() {
    for from in [C::NotRequested, C::Rejected] {
        enterprise(from).when(ADMIN, REQUEST).then([requested(from)]);
    }
    for from in [C::Requested, C::Certified] {
        enterprise(from).when(ADMIN, REQUEST).then_nothing();
    }
}

#[test]
fn the_operator_answers_an_open_request() {
    let story = enterprise(C::Requested);
    story.when(Actor::Operator, decide(Answer::Certify)).then([Event::OrganizationCertified {}]);
    story.when(Actor::Operator, decide(Answer::Reject)).then([Event::OrganizationCertificationRejected {}]);
}

#[test]
fn the_same_answer_again_changes_nothing() {
    enterprise(C::Certified).when(Actor::Operator, decide(Answer::Certify)).then_nothing();
    enterprise(C::Rejected).when(Actor::Operator, decide(Answer::Reject)).then_nothing();
}

#[test]
fn without_an_open_request_there_is_nothing_to_answer() {
    let refusal = Refusal::NotPossible {
        field: "organizationId",
        sentence: "This organization has no open request for certification.",
    };
    let closed = [
        (C::NotRequested, Answer::Certify),
        (C::NotRequested, Answer::Reject),
        (C::Certified, Answer::Reject),
        (C::Rejected, Answer::Certify),
    ];
    for (from, answer) in closed {
        enterprise(from).when(Actor::Operator, decide(answer)).then_refused(refusal.clone());
    }
}

#[test]
fn a_rejected_organization_is_certified_once_it_has_asked_again() {
    let story = enterprise(C::Rejected).having(ADMIN, REQUEST).having(Actor::Operator, decide(Answer::Certify));
    story.when(ADMIN, invite()).then_accepted();
    story.when(ADMIN, REQUEST).then_nothing();
}

#[test]
fn asking_needs_the_permission_to_update_the_organization() {
    let story = enterprise(C::NotRequested);
    for user in [CO_ADMIN, MANAGER, MEMBER, AUDITOR] {
        story.when(user, REQUEST).then_refused(Refusal::PermissionRequired(P::OrganizationUpdate));
    }
    story.when(STRANGER, REQUEST).then_not_found("organizationId");
    story.when(Actor::Operator, REQUEST).then_not_found("organizationId");
    let key = story.having(ADMIN, new_key(KEY).holding(&[P::OrganizationUpdate]));
    key.when(KEY, REQUEST).then([requested(C::NotRequested)]);
}

#[test]
fn only_the_operator_answers() {
    let story = enterprise(C::Requested).having(ADMIN, NewKey { permissions: Permissions::ALL, ..new_key(KEY) });
    for user in [ADMIN, CO_ADMIN, MEMBER, STRANGER] {
        for answer in [Answer::Certify, Answer::Reject] {
            story.when(user, decide(answer)).then_not_found("organizationId");
        }
    }
    story.when(KEY, decide(Answer::Certify)).then_not_found("organizationId");
}

#[test]
fn the_operator_answers_living_organizations_only_and_does_nothing_else() {
    for answer in [Answer::Certify, Answer::Reject] {
        nothing().when(Actor::Operator, decide(answer)).then_not_found("organizationId");
        let deleted = enterprise(C::Requested).having(ADMIN, delete());
        deleted.when(Actor::Operator, decide(answer)).then_not_found("organizationId");
    }
    let others = [rename("Other"), leave(), delete(), new_key(KEY).into()];
    for action in others.into_iter().chain(changes_of_members()) {
        enterprise(C::Certified).when(Actor::Operator, action).then_not_found("organizationId");
    }
    nothing().when(Actor::Operator, create(Kind::Enterprise)).then_refused(Refusal::UserRequired);
}

#[test]
fn other_kinds_need_no_certification() {
    let refusal =
        Refusal::NotPossible { field: "organizationId", sentence: "Organizations of this kind need no certification." };
    for kind in [Kind::Personal, Kind::Team, Kind::Workspace] {
        only_admin(kind).when(ADMIN, REQUEST).then_refused(refusal.clone());
        only_admin(kind).when(Actor::Operator, decide(Answer::Certify)).then_refused(refusal.clone());
    }
    // The kind is asked before the permission.
    team().when(MEMBER, REQUEST).then_refused(refusal);
}

#[test]
fn until_it_is_certified_members_cannot_be_changed() {
    for certification in [C::NotRequested, C::Requested, C::Rejected] {
        for action in changes_of_members() {
            enterprise(certification).when(ADMIN, action.clone()).then_refused(Refusal::NotCertified);
            // Nor is anybody told first that they lack a permission.
            enterprise(certification).when(MEMBER, action).then_refused(Refusal::NotCertified);
        }
        let oneself = change_role(MANAGER, "MEMBER");
        enterprise(certification).when(MANAGER, oneself).then_refused(Refusal::NotCertified);
    }
}

#[test]
fn once_it_is_certified_they_can() {
    let story = enterprise(C::Certified);
    for action in [change_role(MEMBER, "AUDITOR"), deactivate(MEMBER), remove(MEMBER), invite(), invite_as("DEV_ADMIN")]
    {
        story.when(ADMIN, action).then_accepted();
    }
    story.when(MANAGER, invite()).then_accepted();
    story.having(ADMIN, invite()).having(STRANGER, accept(INVITATION, 1)).when(STRANGER, leave()).then_accepted();
}

#[test]
fn leaving_deleting_and_what_is_not_about_members_never_waits() {
    for certification in C::ALL {
        let story = enterprise(certification);
        for action in [rename("Other"), set_default_role("AUDITOR"), delete(), new_key(KEY).into()] {
            story.when(ADMIN, action).then_accepted();
        }
        story.when(MANAGER, new_key(KEY)).then_accepted();
        for user in [CO_ADMIN, MANAGER, MEMBER, AUDITOR] {
            story.when(user, leave()).then_accepted();
        }
    }
}

#[test]
fn a_request_can_expect_a_version_of_the_profile() {
    let story = enterprise(C::NotRequested).having(ADMIN, rename("Other"));
    let actual = story.organization.version();
    story.clone().expecting(actual).when(ADMIN, REQUEST).then_accepted();
    let mismatch = Refusal::VersionMismatch { expected: 1, actual };
    story.clone().expecting(1).when(ADMIN, REQUEST).then_refused(mismatch);
    // Certification belongs to the profile, so whoever edits it sees that something has happened.
    let asked = story.having(ADMIN, REQUEST).expecting(actual);
    let mismatch = Refusal::VersionMismatch { expected: actual, actual: actual + 1 };
    asked.when(ADMIN, rename("Third")).then_refused(mismatch);
}

#[test]
fn a_state_is_read_back_from_its_name() {
    for certification in C::ALL {
        assert_eq!(C::from_name(certification.name()), Some(certification));
    }
    assert_eq!(C::from_name("PENDING"), None);
    assert_eq!(C::default(), C::NotRequested);
}
