//! Which media type an answer has: what the client prefers among those that fit the operation.

use async_graphql::parser::types::OperationType;

/// A media type that answers are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// GraphQL over HTTP's own.
    GraphqlResponse,
    /// What clients asked for before there was one.
    Json,
    /// Server-sent events.
    EventStream,
}

impl Media {
    /// The header that says so.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::EventStream => "text/event-stream",
        }
    }

    /// The type that a range of an `Accept` header stands for. What takes anything is answered as it always was, and never
    /// by a stream that it may wait for the end of.
    fn of(range: &str, subscription: bool) -> Option<Self> {
        match range {
            "text/event-stream" | "text/*" => Some(Self::EventStream),
            _ if subscription => None,
            "application/graphql-response+json" => Some(Self::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The media type of the answer to such an operation; `None` where nothing that fits is acceptable (RFC 9110, section
/// 12.5.1). Among equals the first counts, and an event stream is for queries only where nothing else is.
pub fn negotiate(accept: Option<&str>, operation: OperationType) -> Option<Media> {
    let subscription = operation == OperationType::Subscription;
    let accept = accept.map(str::trim).filter(|accept| !accept.is_empty()).unwrap_or("*/*");
    let mut best: Option<(Media, (u16, bool))> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some(media) = Media::of(&parts.next().unwrap_or_default().to_ascii_lowercase(), subscription) else {
            continue;
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
        let rank = (quality, media != Media::EventStream || subscription);
        if quality > 0 && best.is_none_or(|(_, found)| rank > found) {
            best = Some((media, rank));
        }
    }
    best.map(|(media, _)| media)
}

fn thousandths(quality: &str) -> u16 {
    let value: f32 = quality.parse().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 1000")]
    let thousandths = (value.clamp(0.0, 1.0) * 1000.0) as u16;
    thousandths
}
