//! The access policy as a document, `tests/golden/policy.md`: what everybody is answered, found by asking.
//!
//! With `UPDATE_GOLDEN=1` it is written anew. A mutation of the schema that is missing from it is a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use crate::graphql::transcript;

mod api_keys;
mod invitations;
mod members;
mod profile;
mod roles;
mod sheet;
mod worlds;

use sheet::{Line, Sheet, Table, told};
use worlds::{Rank, Seat, World};

const HEAD: &str = include_str!("golden/head.md");
const DECISIONS: &str = include_str!("golden/decisions.md");

/// The mutations that are about the caller alone, whatever they belong to.
const ABOUT_THE_VIEWER: [&str; 9] = [
    "completeSignIn",
    "endOtherSessions",
    "endSession",
    "requestSignIn",
    "signOut",
    "updateNotificationPreferences",
    "updateViewer",
    "requestViewerDataExport",
    "eraseViewer",
];

/// The mutations whose callers are not in the organization, or not yet; they have tables of their own.
const FROM_OUTSIDE: [&str; 3] = ["acceptInvitation", "createOrganization", "declineInvitation"];

/// What is no mutation, and is decided like one.
const OVER_HTTP: &str = "exportAuditLog";

type Ask = fn(&mut Sheet<'_>);

const NOUNS: [(&str, Ask); 5] = [
    ("the organization", profile::ask),
    ("members", members::ask),
    ("invitations", invitations::ask),
    ("roles", roles::ask),
    ("API keys", api_keys::ask),
];

fn worlds() -> [World; 4] {
    [
        World::new("PERSONAL", Kind::Personal, false),
        World::new("TEAM", Kind::Team, false),
        World::new("WORKSPACE", Kind::Workspace, false),
        World::new("ENTERPRISE, once it is certified", Kind::Enterprise, true),
    ]
}

fn uncertified() -> World {
    World::new("ENTERPRISE, before it is certified", Kind::Enterprise, false)
}

fn sheet(world: &World, seat: &Seat, ask: Ask) -> Vec<Line> {
    let mut sheet = Sheet { world, seat, lines: vec![] };
    ask(&mut sheet);
    sheet.lines
}

#[test]
fn the_access_policy_is_what_the_document_says() {
    let mut document = vec![format!("{HEAD}\n{}", everywhere())];
    for world in &worlds() {
        document.push(format!("\n## {}\n{}", world.title, chapter(world, |_| true)));
    }
    let (certified, uncertified) = (World::new("", Kind::Enterprise, true), uncertified());
    let differing = differing_mutations(&certified, &uncertified);
    document.push(format!("\n## {}\n\nWhat is not said here is as it is afterwards.\n", uncertified.title));
    document.push(chapter(&uncertified, |mutation| differing.contains(mutation)));
    document.push(format!("\n{DECISIONS}"));
    transcript::hold("tests/golden/policy.md", &document.concat());
}

/// The mutations that one organization answers in another way than the other.
fn differing_mutations(one: &World, other: &World) -> BTreeSet<&'static str> {
    let mutations = |world: &World| {
        let mut by_mutation: BTreeMap<&'static str, Vec<Line>> = BTreeMap::new();
        for (seat, (_, ask)) in world.columns().iter().flat_map(|seat| NOUNS.map(|noun| (seat, noun))) {
            for line in sheet(world, seat, ask) {
                by_mutation.entry(line.mutation).or_default().push(line);
            }
        }
        by_mutation
    };
    let (one, other) = (mutations(one), mutations(other));
    one.keys().copied().filter(|mutation| one.get(mutation) != other.get(mutation)).collect()
}

/// The tables of an organization, of the mutations that are asked for.
fn chapter(world: &World, wanted: impl Fn(&str) -> bool) -> String {
    let columns = world.columns();
    let titles: Vec<_> = columns.iter().map(|seat| seat.title.clone()).collect();
    let mut chapter = vec![];
    for (noun, ask) in NOUNS {
        let sheets = columns.iter().map(|seat| sheet(world, seat, ask));
        let sheets: Vec<Vec<Line>> =
            sheets.map(|lines| lines.into_iter().filter(|line| wanted(line.mutation)).collect()).collect();
        if sheets[0].is_empty() {
            continue;
        }
        chapter.push(format!("\n### {}: {noun}\n\n", world.title));
        let table = Table::of(&sheets);
        match table.only_answer() {
            Some(answer) => {
                let mutation = |asked: &str| asked.split(':').next().map(str::to_owned);
                let asked: Vec<_> = table.rows.iter().filter_map(|(asked, _)| mutation(asked)).collect();
                let verb = if asked.len() == 1 { "answers" } else { "answer" };
                chapter.push(format!("{} {verb} {answer} to everybody.\n", listed(&asked)));
            }
            None => chapter.push(some_answers(table, titles.clone())),
        }
    }
    chapter.concat()
}

