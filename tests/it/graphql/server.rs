//! The whole service in this process, and the actors who talk to it. It knows no rule of the product beyond how one
//! signs in.

use std::{
    fs,
    future::pending,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, StatusCode};
use chrono::TimeDelta;
use orgledger::{
    auth::{oidc::Oidc, usage::Usage, watch::Watch},
    clock::Clock,
    commands::{Commands, INVITATION_LIFETIME},
    domain::Timestamp,
    domain::{
        Actor, GlobalId,
        organization::{Action, Command, profile::CertificationDecision},
    },
    entropy::Entropy,
    http::{
        Api, Settings,
        documents::{Documents, TrustedDocuments},
        pages::Letters,
        room, serve,
    },
    mail::{Transport, courier::Courier},
    store::{Database, Store, append::Origin, files::Files, ledger::Request},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

use super::operations;

/// When every server's clock begins.
pub const BEGINNING: &str = "2026-03-02T09:00:00Z";

/// A running service. It stops when this is dropped.
pub struct Server {
    /// Where it listens, as `http://127.0.0.1:port`.
    pub url: String,
    /// Its time.
    pub clock: Clock,
    /// What it stands on.
    pub store: Store,
    usage: Usage,
    watch: Watch,
    /// Who delivers letters, where `deliver` is called.
    pub courier: Courier,
    mail: TempDir,
    /// The files of organizations.
    pub files: Files,
    folder: TempDir,
    /// The letters that were found so far, oldest first.
    letters: Mutex<Vec<(PathBuf, String)>>,
    http: reqwest::Client,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts on an empty database.
    pub async fn start(database: &str) -> Self {
        Self::start_with(database, None).await
    }

    /// Starts with room for so many connections.
    pub async fn start_with_room(database: &str, room: u32) -> Self {
        Self::start_on(database, None, room).await
    }

    /// Starts on an empty database, and takes tokens of this identity provider.
    pub async fn start_with(database: &str, oidc: Option<Oidc>) -> Self {
        Self::start_on(database, oidc, room()).await
    }

    async fn start_on(database: &str, oidc: Option<Oidc>, room: u32) -> Self {
        let beginning: Timestamp = BEGINNING.parse().unwrap();
        let clock = Clock::manual(beginning);
        let database = Database::connect(database).await.unwrap();
        let store = Store::open(database, clock.clone(), Entropy::seeded(7)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mail = tempfile::Builder::new().prefix("orgledger-mail-").tempdir().unwrap();
        let courier = Courier {
            store: store.clone(),
            transport: Transport::files(mail.path()),
            from: "orgledger <orgledger@example.com>".parse().unwrap(),
            public_url: url.clone(),
        };
        let folder = tempfile::Builder::new().prefix("orgledger-files-").tempdir().unwrap();
        let files = Files::folder(folder.path()).unwrap().with_letters(mail.path());
        let usage = Usage::default();
        let commands = Commands { store: store.clone(), invitation_lifetime: INVITATION_LIFETIME };
        let settings = Settings {
            public_url: url.clone(),
            letters: Letters::KeptLocally,
            files: files.clone(),
            oidc,
            documents: Documents::open(TrustedDocuments::Off, None).unwrap(),
            introspection: true,
            origins: vec!["https://app.example.com".parse().unwrap()],
            proxies: 0,
        };
        let api = Api::new(commands, usage.clone(), settings);
        let mut tasks = JoinSet::new();
        let watch = api.watch.clone();
        tasks.spawn(watch.clone().run(store.clone()));
        tasks.spawn(serve(listener, api, room, pending()));
        Self {
            url,
            clock,
            store,
            usage,
            watch,
            courier,
            mail,
            files,
            folder,
            letters: Mutex::default(),
            http: reqwest::Client::new(),
            _tasks: tasks,
        }
    }

    /// Nobody.
    pub fn anonymous(&self) -> Client {
        Client { http: self.http.clone(), url: self.url.clone(), credential: None }
    }

    /// Whoever holds this session token or API key.
    pub fn with_key(&self, credential: &str) -> Client {
        Client { credential: Some(credential.to_owned()), ..self.anonymous() }
    }

    /// Somebody who signs in by an emailed link, as a new browser would. An IP address gets 20 links in a quarter of
    /// an hour, so each sign-in takes a minute here.
    pub async fn person(&self, email: &str) -> Client {
        self.clock.advance(TimeDelta::minutes(1));
        let token = self.sign_in_token(email).await;
        let answer = self.anonymous().operation("CompleteSignIn", json!({ "token": token })).await;
        self.with_key(text(&answer, "/completeSignIn/sessionToken"))
    }

    /// The token of a fresh sign-in link.
    pub async fn sign_in_token(&self, email: &str) -> String {
        let answer = self.anonymous().operation("RequestSignIn", json!({ "email": email })).await;
        assert_eq!(answer, json!({ "requestSignIn": { "userErrors": [] } }));
        token(&self.link_for(email, "/sign-in").await).to_owned()
    }

    /// The token of the newest invitation of an address.
    pub async fn invitation_token(&self, email: &str) -> String {
        token(&self.link_for(email, "/invitations").await).to_owned()
    }

    /// The newest link to this path in a letter to an address, once all letters that are due were delivered.
    pub async fn link_for(&self, email: &str, path: &str) -> String {
        let letters = self.letters_to(email).await;
        let begin = format!("{}{path}", self.url);
        let mut links = letters.iter().flat_map(|letter| letter.lines()).filter(|line| line.starts_with(&begin));
        links.next_back().unwrap_or_else(|| panic!("no letter to {email} with a link to {path}")).to_owned()
    }

    /// Every letter to an address, oldest first, once all that are due were delivered. Letters that were asked for
    /// by one call have no order among them.
    pub async fn letters_to(&self, email: &str) -> Vec<String> {
        while self.deliver().await > 0 {}
        let files =
            fs::read_dir(self.mail.path()).map(|files| files.map(|file| file.unwrap().path()).collect::<Vec<_>>());
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        for path in files.unwrap_or_default() {
            if letters.iter().all(|(known, _)| *known != path) {
                let letter = fs::read_to_string(&path).unwrap();
                letters.push((path, letter));
            }
        }
        let is_to =
            |line: &str| line.strip_prefix("To: ").is_some_and(|to| to == email || to.contains(&format!("<{email}>")));
        let found = letters.iter().filter(|(_, letter)| letter.lines().any(is_to));
        found.map(|(_, letter)| letter.clone()).collect()
    }

    /// Forgets every letter so far, and what is due with them.
    pub async fn forget_letters(&self) {
        self.letters_to("").await;
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.iter_mut().for_each(|(_, letter)| letter.clear());
    }

    /// Where letters arrive.
    pub fn mail(&self) -> &Path {
        self.mail.path()
    }

    /// Where the files of organizations stand.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tries to deliver what is due, once.
    pub async fn deliver(&self) -> usize {
        self.courier.deliver_due().await.unwrap()
    }

    /// The operator certifies an organization.
    pub async fn certify(&self, organization: &str) {
        let Ok(GlobalId::Organization(organization)) = organization.parse() else { panic!("{organization}") };
        let action = Action::DecideCertification { decision: CertificationDecision::Certify };
        let command = Command { actor: Actor::Operator, now: self.store.now(), expected_version: None, action };
        let origin = Origin { request_id: "operator".to_owned(), ..Origin::default() };
        let request = Request { organization, command, origin, details: Vec::new(), idempotency: None };
        assert!(self.store.ledger.execute(request).await.unwrap().written);
    }

    /// Writes when credentials were last used, as the service does by itself every few seconds.
    pub async fn flush_usage(&self) {
        self.usage.flush(&self.store).await.unwrap();
    }

    /// Looks at the access of what is open, as the service does by itself twice a second.
    pub async fn look_at_access(&self) {
        self.watch.look(&self.store).await.unwrap();
    }

    /// Moves the clock.
    pub fn wait(&self, time: TimeDelta) {
        self.clock.advance(time);
    }
}

/// An answer as it came over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    /// The codes of its top-level errors.
    pub fn codes(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("(no code)")).collect()
    }
}

