//! What went wrong outside GraphQL: `{ "error": { "code", "message" } }`, with the codes that the schema has too.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    domain::Refusal,
    store::{self, ledger::Failure},
};

/// Why a request was not done.
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    sentence: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, code, sentence: sentence.into(), headers: Vec::new() }
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn unavailable() -> Self {
        let sentence = "The service is not available now: try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", sentence)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(?error, "a file was neither taken nor given");
        Self::unavailable()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
            Refusal::Conflict => StatusCode::CONFLICT,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error.into(),
            Failure::Refused(refusal) => refusal.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, sentence, headers } = self;
        let mut response = (status, Json(json!({ "error": { "code": code, "message": sentence } }))).into_response();
        response.headers_mut().extend(headers);
        response
    }
}
