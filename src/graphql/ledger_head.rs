//! Where an organization's chain ends, in words that the service has signed.

use async_graphql::{Context, Result, SimpleObject};

use super::{
    context::{Access, store},
    errors::{self, OrInternal},
};
use crate::{
    domain::organization::Permission,
    secrets::hex,
    store::{hot, note::Checkpoint},
};

/// Where the chain of an organization's events ends.
#[derive(SimpleObject)]
pub struct LedgerHead {
    /// The sequence of the last event: how many there are.
    sequence: u64,
    /// Its hash, in hexadecimal.
    hash: String,
    /// The same as a note that the service has signed (c2sp.org/signed-note): kept elsewhere, it shows later whether
    /// somebody rewrote what came before.
    signed_note: String,
}

/// The head, for a caller who may read the audit log.
pub async fn find(ctx: &Context<'_>, access: &Access) -> Result<LedgerHead> {
    access.require(Permission::AuditRead)?;
    let store = store(ctx)?;
    let organization = access.organization;
    let head = hot::head(&store.database, organization).await.or_internal(ctx)?.ok_or_else(errors::not_found)?;
    let hash = head.hash.as_slice().try_into().map_err(|_| errors::not_found())?;
    let signed_note = store.signer.sign(&Checkpoint { organization, size: head.version, hash });
    Ok(LedgerHead { sequence: head.version, hash: hex(&hash), signed_note })
}