/// Somebody who talks to the service.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub credential: Option<String>,
}

impl Client {
    /// A request with this client's credential.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url)).header("user-agent", "tests");
        match &self.credential {
            Some(credential) => request.bearer_auth(credential),
            None => request,
        }
    }

    /// Posts a document and tells everything about the answer.
    pub async fn run(&self, document: &str, variables: Value) -> Reply {
        let body = json!({ "query": document, "variables": variables });
        reply(self.request(reqwest::Method::POST, "/graphql").json(&body)).await
    }

    /// Posts a document that must be answered without errors; tells its `data`.
    pub async fn data(&self, document: &str, variables: Value) -> Value {
        let reply = self.run(document, variables).await;
        assert!(reply.status == StatusCode::OK && reply.body.get("errors").is_none(), "{document}\n{reply:?}");
        reply.body["data"].clone()
    }

    /// Sends one of the documents that clients send, which must be answered without errors; tells its `data`.
    pub async fn operation(&self, name: &str, variables: Value) -> Value {
        self.data(&operations::document(name), variables).await
    }

    /// Sends one of the documents that clients send; tells the codes of its user errors, where there are any.
    pub async fn refusals(&self, name: &str, variables: Value) -> Vec<String> {
        let answer = self.operation(name, variables).await;
        let payload = answer.as_object().unwrap().values().next().unwrap();
        let errors = payload["userErrors"].as_array().unwrap_or_else(|| panic!("{name} has no userErrors"));
        errors.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends one of the documents that clients send and tells everything about the answer.
    pub async fn try_operation(&self, name: &str, variables: Value) -> Reply {
        self.run(&operations::document(name), variables).await
    }

    /// Whether the credential is still taken.
    pub async fn is_let_in(&self) -> bool {
        match self.run("{ viewer { user { id } } }", json!({})).await.status {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED => false,
            status => panic!("{status}"),
        }
    }
}

/// Sends a request; what comes back must be JSON.
pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status} is not JSON: {body}"));
    Reply { status, headers, body }
}

/// The token at the end of a link.
pub fn token(link: &str) -> &str {
    link.rsplit_once(['=', '/']).unwrap().1
}

/// The text at a place of an answer.
pub fn text<'a>(answer: &'a Value, place: &str) -> &'a str {
    answer.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {place} of {answer:#}"))
}

/// The list at a place of an answer.
pub fn list<'a>(answer: &'a Value, place: &str) -> &'a [Value] {
    let found = answer.pointer(place).and_then(Value::as_array);
    found.map_or_else(|| panic!("no list at {place} of {answer:#}"), Vec::as_slice)
}

/// What stands under one name in each object of a list, as text.
pub fn texts<'a>(answer: &'a Value, place: &str, inside: &str) -> Vec<&'a str> {
    list(answer, place).iter().map(|object| text(object, inside)).collect()
}
