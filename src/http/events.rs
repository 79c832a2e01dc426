//! GraphQL over server-sent events, in distinct connections mode: one operation a request, its answers as `next` events,
//! then `complete`. The id of an event is the cursor in it, so that `Last-Event-ID` goes on where a connection broke. A
//! service that stops breaks the connection off: `complete` would tell the reader not to come back.

use std::{convert::Infallible, time::Duration};

use async_graphql::{
    Response as Answer, Value,
    futures_util::{FutureExt, StreamExt, stream::BoxStream},
};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};

use super::{
    Stopping,
    answer::{not_run, says},
};

/// How often a connection with nothing to say says so, that nobody between takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(12);

/// The stream as an answer; the first answer itself where the request cannot be run at all.
pub(super) async fn respond(
    mut answers: BoxStream<'static, Answer>,
    mut stopping: Stopping,
) -> Result<Response, Answer> {
    // What is wrong with a request is said before anything is waited for.
    let mut first = None;
    if let Some(answer) = answers.next().now_or_never() {
        match answer {
            Some(answer) if not_run(&answer) => return Err(answer),
            answer => first = Some(answer),
        }
    }
    let events = async_stream::stream! {
        let mut next = match first {
            Some(answer) => Some(answer),
            None => stopping.unless(answers.next()).await,
        };
        while let Some(Some(answer)) = next {
            let ended = says(&answer, "ACCESS_ENDED");
            yield Ok::<_, Infallible>(event(&answer));
            next = if ended { Some(None) } else { stopping.unless(answers.next()).await };
        }
        if next.is_some() {
            yield Ok(Event::default().event("complete").data(""));
        }
    };
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

fn event(answer: &Answer) -> Event {
    let event = Event::default().event("next").data(serde_json::to_string(answer).unwrap_or_default());
    match cursor(&answer.data) {
        Some(cursor) => event.id(cursor),
        None => event,
    }
}

/// The cursor in an answer with one root field.
fn cursor(data: &Value) -> Option<&str> {
    let Value::Object(root) = data else { return None };
    let Some(Value::Object(field)) = root.values().next() else { return None };
    match field.get("cursor") {
        Some(Value::String(cursor)) => Some(cursor),
        _ => None,
    }
}