/// The table of those who are answered this and that, and below it who is answered one thing only.
fn some_answers(table: Table, mut columns: Vec<String>) -> String {
    let (table, plain) = table.without_plain_columns(&mut columns);
    let mut text = vec![table.markdown("", &columns)];
    let answers: BTreeSet<_> = plain.iter().map(|(_, answer)| answer).collect();
    for answer in answers {
        let who: Vec<_> = plain.iter().filter(|(_, found)| found == answer).map(|(who, _)| who.clone()).collect();
        let verb = if who.len() == 1 { "is" } else { "are" };
        text.push(format!("\n{} {verb} always answered {answer}.\n", listed(&who)));
    }
    text.concat()
}

/// "a, b and c".
fn listed(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// What does not depend on the kind: making an organization, answering an invitation, and who has no say at all.
fn everywhere() -> String {
    let by = ["a person", "a person in 100 organizations", "an API key"].map(str::to_owned);
    let rows = Kind::ALL.map(|kind| {
        let crowded = |organizations| Action::CreateOrganization {
            kind,
            name: name("Acme"),
            description: None,
            email_commitment: commitment(),
            organizations,
        };
        let asked = [(STRANGER.actor(), 0), (STRANGER.actor(), 100), (KEY.actor(), 0)];
        let answers = asked.map(|(actor, count)| Some(told(&nothing(), actor, crowded(count))));
        (format!("createOrganization: {}", kind.rules().name), answers.to_vec())
    });
    let making = Table { rows: rows.to_vec() }.markdown("", &by);

    let answers = Table::of(&invitations::answers());
    let answering = answers.markdown("the invitation", &["acceptInvitation", "declineInvitation"].map(str::to_owned));
    let bystanders = bystanders();
    format!(
        "## Every kind\n\n### Making an organization\n\n{making}\n### Answering an invitation\n\n{answering}\n\
         ### Who has no say\n\n{bystanders}"
    )
}

/// Who finds nothing, and who can only leave. What most of their commands are answered stands last.
fn bystanders() -> String {
    let mut told: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for world in worlds() {
        for (seat, (_, ask)) in world.bystanders().iter().flat_map(|seat| NOUNS.map(|noun| (seat, noun))) {
            for line in sheet(&world, seat, ask) {
                let Some(answer) = line.answer else { continue };
                let asked = if line.case.is_empty() {
                    line.mutation.to_owned()
                } else {
                    format!("{}: {}", line.mutation, line.case)
                };
                told.entry(seat.title.clone()).or_default().entry(answer).or_default().insert(asked);
            }
        }
    }
    let mut rows = vec![];
    for (who, answers) in &told {
        let usual = answers.iter().max_by_key(|(_, asked)| asked.len()).map(|(answer, _)| answer);
        for (answer, asked) in answers.iter().filter(|(answer, _)| Some(*answer) != usual) {
            let asked = asked.iter().map(|asked| (format!("{who}, {asked}"), vec![Some(answer.clone())]));
            rows.extend(asked);
        }
        let rest = if answers.len() == 1 { "everything" } else { "everything else" };
        rows.push((format!("{who}, {rest}"), vec![usual.cloned()]));
    }
    Table { rows }.markdown("", &["answer".to_owned()])
}

#[test]
fn every_mutation_of_an_organization_is_in_the_access_policy() {
    let world = uncertified();
    let seats = world.columns();
    let asked = NOUNS.iter().flat_map(|(_, ask)| sheet(&world, &seats[0], *ask));
    let asked: BTreeSet<_> =
        asked.map(|line| line.mutation).chain(FROM_OUTSIDE).chain(ABOUT_THE_VIEWER).map(str::to_owned).collect();
    let served = mutations().into_iter().chain([OVER_HTTP.to_owned()]).collect();
    assert_eq!(asked, served);
    let action = |action: &A| {
        let name = format!("{action:?}");
        format!("{}{}", name[..1].to_lowercase(), &name[1..])
    };
    let unknown: Vec<_> = A::ALL.iter().map(action).filter(|action| !asked.contains(action)).collect();
    assert_eq!(unknown, [""; 0], "every action can be asked for");
}

/// The names of the fields of the type Mutation.
fn mutations() -> BTreeSet<String> {
    let schema = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql")).unwrap();
    let fields = schema.lines().skip_while(|line| !line.starts_with("type Mutation")).skip(1);
    let fields = fields.take_while(|line| *line != "}").filter_map(|line| line.strip_prefix('\t'));
    let name = |line: &str| line.find(['(', ':']).map(|end| line[..end].to_owned());
    let names = fields.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())).filter_map(name);
    names.collect()
}
