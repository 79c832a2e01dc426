//! An open store whose clock stands still and whose chance repeats itself, and people who give it commands.

use chrono::{DateTime, TimeDelta};
use orgledger::{
    clock::Clock,
    domain::{
        Actor, ApiKeyId, InvitationId, OrganizationId, Refusal, RoleId, Timestamp, UserId,
        organization::{
            Action, Command, CreatedKeys, InvitationRow, Kind, Permission, Permissions, api_keys::KeyType,
            event::SecretRecord,
        },
        values::{Email, Name, Text},
    },
    entropy::Entropy,
    secrets::{commitment, hex},
    store::{
        Database, Store,
        append::Origin,
        commands::Idempotency,
        feed::Feed,
        invitations::InvitationDetails,
        ledger::{Failure, Ledger, Receipt, Request},
        statement::Statement,
        users::{self, NewUser},
        verify,
    },
};

/// A store on a database of a test.
pub struct World {
    pub store: Store,
}

/// A person of the directory.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: UserId,
    pub email: Email,
    pub commitment: String,
}

impl From<&Person> for Actor {
    fn from(person: &Person) -> Self {
        Self::User(person.id)
    }
}

/// The role of this key in a workspace.
pub fn role(key: &str) -> RoleId {
    Kind::Workspace.rules().roles.iter().find(|role| role.key == key).unwrap().id
}

/// The moment at which every world begins.
pub fn beginning() -> Timestamp {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

/// What a rule said; a store that failed ends the test.
pub fn refusal(result: Result<Receipt, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("not refused by a rule: {other:?}"),
    }
}

impl World {
    /// Opens the store on an empty database.
    pub async fn open(url: &str) -> Self {
        let database = Database::connect(url).await.unwrap();
        let store = Store::open(database, Clock::manual(beginning()), Entropy::seeded(1)).await.unwrap();
        Self { store }
    }

    /// Another server on the same database, with the same clock.
    pub async fn beside(&self, url: &str) -> Self {
        let database = Database::connect(url).await.unwrap();
        Self { store: Store::open(database, self.store.clock.clone(), Entropy::seeded(2)).await.unwrap() }
    }

    /// The same store with a ledger that has nothing in memory yet.
    pub fn cold(&self) -> Self {
        let feed = Feed::default();
        let ledger = Ledger::open(self.store.database.clone(), feed.clone());
        Self { store: Store { ledger, feed, ..self.store.clone() } }
    }

    pub fn database(&self) -> &Database {
        &self.store.database
    }

    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Moves the clock of every server of this database.
    pub fn pass(&self, time: TimeDelta) {
        self.store.clock.advance(time);
    }

    /// The people behind these addresses, in this order.
    pub async fn people(&self, emails: &[&str]) -> Vec<Person> {
        let new = |email: &&str| NewUser {
            id: UserId(self.store.entropy.uuid()),
            salt: self.store.entropy.bytes(),
            email: email.parse().unwrap(),
        };
        let wanted: Vec<_> = emails.iter().map(new).collect();
        let rows = users::resolve(self.database(), &wanted, self.now()).await.unwrap();
        let person = |wanted: NewUser| {
            let row = rows.iter().find(|row| row.email_key == wanted.email.key()).unwrap();
            let commitment = commitment(&row.salt, wanted.email.key());
            Person { id: UserId(row.user_id), email: wanted.email, commitment }
        };
        wanted.into_iter().map(person).collect()
    }

    pub async fn person(&self, email: &str) -> Person {
        self.people(&[email]).await.remove(0)
    }

    /// A command as a client would give it now.
    pub fn request(&self, organization: OrganizationId, actor: impl Into<Actor>, action: Action) -> Request {
        let command = Command { actor: actor.into(), now: self.now(), expected_version: None, action };
        let origin = Origin { request_id: "request".to_owned(), ..Origin::default() };
        Request { organization, command, origin, details: Vec::new(), idempotency: None }
    }

    /// Gives a command, and answers what became of it.
    pub async fn ask(
        &self,
        organization: OrganizationId,
        actor: impl Into<Actor>,
        action: Action,
    ) -> Result<Receipt, Failure> {
        self.store.ledger.execute(self.request(organization, actor, action)).await
    }

    /// Gives a command that has to be accepted.
    pub async fn act(&self, organization: OrganizationId, actor: impl Into<Actor>, action: Action) -> Receipt {
        self.ask(organization, actor, action).await.unwrap()
    }

    /// Makes a workspace.
    pub async fn organization(&self, owner: &Person, name: &str) -> OrganizationId {
        let organization = OrganizationId(self.store.entropy.uuid());
        let action = Action::CreateOrganization {
            kind: Kind::Workspace,
            name: name.parse().unwrap(),
            description: None,
            email_commitment: owner.commitment.clone(),
            organizations: 0,
        };
        self.act(organization, owner, action).await;
        organization
    }

