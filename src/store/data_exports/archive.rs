//! An export as it is written: a ZIP archive that goes to its file piece by piece, so that the memory it takes does not
//! grow with what is in it.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use object_store::WriteMultipart;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::{
    CompressionMethod, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use crate::{secrets::hex, store::Error};

/// How many parts of the file are on their way at once.
const PARTS: usize = 2;

/// What the compressor has given and the file has not got yet.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<u8>>>);

impl Given {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Given {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that is being written.
pub(super) struct Archive {
    /// Large: it has the tables of the compressor in it.
    zip: Box<ZipWriter<StreamWriter<Given>>>,
    given: Given,
    upload: WriteMultipart,
    /// What is in it so far, for the manifest.
    contents: Vec<Value>,
    hash: Sha256,
    size: u64,
}

impl Archive {
    pub(super) fn begin(upload: WriteMultipart) -> Self {
        let given = Given::default();
        let zip = Box::new(ZipWriter::new_stream(given.clone()));
        Self { zip, given, upload, contents: Vec::new(), hash: Sha256::new(), size: 0 }
    }

    /// Begins a file in the archive.
    pub(super) fn start(&mut self, name: &str) -> Result<(), Error> {
        // How long it gets is not known: it may be longer than the short form of the archive can say.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        self.zip.start_file(name, options.unix_permissions(0o600)).map_err(|error| broken(error.into()))?;
        (self.hash, self.size) = (Sha256::new(), 0);
        Ok(())
    }

    /// Goes on with the file.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.zip.write_all(bytes).map_err(broken)?;
        self.upload.wait_for_capacity(PARTS).await?;
        self.upload.write(&self.given.take());
        Ok(())
    }

    /// Ends the file: so many rows are in it, where it has any.
    pub(super) fn end(&mut self, name: &str, rows: Option<u64>) {
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        let mut entry = json!({ "name": name, "bytes": self.size, "sha256": sha256 });
        if let (Some(rows), Some(fields)) = (rows, entry.as_object_mut()) {
            fields.insert("rows".to_owned(), rows.into());
        }
        self.contents.push(entry);
    }

    /// A file that is known as a whole.
    pub(super) async fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.start(name)?;
        self.write(bytes).await?;
        self.end(name, None);
        Ok(())
    }

    /// Ends the archive with its manifest.
    pub(super) async fn finish(mut self, mut manifest: Value) -> Result<(), Error> {
        manifest["files"] = std::mem::take(&mut self.contents).into();
        self.start("manifest.json")?;
        self.write(format!("{manifest:#}\n").as_bytes()).await?;
        let Self { zip, given, mut upload, .. } = self;
        zip.finish().map_err(|error| broken(error.into()))?;
        upload.write(&given.take());
        upload.finish().await?;
        Ok(())
    }

    /// Gives it up: nothing of it stays.
    pub(super) async fn abort(self) -> Result<(), Error> {
        Ok(self.upload.abort().await?)
    }
}

fn broken(error: io::Error) -> Error {
    Error::Io(error)
}
