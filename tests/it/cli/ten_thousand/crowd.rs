//! Ten thousand people who join one organization by commands, with what each of them should be found as.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use orgledger::{
    auth::{Principal, Proof, limits::Limits, sign_in, usage::Usage, watch::Watch},
    clock::Clock,
    commands::{Answer, Caller, Commands, INVITATION_LIFETIME, Invitee, Received, Terms, erasure::Erasure},
    domain::{
        Actor, GlobalId, InvitationId, OrganizationId, RoleId, SessionId, UserId,
        organization::{Action, CreatedKeys, Kind},
    },
    entropy::Entropy,
    graphql::{
        ApiSchema,
        context::{RequestContext, Services, Transport},
        schema,
    },
    store::{Database, Store, append::Origin, files::Files, statement::Statement},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// How many join.
pub const PEOPLE: usize = 10_000;

const ROLES: [&str; 4] = ["MEMBER", "MANAGER", "AUDITOR", "CO_ADMIN"];

#[rustfmt::skip]
const FIRST: [&str; 23] = [
    "Zoë", "Zoe\u{308}", "ZOË", "zoe", "Ångström", "A\u{30a}ngström", "José", "Jose\u{301}", "JOSÉ", "Łukasz", "İpek", "ıpek",
    "Straße", "Ольга", "ОЛЬГА", "明子", "O'Brien", "\"Ann\"", "100%", "snake_case", "back\\slash", "👩‍💻", "a",
];

#[rustfmt::skip]
const LAST: [&str; 11] = ["Müller", "MÜLLER", "de la Cruz", "Smith-Jones", "%", "_", "\\", "Đặng", "d'Arc", "e\u{301}", "Z"];

/// Somebody who joined.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: Uuid,
    pub email: String,
    pub email_key: String,
    pub name: Option<String>,
    /// What an order by name goes by.
    pub name_key: String,
    pub role: &'static str,
    pub status: &'static str,
    pub joined_at: DateTime<Utc>,
    pub last_login_at: DateTime<Utc>,
}

/// How text is compared: character by character, so that it does not matter where in a word one stands.
pub fn folded(text: &str) -> String {
    text.trim().nfc().flat_map(char::to_lowercase).nfc().collect()
}

impl Person {
    /// Whether a folded text is part of the name or email.
    pub fn has(&self, needle: &str) -> bool {
        self.name_key.contains(needle) || self.email_key.contains(needle)
    }

    fn numbered(number: usize) -> Self {
        let name = (number % 7 != 6).then(|| match number % 5 {
            0 => FIRST[number % 23].to_owned(),
            _ => format!("{} {}", FIRST[number / 3 % 23], LAST[number % 11]),
        });
        let local = ["ann.lee", "Zoe_", "50%off", "o'brien", "A.B.", "x+tag", "José", "UPPER"][number % 8];
        let domain = ["example.com", "Example.ORG", "mail.example.net", "exämple.com"][number / 8 % 4];
        Self::new(&format!("{local}{number}@{domain}"), name, ROLES[number / 11 % 4])
    }

    fn new(email: &str, name: Option<String>, role: &'static str) -> Self {
        Self {
            id: Uuid::nil(),
            email: email.to_owned(),
            email_key: folded(email),
            name_key: folded(name.as_deref().unwrap_or(email)),
            name: name.map(|name| name.nfc().collect()),
            role,
            status: "ACTIVE",
            joined_at: DateTime::UNIX_EPOCH,
            last_login_at: DateTime::UNIX_EPOCH,
        }
    }
}

/// The organization and everybody who ever joined it.
pub struct Crowd {
    pub schema: ApiSchema,
    pub id: String,
    pub people: Vec<Person>,
    /// Ids of roles by their keys.
    pub roles: HashMap<&'static str, String>,
    organization: OrganizationId,
    commands: Commands,
    owner: Caller,
}

impl Crowd {
    /// Makes the organization and has everybody join: the same ids and times on every database.
    pub async fn gather(url: &str) -> Self {
        let database = Database::connect(url).await.unwrap();
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let store = Store::open(database, clock, Entropy::seeded(7)).await.unwrap();
        let commands = Commands { store, invitation_lifetime: INVITATION_LIFETIME };
        let mut owner = Person::new("owner@example.com", None, "ADMIN");
        sign_in(&commands.store, &mut owner, "owner").await;
        let caller = Caller { actor: Actor::User(UserId(owner.id)), origin: Origin::default() };
        let kind = (Kind::Workspace, "Acme".parse().unwrap(), None);
        let (organization, _) = commands.create_organization(&caller, kind, Terms::default()).await.unwrap();
        owner.joined_at = commands.store.now();
        let built_in = Kind::Workspace.rules().roles;
        let id = |role: RoleId| GlobalId::Role(organization, role).to_string();
        let mut crowd = Self {
            schema: schema(Services {
                commands: commands.clone(),
                erasure: Erasure {
                    store: commands.store.clone(),
                    files: Files::folder(&std::env::temp_dir()).unwrap(),
                },
                usage: Usage::default(),
                limits: Limits::default(),
                public_url: String::new(),
                watch: Watch::default(),
            }),
            id: GlobalId::Organization(organization).to_string(),
            people: vec![owner],
            roles: built_in.iter().map(|role| (role.key, id(role.id))).collect(),
            organization,
            commands,
            owner: caller,
        };
        let numbers: Vec<_> = (1..PEOPLE).collect();
        for some in numbers.chunks(50) {
            crowd.admit(some.iter().map(|number| Person::numbered(*number)).collect()).await;
        }
        crowd.live().await;
        crowd
    }

