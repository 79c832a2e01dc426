//! What a notice says: each change of its minute that is news to its reader, in a sentence with today's names. What
//! concerns who controls the organization comes first.

use std::collections::HashMap;

use super::letters::{Letter, NoticeLetter};
use crate::{
    domain::{
        Actor, OrganizationId, RoleId, UserId,
        organization::{Event, Target, notices::Category},
    },
    store::{
        self, Database,
        aggregate::Recorded,
        names::{Names, Wanted},
        notices,
        outbox::Taken,
    },
};

/// How many changes a letter tells; the others are counted.
const LINES: usize = 20;
/// How much of a name a line shows, in characters.
const NAME: usize = 60;

/// Writes a notice; `None` where nothing is left to tell.
pub(super) async fn compose(
    database: &Database,
    link: &str,
    due: &Taken,
    organization: OrganizationId,
) -> Result<Option<Letter>, store::Error> {
    let addressee = notices::addressee(database, organization, UserId(due.subject)).await?;
    let Some(addressee) = addressee else { return Ok(None) };
    let events = notices::of_minute(database, organization, due.generation).await?;
    let is_news = |recorded: &&Recorded| addressee.reader.is_told(&recorded.event, recorded.metadata.actor());
    let mut news: Vec<_> = events.iter().filter(is_news).collect();
    if news.is_empty() {
        return Ok(None);
    }
    let more = news.len().saturating_sub(LINES);
    choose(&mut news);
    let mut wanted = Wanted::default();
    for recorded in &news {
        want(&mut wanted, recorded);
    }
    let names = wanted.load(database, organization).await?;
    let mut lines: Vec<_> = news.into_iter().map(|recorded| sentence(recorded, &names)).collect();
    if more > 0 {
        // There may be events of the minute that were not even read.
        let at_least = if events.len() == notices::EVENTS as usize { "more than " } else { "" };
        lines.push(format!("and {at_least}{more} more"));
    }
    Ok(Some(Letter::notice(NoticeLetter {
        email: &addressee.email,
        name: addressee.name.as_deref(),
        organization_name: &addressee.organization_name,
        at: notices::begin_of(due.generation),
        lines: &lines,
        link,
    })))
}

/// Leaves what a letter has room for, in the order it is told: who controls the organization first. What happened once
/// is not lost among what happened a thousand times.
fn choose(news: &mut Vec<&Recorded>) {
    let is_second = |recorded: &Recorded| !recorded.event.categories().has(Category::Security);
    if news.len() > LINES {
        let mut times = HashMap::new();
        for recorded in &*news {
            *times.entry(recorded.event.name()).or_insert(0_u32) += 1;
        }
        news.sort_by_key(|recorded| (is_second(recorded), times.get(recorded.event.name()).copied()));
        news.truncate(LINES);
    }
    news.sort_by_key(|recorded| (is_second(recorded), recorded.sequence));
}

/// The role that an event gives, where it gives one.
const fn role_of(event: &Event) -> Option<RoleId> {
    match event {
        Event::OrganizationDefaultRoleChanged { to, .. }
        | Event::MemberRoleChanged { to, .. }
        | Event::InvitationRoleChanged { to, .. } => Some(*to),
        Event::MemberJoined { role_id, .. } | Event::InvitationSent { role_id, .. } => Some(*role_id),
        _ => None,
    }
}

/// Wants the names that the sentence about an event has.
fn want(wanted: &mut Wanted, recorded: &Recorded) {
    if let Some(actor) = recorded.metadata.actor() {
        wanted.actor(actor);
    }
    match recorded.event.target() {
        Target::Organization => {}
        Target::Member(user) => wanted.user(user.0),
        Target::Invitation(invitation) => wanted.invitation(invitation.0),
        Target::Role(role) => wanted.role(role.0),
        Target::ApiKey(api_key) => wanted.api_key(api_key.0),
    }
    if let Some(role) = role_of(&recorded.event) {
        wanted.role(role.0);
    }
}

