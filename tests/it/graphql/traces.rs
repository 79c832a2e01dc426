//! Looks for words everywhere that the service keeps anything: in each row of each table, in the database's own files,
//! and in the names and the bytes of every other file.

use std::{fs, path::Path};

use super::server::Server;
use crate::store::rebuild::dump;

/// Where each word was found, in lower case; the database is the one of the address.
pub async fn traces(server: &Server, url: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (table, rows) in dump(&server.store.database).await {
        let text = rows.join("\n").to_lowercase();
        found.extend(words.iter().filter(|word| text.contains(**word)).map(|word| format!("{word} in {table}")));
    }
    if let Some(path) = url.strip_prefix("sqlite://") {
        search(Path::new(path).parent().unwrap(), words, &mut found);
    }
    search(server.mail(), words, &mut found);
    search(server.folder(), words, &mut found);
    found
}

fn search(folder: &Path, words: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().to_lowercase());
        if path.is_dir() {
            search(&path, words, found);
        }
        let bytes = fs::read(&path).unwrap_or_default().to_ascii_lowercase();
        let has =
            |word: &&&str| name.contains(**word) || bytes.windows(word.len()).any(|window| window == word.as_bytes());
        found.extend(words.iter().filter(has).map(|word| format!("{word} in {name}")));
    }
}

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
