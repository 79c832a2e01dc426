//! Writes people and organizations with long ledgers as a whole, in one transaction: events with their chain, and the rows
//! that commands would have left.

use std::{collections::HashMap, iter};

use chrono::TimeDelta;
use orgledger::{
    domain::{
        OrganizationId, RoleId, SessionId, Timestamp, UserId,
        organization::Event,
        values::{Email, Name},
    },
    secrets::{SessionToken, commitment},
    store::{
        Database, NEVER, Store,
        aggregate::{EventRow, Metadata, encode},
        chain,
        statement::{Statement, Value},
        transaction::Transaction,
    },
};

use super::{
    clients::Failure,
    seed::{CLIENTS, HITS, KIND, NEEDLE, role},
};

/// How many values one statement takes. SQLite looks each of them up among the others, so ten times as many would take a
/// hundred times as long.
const VALUES: usize = 600;

const FIRST: [&str; 16] = [
    "Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiroshi", "Imani", "Jonas", "Keiko", "Leila",
    "Mateo", "Noor", "Olga", "Priya",
];
const LAST: [&str; 13] = [
    "Almeida",
    "Becker",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
];

/// Rows of one table that wait to be written.
struct Rows {
    into: &'static str,
    waiting: Vec<Vec<Value>>,
}

impl Rows {
    const fn new(into: &'static str) -> Self {
        Self { into, waiting: Vec::new() }
    }

    async fn add(&mut self, transaction: &mut Transaction, row: Vec<Value>) -> Result<(), Failure> {
        let full = (self.waiting.len() + 1) * row.len() >= VALUES;
        self.waiting.push(row);
        if full { self.flush(transaction).await } else { Ok(()) }
    }

    async fn flush(&mut self, transaction: &mut Transaction) -> Result<(), Failure> {
        let mut statement = Statement::new(format!("INSERT INTO {} VALUES ", self.into));
        let mut separator = "";
        for row in self.waiting.drain(..) {
            statement.push(separator).push_list(row);
            separator = ", ";
        }
        if !separator.is_empty() {
            statement.run_in(transaction).await?;
        }
        Ok(())
    }
}

/// A person of the directory.
struct Person {
    id: UserId,
    name_key: String,
    email_key: String,
    commitment: String,
}

/// What a member is since an event.
struct Period {
    sequence: u64,
    role: RoleId,
    joined_at: Timestamp,
    from_at: Timestamp,
}

/// What is being written.
pub struct Seeder<'a> {
    store: &'a Store,
    /// When everything began.
    pub begun: Timestamp,
    people: Vec<Person>,
    sessions: Vec<(SessionId, String)>,
    transaction: Transaction,
    tables: [Rows; 9],
}

const EVENTS: usize = 0;
const STREAMS: usize = 1;
const ORGANIZATIONS: usize = 2;
const ROLES: usize = 3;
const ROLE_HISTORY: usize = 4;
const MEMBERS: usize = 5;
const MEMBER_HISTORY: usize = 6;
const AUDIT_ENTRIES: usize = 7;
const USER_ORGANIZATIONS: usize = 8;

const TABLES: [&str; 9] = [
    "events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, organization_id, \
     recorded_at, prev_hash, hash)",
    "streams (organization_id, version, head_hash, recorded_at, state)",
    "organizations (version, organization_id, kind, name, default_role_id, created_at)",
    "roles (organization_id, role_id, key, name, description, level, permissions, owner, built_in, version, deleted)",
    "role_history (organization_id, role_id, key, name, description, level, permissions, owner, built_in, version, \
     deleted, from_sequence, to_sequence)",
    "members (organization_id, user_id, role_id, status, joined_at, version, name_key, email_key, search_key, \
     last_login_at)",
    "member_history (organization_id, user_id, from_sequence, to_sequence, role_id, status, joined_at, from_at, \
     until_at)",
    "audit_entries (organization_id, sequence, event_type, actor_id, target_id, actor_kind)",
    "user_organizations (user_id, organization_id, current)",
];

