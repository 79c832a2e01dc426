//! The courier: takes letters out of the outbox, some at a time, writes them and hands them over. A letter is tried several
//! times and then given up; an invitation shows how its delivery went. A courier that ends before it has noted what it sent
//! leaves that to be sent again, under the same Message-ID.

use std::{collections::HashMap, time::Duration};

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    letters::{InvitationLetter, Letter, MembershipChange, MembershipLetter},
    notices,
    transport::{Mailbox, Transport},
};
use crate::{
    domain::{InvitationId, OrganizationId, Timestamp, UserId, organization::Event},
    secrets::InvitationLink,
    store::{
        self, Store, invitations,
        news::{self, About, News},
        notices::spread,
        outbox::{self, Kind, Outcome, Taken},
        sessions,
    },
};

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is tried to note what became of letters, and how long it waits in between.
const NOTE_TRIES: u32 = 5;
const NOTE_AGAIN: Duration = Duration::from_secs(1);
/// What is noted of a letter that the store failed.
const UNWRITTEN: &str = "it could not be written";

/// Sends letters.
#[derive(Clone)]
pub struct Courier {
    /// Where letters wait.
    pub store: Store,
    /// How they are handed over.
    pub transport: Transport,
    /// Who they come from.
    pub from: Mailbox,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
}

impl Courier {
    /// Looks for letters until the task is dropped.
    pub async fn run(self) {
        loop {
            match self.deliver_due().await {
                // There may be more than one look takes; what comes one by one is waited for, and sent together.
                Ok(taken) if taken == outbox::BATCH as usize => {}
                Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => {
                    tracing::warn!(?error, "the outbox could not be read");
                    tokio::time::sleep(LOOK_EVERY * 20).await;
                }
            }
        }
    }

    /// Takes what is due and tries to hand it over; says how much that was.
    pub async fn deliver_due(&self) -> Result<usize, store::Error> {
        let now = self.store.now();
        let taken = outbox::take(&self.store.database, now).await?;
        let outcomes = self.deliver(&taken, now).await;
        let mut tries = 0;
        // What was sent and not noted would be sent again.
        while let Err(error) = outbox::note(&self.store.database, outcomes.clone()).await {
            tries += 1;
            if tries == NOTE_TRIES {
                return Err(error);
            }
            tokio::time::sleep(NOTE_AGAIN).await;
        }
        Ok(taken.len())
    }