    /// Invites people and has each of them accept.
    async fn admit(&mut self, mut people: Vec<Person>) {
        let store = self.commands.store.clone();
        let role = |key| Kind::Workspace.rules().roles.iter().find(|role| role.key == key).map(|role| role.id);
        let invitee = |person: &Person| Invitee {
            email: person.email.parse().unwrap(),
            name: person.name.as_ref().map(|name| name.parse().unwrap()),
            role: role(person.role),
            replace: false,
        };
        let invitees = people.iter().map(invitee).collect();
        let receipt = self.commands.invite(&self.owner, self.organization, invitees, Terms::default()).await.unwrap();
        assert_eq!(receipt.objects.len(), people.len());
        let mut users = Statement::new("SELECT invitation_id, user_id FROM invitations WHERE invitation_id IN ");
        users.push_list(receipt.objects.iter().copied());
        let users: HashMap<Uuid, Uuid> = users.all(&store.database).await.unwrap().into_iter().collect();
        for (at, (person, invitation)) in people.iter_mut().zip(receipt.objects).enumerate() {
            // Some join at the same moment.
            store.clock.advance(TimeDelta::milliseconds(if at % 4 == 0 { 1500 } else { 0 }));
            person.id = users[&invitation];
            person.joined_at = store.now();
            let caller = Caller { actor: Actor::User(UserId(person.id)), origin: Origin::default() };
            let received = Received::Listed(self.organization, InvitationId(invitation));
            self.commands.answer_invitation(&caller, &received, Answer::Accept).await.unwrap();
        }
        self.people.append(&mut people);
    }

    /// Some sign in, some are deactivated, some leave.
    async fn live(&mut self) {
        let Self { people, commands, owner, organization, .. } = self;
        for (number, person) in people.iter_mut().enumerate().skip(1) {
            let member = UserId(person.id);
            if number % 50 == 3 {
                commands.store.clock.advance(TimeDelta::seconds(i64::from(number % 100 == 3)));
                sign_in(&commands.store, person, &number.to_string()).await;
            }
            let action = match number % 40 {
                11 => Action::DeactivateMember { member, created_keys: CreatedKeys::Keep },
                23 => Action::RemoveMember { member, created_keys: CreatedKeys::Keep },
                _ => continue,
            };
            person.status = if number % 40 == 11 { "INACTIVE" } else { "FORMER" };
            commands.execute(owner, *organization, action, Terms::default()).await.unwrap();
        }
    }

    /// What a request of the owner stands on.
    pub fn context(&self) -> RequestContext {
        let user = self.owner.actor.user().unwrap();
        let principal = Principal::User { user, proof: Proof::Session(SessionId(Uuid::nil())) };
        RequestContext::new(principal, Origin::default(), Transport::Post)
    }

    /// The id of a person as a member.
    pub fn member(&self, person: &Person) -> String {
        GlobalId::Member(self.organization, UserId(person.id)).to_string()
    }

    /// What a list says of a person.
    pub fn node(&self, person: &Person) -> Value {
        let time = |at: DateTime<Utc>| (at != DateTime::UNIX_EPOCH).then(|| at.to_rfc3339());
        json!({
            "id": self.member(person),
            "status": person.status,
            "joinedAt": time(person.joined_at),
            "lastLoginAt": time(person.last_login_at),
            "user": { "id": GlobalId::User(UserId(person.id)).to_string(), "name": person.name, "email": person.email },
            "role": { "id": self.roles[person.role], "key": person.role },
        })
    }

    /// Lets the database go.
    pub async fn close(self) {
        self.commands.store.database.close().await;
    }
}

/// Signs somebody in by a link, from an address of their own.
async fn sign_in(store: &Store, person: &mut Person, ip: &str) {
    sign_in::request(store, person.email.parse().unwrap(), ip).await.unwrap();
    let link = Statement::new("SELECT link_id FROM sign_in_links WHERE ip = $1").bind(ip);
    let (link,): (Uuid,) = link.optional(&store.database).await.unwrap().unwrap();
    let token = store.server_key.sign_in_token(link);
    let signed_in = sign_in::complete(store, token.expose_secret(), &Origin::default()).await.unwrap().unwrap();
    person.id = signed_in.user.user_id;
    person.last_login_at = store.now();
}
