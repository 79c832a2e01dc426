//! Makes exports: takes one, writes it table by table as of one moment, and notes that it is ready. A page of rows is
//! all that is in memory at any time.

use std::{borrow::Cow, time::Duration};

use serde_json::{Map, Value, json};

use super::{Owner, Taken, any_due, archive::Archive, finish, organization, person, renew, sweep, take};
use crate::{
    clock::Clock,
    domain::{GlobalId, Timestamp},
    store::{
        Database, Error, Store, chain, csv,
        files::Files,
        profile,
        statement::{Holds, Statement},
        transaction::Transaction,
    },
};

/// How often a server looks for exports to make.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a server looks for exports that are over.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// How many rows are read at once.
const PAGE: u32 = 500;

/// A table of an export. Its first columns are the key it is read by, page after page; the statement has the owner as its
/// first value, then the key behind which a page begins, then how long the page is.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) keys: usize,
    pub(super) columns: &'static [(&'static str, Holds)],
    pub(super) select: &'static str,
}

/// The form of a file in the archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

/// Makes exports, and deletes those that are over, until the task is dropped.
pub struct Runner {
    /// Where they are asked for and read from.
    pub store: Store,
    /// Where they are written to.
    pub files: Files,
}

impl Runner {
    /// Looks for exports until the task is dropped.
    pub async fn run(self) {
        let Self { store, files } = self;
        let sweeping = async {
            loop {
                match sweep(&store.database, &files, store.now()).await {
                    Ok(0) => {}
                    Ok(gone) => tracing::info!(gone, "exports of data that are over were deleted"),
                    Err(error) => tracing::warn!(?error, "exports of data that are over were not deleted"),
                }
                tokio::time::sleep(SWEEP_EVERY).await;
            }
        };
        let making = async {
            loop {
                match run_one(&store.database, &files, &store.clock).await {
                    // There may be another one.
                    Ok(true) => {}
                    Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => {
                        tracing::warn!(?error, "an export of data was not made; it is tried again");
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                }
            }
        };
        tokio::join!(sweeping, making);
    }
}

/// Makes the export that waits longest; false where none waits.
pub async fn run_one(database: &Database, files: &Files, clock: &Clock) -> Result<bool, Error> {
    if !any_due(database, clock.now()).await? {
        return Ok(false);
    }
    let Some(taken) = take(database, clock.now()).await? else { return Ok(true) };
    if !renew(database, &taken, 0, clock.now()).await? {
        return Ok(true);
    }
    // Who had it before may have ended in the middle.
    files.erase_export(taken.owner, taken.export).await?;
    let mut archive = Archive::begin(files.begin_export(&taken).await?);
    let job = Job { database, files, clock, taken };
    match job.write(&mut archive).await {
        Ok(Some(manifest)) => archive.finish(manifest).await?,
        // Somebody else has it now, or nobody may have it any more.
        Ok(None) => {
            archive.abort().await?;
            return Ok(true);
        }
        Err(error) => {
            archive.abort().await?;
            return Err(error);
        }
    }
    if !finish(database, &taken, clock.now()).await? {
        files.erase_taken(&taken).await?;
    }
    Ok(true)
}

/// What is in an export of this owner.
const fn tables(owner: Owner) -> &'static [Table] {
    match owner {
        Owner::Organization(_) => &organization::TABLES,
        Owner::Person(_) => &person::TABLES,
    }
}

/// The statement of the first page of each table, after the table's name, for the tests that look at plans.
pub fn page_statements(owner: Owner) -> impl Iterator<Item = (&'static str, Statement)> {
    tables(owner).iter().map(move |table| (table.name, table.page_statement(owner, None)))
}

/// An export that is being made.
struct Job<'a> {
    database: &'a Database,
    files: &'a Files,
    clock: &'a Clock,
    taken: Taken,
}

