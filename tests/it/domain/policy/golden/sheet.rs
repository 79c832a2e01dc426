//! The lines of one table, asked by one actor; and how the answers of all of them become a table.

use std::collections::BTreeSet;

use super::{
    worlds::{Seat, World},
    *,
};

/// What was done.
pub(super) const DONE: &str = "✓";
/// What would change nothing.
const NOTHING: &str = "–";

/// One question and the answer that this actor gets; none where there is no such target for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) mutation: &'static str,
    pub(super) case: String,
    pub(super) answer: Option<String>,
}

/// The questions of one noun, as one actor asks them.
pub(super) struct Sheet<'a> {
    pub(super) world: &'a World,
    pub(super) seat: &'a Seat,
    pub(super) lines: Vec<Line>,
}

impl Sheet<'_> {
    /// Asks for every target of the case, so that a line tells if they are not all answered the same.
    pub(super) fn line(
        &mut self,
        mutation: &'static str,
        case: impl Into<String>,
        commands: impl IntoIterator<Item = (Story, Action)>,
    ) {
        let told = |(story, action): (Story, Action)| told(&story, self.seat.actor, action);
        let answers: BTreeSet<_> = commands.into_iter().map(told).collect();
        let answers: Vec<_> = answers.into_iter().collect();
        let answer = (!answers.is_empty()).then(|| answers.join(" or "));
        self.lines.push(Line { mutation, case: case.into(), answer });
    }

    /// The same on the organization as it stands.
    pub(super) fn plain(&mut self, mutation: &'static str, case: impl Into<String>, action: impl Into<Action>) {
        let story = self.world.story.clone();
        self.line(mutation, case, [(story, action.into())]);
    }
}

/// The answer to a command, in a word.
pub(super) fn told(story: &Story, actor: Actor, action: Action) -> String {
    let decided = match story.when(actor, action).0 {
        Ok(decided) => decided,
        Err(refusal) => return refusal.code().to_owned(),
    };
    let rows: BTreeSet<_> =
        decided.notes.invited.iter().filter_map(|row| row.as_ref().err()).map(Refusal::code).collect();
    let done = (!decided.events.is_empty()).then_some(DONE);
    let words: Vec<_> = done.into_iter().chain(rows).collect();
    if words.is_empty() { NOTHING.to_owned() } else { words.join(" and ") }
}

/// A table: what is asked, and the answers of all columns.
pub(super) struct Table {
    pub(super) rows: Vec<(String, Vec<Option<String>>)>,
}

impl Table {
    /// The sheets of all columns, line by line.
    pub(super) fn of(sheets: &[Vec<Line>]) -> Self {
        let mut rows: Vec<(&str, String, Vec<Option<String>>)> = vec![];
        for (at, line) in sheets[0].iter().enumerate() {
            let asked: BTreeSet<_> = sheets.iter().map(|sheet| (sheet[at].mutation, &sheet[at].case)).collect();
            assert_eq!(asked.len(), 1, "every column asks the same: {asked:?}");
            let answers = sheets.iter().map(|sheet| sheet[at].answer.clone()).collect();
            rows.push((line.mutation, line.case.clone(), answers));
        }
        rows.retain(|(_, _, answers)| answers.iter().any(Option::is_some));
        let alike = rows.chunk_by(|(one, ..), (other, ..)| one == other).flat_map(merged).collect();
        Self { rows: alike }
    }

    /// What everybody is answered to everything, if it is the same.
    pub(super) fn only_answer(&self) -> Option<&str> {
        let mut answers: Vec<_> = self.rows.iter().flat_map(|(_, answers)| answers).flatten().collect();
        answers.dedup();
        (answers.len() == 1).then(|| answers[0].as_str())
    }

    /// Takes the columns out that hold one answer only, and says which they are and what they hold.
    pub(super) fn without_plain_columns(mut self, columns: &mut Vec<String>) -> (Self, Vec<(String, String)>) {
        let mut plain = vec![];
        if self.rows.len() == 1 {
            return (self, plain);
        }
        for column in (0..columns.len()).rev() {
            let mut answers: Vec<_> = self.rows.iter().filter_map(|(_, answers)| answers[column].clone()).collect();
            answers.dedup();
            if let [answer] = &answers[..] {
                plain.insert(0, (columns.remove(column), answer.clone()));
                self.rows.iter_mut().for_each(|(_, answers)| drop(answers.remove(column)));
            }
        }
        // A case that nobody in the table meets any more.
        self.rows.retain(|(_, answers)| answers.iter().any(Option::is_some));
        (self, plain)
    }

    pub(super) fn markdown(&self, corner: &str, columns: &[String]) -> String {
        let head = [vec![corner.to_owned()], columns.to_vec()].concat();
        let row = |(asked, answers): &(String, Vec<Option<String>>)| {
            let answers = answers.iter().map(|answer| answer.clone().unwrap_or_default());
            [asked.clone()].into_iter().chain(answers).collect::<Vec<_>>()
        };
        let rows: Vec<_> = [head].into_iter().chain(self.rows.iter().map(row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..=columns.len()).map(width).collect();
        let cells = |row: &Vec<String>| {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
            format!("|{}|\n", cells.join("|"))
        };
        let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("|");
        let body: String = rows[1..].iter().map(cells).collect();
        format!("{}|{rule}|\n{body}", cells(&rows[0]))
    }
}

type Asked<'a> = (&'a str, String, Vec<Option<String>>);

/// The lines of one mutation. Where the target makes no difference there is one line, and lines that follow each
/// other with the same answers are one, too.
fn merged(lines: &[Asked<'_>]) -> Vec<(String, Vec<Option<String>>)> {
    let mutation = lines[0].0;
    let columns = 0..lines[0].2.len();
    let answers = |column: usize| lines.iter().filter_map(move |(_, _, answers)| answers[column].clone());
    let same = columns.clone().all(|column| answers(column).collect::<BTreeSet<_>>().len() <= 1);
    if same && lines.len() > 1 {
        return vec![(mutation.to_owned(), columns.map(|column| answers(column).next()).collect())];
    }
    let mut rows: Vec<(Vec<&str>, Vec<Option<String>>)> = vec![];
    for (_, case, answers) in lines {
        match rows.last_mut() {
            Some((cases, before)) if before == answers => cases.push(case),
            _ => rows.push((vec![case], answers.clone())),
        }
    }
    let label = |cases: &[&str]| match (mutation, listed(cases)) {
        (_, cases) if cases.is_empty() => mutation.to_owned(),
        ("", cases) => cases,
        (_, cases) => format!("{mutation}: {cases}"),
    };
    rows.into_iter().map(|(cases, answers)| (label(&cases), answers)).collect()
}

/// Cases in one cell; of those that differ in the last word only, the beginning stands once.
fn listed(cases: &[&str]) -> String {
    let beginning = |case: &str| case.rsplit_once(' ').map(|(beginning, _)| beginning.to_owned());
    let mut parts = vec![];
    for (at, case) in cases.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| beginning(cases[before]));
        let last_word = case.rsplit_once(' ').map(|(_, word)| word);
        match (before, last_word) {
            (None, _) => parts.push((*case).to_owned()),
            (Some(before), Some(word)) if before == beginning(case) => parts.push(format!(", {word}")),
            (Some(_), _) => parts.push(format!("; {case}")),
        }
    }
    parts.concat()
}
