//! Given, when, then.

use orgledger::domain::{
    Actor, ApiKeyId, Organization, Refusal, Timestamp, UserId,
    organization::{Action, Command, Decided, Event, Notes, Permission, Permissions, invitations::Invited},
};

use super::{joined, role};

/// Whoever can give a command.
pub(super) trait Acts: Copy {
    fn actor(self) -> Actor;
}

impl Acts for UserId {
    fn actor(self) -> Actor {
        Actor::User(self)
    }
}

impl Acts for ApiKeyId {
    fn actor(self) -> Actor {
        Actor::ApiKey(self)
    }
}

impl Acts for Actor {
    fn actor(self) -> Actor {
        self
    }
}

/// An organization, and what time it is there.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) organization: Organization,
    pub(super) now: Timestamp,
    pub(super) expected_version: Option<u64>,
}

impl Story {
    /// This has happened.
    pub(super) fn given(mut self, event: impl Into<Event>) -> Self {
        self.organization.evolve(&event.into());
        self
    }

    /// This person has joined.
    pub(super) fn with(self, user: UserId, role_key: &str) -> Self {
        self.given(joined(user, role(role_key)))
    }

    /// This command was accepted.
    #[track_caller]
    pub(super) fn having(mut self, by: impl Acts, action: impl Into<Action>) -> Self {
        let events = match self.when(by, action).0 {
            Ok(decided) => decided.events,
            Err(refusal) => panic!("refused: {refusal:?}"),
        };
        for event in &events {
            self.organization.evolve(event);
        }
        self
    }

    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The next command expects the object at this version.
    pub(super) fn expecting(self, version: u64) -> Self {
        Self { expected_version: Some(version), ..self }
    }

    pub(super) fn when(&self, by: impl Acts, action: impl Into<Action>) -> Answer {
        let Self { now, expected_version, .. } = *self;
        Answer(self.organization.decide(&Command { actor: by.actor(), now, expected_version, action: action.into() }))
    }
}

/// What a command led to.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Result<Decided, Refusal>);

impl Answer {
    #[track_caller]
    pub(super) fn then(self, events: impl IntoIterator<Item = Event>) {
        match self.0 {
            Ok(decided) => assert_eq!(decided.events, events.into_iter().collect::<Vec<_>>()),
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// The command was accepted, whatever it led to.
    #[track_caller]
    pub(super) fn then_accepted(self) {
        self.notes();
    }

    /// The command was accepted and would change nothing, so nothing was written.
    #[track_caller]
    pub(super) fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub(super) fn then_refused(self, refusal: Refusal) {
        assert_eq!(self.0.map(|decided| decided.events), Err(refusal));
    }

    #[track_caller]
    pub(super) fn then_not_found(self, field: &'static str) {
        self.then_refused(Refusal::NotFound { field });
    }

    #[track_caller]
    pub(super) fn then_not_held(self, missing: &[Permission]) {
        self.then_refused(Refusal::PermissionNotHeld { missing: Permissions::of(missing) });
    }

    /// What became of each row of an invitation.
    #[track_caller]
    pub(super) fn then_rows(self, rows: impl IntoIterator<Item = Result<Invited, Refusal>>) {
        assert_eq!(self.notes().invited, rows.into_iter().collect::<Vec<_>>());
    }

    #[track_caller]
    pub(super) fn notes(self) -> Notes {
        self.0.map_or_else(|refusal| panic!("refused: {refusal:?}"), |decided| decided.notes)
    }
}
