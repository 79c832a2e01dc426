//! The ledger of one organization as a file: read page by page, as lines that can be checked without the database
//! (`proof` does).

use std::io::Write;

use super::{
    Database, Error,
    aggregate::EventRow,
    history::{Entry, Filter},
    statement::Statement,
};
use crate::{domain::OrganizationId, secrets::hex};

/// How many events a page has.
pub const PAGE: u32 = 1000;

/// How a line begins: the hash comes first, because the names of the fields are in their order.
pub(super) const BEGIN: &[u8] = b"{\"hash\":\"";

/// An event as it is exported, with what stands beside it.
#[derive(Debug, sqlx::FromRow)]
pub struct Exported {
    #[sqlx(flatten)]
    event: EventRow,
    ip: Option<String>,
    user_agent: Option<String>,
    reason: Option<String>,
}

/// The next events that a filter takes after a sequence and up to another, in order; [`PAGE`] at most.
pub async fn page(
    database: &Database,
    organization: OrganizationId,
    filter: &Filter,
    after: u64,
    until: u64,
) -> Result<Vec<Exported>, Error> {
    let mut statement = Statement::new(format!("SELECT {}, c.ip, c.user_agent, c.reason", EventRow::COLUMNS));
    filter.push_to(&mut statement, organization);
    statement.push(" AND a.sequence > ").push_value(after);
    statement.push(" AND a.sequence <= ").push_value(until);
    statement.push(" ORDER BY a.sequence LIMIT ").push_value(PAGE);
    statement.all(database).await
}

impl Exported {
    /// Its place in the stream.
    pub fn sequence(&self) -> u64 {
        super::number(self.event.sequence)
    }

    /// Its hash, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&self.event.hash)
    }

    /// Writes the line: what the hash covers and the hash, in the form of RFC 8785. The hash is the stored one, so that
    /// a line that was changed in the database is one that does not verify.
    pub fn write_line(&self, to: &mut Vec<u8>) -> Result<(), Error> {
        let canonical = self.event.link().canonical()?;
        to.extend_from_slice(BEGIN);
        // Writing to memory does not fail.
        let _ = write!(to, "{}\",", self.hash());
        to.extend_from_slice(canonical.get(1..).unwrap_or_default());
        to.push(b'\n');
        Ok(())
    }

    /// The entry of the audit log.
    pub fn decode(self) -> Result<Entry, Error> {
        let recorded = self.event.decode()?;
        Ok(Entry { recorded, ip: self.ip, user_agent: self.user_agent, reason: self.reason })
    }
}
