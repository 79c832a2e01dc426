//! Letters to send: written in the transaction of what they tell, sent by a courier afterwards.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Database, Error, number,
    statement::Statement,
    transaction::Transaction,
    write::{self, Write},
};
use crate::domain::{Actor, OrganizationId, Timestamp};

/// How often a letter is tried.
pub const ATTEMPTS: u64 = 8;
/// How long a courier has for the letters it took; afterwards another one takes them again.
pub const LEASE: TimeDelta = TimeDelta::minutes(10);
/// How many letters a courier takes at once.
pub const BATCH: u32 = 10;

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A link to sign in; the subject is the link.
    SignIn,
    /// An invitation; the subject is the invitation, the generation its sending.
    Invitation,
    /// What became of somebody's membership; the subject is the person, the generation the sequence of the event.
    Membership,
    /// No letter yet: something happened in a minute (the generation) of an organization (the subject).
    Gathering,
    /// What happened in that minute, for one person, who is the subject.
    Notice,
}

impl Kind {
    const ALL: [Self; 5] = [Self::SignIn, Self::Invitation, Self::Membership, Self::Gathering, Self::Notice];

    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::Invitation => "INVITATION",
            Self::Membership => "MEMBERSHIP",
            Self::Gathering => "GATHERING",
            Self::Notice => "NOTICE",
        }
    }
}

/// A letter to send.
#[derive(Clone, Copy, Debug)]
pub struct NewLetter {
    /// What it is about.
    pub kind: Kind,
    /// In which organization, where it is about one.
    pub organization: Option<OrganizationId>,
    /// Which link or invitation, or who.
    pub subject: Uuid,
    /// Which sending of it, which event, or which minute.
    pub generation: u64,
}

impl NewLetter {
    /// It follows from what the letter says, so that it cannot be there twice.
    fn id(&self) -> Uuid {
        let organization = self.organization.map_or(Uuid::nil(), |organization| organization.0);
        let kind = self.kind.name().as_bytes();
        let said = [&organization.as_bytes()[..], &self.generation.to_be_bytes(), kind].concat();
        Uuid::new_v5(&self.subject, &said)
    }

    /// Puts the letter into the outbox; one that is there already stays as it is.
    pub(super) fn enqueue(&self, now: Timestamp) -> Write {
        self.place(now, now, None)
    }

    /// Notes that something happened in a minute of an organization, to be told once the time has come. It is noted once
    /// for all commands of the minute, and not at all where there is nobody but who did it.
    pub(super) fn gather(&self, by: Actor, now: Timestamp, due: Timestamp) -> Write {
        self.place(now, due, Some(by.id()))
    }

    fn place(&self, now: Timestamp, due: Timestamp, by: Option<Uuid>) -> Write {
        let text = "INSERT INTO outbox (letter_id, kind, organization_id, subject_id, generation, state, attempts, \
             created_at, next_attempt_at) \
             SELECT v.letter_id, v.kind, v.organization_id, v.subject_id, v.generation, 'PENDING', 0, \
             v.created_at, v.due FROM v WHERE v.by_id IS NULL OR EXISTS \
             (SELECT 1 FROM members m WHERE m.organization_id = v.organization_id AND m.user_id <> v.by_id) \
             ON CONFLICT (letter_id) DO NOTHING";
        Write::text(text)
            .with("letter_id", self.id())
            .with("kind", self.kind.name())
            .with("organization_id", self.organization.map(|organization| organization.0))
            .with("subject_id", self.subject)
            .with("generation", self.generation)
            .with("created_at", now)
            .with("due", due)
            .with("by_id", by)
    }
}

/// Puts letters into the outbox, in one statement.
pub(super) async fn enqueue(transaction: &mut Transaction, letters: &[NewLetter], now: Timestamp) -> Result<(), Error> {
    write::run_all(transaction, letters.iter().map(|letter| vec![letter.enqueue(now)])).await
}

/// A letter that a courier has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub kind: Kind,
    /// In which organization, where it is about one.
    pub organization: Option<OrganizationId>,
    /// Which link or invitation, or who.
    pub subject: Uuid,
    /// Which sending of it, which event, or which minute.
    pub generation: u64,
    /// How often it has been tried, this time included.
    pub attempts: u64,
}

