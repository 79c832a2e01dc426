//! Answers of GraphQL that are not the schema's own: refused requests, and errors as clients see them.

use std::any::Any;

use async_graphql::{Response as Answer, ServerError, Value};

/// How many mistakes of a document are told; a small one may have thousands.
const ERRORS: usize = 20;

/// An answer of the schema's form with nothing but one error.
pub(super) fn refused(code: &str, message: impl Into<String>) -> Box<Answer> {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    Box::new(Answer::from_errors(vec![error]))
}

/// The request is not what it has to be.
pub(super) fn bad_request(message: impl Into<String>) -> Box<Answer> {
    refused("BAD_USER_INPUT", message)
}

/// Whether the request could not be run at all: its answer has no `data`. What goes wrong while it is run has a path.
pub(super) fn not_run(answer: &Answer) -> bool {
    !answer.errors.is_empty() && answer.data == Value::Null && answer.errors.iter().all(|error| error.path.is_empty())
}

/// Whether an error of the answer has this code.
pub(super) fn says(answer: &Answer, wanted: &str) -> bool {
    let is = |error: &ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        matches!(code, Some(Value::String(code)) if code == wanted)
    };
    answer.errors.iter().any(is)
}

/// An operation was given up: what it needs did not answer.
pub(super) fn late(reference: &str) -> Box<Answer> {
    tracing::error!(reference, "a request took too long and was given up");
    refused("UNAVAILABLE", format!("The service is not available now; the reference is {reference}."))
}

/// The answer with a code on every error, whoever made it: the engine's own have none, and mean a bad document. What
/// the engine says of a document that cannot be parsed quotes it; the place is enough. So do its words about values.
pub(super) fn without_quotes(mut answer: Answer) -> Answer {
    if not_run(&answer) {
        answer.errors.truncate(ERRORS);
    }
    for error in &mut answer.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_some() {
            continue;
        }
        extensions.set("code", "BAD_USER_INPUT");
        if error.message.starts_with(" --> ") {
            let place =
                error.locations.first().map(|place| format!(" at line {}, column {}", place.line, place.column));
            error.message = format!("The document cannot be parsed{}.", place.unwrap_or_default());
        }
        if let Some((before, _)) = error.message.split_once(" does not contain the value ") {
            error.message = format!("{before} does not contain this value.");
        }
    }
    answer
}

/// A mistake of ours: one sentence with a reference for the caller, and what the panic said for the log.
pub(super) fn mistake(reference: &str, panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(reference, said, "a request panicked");
    format!("Something went wrong here; the reference is {reference}.")
}
