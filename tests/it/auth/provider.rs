//! An identity provider in this process: a discovery document, a set of keys that can change, and tokens signed by
//! them. It has no rules; what it signs is up to the test.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use orgledger::auth::oidc::Oidc;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::graphql::server::{Client, Server};

/// What the service is called at the provider.
pub const AUDIENCE: &str = "orgledger";

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Up,
    /// With an error.
    Down,
    /// With more keys than anybody has.
    Huge,
    /// Too late.
    Slow,
    /// In the name of another issuer.
    OtherIssuer,
    /// With keys at an address that somebody on the way could read.
    ForeignKeys,
    /// With something that is no JSON.
    Nonsense,
    /// With the address of another place.
    Redirects,
}

struct Published {
    issuer: String,
    mode: Mutex<Mode>,
    keys: Mutex<Vec<Value>>,
    asked: AtomicUsize,
}

/// A running provider. It stops when this is dropped.
pub struct Provider {
    pub issuer: String,
    published: Arc<Published>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    /// Starts with these keys.
    pub async fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/tenant", listener.local_addr().unwrap());
        let published = Arc::new(Published {
            issuer: issuer.clone(),
            mode: Mutex::new(Mode::Up),
            keys: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let service = Router::new()
            .route("/tenant/.well-known/openid-configuration", get(configuration))
            .route("/tenant/keys", get(keys))
            .with_state(Arc::clone(&published));
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        let provider = Self { issuer, published, task };
        provider.publish(signers.iter().map(|signer| signer.jwk()).collect());
        provider
    }

    /// The service with this provider.
    pub async fn server(&self, database: &str) -> Server {
        Server::start_with(database, Some(Oidc::new(&self.issuer, AUDIENCE).unwrap())).await
    }

    /// Publishes these keys from now on.
    pub fn publish(&self, keys: Vec<Value>) {
        *self.published.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Answers in this way from now on.
    pub fn turn(&self, mode: Mode) {
        *self.published.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// How often somebody asked for the discovery document.
    pub fn asked(&self) -> usize {
        self.published.asked.load(Ordering::SeqCst)
    }

    /// The claims of a token for somebody, who has verified an address, good for an hour from the server's now.
    pub fn claims(&self, server: &Server, subject: &str, email: &str) -> Value {
        let now = server.clock.now().timestamp();
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600,
            "email": email, "email_verified": true
        })
    }

    /// Somebody who shows a token for an hour.
    pub fn person(&self, server: &Server, signer: &Signer, subject: &str, email: &str) -> Client {
        server.with_key(&signer.sign(&self.claims(server, subject, email)))
    }
}

async fn configuration(State(published): State<Arc<Published>>) -> Response {
    published.asked.fetch_add(1, Ordering::SeqCst);
    let mode = *published.mode.lock().unwrap_or_else(PoisonError::into_inner);
    let issuer = &published.issuer;
    let document = |issuer: &str, keys: String| Json(json!({ "issuer": issuer, "jwks_uri": keys })).into_response();
    match mode {
        Mode::Down => StatusCode::BAD_GATEWAY.into_response(),
        Mode::OtherIssuer => document(&format!("{issuer}/"), format!("{issuer}/keys")),
        Mode::ForeignKeys => document(issuer, "http://keys.example.com/keys".to_owned()),
        Mode::Nonsense => "<html>Welcome</html>".into_response(),
        Mode::Redirects => (StatusCode::FOUND, [("location", format!("{issuer}/keys"))]).into_response(),
        Mode::Up | Mode::Huge | Mode::Slow => document(issuer, format!("{issuer}/keys")),
    }
}

async fn keys(State(published): State<Arc<Published>>) -> Response {
    let mode = *published.mode.lock().unwrap_or_else(PoisonError::into_inner);
    let mut keys = published.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if mode == Mode::Slow {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    if mode == Mode::Huge {
        keys.push(json!({ "kty": "RSA", "kid": "x".repeat(300 * 1024) }));
    }
    Json(json!({ "keys": keys })).into_response()
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key of a provider, and the algorithm that it signs by.
pub struct Signer {
    pub id: &'static str,
    algorithm: &'static str,
    pair: Pair,
}

/// A key that only the tests have: it guards nothing.
const RSA_ONE: &[u8] = include_bytes!("../../fixtures/keys/rsa-one.der");
/// Another one.
const RSA_OTHER: &[u8] = include_bytes!("../../fixtures/keys/rsa-other.der");

impl Signer {
    /// A key of any of the algorithms that are taken.
    pub fn new(id: &'static str, algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let ecdsa = |curve| {
            let key = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
            Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(curve, key.as_ref(), &random).unwrap())
        };
        let pair = match algorithm {
            "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
            }
            _ => Pair::Rsa(RsaKeyPair::from_pkcs8(RSA_ONE).unwrap()),
        };
        Self { id, algorithm, pair }
    }

    /// Another RSA key.
    pub fn other_rsa(id: &'static str) -> Self {
        Self { id, algorithm: "RS256", pair: Pair::Rsa(RsaKeyPair::from_pkcs8(RSA_OTHER).unwrap()) }
    }

    /// The public key as it is published.
    pub fn jwk(&self) -> Value {
        let point = |pair: &EcdsaKeyPair| {
            let point = pair.public_key().as_ref()[1..].to_vec();
            let (x, y) = point.split_at(point.len() / 2);
            (encode(x), encode(y))
        };
        let own = match &self.pair {
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
            Pair::Ecdsa(pair) => {
                let (x, y) = point(pair);
                json!({ "kty": "EC", "crv": if self.algorithm == "ES256" { "P-256" } else { "P-384" }, "x": x, "y": y })
            }
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) }),
        };
        with(own, json!({ "kid": self.id, "use": "sig", "alg": self.algorithm }))
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(json!({}), claims)
    }

    /// A token with these claims, and a header that differs in this; null takes away.
    pub fn sign_as(&self, header: Value, claims: &Value) -> String {
        let mut header = with(json!({ "alg": self.algorithm, "kid": self.id, "typ": "JWT" }), header);
        header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let message = unsigned(&header, claims);
        format!("{message}.{}", encode(&self.signature(message.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encodings: HashMap<_, &'static dyn signature::RsaEncoding> = HashMap::from([
                    ("RS256", &signature::RSA_PKCS1_SHA256 as _),
                    ("RS384", &signature::RSA_PKCS1_SHA384 as _),
                    ("RS512", &signature::RSA_PKCS1_SHA512 as _),
                    ("PS256", &signature::RSA_PSS_SHA256 as _),
                    ("PS384", &signature::RSA_PSS_SHA384 as _),
                    ("PS512", &signature::RSA_PSS_SHA512 as _),
                ]);
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(encodings[self.algorithm], &random, message, &mut signed).unwrap();
                signed
            }
            Pair::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token that is signed by a shared secret.
pub fn sign_by_secret(secret: &[u8], id: &str, claims: &Value) -> String {
    let message = unsigned(&json!({ "alg": "HS256", "kid": id, "typ": "JWT" }), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
}

/// Header and claims, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

/// An object that differs in this; null takes away.
pub fn with(object: Value, changes: Value) -> Value {
    let (Value::Object(mut fields), Value::Object(changes)) = (object, changes) else { panic!("two objects") };
    fields.extend(changes);
    fields.retain(|_, value| !value.is_null());
    Value::Object(fields)
}

pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
