//! Who asks for a file: the credential and the limit of a request that is not GraphQL's.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Api, graphql, problem::Problem};
use crate::{
    auth::{self, Principal, authenticate, limits::Standing},
    domain::Actor,
    store::append::Origin,
};

impl Api {
    /// Who asks; somebody has to.
    pub(super) async fn caller(&self, headers: &HeaderMap, origin: &Origin) -> Result<(Principal, Actor), Problem> {
        let unauthenticated = || {
            let sentence = "Send a valid credential: Authorization: Bearer and a session token or an API key.";
            Problem::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", sentence)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        };
        let Some(Ok(credential)) = graphql::bearer(headers) else { return Err(unauthenticated()) };
        let authenticated =
            authenticate(self.store(), &self.usage, self.settings.oidc.as_ref(), Some(&credential), origin).await;
        match authenticated {
            Ok(principal) => principal.actor().map(|actor| (principal, actor)).ok_or_else(unauthenticated),
            Err(auth::Error::Invalid) => Err(unauthenticated()),
            Err(auth::Error::Store(error)) => Err(error.into()),
            Err(auth::Error::Provider) => Err(Problem::unavailable()),
        }
    }

    /// Takes what the request costs from the caller's limit, if they have one.
    pub(super) fn admit(&self, principal: &Principal, cost: u32) -> Result<Option<Standing>, Problem> {
        self.limits.admit(principal, cost, self.store().now()).map_err(|exceeded| {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", exceeded.to_string());
            let name = HeaderName::from_static;
            exceeded.headers().fold(problem, |problem, (header, number)| problem.with(name(header), number))
        })
    }
}