    /// The command that invites people with one role, for two weeks.
    pub fn invitation(
        &self,
        organization: OrganizationId,
        by: impl Into<Actor>,
        people: &[(&Person, Option<&str>)],
        role_key: &str,
    ) -> Request {
        let mut rows = Vec::new();
        let mut details = Vec::new();
        for (person, name) in people {
            let invitation = InvitationId(self.store.entropy.ordered_uuid(self.now()));
            let name = name.map(|name| name.parse().unwrap());
            details.push(InvitationDetails { invitation, email: person.email.clone(), name });
            let email_commitment = person.commitment.clone();
            let role = Some(role(role_key));
            rows.push(InvitationRow { invitation, user: person.id, role, replace: false, email_commitment });
        }
        let expires_at = self.now() + TimeDelta::days(14);
        Request { details, ..self.request(organization, by, Action::InviteMembers { rows, expires_at }) }
    }

    /// Invites somebody.
    pub async fn invite(&self, organization: OrganizationId, by: &Person, who: &Person, role: &str) -> InvitationId {
        let request = self.invitation(organization, by, &[(who, None)], role);
        InvitationId(self.store.ledger.execute(request).await.unwrap().objects[0])
    }

    /// Accepts an invitation.
    pub async fn accept(&self, organization: OrganizationId, who: &Person, invitation: InvitationId) -> Receipt {
        let action = Action::AcceptInvitation {
            invitation,
            generation: None,
            email_commitment: who.commitment.clone(),
            organizations: 0,
            masked_email: String::new(),
        };
        self.act(organization, who, action).await
    }

    /// Invites people of the directory, and has each accept.
    pub async fn join(&self, organization: OrganizationId, by: &Person, people: &[Person], role: &str) {
        for some in people.chunks(50) {
            let rows: Vec<_> = some.iter().map(|person| (person, None)).collect();
            let receipt = self.store.ledger.execute(self.invitation(organization, by, &rows, role)).await.unwrap();
            for (person, invitation) in some.iter().zip(receipt.objects) {
                self.accept(organization, person, InvitationId(invitation)).await;
            }
        }
    }

    /// Somebody with this address, made a member.
    pub async fn member(&self, organization: OrganizationId, by: &Person, email: &str, role: &str) -> Person {
        let person = self.person(email).await;
        self.join(organization, by, std::slice::from_ref(&person), role).await;
        person
    }

    /// A new secret of an API key.
    pub fn secret(&self) -> SecretRecord {
        SecretRecord { public_id: self.store.entropy.base62(12), hash: hex(&self.store.entropy.bytes::<32>()) }
    }

    /// The command that makes an API key which may list members.
    pub fn new_key(&self, name: &str, description: Option<&str>, key_type: KeyType) -> Action {
        Action::CreateApiKey {
            api_key: ApiKeyId(self.store.entropy.uuid()),
            name: name.parse().unwrap(),
            description: description.and_then(|text| Text::parse(text).unwrap()),
            key_type,
            permissions: Permissions::of(&[Permission::MembersRead]),
            rate_limit: None,
            expires_at: None,
            secret: self.secret(),
        }
    }

    /// Makes an API key.
    pub async fn api_key(&self, organization: OrganizationId, by: &Person, name: &str) -> ApiKeyId {
        ApiKeyId(self.act(organization, by, self.new_key(name, None, KeyType::Standard)).await.objects[0])
    }

    /// A key that makes a command recognizable, and the fingerprint of its input.
    pub fn idempotency(&self, key: &str, input: &str) -> Idempotency {
        Idempotency { key: key.to_owned(), fingerprint: self.store.server_key.fingerprint(input) }
    }

    /// Runs a statement that the product would never run.
    pub async fn raw(&self, text: &str) -> u64 {
        Statement::new(text).run(self.database()).await.unwrap()
    }

    /// The ledger and the rows agree with themselves and with each other.
    pub async fn holds(&self) -> verify::Report {
        let miscounted = "SELECT COUNT(*) FROM organizations o WHERE o.member_count <> (SELECT COUNT(*) FROM members m \
             WHERE m.organization_id = o.organization_id AND m.status <> 'FORMER')";
        assert_eq!(Statement::new(miscounted).count(self.database()).await.unwrap(), 0);
        verify::verify(self.database()).await.unwrap()
    }
}

/// The command that gives the organization another name.
pub fn rename(name: &str) -> Action {
    Action::UpdateOrganization { name: Some(named(name)), description: None, default_role: None }
}

pub fn named(name: &str) -> Name {
    name.parse().unwrap()
}

pub fn change_role(member: &Person, role_key: &str) -> Action {
    Action::ChangeMemberRole { member: member.id, role: role(role_key) }
}

pub fn deactivate(member: &Person) -> Action {
    Action::DeactivateMember { member: member.id, created_keys: CreatedKeys::Keep }
}

pub fn remove(member: &Person) -> Action {
    Action::RemoveMember { member: member.id, created_keys: CreatedKeys::Keep }
}