impl Job<'_> {
    /// Writes everything but the manifest, which it gives; `None` where the lease was lost.
    async fn write(&self, archive: &mut Archive) -> Result<Option<Value>, Error> {
        let tables = tables(self.taken.owner);
        let mut transaction = self.database.snapshot().await?;
        let manifest = self.manifest(&mut transaction).await?;
        for (done, table) in tables.iter().enumerate() {
            let progress = u32::try_from(100 * done / tables.len()).unwrap_or_default();
            for form in [Form::Json, Form::Csv] {
                if !self.write_table(archive, &mut transaction, (table, form), progress).await? {
                    return Ok(None);
                }
            }
        }
        if let Owner::Organization(organization) = self.taken.owner
            && let Some(logo) = profile::logos(self.database, [organization]).await?.remove(&organization)
            && let Some(bytes) = self.files.get(organization, logo).await?
        {
            archive.whole(&format!("files/{logo}"), &bytes).await?;
        }
        Ok(Some(manifest))
    }

    /// Writes one table in one form; false where the lease was lost.
    async fn write_table(
        &self,
        archive: &mut Archive,
        transaction: &mut Transaction,
        (table, form): (&Table, Form),
        progress: u32,
    ) -> Result<bool, Error> {
        let name = format!("{}.{}", table.name, if form == Form::Json { "json" } else { "csv" });
        archive.start(&name)?;
        archive.write(&table.opening(form)?).await?;
        let holds: Vec<_> = table.columns.iter().map(|(_, holds)| *holds).collect();
        let (mut rows, mut renewed) = (0, None);
        let mut after: Option<Vec<Value>> = None;
        loop {
            let now = self.clock.now();
            if renewed.is_none_or(|at: Timestamp| now - at > super::LEASE / 6) {
                if !renew(self.database, &self.taken, progress, now).await? {
                    return Ok(false);
                }
                renewed = Some(now);
            }
            let page = table.page_statement(self.taken.owner, after.as_deref());
            let page = page.cells_in(transaction, &holds).await?;
            let Some(last) = page.last() else { break };
            after = Some(last[..table.keys].to_vec());
            archive.write(&table.lines(form, rows == 0, &page)?).await?;
            rows += page.len() as u64;
            if page.len() < PAGE as usize {
                break;
            }
        }
        if form == Form::Json {
            archive.write(if rows == 0 { b"]\n" } else { b"\n]\n" }).await?;
        }
        archive.end(&name, Some(rows));
        Ok(true)
    }

    /// What the archive says of itself.
    async fn manifest(&self, transaction: &mut Transaction) -> Result<Value, Error> {
        let about = match self.taken.owner {
            Owner::Organization(organization) => {
                let head: Option<(i64,)> = Statement::new("SELECT version FROM streams WHERE organization_id = $1")
                    .bind(organization.0)
                    .optional_in(transaction)
                    .await?;
                let sequence = head.map(|(version,)| version);
                json!({ "organization": GlobalId::Organization(organization).to_string(),
                    "id": GlobalId::DataExport(organization, self.taken.export).to_string(), "asOfSequence": sequence })
            }
            Owner::Person(user) => json!({ "person": GlobalId::User(user).to_string(),
                "id": GlobalId::ViewerDataExport(self.taken.export).to_string() }),
        };
        let mut manifest = json!({ "format": 1, "madeAt": chain::time(self.clock.now()) });
        if let (Value::Object(manifest), Value::Object(about)) = (&mut manifest, about) {
            manifest.extend(about);
        }
        Ok(manifest)
    }
}

impl Table {
    /// The statement of the rows behind a key.
    fn page_statement(&self, owner: Owner, after: Option<&[Value]>) -> Statement {
        let mut statement = Statement::new(self.select).bind(owner.id());
        for (at, (_, holds)) in self.columns[..self.keys].iter().enumerate() {
            statement = statement.bind(holds.key(after.map(|after| &after[at])));
        }
        // PostgreSQL sees then how little is left behind these keys.
        statement.bind(PAGE).anew()
    }

    fn opening(&self, form: Form) -> Result<Vec<u8>, Error> {
        match form {
            Form::Json => Ok(b"[".to_vec()),
            Form::Csv => csv::rows([self.columns.iter().map(|(name, _)| Cow::Borrowed(*name))]),
        }
    }

    /// Rows as they stand in a file.
    fn lines(&self, form: Form, first: bool, rows: &[Vec<Value>]) -> Result<Vec<u8>, Error> {
        if form == Form::Csv {
            return csv::rows(rows.iter().map(|row| row.iter().map(cell)));
        }
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let names = self.columns.iter().map(|(name, _)| (*name).to_owned());
            let object = Value::Object(names.zip(row.iter().cloned()).collect::<Map<_, _>>());
            let separator = if first && number == 0 { "\n" } else { ",\n" };
            lines.extend_from_slice(format!("{separator}{object}").as_bytes());
        }
        Ok(lines)
    }
}

/// A value as a cell.
fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" ").into(),
        other => other.to_string().into(),
    }
}
