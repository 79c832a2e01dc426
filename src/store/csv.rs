//! Tables of comma-separated values (RFC 4180), for people who open them in a spreadsheet.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};

use super::Error;

/// Rows as they stand in a file.
pub fn rows<'a>(rows: impl IntoIterator<Item = impl IntoIterator<Item = Cow<'a, str>>>) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        let cells = row.into_iter().map(|cell| if is_formula(&cell) { format!("'{cell}").into() } else { cell });
        let cells: Vec<_> = cells.collect();
        writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|error| Error::Io(error.into()))?;
    }
    writer.into_inner().map_err(|error| Error::Io(error.into_error()))
}

/// Whether a spreadsheet would run the text, and anybody may choose their own name. An apostrophe makes it text.
fn is_formula(text: &str) -> bool {
    const SIGNS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    text.trim_start().starts_with(SIGNS) || text.starts_with(['\t', '\r', '\n'])
}
