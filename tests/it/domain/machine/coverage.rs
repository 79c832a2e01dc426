//! What a run has met. A machine proves something only if it gets everywhere.

use super::{
    mirror::Mirror,
    names::{ACTIONS, EVENTS, REFUSALS, SAID_ELSEWHERE, action_name, event_name, refusal_name},
    steps::{starts, steps},
    *,
};

/// How often something was met: a kind of thing, and its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Met(BTreeMap<(&'static str, &'static str), u32>);

impl Met {
    fn count(&mut self, kind: &'static str, name: &'static str) {
        *self.0.entry((kind, name)).or_default() += 1;
    }

    fn of(&self, kind: &'static str, name: &'static str) -> u32 {
        self.0.get(&(kind, name)).copied().unwrap_or_default()
    }

    fn all(&self, kind: &'static str) -> u32 {
        self.0.iter().filter(|((of, _), _)| *of == kind).map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        for (thing, count) in &other.0 {
            *self.0.entry(*thing).or_default() += count;
        }
    }

    /// Files an answer to a command.
    pub(super) fn answer(&mut self, before: &Mirror, command: &Command, answer: &Result<Decided, Refusal>) {
        let action = action_name(&command.action);
        match answer {
            Ok(decided) => {
                let had_effect = !decided.events.is_empty();
                self.count(if had_effect { "did" } else { "changed nothing" }, action);
                decided.events.iter().for_each(|event| self.count("event", event_name(event)));
                let refused = decided.notes.invited.iter().filter_map(|row| row.as_ref().err());
                refused.for_each(|refusal| self.count("refusal", refusal_name(refusal)));
                paths(before, command, &decided.events).for_each(|path| self.count("path", path));
            }
            Err(refusal) => {
                self.count("refused", action);
                self.count("refusal", refusal_name(refusal));
            }
        }
    }
}

const PATHS: [&str; 13] = [
    "a key acted",
    "the holder of a custom role acted",
    "the maker of a key acted on it",
    "somebody came back",
    "somebody lowered their own role",
    "a role that somebody holds got another permission",
    "a role that somebody is invited with got another permission",
    "a deleted role was replaced for a member",
    "a deleted role was replaced for an invitation",
    "a deleted role was replaced as the default",
    "an invitation by a key was accepted",
    "a key whose time was over got more time",
    "the created keys went with their maker",
];

/// The deeper places that a command has been to.
fn paths<'a>(before: &'a Mirror, command: &'a Command, events: &'a [Event]) -> impl Iterator<Item = &'static str> + 'a {
    let deletes_role = matches!(command.action, Action::DeleteRole { .. });
    let role_of = |actor: Actor| {
        let member = before.members.get(&actor.user()?)?;
        before.roles.get(&member.role)
    };
    let key_acted = matches!(command.actor, Actor::ApiKey(_)) && !events.is_empty();
    let custom_acted = role_of(command.actor).is_some_and(|role| !role.built_in) && !events.is_empty();
    let keys_too = !matches!(command.action, Action::DisableApiKey { .. } | Action::RevokeApiKey { .. })
        && events.iter().any(|event| matches!(event, Event::ApiKeyDisabled { .. } | Event::ApiKeyRevoked { .. }));
    let of_event = move |event: &Event| match event {
        Event::MemberJoined { user_id, .. } if before.members.contains_key(user_id) => Some("somebody came back"),
        Event::MemberJoined { invited_by: Some(Actor::ApiKey(_)), .. } => Some("an invitation by a key was accepted"),
        Event::MemberRoleChanged { .. } if deletes_role => Some("a deleted role was replaced for a member"),
        Event::MemberRoleChanged { user_id, .. } if user_id.actor() == command.actor => {
            Some("somebody lowered their own role")
        }
        Event::InvitationRoleChanged { .. } => Some("a deleted role was replaced for an invitation"),
        Event::OrganizationDefaultRoleChanged { .. } if deletes_role => {
            Some("a deleted role was replaced as the default")
        }
        Event::RoleUpdated { role_id, permissions: Some(change), .. } if !change.to.without(change.from).is_empty() => {
            let invited = before.invitations.iter();
            let mut invited = invited.filter(|(id, _)| before.is_open(**id, command.now));
            if before.inside().any(|(_, member, _)| member.role == *role_id) {
                Some("a role that somebody holds got another permission")
            } else if invited.any(|(_, seen)| seen.role == *role_id) {
                Some("a role that somebody is invited with got another permission")
            } else {
                None
            }
        }
        Event::ApiKeyUpdated { api_key_id, expires_at: Some(_), .. }
            if before.api_keys.get(api_key_id)?.expires_at? <= command.now =>
        {
            Some("a key whose time was over got more time")
        }
        Event::ApiKeyUpdated { api_key_id, .. } | Event::ApiKeyRotated { api_key_id, .. } => {
            let own = before.api_keys.get(api_key_id)?.created_by == command.actor;
            own.then_some("the maker of a key acted on it")
        }
        _ => None,
    };
    let whole = [
        (key_acted, "a key acted"),
        (custom_acted, "the holder of a custom role acted"),
        (keys_too, "the created keys went with their maker"),
    ];
    let whole = whole.into_iter().filter(|(true_of, _)| *true_of).map(|(_, path)| path);
    whole.chain(events.iter().filter_map(of_event))
}

#[test]
fn random_commands_do_every_action_and_meet_every_event_every_refusal_and_every_path() {
    let mut runner = TestRunner::deterministic();
    let mut met = Met::default();
    for _ in 0..450 {
        let case = (starts(), steps()).new_tree(&mut runner).expect("a case");
        let (start, steps) = case.current();
        met.add(&Machine::run(&start, &steps).expect("the rules hold").met);
    }
    // Shown where the test fails, and where its output is asked for.
    met.0.iter().for_each(|((kind, name), count)| println!("{count:6} {kind} {name}"));
    let ours: Vec<_> = REFUSALS.iter().copied().filter(|name| !SAID_ELSEWHERE.contains(name)).collect();
    let lists = [("did", ACTIONS), ("refused", ACTIONS), ("event", EVENTS), ("refusal", &ours), ("path", &PATHS)];
    for (kind, names) in lists {
        let rare: Vec<_> = names.iter().filter(|name| met.of(kind, name) < 4).collect();
        assert!(rare.is_empty(), "too seldom {kind}: {rare:?}");
    }
    assert!(met.all("did") * 4 > met.all("refused"), "most commands are refused");
    assert!(met.of("refusal", "NotFound") * 4 < met.all("refusal"), "most refusals have not found anything");
}
