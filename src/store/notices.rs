//! Notices: letters about what changed in an organization, to who manages it. What happens within a minute is told by
//! one letter to each.
//!
//! *Shape.* The append notes that something happened in a minute, once for all its commands ([`gather`]). When that
//! minute is over, the courier makes it into a letter for each person who has to know ([`spread`]), and asks once more,
//! when a letter goes out, what its reader may know of by then.
//!
//! *Promises.* A minute is spread once, whatever ends in between. Letters name nobody until they are sent, and none is
//! left of an organization that ended.
//!
//! *Limits.* [`READERS`] people are told of a minute, the highest ranks first, and of its first [`EVENTS`] events.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    Database, Error, aggregate::Recorded, column, history, hot, number, outbox, statement::Statement,
    transaction::Transaction, write::Write,
};
use crate::domain::{
    Actor, OrganizationId, Timestamp, UserId,
    organization::{
        Permissions,
        notices::{Categories, Reader},
    },
};

/// How many people are told of a minute.
pub const READERS: u32 = 1000;
/// How many events of a minute are told of.
pub const EVENTS: u32 = 5000;
/// How long after its end a minute is left alone: a command takes its time first, and is written some seconds later.
const REST: TimeDelta = TimeDelta::seconds(15);

/// The minute of a moment, counted from 1970.
fn minute_of(at: Timestamp) -> u64 {
    number(at.timestamp().div_euclid(60))
}

/// When a minute begins.
pub fn begin_of(minute: u64) -> Timestamp {
    Timestamp::from_timestamp(column(minute).saturating_mul(60), 0).unwrap_or_default()
}

/// Notes that something happened, to be told when its minute is over.
pub(super) fn gather(organization: OrganizationId, by: Actor, (recorded_at, now): (Timestamp, Timestamp)) -> Write {
    let generation = minute_of(recorded_at);
    let kind = outbox::Kind::Gathering;
    let gathering = outbox::NewLetter { kind, organization: Some(organization), subject: organization.0, generation };
    gathering.gather(by, now, begin_of(generation + 1) + REST)
}

/// The events of a minute, at most [`EVENTS`].
pub async fn of_minute(database: &Database, organization: OrganizationId, minute: u64) -> Result<Vec<Recorded>, Error> {
    history::between(database, organization, (begin_of(minute), begin_of(minute + 1)), EVENTS).await
}

/// The statement of who hears of one of these categories.
pub fn readers_statement(organization: OrganizationId, about: Categories) -> Statement {
    let mut statement = Statement::new(
        "SELECT m.user_id, r.permissions, COALESCE(p.muted, 0) FROM roles r \
         JOIN members m ON m.organization_id = r.organization_id AND m.role_id = r.role_id AND m.status = 'ACTIVE' \
         LEFT JOIN notification_preferences p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
         WHERE r.organization_id = ",
    );
    statement.push_value(organization.0);
    for (index, category) in about.iter().enumerate() {
        let needs = category.needs().bits();
        statement.push(if index == 0 { " AND (" } else { " OR " }).push("((r.permissions & ").push_value(needs);
        statement.push(") = ").push_value(needs);
        if category.can_be_muted() {
            let bit = Categories::of(&[category]).bits();
            statement.push(" AND (COALESCE(p.muted, 0) & ").push_value(bit).push(") = 0");
        }
        statement.push(")");
    }
    statement.push(if about.is_empty() { "" } else { ")" });
    statement.push(" ORDER BY r.level, m.joined_at, m.user_id LIMIT ").push_value(READERS);
    statement
}

/// Makes a gathering into the letters of those who have to know. It is done once: whoever comes second finds it done.
pub async fn spread(database: &Database, gathering: &outbox::Taken, now: Timestamp) -> Result<(), Error> {
    let organization = OrganizationId(gathering.subject);
    let events = of_minute(database, organization, gathering.generation).await?;
    let about = events.iter().fold(Categories::NONE, |about, recorded| about.or(recorded.event.categories()));
    let mut transaction = database.begin().await?;
    // Under the lock of the head, so that no letter is left behind by a deletion at the same moment.
    hot::head_in(&mut transaction, organization).await?;
    if close(&mut transaction, gathering).await? && !about.is_empty() {
        let rows: Vec<(Uuid, i64, i64)> = readers_statement(organization, about).all_in(&mut transaction).await?;
        let readers = rows.into_iter().map(|(user, permissions, muted)| reader(user, permissions, muted));
        let has_news =
            |reader: &Reader| events.iter().any(|event| reader.is_told(&event.event, event.metadata.actor()));
        let letter = |reader: Reader| outbox::NewLetter {
            kind: outbox::Kind::Notice,
            organization: Some(organization),
            subject: reader.user.0,
            generation: gathering.generation,
        };
        let letters: Vec<_> = readers.filter(has_news).map(letter).collect();
        outbox::enqueue(&mut transaction, &letters, now).await?;
    }
    transaction.commit().await
}