/// The letters that are due at `$1`, at most `$2`: nobody who signs in waits for a thousand notices. Either part comes from
/// an index of its own, in order.
const DUE: &str = "SELECT letter_id FROM \
    (SELECT * FROM (SELECT letter_id, 1 AS place FROM outbox WHERE state = 'PENDING' AND kind <> 'NOTICE' \
     AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2) AS personal \
     UNION ALL SELECT * FROM (SELECT letter_id, 2 AS place FROM outbox WHERE state = 'PENDING' AND kind = 'NOTICE' \
     AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2) AS notices) AS due \
    ORDER BY place LIMIT $2";

/// Takes letters that are due, so that no other courier takes them for a while. Where none is, it is a look that takes no
/// lock.
pub async fn take(database: &Database, now: Timestamp) -> Result<Vec<Taken>, Error> {
    type TakenRow = (Uuid, String, Option<Uuid>, Uuid, i64, i64);
    let mut due: Vec<(Uuid,)> = Statement::new(DUE).bind(now).bind(BATCH).all(database).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    // In one order, so that couriers of different servers never wait for each other in a ring.
    due.sort_unstable();
    let mut transaction = database.begin().await?;
    let take = |(letter,): (Uuid,)| {
        let text = "UPDATE outbox AS t SET attempts = t.attempts + 1, next_attempt_at = v.until FROM v \
             WHERE t.letter_id = v.letter AND t.state = 'PENDING' AND t.next_attempt_at <= v.now";
        Write::text(text).with("letter", letter).with("now", now).with("until", now + LEASE)
    };
    let returning = " RETURNING letter_id, kind, organization_id, subject_id, generation, attempts";
    let rows: Vec<TakenRow> =
        write::run_returning(&mut transaction, due.into_iter().map(take).collect(), returning).await?;
    transaction.commit().await?;
    let taken = rows.into_iter().map(|(id, kind, organization, subject, generation, attempts)| Taken {
        id,
        kind: Kind::ALL.into_iter().find(|known| known.name() == kind).unwrap_or(Kind::Invitation),
        organization: organization.map(OrganizationId),
        subject,
        generation: number(generation),
        attempts: number(attempts),
    });
    Ok(taken.collect())
}

/// How an attempt ended.
#[derive(Clone)]
pub enum Outcome {
    /// It was handed over.
    Sent,
    /// It failed for now: try again then.
    Again {
        /// When.
        at: Timestamp,
        /// Why, in words that name nobody.
        error: String,
    },
    /// It failed for good.
    Failed {
        /// Why, in words that name nobody.
        error: String,
    },
    /// It is over, and its row with it: of notices nothing is shown afterwards, and they are many.
    Forgotten,
}

/// Notes how attempts ended, in one transaction; what ended for somebody else meanwhile stays so.
pub async fn note(database: &Database, outcomes: Vec<(Uuid, Outcome)>) -> Result<(), Error> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    write::run_all(&mut transaction, outcomes.into_iter().map(|(letter, outcome)| vec![ended(letter, outcome)]))
        .await?;
    transaction.commit().await
}

fn ended(letter: Uuid, outcome: Outcome) -> Write {
    let (state, error, at) = match outcome {
        Outcome::Sent => ("SENT", None, None),
        Outcome::Again { at, error } => ("PENDING", Some(error), Some(at)),
        Outcome::Failed { error } => ("FAILED", Some(error), None),
        Outcome::Forgotten => {
            let text = "DELETE FROM outbox WHERE letter_id IN (SELECT v.letter_id FROM v)";
            return Write::text(text).with("letter_id", letter);
        }
    };
    let text = "UPDATE outbox AS t SET state = v.state, last_error = v.last_error, \
         next_attempt_at = COALESCE(v.next_attempt_at, t.next_attempt_at) FROM v \
         WHERE t.letter_id = v.letter_id AND t.state = 'PENDING'";
    Write::text(text)
        .with("letter_id", letter)
        .with("state", state)
        .with("last_error", error)
        .with("next_attempt_at", at)
}
