//! Random commands by random actors, and what is true after each of them whatever they were.
//!
//! A machine is a small organization of any kind with somebody in every role, somebody who rests, somebody who left,
//! strangers, and the roles and keys that come to be. It asks the rules for decisions and never for permission: what
//! is true is worked out from the events alone.

use std::collections::{BTreeMap, BTreeSet};

use orgledger::domain::organization::{
    Decided,
    api_keys::KeyStatus,
    audit::ExportFormat,
    kinds::{self, OwnerRule},
    logo::{ContentHash, Logo, MediaType},
    members::MemberStatus,
    profile::{Certification, CertificationDecision},
    roles::Level,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{TestCaseResult, TestRunner},
};
use serde_json::Value;

use super::*;

mod actions;
mod coverage;
mod mirror;
mod names;
mod paths;
mod powers;
mod steps;
mod truths;

use coverage::Met;
use mirror::Mirror;
use steps::{FORMER, HOLDERS, RESTING, Start, Step, starts, steps};

const fn custom_role(number: u128) -> RoleId {
    RoleId(Uuid::from_u128(0xC000_0000 + number))
}

struct Machine {
    /// What is founded, unless somebody founds something else first.
    kind: Kind,
    organization: Organization,
    /// The same as the store writes it.
    state: Value,
    /// The same as the events tell it.
    mirror: Mirror,
    /// The same, never asked anything; now and then read back from what was written, and carried on from there.
    resumed: Organization,
    events: Vec<Event>,
    now: Timestamp,
    next_id: u128,
    met: Met,
}

impl Machine {
    fn new(kind: Kind) -> Self {
        let organization = Organization::default();
        Self {
            kind,
            state: truths::json(&organization),
            resumed: organization.clone(),
            organization,
            mirror: Mirror::default(),
            events: vec![],
            now: day(0),
            next_id: 1000,
            met: Met::default(),
        }
    }

    fn run(start: &Start, steps: &[Step]) -> Result<Self, TestCaseError> {
        let mut machine = Self::new(start.kind);
        start.early.iter().try_for_each(|step| machine.step(step))?;
        machine.found()?;
        machine.settle(start);
        let mut after_the_end = 0;
        for step in steps {
            machine.step(step)?;
            // A deleted organization says the same to everything; a few times is enough.
            after_the_end += u32::from(!machine.mirror.lives());
            if after_the_end == 5 {
                break;
            }
        }
        machine.check_end()?;
        Ok(machine)
    }

    /// Somebody founds it, if nobody has.
    fn found(&mut self) -> TestCaseResult {
        let action = match self.kind {
            Kind::Personal => Action::CreatePersonalOrganization { email_commitment: commitment() },
            kind => create(kind),
        };
        let command = Command { actor: ADMIN.actor(), now: self.now, expected_version: None, action };
        if self.mirror.version == 0 { self.take(&command) } else { Ok(()) }
    }

    /// People come into every role, and into roles of its own; one rests and one is gone.
    fn settle(&mut self, start: &Start) {
        let kind = self.mirror.kind;
        if kind == Kind::Enterprise && start.certified {
            let from = self.mirror.certification;
            if matches!(from, Certification::NotRequested | Certification::Rejected) {
                self.happen(&Event::OrganizationCertificationRequested { from });
            }
            if from != Certification::Certified {
                self.happen(&Event::OrganizationCertified {});
            }
        }
        let certified = kind != Kind::Enterprise || self.mirror.certification == Certification::Certified;
        let has_members = kind != Kind::Personal && certified;
        if !self.mirror.lives() || !has_members {
            return;
        }
        let more_owners = kind.rules().owners == OwnerRule::AtLeastOne;
        let roles = kind.rules().roles.iter().filter(|role| more_owners || !role.owner).map(|role| role.id);
        let people = [OTHER_ADMIN, CO_ADMIN, MANAGER, MEMBER, AUDITOR].into_iter().zip(roles);
        let role_id = kind.rules().default_invitation_role().id;
        let others = [FORMER, RESTING].map(|user| (user, role_id));
        for (user, role) in people.chain(others) {
            self.join(user, role);
        }
        if kind == Kind::Workspace {
            self.settle_roles(start);
        }
        // Whoever has founded it stays.
        let here = |user: UserId| self.mirror.members.get(&user).is_some_and(|member| member.role == role_id);
        let left = Event::MemberLeft { user_id: FORMER, role_id, status: MemberStatus::Active };
        let rests = Event::MemberDeactivated { user_id: RESTING };
        let both = [(here(FORMER), left), (here(RESTING), rests)];
        both.iter().filter(|(here, _)| *here).for_each(|(_, event)| self.happen(event));
    }

