//! Signing in: by an emailed link, which is asked for, looked at and completed; and by an identity of the provider.

use super::oidc::Identity;
use crate::{
    domain::{
        Actor, OrganizationId, SessionId, Timestamp, UserId,
        organization::{Action, Command},
        values::Email,
    },
    secrets::{SessionToken, commitment},
    store::{
        self, Store,
        append::Origin,
        identities,
        ledger::{Failure, Request},
        sessions,
        users::{self, NewUser, UserRow},
    },
};

/// Has a link sent to the address. The answer is the same whether or not anybody has it, and nobody is made by it.
pub async fn request(store: &Store, email: Email, ip: &str) -> Result<(), store::Error> {
    let now = store.now();
    let link = sessions::NewLink { id: store.entropy.ordered_uuid(now), email, ip: ip.to_owned() };
    sessions::request_link(&store.database, &link, now).await
}

/// The address that a link's token signs in; `None` where it is used, old or not ours. Looking uses nothing up.
pub async fn account_of(store: &Store, token: &str) -> Result<Option<String>, store::Error> {
    match store.server_key.read_sign_in_token(token) {
        None => Ok(None),
        Some(link) => sessions::link_email(&store.database, link, store.now()).await,
    }
}

/// A person who has just signed in.
pub struct SignedIn {
    /// The token of the new session; shown once.
    pub token: SessionToken,
    /// The session.
    pub session: SessionId,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The person.
    pub user: UserRow,
}

/// Uses a link up and begins a session; `None` where the link is used, old or not ours.
pub async fn complete(store: &Store, token: &str, origin: &Origin) -> Result<Option<SignedIn>, store::Error> {
    let Some(link) = store.server_key.read_sign_in_token(token) else { return Ok(None) };
    let now = store.now();
    let token = SessionToken::new(&store.entropy.base62(SessionToken::LENGTH));
    let session = SessionId(store.entropy.uuid());
    let new = sessions::NewSession {
        id: session,
        token_hash: token.hash(),
        user_id: UserId(store.entropy.uuid()),
        salt: store.entropy.bytes(),
        ip: origin.ip.clone(),
        user_agent: origin.user_agent.clone(),
    };
    let Some(user) = sessions::complete(&store.database, link, new, now).await? else { return Ok(None) };
    // The link is used up by now, so whoever has it is signed in whatever becomes of this.
    ensure_personal(store, &user, origin).await;
    Ok(Some(SignedIn { token, session, expires_at: now + sessions::SESSION_LIFETIME, user }))
}

/// The person of an identity; `None` where it is nobody's and can become nobody's. The first time, the address decides
/// who it is: it has to be verified, and its person must not have another identity of this provider. From then on the
/// provider's name of the person decides, whatever address a token carries.
pub async fn by_identity(store: &Store, identity: &Identity, origin: &Origin) -> Result<Option<UserId>, store::Error> {
    let database = &store.database;
    let (user, is_new) = match store.lookups.identities.find(identity.subject.clone()).await? {
        Some(user) if !user.is_present() => return Ok(None),
        Some(user) => (user, false),
        None => match link(store, identity).await? {
            Some(user) => (user, true),
            None => return Ok(None),
        },
    };
    let id = UserId(user.user_id);
    if let Some(name) = identity.name.as_ref().filter(|_| is_new) {
        users::suggest_name(database, id, name).await?;
    }
    let signed_in_at = identity.signed_in_at.filter(|at| *at > user.last_login_at);
    if let Some(at) = signed_in_at {
        users::note_login(database, id, at).await?;
    }
    if is_new || signed_in_at.is_some() {
        ensure_personal(store, &user, origin).await;
    }
    Ok(Some(id))
}

async fn link(store: &Store, identity: &Identity) -> Result<Option<UserRow>, store::Error> {
    let Some(email) = identity.email.clone() else { return Ok(None) };
    let entropy = &store.entropy;
    let person = NewUser { id: UserId(entropy.uuid()), salt: entropy.bytes(), email };
    let user = identities::link(&store.database, &identity.subject, &person, store.now()).await?;
    if user.is_none() {
        tracing::warn!(
            issuer = identity.subject.issuer,
            "an identity was refused: the person of its address has another one"
        );
    }
    Ok(user)
}

/// Makes the person's PERSONAL organization, if it is not there. What cannot be made now is with the next sign-in.
async fn ensure_personal(store: &Store, user: &UserRow, origin: &Origin) {
    if let Err(error) = make_personal(store, user, origin).await {
        tracing::warn!(?error, "a personal organization was not made");
    }
}

async fn make_personal(store: &Store, user: &UserRow, origin: &Origin) -> Result<(), Failure> {
    let person = UserId(user.user_id);
    let email_commitment = commitment(&user.salt, &user.email_key);
    let command = Command {
        actor: Actor::User(person),
        now: store.now(),
        expected_version: None,
        action: Action::CreatePersonalOrganization { email_commitment },
    };
    let organization = OrganizationId::personal(person);
    let origin = origin.clone();
    let request = Request { organization, command, origin, details: Vec::new(), idempotency: None };
    store.ledger.execute(request).await.map(|_| ())
}