impl<'a> Seeder<'a> {
    /// Writes the directory of so many people, the first of whom has sessions.
    pub async fn begin(store: &'a Store, people: usize) -> Result<Self, Failure> {
        if let Database::Sqlite { writer, .. } = &store.database {
            // With the little that it has, it would write the same pages of the indexes again and again.
            sqlx::raw_sql("PRAGMA cache_size = -500000").execute(writer).await?;
        }
        let mut transaction = store.database.begin().await?;
        let begun = store.now() - TimeDelta::days(30);
        let mut users = Rows::new(
            "users (user_id, email, email_key, email_verified, name, name_key, salt, created_at, last_login_at)",
        );
        let mut written = Vec::with_capacity(people);
        for number in 0..people {
            let (id, salt) = (UserId(store.entropy.uuid()), store.entropy.bytes::<32>());
            // One in a hundred of the first ten thousand is looked for.
            let last = if number % 100 == 50 && number < 100 * HITS { NEEDLE } else { LAST[number / 16 % 13] };
            let name: Name = format!("{} {last}", FIRST[number % 16]).parse()?;
            let email: Email = format!("person.{number}@example.com").parse()?;
            let (name_key, email_key) = (name.key(), email.key().to_owned());
            let row = [id.0.into(), email.as_str().into(), email.key().into(), true.into(), name.as_str().into()];
            let rest = [Value::from(&name_key), salt.to_vec().into(), begun.into(), NEVER.into()];
            users.add(&mut transaction, row.into_iter().chain(rest).collect()).await?;
            let commitment = commitment(&salt, &email_key);
            written.push(Person { id, name_key, email_key, commitment });
        }
        users.flush(&mut transaction).await?;
        let mut sessions = Vec::new();
        let mut into = Rows::new("sessions (session_id, token_hash, user_id, created_at, last_seen_at, expires_at)");
        for _ in 0..CLIENTS {
            let (id, now) = (SessionId(store.entropy.uuid()), store.now());
            let token = SessionToken::new(&store.entropy.base62(SessionToken::LENGTH));
            let hash = token.hash().bytes().to_vec();
            let until = now + TimeDelta::days(7);
            let owner = written[0].id.0;
            into.add(
                &mut transaction,
                vec![id.0.into(), hash.into(), owner.into(), now.into(), now.into(), until.into()],
            )
            .await?;
            sessions.push((id, token.expose().to_owned()));
        }
        into.flush(&mut transaction).await?;
        Ok(Self { store, begun, people: written, sessions, transaction, tables: TABLES.map(Rows::new) })
    }

    async fn add<const N: usize>(&mut self, table: usize, row: [Value; N]) -> Result<(), Failure> {
        self.tables[table].add(&mut self.transaction, row.into()).await
    }

    /// Writes what waits.
    pub async fn end(mut self) -> Result<(Vec<UserId>, Vec<(SessionId, String)>), Failure> {
        for table in &mut self.tables {
            table.flush(&mut self.transaction).await?;
        }
        // Nobody has left.
        let count = "UPDATE organizations SET member_count = \
             (SELECT COUNT(*) FROM members m WHERE m.organization_id = organizations.organization_id)";
        Statement::new(count).run_in(&mut self.transaction).await?;
        self.transaction.commit().await?;
        Ok((self.people.into_iter().map(|person| person.id).collect(), self.sessions))
    }

    /// What happens: everybody joins, and then members get other roles, one after the other and again, until there are
    /// so many events.
    fn story(&self, members: usize, events: usize) -> Vec<Event> {
        let created = Event::OrganizationCreated { kind: KIND, name: "Acme".to_owned(), description: None };
        let joined = |(at, person): (usize, &Person)| Event::MemberJoined {
            user_id: person.id,
            role_id: if at == 0 { KIND.rules().owner_role().id } else { role("MEMBER") },
            invitation_id: None,
            invited_by: None,
            email_commitment: person.commitment.clone(),
        };
        let mut story: Vec<_> =
            iter::once(created).chain(self.people[..members].iter().enumerate().map(joined)).collect();
        for number in 0..events.saturating_sub(story.len()) {
            let (round, member) = (number / (members - 1), 1 + number % (members - 1));
            let roles = ["MEMBER", "AUDITOR"];
            let (from, to) = (role(roles[round % 2]), role(roles[(round + 1) % 2]));
            story.push(Event::MemberRoleChanged { user_id: self.people[member].id, from, to });
        }
        story
    }

