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
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "SIGN_IN",
            Self::Invitation => "INVITATION",
        }
    }
}

/// A letter to send.
pub struct NewLetter {
    /// What it is about.
    pub kind: Kind,
    /// Whose invitation.
    pub organization: Option<OrganizationId>,
    /// Which link or invitation.
    pub subject: Uuid,
    /// Which sending of it.
    pub generation: u32,
}

/// Puts a letter into the outbox. Its id follows from its subject and sending, so that it cannot be there twice.
pub(super) async fn enqueue(transaction: &mut Transaction, letter: &NewLetter, now: Timestamp) -> Result<(), Error> {
    let id = Uuid::from_u128(letter.subject.as_u128() ^ (u128::from(letter.generation) << 64));
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
    /// Whose invitation.
    pub organization: Option<OrganizationId>,
    /// Which link or invitation.
    pub subject: Uuid,
    /// Which sending of it.
    pub generation: u32,
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
        kind: if kind == Kind::SignIn.name() { Kind::SignIn } else { Kind::Invitation },
        organization: organization.map(OrganizationId),
        subject,
        generation: u32::try_from(generation).unwrap_or_default(),
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
