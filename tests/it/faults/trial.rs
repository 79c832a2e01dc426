//! One request, sent again and again while another statement fails each time.

use std::{cell::Cell, time::Duration};

use axum::http::{HeaderMap, StatusCode, header};
use chrono::TimeDelta;
use futures_util::future::join;
use orgledger::store::{Database, statement::Statement, transaction::Transaction, verify};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    interrupts::Interrupts,
    proxy::{Failure, MARKER, Proxy},
};
use crate::graphql::{
    operations,
    server::{Client, Server},
    socket::Socket,
};

/// What no answer to a failure has in it: the words of databases and of those who speak with them, and paths. What is
/// said in words of our own is compared to the letter.
const INSIDE: &[&str] = &[
    MARKER,
    "sql",
    "postgres",
    "syntax",
    "prepared",
    "relation",
    "no such",
    "interrupted",
    "disk",
    "constraint",
    "eof",
    "/tmp",
    ".rs",
    "panic",
];
/// How often a request is sent at most: more statements than any has.
pub const PATIENCE: usize = 400;

/// What is in a statement that waits for a stream that somebody holds, which others pass over.
const WAITING: &str = "FOR UPDATE OF s)";
/// How long a stream is held for it.
const LONGER_THAN_AN_APPEND: Duration = Duration::from_millis(500);

/// What fails.
pub enum Faults<'a> {
    /// One statement after the other.
    Statements(&'a Proxy, Failure),
    /// Whatever statement comes to so many steps.
    Steps(&'a Interrupts),
}

impl Faults<'_> {
    pub async fn arm(&self, passing: usize) {
        match self {
            Self::Statements(proxy, failure) => proxy.arm(*failure, passing),
            Self::Steps(interrupts) => interrupts.arm(passing).await,
        }
    }

    pub fn disarm(&self) -> bool {
        match self {
            Self::Statements(proxy, _) => proxy.disarm(),
            Self::Steps(interrupts) => interrupts.disarm(),
        }
    }
}

/// See the module.
pub struct Trial<'a> {
    pub server: &'a Server,
    /// The same database, where nothing fails.
    beside: Database,
    faults: Faults<'a>,
    /// How many answers were failures.
    failures: Cell<usize>,
}