    fn settle_roles(&mut self, start: &Start) {
        let crowd = (0..46).filter(|_| start.crowded).map(|_| None);
        let held =
            start.roles.iter().zip(HOLDERS).map(|((level, permissions), user)| Some((*level, *permissions, user)));
        for (number, held) in (1..).zip(held.chain(crowd)) {
            let role_id = custom_role(number);
            let level = held.map_or(9, |(level, _, _)| level.get());
            let permissions = held.map_or(Permissions::NONE, |(_, permissions, _)| permissions);
            let (key, name) = (format!("SETTLED_{number}"), format!("Settled {number}"));
            self.happen(&Event::RoleCreated { role_id, key, name, description: None, level, permissions });
            if let Some((_, _, user)) = held {
                self.join(user, role_id);
            }
        }
    }

    fn join(&mut self, user: UserId, role: RoleId) {
        if !self.mirror.members.contains_key(&user) {
            self.happen(&joined(user, role));
        }
    }

    fn happen(&mut self, event: &Event) {
        self.organization.evolve(event);
        self.resumed.evolve(event);
        self.mirror.happen(event);
        self.state = truths::json(&self.organization);
        self.events.push(event.clone());
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        self.now += step.wait;
        let command = self.command(step);
        self.next_id += 1;
        self.take(&command).map_err(|error| TestCaseError::fail(format!("{error}\nafter {command:#?}")))?;
        if step.dice[1].is_multiple_of(8) {
            self.resumed = serde_json::from_str(&self.state.to_string())
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        Ok(())
    }

    /// Gives the command, and holds everything against what came of it.
    fn take(&mut self, command: &Command) -> TestCaseResult {
        let answer = self.organization.decide(command);
        prop_assert_eq!(
            &answer,
            &self.organization.decide(command),
            "the same at the same moment is answered the same"
        );
        prop_assert_eq!(&self.organization, &self.resumed, "the one that was asked is like the one that was not");
        self.met.answer(&self.mirror, command, &answer);
        let Ok(decided) = answer else { return Ok(()) };
        truths::check_access(&self.mirror, command, &decided.events)?;
        truths::check_rows(&self.mirror, command, &decided)?;
        if decided.events.is_empty() {
            return Ok(());
        }
        let before = self.mirror.clone();
        for event in &decided.events {
            truths::check_round_trip(event)?;
            truths::check_kind(&before, event)?;
            truths::check_time(&before, command.now, event)?;
            powers::check_gift(&before, command, event)?;
            let state = self.state.clone();
            self.happen(event);
            truths::check_reach(&state, &self.state, event)?;
        }
        powers::check_gains(&before, &self.mirror, command)?;
        if self.mirror.lives() {
            truths::check_owners(&self.mirror)?;
            truths::check_shape(&self.mirror, self.now)?;
        }
        truths::check_state(&self.state, &self.mirror, self.now)
    }

    /// Folding from the first event gives the same state, and so does carrying on from what was written.
    fn check_end(&self) -> TestCaseResult {
        let mut folded = Organization::default();
        self.events.iter().for_each(|event| folded.evolve(event));
        prop_assert_eq!(&folded, &self.organization);
        prop_assert_eq!(&self.resumed, &self.organization);
        let restored: Option<Organization> = serde_json::from_value(self.state.clone()).ok();
        prop_assert_eq!(restored.as_ref(), Some(&self.organization));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_commanded_the_rules_hold(start in starts(), steps in steps()) {
        Machine::run(&start, &steps)?;
    }
}
