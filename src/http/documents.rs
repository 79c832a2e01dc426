//! The documents that the server knows: parsed and checked once, found again by their hash.
//!
//! Parsing is over half of a small request, so what was parsed is kept. The same cache answers automatic persisted
//! documents (a client sends the hash, and the text only where the hash is unknown). Trusted documents are listed in a
//! file by whoever runs the service, and can be made the only ones that are run.

use std::{collections::HashMap, path::Path, sync::Arc};

use async_graphql::{
    Response as Answer,
    parser::{parse_query, types::ExecutableDocument},
};
use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest, Sha256};

use super::{
    answer::{bad_request, refused, without_quotes},
    document,
    params::Params,
};
use crate::secrets::hex;

/// How many bytes of text the cache stands for; a parsed document takes some ten times its text.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
const CACHED_DOCUMENTS: usize = 2000;

/// Which documents are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustedDocuments {
    /// Any; none is listed.
    #[default]
    Off,
    /// Any; the listed ones are known by their ids.
    Prefer,
    /// The listed ones only.
    Required,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<[u8; 32], Arc<Known>> for ByLength {
    fn weight(&self, _: &[u8; 32], known: &Arc<Known>) -> u64 {
        known.bytes as u64
    }
}

/// A document that was parsed and found to be within its bounds.
pub struct Known {
    /// The document.
    pub document: ExecutableDocument,
    bytes: usize,
}

/// See the module.
pub struct Documents {
    parsed: Cache<[u8; 32], Arc<Known>, ByLength>,
    trusted: HashMap<String, Arc<Known>>,
    mode: TrustedDocuments,
}

impl Documents {
    /// Knows the documents of a file: a JSON object of ids and texts, as client tools write them.
    ///
    /// # Errors
    /// A sentence for whoever runs the service.
    pub fn open(mode: TrustedDocuments, file: Option<&Path>) -> Result<Self, String> {
        let mut trusted = HashMap::new();
        if let Some(path) = file.filter(|_| mode != TrustedDocuments::Off) {
            let shown = path.display();
            let text = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
            let listed: HashMap<String, String> =
                serde_json::from_slice(&text).map_err(|error| format!("{shown}: {error}"))?;
            for (id, text) in listed {
                let known = parse(&text).map_err(|answer| {
                    let said = answer.errors.first().map(|error| error.message.clone()).unwrap_or_default();
                    format!("{shown}, {id}: {said}")
                })?;
                // Clients name a document by the id of the list or by its hash, or send it whole.
                trusted.insert(hex(&Sha256::digest(&text)), Arc::clone(&known));
                trusted.insert(id, known);
            }
        }
        Ok(Self { parsed: Cache::with_weighter(CACHED_DOCUMENTS, CACHE_BYTES, ByLength), trusted, mode })
    }

    /// The document that a client asks to run.
    ///
    /// # Errors
    /// The answer that says why there is none.
    pub fn find(&self, params: &Params) -> Result<Arc<Known>, Box<Answer>> {
        let id = params.document_id.as_deref().map(|id| id.strip_prefix("sha256:").unwrap_or(id));
        let id = id.or_else(|| params.persisted_hash());
        if let Some(known) = id.and_then(|id| self.trusted.get(id)) {
            return Ok(Arc::clone(known));
        }
        let Some(text) = params.query.as_deref() else {
            return Err(match id {
                None => bad_request("Send a document in query."),
                Some(_) if self.mode == TrustedDocuments::Required => not_trusted(),
                Some(id) => return self.persisted(id),
            });
        };
        if text.len() > document::BYTES {
            return Err(refused("QUERY_TOO_COMPLEX", format!("A document has at most {} bytes.", document::BYTES)));
        }
        let hash: [u8; 32] = Sha256::digest(text).into();
        if self.mode == TrustedDocuments::Required {
            return self.trusted.get(&hex(&hash)).map(Arc::clone).ok_or_else(not_trusted);
        }
        if params.persisted_hash().is_some_and(|named| !named.eq_ignore_ascii_case(&hex(&hash))) {
            return Err(bad_request("The hash is not that of the document."));
        }
        if let Some(known) = self.parsed.get(&hash) {
            return Ok(known);
        }
        let known = parse(text)?;
        self.parsed.insert(hash, Arc::clone(&known));
        Ok(known)
    }

    /// A document that some client sent before; another server, or one with less memory, asks for the text.
    fn persisted(&self, id: &str) -> Result<Arc<Known>, Box<Answer>> {
        let hash = crate::secrets::unhex(id).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let known = hash.and_then(|hash| self.parsed.get(&hash));
        known.ok_or_else(|| refused("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"))
    }
}

fn not_trusted() -> Box<Answer> {
    refused("DOCUMENT_NOT_TRUSTED", "Only the documents that this service lists are run.")
}

/// Parses a text and holds it to its bounds.
fn parse(text: &str) -> Result<Arc<Known>, Box<Answer>> {
    if document::nests_too_deep(text) {
        return Err(refused("QUERY_TOO_COMPLEX", format!("Brackets nest at most {} deep.", document::NESTING)));
    }
    let mut document =
        parse_query(text).map_err(|error| Box::new(without_quotes(Answer::from_errors(vec![error.into()]))))?;
    document::check(&document).map_err(|message| refused("QUERY_TOO_COMPLEX", message))?;
    document::flatten_subscriptions(&mut document).map_err(bad_request)?;
    Ok(Arc::new(Known { document, bytes: text.len() }))
}