    /// Tries each. One that cannot be written holds up no other.
    async fn deliver(&self, letters: &[Taken], now: Timestamp) -> Vec<(Uuid, Outcome)> {
        let memberships = letters.iter().filter(|letter| letter.kind == Kind::Membership).filter_map(about);
        let mut news = match news::find(&self.store.database, &memberships.collect::<Vec<_>>()).await {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(?error, "what letters are about could not be read; they will be tried again");
                return letters.iter().map(|letter| (letter.id, later(letter, now, UNWRITTEN))).collect();
            }
        };
        let mut outcomes = Vec::with_capacity(letters.len());
        for letter in letters {
            let outcome = self.deliver_one(letter, &mut news, now).await.unwrap_or_else(|error| {
                tracing::warn!(letter = %letter.id, ?error, "a letter could not be written and will be tried again");
                Some(later(letter, now, UNWRITTEN))
            });
            outcomes.extend(outcome.map(|outcome| (letter.id, outcome)));
        }
        outcomes
    }

    /// Tries one; what is noted of it, if anything.
    async fn deliver_one(
        &self,
        letter: &Taken,
        news: &mut AllNews,
        now: Timestamp,
    ) -> Result<Option<Outcome>, store::Error> {
        if letter.kind == Kind::Gathering {
            spread(&self.store.database, letter, now).await?;
            return Ok(None);
        }
        Ok(Some(match (letter.kind, self.attempt(letter, news, now).await?) {
            // A letter that is kept as a file is found by its row, when somebody whom it names is erased.
            (Kind::Notice, Outcome::Sent) if matches!(self.transport, Transport::Files(_)) => Outcome::Sent,
            (Kind::Notice, Outcome::Sent | Outcome::Failed { .. }) => Outcome::Forgotten,
            (_, outcome) => outcome,
        }))
    }

    async fn attempt(&self, taken: &Taken, news: &mut AllNews, now: Timestamp) -> Result<Outcome, store::Error> {
        let Some(letter) = self.compose(taken, news, now).await? else {
            return Ok(Outcome::Failed { error: "no longer needed".to_owned() });
        };
        match self.transport.deliver(&letter, taken.id, &self.from, now).await {
            Ok(()) => {
                if let (Transport::Files(folder), Some(link)) = (&self.transport, &letter.link) {
                    let file = folder.join(format!("{}.eml", taken.id));
                    tracing::info!("{}: {link} (letter in {})", letter.subject, file.display());
                }
                Ok(Outcome::Sent)
            }
            Err(error) if error.is_permanent() || taken.attempts >= outbox::ATTEMPTS => {
                tracing::warn!(letter = %taken.id, %error, "a letter was given up");
                Ok(Outcome::Failed { error: error.to_string() })
            }
            Err(error) => {
                tracing::warn!(letter = %taken.id, %error, attempts = taken.attempts, "a letter will be tried again");
                Ok(later(taken, now, &error.to_string()))
            }
        }
    }

    /// Writes the letter; `None` where what it would say is over.
    async fn compose(&self, due: &Taken, news: &mut AllNews, now: Timestamp) -> Result<Option<Letter>, store::Error> {
        match (due.kind, due.organization) {
            (Kind::SignIn, _) => self.compose_sign_in(due, now).await,
            (Kind::Invitation, Some(organization)) => self.compose_invitation(due, organization, now).await,
            (Kind::Membership, Some(_)) => {
                let news = about(due).and_then(|about| news.remove(&about)).transpose()?;
                Ok(news.and_then(|news| self.compose_membership(&news)))
            }
            (Kind::Notice, Some(organization)) => {
                notices::compose(&self.store.database, &self.public_url, due, organization).await
            }
            (Kind::Invitation | Kind::Membership | Kind::Notice, None) | (Kind::Gathering, _) => Ok(None),
        }
    }

    async fn compose_sign_in(&self, due: &Taken, now: Timestamp) -> Result<Option<Letter>, store::Error> {
        let Self { store, public_url, .. } = self;
        let Some(email) = sessions::link_email(&store.database, due.subject, now).await? else {
            return Ok(None);
        };
        let token = store.server_key.sign_in_token(due.subject);
        let link = format!("{public_url}/sign-in?token={}", token.expose_secret());
        let minutes = u32::try_from(sessions::LINK_LIFETIME.num_minutes()).unwrap_or_default();
        Ok(Some(Letter::sign_in(&email, &link, minutes)))
    }

    async fn compose_invitation(
        &self,
        due: &Taken,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Option<Letter>, store::Error> {
        let Self { store, public_url, .. } = self;
        let invitation = InvitationId(due.subject);
        let generation = u32::try_from(due.generation).unwrap_or_default();
        let preview = invitations::preview(&store.database, organization, invitation).await?;
        let Some(preview) = preview.filter(|preview| {
            let state = invitations::state_at(&preview.state, preview.expires_at, now);
            state == "PENDING" && preview.generation == i64::from(generation)
        }) else {
            return Ok(None);
        };
        let Some(email) = preview.email else { return Ok(None) };
        let token = store.server_key.invitation_token(InvitationLink { organization, invitation, generation });
        Ok(Some(Letter::invitation(InvitationLetter {
            email: &email,
            name: preview.name.as_deref(),
            organization_name: &preview.organization_name,
            role_name: preview.role_name.as_deref().unwrap_or_default(),
            inviter_name: preview.inviter_name.as_deref(),
            link: &format!("{public_url}/invitations/{}", token.expose_secret()),
            expires_at: preview.expires_at,
        })))
    }

    fn compose_membership(&self, news: &News) -> Option<Letter> {
        let change = match news.event {
            Event::MemberRoleChanged { .. } | Event::MemberOwnershipTransferred { .. } => {
                MembershipChange::Role { name: &news.role_name, link: &self.public_url }
            }
            Event::MemberDeactivated { .. } => MembershipChange::Deactivated,
            Event::MemberRemoved { .. } => MembershipChange::Removed,
            _ => return None,
        };
        Some(Letter::membership(MembershipLetter {
            email: &news.email,
            name: news.name.as_deref(),
            organization_name: &news.organization_name,
            change,
        }))
    }
}

/// What letters about memberships say, by what they are about.
type AllNews = HashMap<About, Result<News, store::Error>>;

/// To be tried again, the later the more often it was.
fn later(taken: &Taken, now: Timestamp, error: &str) -> Outcome {
    let wait = TimeDelta::seconds(10 << taken.attempts.min(8));
    Outcome::Again { at: now + wait, error: error.to_owned() }
}

/// What a letter about a membership is about.
fn about(letter: &Taken) -> Option<About> {
    Some((letter.organization?, UserId(letter.subject), letter.generation))
}
