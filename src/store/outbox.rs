//! Letters to send: written in the transaction of what they tell, sent by a courier afterwards.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Database, Error, database::Transaction, number, statement::Statement};
use crate::domain::{OrganizationId, Timestamp};

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
}

impl Kind {
    const ALL: [Self; 3] = [Self::SignIn, Self::Invitation, Self::Membership];

    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::Invitation => "INVITATION",
            Self::Membership => "MEMBERSHIP",
        }
    }
}

/// A letter to send.
pub struct NewLetter {
    /// What it is about.
    pub kind: Kind,
    /// In which organization, where it is about one.
    pub organization: Option<OrganizationId>,
    /// Which link or invitation, or who.
    pub subject: Uuid,
    /// Which sending of it, or which event.
    pub generation: u64,
}

/// Puts a letter into the outbox. Its id follows from what it says, so that it cannot be there twice.
pub(super) async fn enqueue(transaction: &mut Transaction, letter: &NewLetter, now: Timestamp) -> Result<(), Error> {
    let organization = letter.organization.map_or(Uuid::nil(), |organization| organization.0);
    let id = Uuid::new_v5(&letter.subject, &[&organization.as_bytes()[..], &letter.generation.to_be_bytes()].concat());
    Statement::new(
        "INSERT INTO outbox (letter_id, kind, organization_id, subject_id, generation, state, attempts, \
         created_at, next_attempt_at) VALUES ($1, $2, $3, $4, $5, 'PENDING', 0, $6, $6)",
    )
    .bind(id)
    .bind(letter.kind.name())
    .bind(letter.organization.map(|organization| organization.0))
    .bind(letter.subject)
    .bind(letter.generation)
    .bind(now)
    .run_in(transaction)
    .await
    .map(|_| ())
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
    /// Which sending of it, or which event.
    pub generation: u64,
    /// How often it has been tried, this time included.
    pub attempts: u64,
}

/// Whether a letter is due; a look that takes no lock.
pub async fn any_due(database: &Database, now: Timestamp) -> Result<bool, Error> {
    let due: Option<(i64,)> =
        Statement::new("SELECT generation FROM outbox WHERE state = 'PENDING' AND next_attempt_at <= $1 LIMIT 1")
            .bind(now)
            .optional(database)
            .await?;
    Ok(due.is_some())
}

/// Takes letters that are due, so that no other courier takes them for a while.
pub async fn take(database: &Database, now: Timestamp) -> Result<Vec<Taken>, Error> {
    type TakenRow = (Uuid, String, Option<Uuid>, Uuid, i64, i64);
    let mut transaction = database.begin().await?;
    let rows: Vec<TakenRow> = Statement::new(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $2 \
         WHERE state = 'PENDING' AND next_attempt_at <= $1 AND letter_id IN \
         (SELECT letter_id FROM outbox WHERE state = 'PENDING' AND next_attempt_at <= $1 \
          ORDER BY next_attempt_at LIMIT $3) \
         RETURNING letter_id, kind, organization_id, subject_id, generation, attempts",
    )
    .bind(now)
    .bind(now + LEASE)
    .bind(BATCH)
    .all_in(&mut transaction)
    .await?;
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
}

/// Notes how an attempt ended.
pub async fn note(database: &Database, letter: Uuid, outcome: Outcome) -> Result<(), Error> {
    let (state, error, at) = match outcome {
        Outcome::Sent => ("SENT", None, None),
        Outcome::Again { at, error } => ("PENDING", Some(error), Some(at)),
        Outcome::Failed { error } => ("FAILED", Some(error), None),
    };
    Statement::new(
        "UPDATE outbox SET state = $2, last_error = $3, next_attempt_at = COALESCE($4, next_attempt_at) \
         WHERE letter_id = $1",
    )
    .bind(letter)
    .bind(state)
    .bind(error)
    .bind(at)
    .run(database)
    .await
    .map(|_| ())
}
