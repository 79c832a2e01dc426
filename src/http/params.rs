//! What a client asks, in the form of GraphQL over HTTP, whichever way it comes: body, query of an address, or message
//! of a socket.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One GraphQL request. A field of another type than it has to be makes the request a bad one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The document; none where its id says which one.
    pub query: Option<String>,
    /// The id of a document that the server knows.
    pub document_id: Option<String>,
    /// Which operation of the document.
    pub operation_name: Option<String>,
    /// The variables.
    pub variables: Option<Map<String, Value>>,
    /// What else a client says, as `persistedQuery`.
    pub extensions: Option<Map<String, Value>>,
}

/// The same in the query of an address.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encoded {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

impl Params {
    /// The request of a body or a message. It has to be an object: a list of fields would be taken for one too.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        bytes.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()
    }

    /// The request in the query of an address.
    pub fn from_query(query: &str) -> Option<Self> {
        let Encoded { query, document_id, operation_name, variables, extensions } =
            serde_urlencoded::from_str(query).ok()?;
        let object = |text: Option<String>| match text.filter(|text| !text.is_empty()) {
            None => Some(None),
            Some(text) => serde_json::from_str(&text).ok(),
        };
        let operation_name = operation_name.filter(|name| !name.is_empty());
        let (variables, extensions) = (object(variables)?, object(extensions)?);
        Some(Self { query, document_id, operation_name, variables, extensions })
    }

    /// Whether it says which document is meant.
    pub fn names_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.persisted_hash().is_some()
    }

    /// The hash of a persisted document that the client names.
    pub fn persisted_hash(&self) -> Option<&str> {
        self.extensions.as_ref()?.get("persistedQuery")?.get("sha256Hash")?.as_str()
    }
}