    /// Writes an organization of so many members, with that many events or as few as there have to be.
    pub async fn organization(&mut self, members: usize, events: usize) -> Result<OrganizationId, Failure> {
        let organization = OrganizationId(self.store.entropy.ordered_uuid(self.begun));
        let id = || Value::from(organization.0);
        let (owner, begun) = (self.people[0].id, self.begun);
        let metadata = serde_json::to_value(Metadata {
            actor_kind: "USER".to_owned(),
            actor_id: owner.0,
            request_id: "seed".to_owned(),
            reason_commitment: None,
        })?;
        let (mut head, mut sequence, mut now) = (chain::genesis(organization).to_vec(), 0, begun);
        let mut periods = HashMap::new();
        for event in self.story(members, events) {
            sequence += 1;
            now = begun + TimeDelta::seconds(i64::try_from(sequence)?);
            let row = EventRow {
                organization_id: organization.0,
                sequence: i64::try_from(sequence)?,
                event_type: event.name().to_owned(),
                event_version: Event::VERSION.to_string(),
                payload: encode(&event)?,
                metadata: metadata.clone(),
                recorded_at: now,
                prev_hash: head.clone(),
                hash: Vec::new(),
            };
            head = row.computed_hash(&head)?.to_vec();
            let target = event.target().id(organization);
            let entry = [id(), sequence.into(), event.name().into(), owner.0.into(), target.into(), "USER".into()];
            self.add(AUDIT_ENTRIES, entry).await?;
            let columns: [Value; 11] = [
                "organization".into(),
                organization.to_string().into(),
                sequence.into(),
                row.event_type.into(),
                row.event_version.into(),
                row.payload.into(),
                row.metadata.into(),
                id(),
                now.into(),
                row.prev_hash.into(),
                head.clone().into(),
            ];
            self.add(EVENTS, columns).await?;
            match event {
                Event::MemberJoined { user_id, role_id, .. } => {
                    periods.insert(user_id, Period { sequence, role: role_id, joined_at: now, from_at: now });
                }
                Event::MemberRoleChanged { user_id, to, .. } => {
                    let Some(period) = periods.get_mut(&user_id) else { continue };
                    let next = Period { sequence, role: to, joined_at: period.joined_at, from_at: now };
                    let ended = std::mem::replace(period, next);
                    self.period(organization, user_id, &ended, Some((sequence, now))).await?;
                }
                _ => {}
            }
        }
        self.add(STREAMS, [id(), sequence.into(), head.into(), now.into(), "LIVING".into()]).await?;
        self.profile(organization).await?;
        for at in 0..members {
            self.member(organization, at, &periods).await?;
        }
        Ok(organization)
    }

    async fn profile(&mut self, organization: OrganizationId) -> Result<(), Failure> {
        let id = || Value::from(organization.0);
        let rules = KIND.rules();
        let created_at = self.begun + TimeDelta::seconds(1);
        let default_role = rules.default_invitation_role().id.0;
        let row = [1_u64.into(), id(), rules.name.into(), "Acme".into(), default_role.into(), created_at.into()];
        self.add(ORGANIZATIONS, row).await?;
        for role in rules.roles {
            let row: [Value; 11] = [
                id(),
                role.id.0.into(),
                role.key.into(),
                role.name.into(),
                role.description.into(),
                u64::from(role.level).into(),
                role.permissions.bits().into(),
                role.owner.into(),
                true.into(),
                1_u64.into(),
                false.into(),
            ];
            let period = row.iter().cloned().chain([1_u64.into(), i64::MAX.into()]).collect();
            self.tables[ROLE_HISTORY].add(&mut self.transaction, period).await?;
            self.add(ROLES, row).await?;
        }
        Ok(())
    }

    async fn member(
        &mut self,
        organization: OrganizationId,
        at: usize,
        periods: &HashMap<UserId, Period>,
    ) -> Result<(), Failure> {
        let Person { id, name_key, email_key, .. } = &self.people[at];
        let (id, search_key) = (*id, format!("{name_key}\n{email_key}"));
        let Some(period) = periods.get(&id) else { return Ok(()) };
        let row: [Value; 10] = [
            organization.0.into(),
            id.0.into(),
            period.role.0.into(),
            "ACTIVE".into(),
            period.joined_at.into(),
            period.sequence.into(),
            name_key.into(),
            email_key.into(),
            search_key.into(),
            NEVER.into(),
        ];
        self.add(MEMBERS, row).await?;
        self.add(USER_ORGANIZATIONS, [id.0.into(), organization.0.into(), true.into()]).await?;
        self.period(organization, id, period, None).await
    }

    async fn period(
        &mut self,
        organization: OrganizationId,
        user: UserId,
        period: &Period,
        end: Option<(u64, Timestamp)>,
    ) -> Result<(), Failure> {
        let until = end.map_or(Value::from(i64::MAX), |(sequence, _)| sequence.into());
        let row: [Value; 9] = [
            organization.0.into(),
            user.0.into(),
            period.sequence.into(),
            until,
            period.role.0.into(),
            "ACTIVE".into(),
            period.joined_at.into(),
            period.from_at.into(),
            end.map(|(_, at)| at).into(),
        ];
        self.add(MEMBER_HISTORY, row).await
    }
}