/// An answer, whatever it is.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.timeout(Duration::from_secs(30)).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Self { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// Whether it says that something went wrong here; it then says nothing else.
    pub fn is_a_failure(&self, what: &str) -> bool {
        let html = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let body = self.json();
        let errors = body.as_ref().and_then(|body| body["errors"].as_array());
        // Who has signed out is nobody.
        let signed_out = what == "SignOut" && self.status == StatusCode::UNAUTHORIZED;
        if signed_out || errors.is_none() && !self.status.is_server_error() {
            return false;
        }
        // What is always said to browsers has words of its own.
        let always = [header::CACHE_CONTROL, header::CONTENT_SECURITY_POLICY];
        let headers = self.headers.iter().filter(|(name, _)| !always.contains(name));
        let said = format!("{:?} {}", headers.collect::<Vec<_>>(), self.body).to_lowercase();
        // References, tokens and ids are chance, and may say anything.
        let words = said.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
        let said: String = words.filter(|word| word.len() <= 20).collect();
        let inside = INSIDE.iter().find(|word| said.contains(**word));
        assert_eq!(inside, None, "{what}: {self:#?}");
        if html {
            assert_eq!(self.status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {self:#?}");
            assert!(self.body.contains("The service is not available now"), "{what}: {self:#?}");
        }
        for error in errors.into_iter().flatten() {
            is_unavailable(error, what);
        }
        assert!(self.headers.contains_key(header::RETRY_AFTER), "{what}: {self:#?}");
        true
    }
}

/// The one sentence that there is, with a reference.
pub fn is_unavailable(error: &Value, what: &str) {
    let reference = error["extensions"]["reference"].as_str();
    let sentence = match reference {
        Some(reference) => format!("The service is not available now; the reference is {reference}."),
        None => "The service is not available now.".to_owned(),
    };
    let said = error["message"].as_str().unwrap_or_default();
    let told =
        said == sentence || reference.is_none() && said.starts_with("The service is not available now; the reference");
    assert!(told && error["extensions"]["code"] == "UNAVAILABLE", "{what}: {error:#}");
}

impl<'a> Trial<'a> {
    pub fn new(server: &'a Server, beside: Database, faults: Faults<'a>) -> Self {
        Self { server, beside, faults, failures: Cell::default() }
    }

    /// Has every statement of a request fail; tells the answer when nothing does. The same question, asked of what does
    /// not change, is answered whole or not at all.
    pub async fn ask(&self, what: &str, request: impl Fn() -> RequestBuilder) -> Answer {
        let whole = Answer::of(request()).await;
        assert!(!whole.is_a_failure(what), "{what}: {whole:#?}");
        self.repeat(what, &request, Some(&whole)).await;
        whole
    }

    /// Has every statement of a request that writes fail. Nothing is half-written then, and it can be done.
    pub async fn tell(&self, what: &str, request: impl Fn() -> RequestBuilder) -> Answer {
        self.server.wait(TimeDelta::seconds(1));
        self.repeat(what, &request, None).await;
        if let Err(found) = verify::verify(&self.beside).await {
            panic!("{what} left {found:?}");
        }
        let done = Answer::of(request()).await;
        assert!(!done.is_a_failure(what), "{what}: {done:#?}");
        // So that the letters of the next request are newer.
        self.server.letters_to("nobody").await;
        done
    }

    /// Lets so much time pass that an address gets links again.
    pub fn later(&self) {
        self.server.wait(TimeDelta::minutes(16));
    }

    async fn repeat(&self, what: &str, request: &impl Fn() -> RequestBuilder, whole: Option<&Answer>) {
        for passing in 0..PATIENCE {
            self.faults.arm(passing).await;
            if !self.once(what, request(), whole).await {
                return self.rest(what, request, whole).await;
            }
        }
        panic!("{what} fails without end");
    }

    /// Fields are read at once, in no order, so that a statement may have escaped: it fails now.
    pub async fn rest(&self, what: &str, request: &impl Fn() -> RequestBuilder, whole: Option<&Answer>) {
        let Faults::Statements(proxy, failure) = self.faults else { return };
        for text in proxy.told().1 {
            // Some wait for who holds a stream at that moment.
            let held = if text.contains(WAITING) { Some(self.hold_streams().await) } else { None };
            proxy.arm_text(failure, text);
            let let_go = async {
                if let Some(transaction) = held {
                    sleep(LONGER_THAN_AN_APPEND).await;
                    transaction.commit().await.unwrap();
                }
            };
            join(self.once(what, request(), whole), let_go).await;
        }
    }

    /// Holds every stream.
    async fn hold_streams(&self) -> Transaction {
        let mut transaction = self.beside.begin().await.unwrap();
        Statement::new("SELECT version FROM streams FOR UPDATE").run_in(&mut transaction).await.unwrap();
        transaction
    }

    /// Sends a request while something is to fail; tells whether it did.
    async fn once(&self, what: &str, request: RequestBuilder, whole: Option<&Answer>) -> bool {
        let answer = Answer::of(request).await;
        let fired = self.faults.disarm();
        let failed = answer.is_a_failure(what);
        assert!(fired || !failed, "{what} failed by itself: {answer:#?}");
        if let Some(whole) = whole.filter(|_| !failed) {
            assert_eq!((whole.status, &whole.body), (answer.status, &answer.body), "{what}");
        }
        self.count(failed);
        fired
    }

    /// Has every statement of signing in fail, each with a link of its own: whatever fails, it may be used up.
    pub async fn sign_in(&self, client: &Client, email: &str) {
        let document = operations::document("CompleteSignIn");
        for passing in 0..PATIENCE {
            self.later();
            let token = json!({ "token": self.server.sign_in_token(email).await });
            self.faults.arm(passing).await;
            if !self.once("CompleteSignIn", post(client, &document, &token), None).await {
                return;
            }
        }
        panic!("nobody can sign in");
    }

    fn count(&self, failed: bool) {
        self.failures.update(|failures| failures + usize::from(failed));
    }

    /// Sends a request while something is to fail, after so many statements or steps; the answer, and whether it did.
    pub async fn fail_after(&self, passing: usize, request: RequestBuilder) -> (Answer, bool) {
        self.faults.arm(passing).await;
        let answer = Answer::of(request).await;
        (answer, self.faults.disarm())
    }

    /// How many answers were failures.
    pub fn failures(&self) -> usize {
        self.failures.get()
    }

    /// Asks with one of the documents that clients send.
    pub async fn query(&self, client: &Client, name: &str, variables: Value) -> Value {
        let document = operations::document(name);
        self.document(client, name, &document, variables).await
    }

    /// Asks with a document.
    pub async fn document(&self, client: &Client, what: &str, document: &str, variables: Value) -> Value {
        self.ask(what, || post(client, document, &variables)).await.json().unwrap()["data"].clone()
    }

    /// Commands with one of the documents that clients send; tells its payload. Where nobody heard that it was done, it
    /// is refused the second time.
    pub async fn mutation(&self, client: &Client, name: &str, variables: Value) -> Value {
        let document = operations::document(name);
        let answer = self.tell(name, || post(client, &document, &variables)).await.json().unwrap();
        answer["data"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// Opens a page that does not change.
    pub async fn open(&self, client: &Client, path: &str) -> String {
        self.ask(path, || client.request(Method::GET, path)).await.body
    }

    /// Sends a form.
    pub async fn send(&self, client: &Client, path: &str, fields: &[(&str, &str)]) -> String {
        self.tell(path, || client.request(Method::POST, path).form(fields)).await.body
    }

    /// Follows events until the first has come.
    pub async fn follow(&self, client: &Client, name: &str, variables: Value) {
        let document = operations::document(name);
        for passing in 0..PATIENCE {
            self.faults.arm(passing).await;
            if self.hear(client, name, &document, &variables).await {
                continue;
            }
            // Whether the follower may still hear of it is also asked by the clock, so that it may have escaped.
            if let Faults::Statements(proxy, failure) = self.faults {
                for text in proxy.told().1 {
                    proxy.arm_text(failure, text);
                    self.hear(client, name, &document, &variables).await;
                }
            }
            return;
        }
        panic!("{name} fails without end");
    }

    /// Follows events while something is to fail; tells whether it did.
    async fn hear(&self, client: &Client, name: &str, document: &str, variables: &Value) -> bool {
        let said = first_word(client, document, variables.clone()).await;
        let fired = self.faults.disarm();
        self.count(fired);
        let payload = &said["payload"];
        let errors = if said["type"] == "error" { payload } else { &payload["errors"] };
        for error in errors.as_array().into_iter().flatten() {
            is_unavailable(error, name);
        }
        assert!(said["type"] != "closed" || said["code"] == 1011, "{name}: {said:#}");
        assert!(fired || said["type"] == "next", "{name}: {said:#}");
        fired
    }
}

/// An operation as a request.
pub fn post(client: &Client, document: &str, variables: &Value) -> RequestBuilder {
    client.request(Method::POST, "/graphql").json(&json!({ "query": document, "variables": variables }))
}

/// What is said first to who begins a connection and an operation on it.
async fn first_word(client: &Client, document: &str, variables: Value) -> Value {
    let mut socket = Socket::connect(client).await;
    let authorization = client.credential.as_ref().map(|credential| format!("Bearer {credential}"));
    socket.send(json!({ "type": "connection_init", "payload": { "authorization": authorization } })).await;
    let said = socket.receive().await;
    if said["type"] != "connection_ack" {
        return said;
    }
    socket.subscribe("1", document, variables).await;
    socket.receive().await
}
