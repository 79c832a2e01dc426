//! Signing in by an emailed link: asked for, looked at, completed.

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
        ledger::{Failure, Request},
        sessions,
        users::UserRow,
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
    };
    let Some(user) = sessions::complete(&store.database, link, new, now).await? else { return Ok(None) };
    // The link is used up by now, so whoever has it is signed in whatever becomes of this; the next sign-in tries again.
    if let Err(error) = ensure_personal(store, &user, origin).await {
        tracing::warn!(?error, "a personal organization was not made");
    }
    Ok(Some(SignedIn { token, session, expires_at: now + sessions::SESSION_LIFETIME, user }))
}

/// Makes the person's PERSONAL organization, if it is not there.
async fn ensure_personal(store: &Store, user: &UserRow, origin: &Origin) -> Result<(), Failure> {
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
