//! The shape of the source, held by tests: who may import whom, where SQL lives, how long a file may be.
//!
//! The source is read as tokens, the way the compiler reads it, so that comments and strings never count.
//! Every check is a function from a path and a text to complaints, and is shown to find a text that is at fault.

use std::{fs, path::Path};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The steps of the story. A module imports only what stands in a later row; modules of one row not each other.
const STEPS: &[&[&str]] = &[
    &["cli"],
    &["http"],
    &["graphql"],
    &["auth", "commands", "mail"],
    &["store"],
    &["clock", "entropy", "pictures", "secrets"],
    &["domain"],
];

/// Modules that import what they like, and that every step but `domain` may import.
const FREE: &[&str] = &["config", "lib", "main", "telemetry"];

/// Imports that break the order of the steps, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Where a crate may be named: SQL in the store, GraphQL at its edge, HTTP in one place.
const CRATES: &[(&str, &[&str])] = &[
    ("async_graphql", &["graphql", "http"]),
    ("async_graphql_axum", &["http"]),
    ("async_graphql_value", &["http"]),
    ("axum", &["http"]),
    ("clap", &["cli", "config"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("jsonwebtoken", &["auth"]),
    ("image", &["pictures"]),
    ("object_store", &["store"]),
    ("postgres_es", &["store"]),
    ("reqwest", &["auth"]),
    ("ring", &["auth", "store"]),
    ("rustix", &["http"]),
    ("sqlite_es", &["store"]),
    ("sqlx", &["store"]),
    ("tokio_io_timeout", &["http"]),
];

/// What the rules must not know of: they are decided the same at any time, on any machine, in any order.
const IMPURE: &[&str] = &["async", "await", "futures_util", "rand", "tokio", "tracing", "Instant", "SystemTime"];

/// The longest file, in lines.
const LONGEST: usize = 400;

/// Files that are longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] = &["common", "helpers", "manager", "misc", "utils"];

#[test]
fn a_module_imports_only_what_stands_to_its_right() {
    hold("src", imports);
}

#[test]
fn an_import_to_the_left_is_found() {
    let left = "2: `store` imports `graphql`, which does not stand to its right";
    for import in ["use crate::graphql::Node;", "use crate::{domain::ids, graphql};", "use super::graphql;"] {
        assert_eq!(imports("src/store/mod.rs", &format!("//! A store.\n{import}")), [left], "{import}");
    }
    for import in ["use super::super::graphql;", "use super::{self, super::{graphql::{a, b}}};", "use crate::{\n};"] {
        let found = imports("src/store/members.rs", &format!("//! Members.\n{import}"));
        assert_eq!(found.len(), usize::from(import.contains("graphql")), "{import}: {found:?}");
    }
    let inline = "mod tests { use super::{page, super::graphql}; }\nfn f() { self::page() }";
    assert_eq!(imports("src/store/mod.rs", inline).len(), 1, "an inline module is one step further down");
    let called = "fn f() {\n    let node = Vec::<crate::graphql::Node>::new();\n}";
    assert_eq!(imports("src/store/members.rs", called), [left]);
    assert_eq!(
        imports("src/store/members.rs", "// use crate::graphql;\nconst A: &str = \"crate::graphql::a\";").len(),
        0
    );
    assert_eq!(imports("src/mail/mod.rs", "use crate::auth::Token;").len(), 1, "of one row");
    assert_eq!(imports("src/domain/mod.rs", "use crate::config::Config;").len(), 1, "the domain imports nothing");
    assert_eq!(imports("src/cli/serve.rs", "use crate::{config::Config, http, store};").len(), 0);
    assert_eq!(imports("src/store/mod.rs", "use crate::*;").len(), 1, "everything is too much");
    assert_eq!(imports("src/billing.rs", "").len(), 1, "a new module has no place yet");
}

#[test]
fn sql_graphql_http_and_arguments_live_in_their_own_folders() {
    hold("src", crates);
}

#[test]
fn a_crate_outside_its_folder_is_found() {
    for use_of_sqlx in
        ["use sqlx::Row;", "use sqlx;", "#[derive(sqlx::FromRow)] struct A;", "#[sqlx(flatten)] struct A;"]
    {
        assert_eq!(crates("src/graphql/members.rs", use_of_sqlx), ["1: `sqlx` is for store only"], "{use_of_sqlx}");
        assert_eq!(crates("src/store/members.rs", use_of_sqlx).len(), 0);
    }
    assert_eq!(crates("src/main.rs", "fn main() { let a = clap::Command::new(\"a\"); }").len(), 1);
    assert_eq!(crates("src/domain/mod.rs", "pub async fn decide() {}"), ["1: `domain` is pure and knows no `async`"]);
    assert_eq!(crates("src/http/mod.rs", "//! Over sqlx::Pool.\nconst A: &str = \"sqlx::Row\";").len(), 0);
}

#[test]
fn every_file_says_why_it_exists_and_is_finished() {
    hold("src", form);
    hold("tests/it", form);
    hold("tests/bench", form);
}

#[test]
fn a_file_without_a_purpose_or_an_end_is_found() {
    assert_eq!(form("src/a.rs", "use b;"), ["1: opens without `//!`: why it exists and what it never does"]);
    for unfinished in ["fn a() { todo!() }", "fn a() { dbg!(1); }", &format!("// {}: more", ["TO", "DO"].concat())] {
        assert_eq!(form("src/a.rs", &format!("//! A.\n\n{unfinished}")).len(), 1, "{unfinished}");
    }
    assert_eq!(form("src/a.rs", &format!("//! A.\n{}", "\n".repeat(LONGEST))).len(), 1);
    assert_eq!(form("src/a.rs", &format!("//! A.\n{}", "\n".repeat(LONGEST - 1))).len(), 0);
    assert_eq!(form("src/store/utils.rs", "//! A.\n").len(), 1);
}

#[test]
fn both_databases_have_the_same_migrations() {
    let [postgres, sqlite] = ["migrations/postgres", "migrations/sqlite"].map(files);
    assert_eq!(only_in_one(&postgres, &sqlite), Vec::<String>::new());
    assert_eq!(
        only_in_one(&["a/1.sql".into(), "a/2.sql".into()], &["b/2.sql".into(), "b/3.sql".into()]),
        ["1.sql", "3.sql"]
    );
    assert!(files("src/store").is_empty() || !postgres.is_empty(), "there is a store and no migration");
}

#[test]
fn every_dependency_says_what_it_is_for() {
    assert_eq!(dependencies(&read("Cargo.toml")), Vec::<String>::new());
    let manifest =
        "[package]\nname = \"a\"\n[dependencies]\n# Why.\na = \"1\" # reads\nb = \"1\"\n\n[dev-dependencies.c]\n";
    assert_eq!(dependencies(manifest), ["6: `b` says no reason", "8: `[dev-dependencies.c]`: one line and its reason"]);
}

/// Which modules a text reaches that do not stand to the right of its own.
fn imports(path: &str, text: &str) -> Vec<String> {
    let own = top_module(path);
    let place = |module: &str| STEPS.iter().position(|step| step.contains(&module));
    if FREE.contains(&own) {
        return Vec::new();
    }
    let Some(here) = place(own) else { return vec![format!("1: `{own}` stands in no step: give it its place")] };
    let allowed = |module: &str| {
        module == own
            || (FREE.contains(&module) && own != "domain")
            || place(module).is_some_and(|there| there > here)
            || EXCEPTIONS.iter().any(|(from, to, _)| (*from, *to) == (own, module))
    };
    let mut reached = reached(path, &words(text));
    reached.retain(|(_, module)| !allowed(module));
    reached.dedup();
    reached
        .into_iter()
        .map(|(line, to)| format!("{line}: `{own}` imports `{to}`, which does not stand to its right"))
        .collect()
}

/// Crates that a text names outside their folder, and what the domain must not know.
fn crates(path: &str, text: &str) -> Vec<String> {
    let own = top_module(path);
    let words = words(text);
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |(_, word)| word);
    let named = |at: usize| {
        let before = (word(at.checked_sub(2)), word(at.checked_sub(1)));
        word(Some(at + 1)) == "::" || matches!(before, (_, "use" | "crate") | ("#", "["))
    };
    let mut complaints = Vec::new();
    for (at, (line, word)) in words.iter().enumerate() {
        let place = CRATES.iter().find(|(name, _)| name == word);
        if let Some((name, folders)) = place.filter(|(_, folders)| !folders.contains(&own) && named(at)) {
            complaints.push(format!("{line}: `{name}` is for {} only", folders.join(" and ")));
        } else if own == "domain" && IMPURE.contains(&word.as_str()) {
            complaints.push(format!("{line}: `domain` is pure and knows no `{word}`"));
        }
    }
    complaints
}

/// What is wrong with a file as such: its opening, its length, its name, and what was left to do.
fn form(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push("1: opens without `//!`: why it exists and what it never does".to_owned());
    }
    if Path::new(path).file_stem().is_some_and(|stem| EMPTY_NAMES.iter().any(|name| stem == *name)) {
        complaints.push("1: the name says nothing".to_owned());
    }
    let (length, may_be_long) = (text.lines().count(), LONG_FILES.iter().any(|(long, _)| *long == path));
    if (length > LONGEST) != may_be_long {
        complaints.push(format!("{length}: {LONGEST} lines are the limit, and the list of longer files is exact"));
    }
    for pair in words(text).windows(2) {
        if matches!(pair[0].1.as_str(), "dbg" | "todo" | "unimplemented") && pair[1].1 == "!" {
            complaints.push(format!("{}: `{}!` is not finished", pair[0].0, pair[0].1));
        }
    }
    // The words are put together here, so that this file does not find itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let unfinished = (1..).zip(text.lines()).filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
    complaints.extend(unfinished.map(|(number, _)| format!("{number}: something was left to do")));
    complaints
}

