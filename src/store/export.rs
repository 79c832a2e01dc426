//! The ledger of one organization as a file: read page by page, as lines that can be checked without the database
//! (`proof` does).

use std::io::Write;

use super::{
    Database, Error,
    history::{Entry, EntryRow, Filter},
    page::{Direction, End, Key, Position, Window},
};
use crate::{domain::OrganizationId, secrets::hex};

/// How many events a page has.
pub const PAGE: u32 = 1000;

/// How a line begins: the hash comes first, because the names of the fields are in their order.
pub(super) const BEGIN: &[u8] = b"{\"hash\":\"";

/// An event as it is exported, with what stands beside it.
#[derive(Debug)]
pub struct Exported(EntryRow);

/// The next events that a filter takes after a sequence and up to another, in order; [`PAGE`] at most.
pub async fn page(
    database: &Database,
    organization: OrganizationId,
    filter: &Filter,
    after: u64,
    until: u64,
) -> Result<Vec<Exported>, Error> {
    let after = Some(Position { key: Key::Number(after), id: None });
    let window = Window { limit: PAGE, end: End::First, after, before: None };
    let filter = Filter { to_sequence: Some(until.saturating_add(1)), ..filter.clone() };
    let Some(statement) = filter.page_statement(organization, Direction::Ascending, &window) else {
        return Ok(Vec::new());
    };
    let rows: Vec<EntryRow> = statement.all(database).await?;
    // The statement reads one more, to tell whether there is one.
    Ok(rows.into_iter().take(PAGE as usize).map(Exported).collect())
}

impl Exported {
    /// Its place in the stream.
    pub fn sequence(&self) -> u64 {
        super::number(self.0.event.sequence)
    }

    /// Its hash, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&self.0.event.hash)
    }

    /// Writes the line: what the hash covers and the hash, in the form of RFC 8785. The hash is the stored one, so that
    /// a line that was changed in the database is one that does not verify.
    pub fn write_line(&self, to: &mut Vec<u8>) -> Result<(), Error> {
        let canonical = self.0.event.link().canonical()?;
        to.extend_from_slice(BEGIN);
        // Writing to memory does not fail.
        let _ = write!(to, "{}\",", self.hash());
        to.extend_from_slice(canonical.get(1..).unwrap_or_default());
        to.push(b'\n');
        Ok(())
    }

    /// The entry of the audit log.
    pub fn decode(self) -> Result<Entry, Error> {
        self.0.decode()
    }
}