/// What happened, in one sentence without its full stop.
fn sentence(recorded: &Recorded, names: &Names) -> String {
    let name = |id, otherwise: &str| names.get(id).map_or_else(|| otherwise.to_owned(), |name| shortened(&name));
    let who = match recorded.metadata.actor() {
        Some(Actor::User(user)) => name(user.0, "Somebody"),
        Some(Actor::ApiKey(api_key)) => format!("The API key {}", name(api_key.0, "that is gone")),
        Some(Actor::Operator) => "The operator".to_owned(),
        None => "Somebody".to_owned(),
    };
    // Who declines is called by the address that was typed: what the directory knows of them is not for others.
    let whom = match recorded.event.target() {
        Target::Organization => "the organization".to_owned(),
        Target::Member(user) => name(user.0, "somebody"),
        Target::Invitation(invitation) => name(invitation.0, "somebody"),
        Target::Role(role) => format!("the role {}", name(role.0, "that is gone")),
        Target::ApiKey(api_key) => format!("the API key {}", name(api_key.0, "that is gone")),
    };
    let role = role_of(&recorded.event).map(|role| name(role.0, "another role")).unwrap_or_default();
    match &recorded.event {
        Event::OrganizationCreated { .. } | Event::RoleCreated { .. } | Event::ApiKeyCreated { .. } => {
            format!("{who} made {whom}")
        }
        Event::OrganizationRenamed { .. }
        | Event::OrganizationDescriptionChanged { .. }
        | Event::OrganizationLogoChanged { .. }
        | Event::RoleUpdated { .. }
        | Event::ApiKeyUpdated { .. } => format!("{who} edited {whom}"),
        Event::OrganizationDefaultRoleChanged { .. } => format!("{who} made {role} the role that invitations give"),
        Event::OrganizationCertificationRequested { .. } => format!("{who} asked to have {whom} certified"),
        Event::OrganizationDataExportRequested { .. } => {
            format!("{who} asked for an export of the organization's data")
        }
        Event::AuditExported { .. } => format!("{who} exported the audit log"),
        Event::OrganizationCertified {} => format!("{who} certified {whom}"),
        Event::OrganizationCertificationRejected {} => format!("{who} did not certify {whom}"),
        Event::OrganizationDeleted {} | Event::RoleDeleted { .. } => format!("{who} deleted {whom}"),
        Event::MemberJoined { .. } => format!("{whom} joined as {role}"),
        Event::MemberRoleChanged { .. } => format!("{who} gave {whom} the role {role}"),
        Event::MemberOwnershipTransferred { .. } => format!("{who} handed the organization over to {whom}"),
        Event::MemberDeactivated { .. } => format!("{who} switched off the access of {whom}"),
        Event::MemberReactivated { .. } => format!("{who} switched on the access of {whom} again"),
        Event::MemberRemoved { .. } => format!("{who} removed {whom}"),
        Event::MemberLeft { .. } => format!("{whom} left"),
        Event::InvitationSent { .. } => format!("{who} invited {whom} as {role}"),
        Event::InvitationResent { .. } => format!("{who} sent the invitation of {whom} again"),
        Event::InvitationRoleChanged { .. } => format!("{who} made the invitation of {whom} one for {role}"),
        Event::InvitationAccepted { .. } => format!("{whom} accepted the invitation"),
        Event::InvitationDeclined { .. } => format!("{whom} declined the invitation"),
        Event::InvitationRevoked { .. } => format!("{who} withdrew the invitation of {whom}"),
        Event::ApiKeyDisabled { .. } => format!("{who} switched {whom} off"),
        Event::ApiKeyEnabled { .. } => format!("{who} switched {whom} on again"),
        Event::ApiKeyRotated { .. } => format!("{who} gave {whom} a new secret"),
        Event::ApiKeyRevoked { .. } => format!("{who} revoked {whom}"),
    }
}

/// A line has three names at most, and is no longer than a mail server has to take.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