/// File names that one of two folders lacks.
fn only_in_one(one: &[String], other: &[String]) -> Vec<String> {
    let names = |paths: &[String]| -> Vec<String> {
        paths.iter().map(|path| Path::new(path).file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let (one, other) = (names(one), names(other));
    let lacking = |from: &[String], these: &[String]| -> Vec<String> {
        these.iter().filter(|name| !from.contains(name)).cloned().collect()
    };
    [lacking(&other, &one), lacking(&one, &other)].concat()
}

/// Dependencies in a manifest that are not one line with a comment at its end.
fn dependencies(manifest: &str) -> Vec<String> {
    let (mut inside, mut complaints) = (false, Vec::new());
    for (number, line) in (1..).zip(manifest.lines()) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            if !inside && line.contains("dependencies.") {
                complaints.push(format!("{number}: `{line}`: one line and its reason"));
            }
        } else if let Some((name, rest)) = line.split_once(" = ").filter(|_| inside && !line.starts_with('#'))
            && rest.rsplit_once("# ").is_none_or(|(_, reason)| reason.trim().is_empty())
        {
            complaints.push(format!("{number}: `{name}` says no reason"));
        }
    }
    complaints
}

/// Runs a check over every Rust file of a folder.
fn hold(folder: &str, check: fn(&str, &str) -> Vec<String>) {
    let sources: Vec<_> =
        files(folder).into_iter().filter(|path| Path::new(path).extension().is_some_and(|e| e == "rs")).collect();
    let landmark = if folder == "tests/bench" { "bench/decide.rs" } else { "domain/mod.rs" };
    assert!(sources.iter().any(|path| path.contains(landmark)), "{folder} is not where it was");
    let mut complaints = Vec::new();
    for path in &sources {
        complaints.extend(check(path, &read(path)).iter().map(|found| format!("{path}:{found}")));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The paths of all files under a folder of the crate, in order; none where there is no such folder.
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .flat_map(|entry| {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() { files(&path) } else { vec![path] }
        })
        .collect();
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `store` of `src/store/members.rs`, `clock` of `src/clock.rs`.
fn top_module(path: &str) -> &str {
    let path = path.trim_start_matches("src/");
    path.split_once('/').map_or(path.trim_end_matches(".rs"), |(folder, _)| folder)
}

/// A word of the source and the line it stands on.
type Word = (usize, String);

/// The identifiers, signs and brackets of a text, in order; `::` is one word, literals are `""`.
fn words(text: &str) -> Vec<Word> {
    fn gather(tokens: TokenStream, words: &mut Vec<Word>) {
        let mut half = false;
        for token in tokens {
            let line = token.span().start().line;
            match token {
                TokenTree::Ident(ident) => words.push((line, ident.to_string())),
                TokenTree::Literal(_) => words.push((line, "\"\"".to_owned())),
                TokenTree::Punct(sign) if half => {
                    words.push((line, format!(":{}", sign.as_char())));
                    half = false;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == Spacing::Joint => half = true,
                TokenTree::Punct(sign) => words.push((line, sign.as_char().to_string())),
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::None => ("", ""),
                    };
                    words.push((line, open.to_owned()));
                    gather(group.stream(), words);
                    words.push((group.span_close().end().line, close.to_owned()));
                }
            }
        }
    }
    let mut found = Vec::new();
    gather(text.parse().unwrap(), &mut found);
    found
}

/// The modules at the top of the crate that a text reaches by `crate::`, `self::` or `super::`.
fn reached(path: &str, words: &[Word]) -> Vec<Word> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let mut module: Vec<String> =
        path.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(Into::into).collect();
    let word = |at: usize| words.get(at).map_or("", |(_, word)| word);
    // For every open brace, whether it is that of a module in the text.
    let (mut braces, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    while at < words.len() {
        match word(at) {
            "{" => {
                braces.push(at > 1 && word(at - 2) == "mod");
                module.extend((at > 1 && word(at - 2) == "mod").then(|| word(at - 1).to_owned()));
            }
            "}" if braces.pop() == Some(true) => drop(module.pop()),
            "crate" | "self" | "super" if word(at + 1) == "::" => {
                at = follow(words, at, module.clone(), &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows one path, or the tree of paths in a `use`, from a word on; answers where it ends.
fn follow(words: &[Word], mut at: usize, mut module: Vec<String>, found: &mut Vec<Word>) -> usize {
    loop {
        let (line, word) = &words[at];
        match word.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => drop(module.pop()),
            "{" => {
                at += 1;
                while words[at].1 != "}" {
                    at = follow(words, at, module.clone(), found);
                    at += words[at..].iter().position(|(_, word)| matches!(word.as_str(), "," | "}")).unwrap();
                    at += usize::from(words[at].1 == ",");
                }
                return at + 1;
            }
            name => module.push(name.to_owned()),
        }
        if words.get(at + 1).is_none_or(|(_, next)| next != "::") {
            found.push((*line, module.first().cloned().unwrap_or_else(|| "crate".to_owned())));
            return at + 1;
        }
        at += 2;
    }
}
