//! Random commands by random actors, and what is true after each of them whatever they were.
//!
//! A machine is a small organization with somebody in every role, two strangers, and the keys that come to be. Its
//! steps are numbers that are resolved against what is there when their turn comes, so that they shrink well.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{TestCaseResult, TestRunner},
};

use super::*;

mod steps;
mod truths;

use steps::{Step, kinds, steps};

/// What an invitation was last sent as.
#[derive(Clone, Copy)]
struct Sent {
    user: UserId,
    role: RoleId,
    generation: u32,
    expires_at: Timestamp,
}

struct Machine {
    kind: Kind,
    organization: Organization,
    events: Vec<Event>,
    now: Timestamp,
    invitations: BTreeMap<InvitationId, Sent>,
    keys: Vec<ApiKeyId>,
    next_id: u128,
    /// The events and refusals met so far.
    met: BTreeSet<&'static str>,
}

impl Machine {
    fn new(kind: Kind) -> Self {
        let mut machine = Self {
            kind,
            organization: Organization::default(),
            events: vec![],
            now: day(0),
            invitations: BTreeMap::new(),
            keys: vec![],
            next_id: 1,
            met: BTreeSet::new(),
        };
        let now = machine.now;
        let command = Command { actor: ADMIN.actor(), now, expected_version: None, action: create(kind) };
        let created = machine.organization.decide(&command).map(|decided| decided.events).unwrap_or_default();
        // Role by role, so that in a team, which has fewer, some of them are strangers too.
        let people = [OTHER_ADMIN, CO_ADMIN, MANAGER, MEMBER, AUDITOR].into_iter();
        let others = people.zip(kind.rules().roles).map(|(user, role)| joined(user, role.id));
        created.into_iter().chain(others).for_each(|event| machine.happen(event));
        machine
    }

    fn happen(&mut self, event: Event) {
        self.organization.evolve(&event);
        self.met.insert(event.name());
        match &event {
            Event::InvitationSent { invitation_id, user_id, role_id, expires_at, .. } => {
                let sent = Sent { user: *user_id, role: *role_id, generation: 1, expires_at: *expires_at };
                self.invitations.insert(*invitation_id, sent);
            }
            Event::InvitationResent { invitation_id, generation, expires_at, .. } => {
                let resent = |sent: &mut Sent| (sent.generation, sent.expires_at) = (*generation, *expires_at);
                self.invitations.entry(*invitation_id).and_modify(resent);
            }
            Event::ApiKeyCreated { api_key_id, .. } => self.keys.push(*api_key_id),
            _ => {}
        }
        self.events.push(event);
    }

    fn run(kind: Kind, steps: &[Step]) -> Result<Self, TestCaseError> {
        let mut machine = Self::new(kind);
        for step in steps {
            machine.now += step.wait;
            let command = machine.command(step);
            machine.next_id += 2;
            machine.take(&command).map_err(|error| TestCaseError::fail(format!("{error}\nafter {command:#?}")))?;
        }
        Ok(machine)
    }

    /// Gives the command, and holds everything against what came of it.
    fn take(&mut self, command: &Command) -> TestCaseResult {
        let before = self.organization.clone();
        let answer = self.organization.decide(command);
        prop_assert_eq!(&self.organization, &before, "deciding changes nothing");
        let decided = match answer {
            Ok(decided) => decided,
            Err(refusal) => {
                self.met.insert(refusal.code());
                return Ok(());
            }
        };
        let refused_rows = decided.notes.invited.iter().filter_map(|row| row.as_ref().err());
        self.met.extend(refused_rows.map(Refusal::code));
        self.check_access(&before, command)?;
        for event in decided.events {
            self.check_rank(&before, command.actor, &event)?;
            self.check_gift(&before, command, &event)?;
            Self::check_round_trip(&event)?;
            let before = self.organization.clone();
            self.happen(event.clone());
            self.check_reach(&before, &event)?;
        }
        self.check_owner()?;
        self.check_invitations()?;
        self.check_ends(&before)?;
        self.check_fold()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_commanded_the_rules_hold(kind in kinds(), steps in steps()) {
        Machine::run(kind, &steps)?;
    }
}

const EVENTS: [&str; 22] = [
    "organization.created",
    "organization.renamed",
    "organization.description_changed",
    "organization.default_role_changed",
    "organization.deleted",
    "member.joined",
    "member.role_changed",
    "member.deactivated",
    "member.reactivated",
    "member.removed",
    "member.left",
    "invitation.sent",
    "invitation.resent",
    "invitation.accepted",
    "invitation.declined",
    "invitation.revoked",
    "api_key.created",
    "api_key.updated",
    "api_key.disabled",
    "api_key.enabled",
    "api_key.rotated",
    "api_key.revoked",
];

const REFUSALS: [&str; 18] = [
    "NOT_FOUND",
    "MEMBER_INACTIVE",
    "USER_REQUIRED",
    "PERMISSION_REQUIRED",
    "RANK_TOO_LOW",
    "ROLE_NOT_ASSIGNABLE",
    "PERMISSION_NOT_HELD",
    "LAST_OWNER",
    "NAME_TAKEN",
    "ALREADY_A_MEMBER",
    "INVITATION_PENDING",
    "INVITATION_EXPIRED",
    "INVITATION_CLOSED",
    "WRONG_RECIPIENT",
    "INVITER_CANNOT_GRANT",
    "LIMIT_REACHED",
    "INVALID_INPUT",
    "VERSION_MISMATCH",
];

/// The machine proves something only if it gets everywhere.
#[test]
fn random_commands_meet_every_event_and_every_refusal() {
    let mut runner = TestRunner::deterministic();
    let mut met = BTreeSet::new();
    for _ in 0..128 {
        let case = (kinds(), steps()).new_tree(&mut runner).expect("a case");
        let (kind, steps) = case.current();
        met.extend(Machine::run(kind, &steps).expect("the rules hold").met);
    }
    let missing: Vec<_> = EVENTS.into_iter().chain(REFUSALS).filter(|name| !met.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