/// Closes a gathering, if nobody has, and takes the older ones away: time in a ledger never goes back to theirs.
async fn close(transaction: &mut Transaction, gathering: &outbox::Taken) -> Result<bool, Error> {
    let closed = Statement::new("UPDATE outbox SET state = 'SENT' WHERE letter_id = $1 AND state = 'PENDING'")
        .bind(gathering.id)
        .run_in(transaction)
        .await?;
    Statement::new(
        "DELETE FROM outbox WHERE organization_id = $1 AND subject_id = $1 AND generation < $2 AND state = 'SENT'",
    )
    .bind(gathering.subject)
    .bind(gathering.generation)
    .run_in(transaction)
    .await?;
    Ok(closed == 1)
}

fn reader(user: Uuid, permissions: i64, muted: i64) -> Reader {
    Reader { user: UserId(user), permissions: Permissions::from_bits(permissions), muted: Categories::from_bits(muted) }
}

/// Who a letter goes to, as they are now.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub struct Addressee {
    pub reader: Reader,
    pub email: String,
    pub name: Option<String>,
    pub organization_name: String,
}

/// An active member to write to; `None` where there is none, or no organization.
pub async fn addressee(
    database: &Database,
    organization: OrganizationId,
    user: UserId,
) -> Result<Option<Addressee>, Error> {
    type Row = (i64, i64, String, Option<String>, String);
    let row: Option<Row> = Statement::new(
        "SELECT r.permissions, COALESCE(p.muted, 0), u.email, u.name, o.name FROM members m \
         JOIN organizations o ON o.organization_id = m.organization_id \
         JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id \
         JOIN users u ON u.user_id = m.user_id \
         LEFT JOIN notification_preferences p ON p.organization_id = m.organization_id AND p.user_id = m.user_id \
         WHERE m.organization_id = $1 AND m.user_id = $2 AND m.status = 'ACTIVE'",
    )
    .bind(organization.0)
    .bind(user.0)
    .optional(database)
    .await?;
    Ok(row.map(|(permissions, muted, email, name, organization_name)| Addressee {
        reader: reader(user.0, permissions, muted),
        email,
        name,
        organization_name,
    }))
}

/// What a person chose not to hear of.
pub async fn muted(database: &Database, organization: OrganizationId, user: UserId) -> Result<Categories, Error> {
    let row: Option<(i64,)> =
        Statement::new("SELECT muted FROM notification_preferences WHERE organization_id = $1 AND user_id = $2")
            .bind(organization.0)
            .bind(user.0)
            .optional(database)
            .await?;
    Ok(row.map_or(Categories::NONE, |(muted,)| Categories::from_bits(muted)))
}

/// What a person wants to hear of, and what not; the rest stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// What to hear of again.
    pub heard: Categories,
    /// What not to hear of.
    pub muted: Categories,
}

/// Keeps an active member's choice, and answers what they do not hear of now; `None` for who is none.
pub async fn choose(
    database: &Database,
    organization: OrganizationId,
    user: UserId,
    choice: Choice,
) -> Result<Option<Categories>, Error> {
    let mut transaction = database.begin().await?;
    // The member's row is held, so that nothing is kept of an organization that is deleted at the same moment.
    let share = transaction.share_lock();
    let row: Option<(i64,)> = Statement::new(format!(
        "INSERT INTO notification_preferences (organization_id, user_id, muted) \
         SELECT m.organization_id, m.user_id, $3 FROM members m \
         WHERE m.organization_id = $1 AND m.user_id = $2 AND m.status = 'ACTIVE'{share} \
         ON CONFLICT (organization_id, user_id) \
         DO UPDATE SET muted = (notification_preferences.muted & ~$4) | excluded.muted RETURNING muted"
    ))
    .bind(organization.0)
    .bind(user.0)
    .bind(choice.muted.bits())
    .bind(choice.heard.bits())
    .optional_in(&mut transaction)
    .await?;
    transaction.commit().await?;
    Ok(row.map(|(muted,)| Categories::from_bits(muted)))
}
