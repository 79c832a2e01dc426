//! Ten thousand members of one organization, made through commands: every page of every order, searches and filters,
//! each answer held against a naive computation, and the answers of the two databases against each other.

mod crowd;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use async_graphql::{Request, Variables};
use serde_json::{Value, json};

use self::crowd::{Crowd, PEOPLE, Person, folded};
use crate::support::databases::{announce, on_postgres, on_sqlite};

const MEMBERS: &str = "
query($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $search: String, $filter: MemberFilter, $orderBy: MemberOrder) {
  organization(id: $id) {
    members(first: $first, after: $after, last: $last, before: $before, search: $search, filter: $filter, orderBy: $orderBy) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage }
    }
  }
}";

const FOUND: &str = "
query($id: ID!, $first: Int, $last: Int, $search: String, $filter: MemberFilter, $orderBy: MemberOrder) {
  organization(id: $id) {
    members(first: $first, last: $last, search: $search, filter: $filter, orderBy: $orderBy) {
      totalCount
      nodes { id status joinedAt lastLoginAt user { id name email } role { id key } }
    }
  }
}";

const ORDERS: [&str; 4] = ["NAME", "EMAIL", "JOINED_AT", "LAST_LOGIN_AT"];

/// What clients are answered, in short, so that two databases can be compared.
#[derive(Default)]
struct Transcript(Vec<(String, u64)>);

impl Transcript {
    async fn ask(&mut self, crowd: &Crowd, document: &str, variables: Value) -> Value {
        let question = variables.to_string();
        let request = Request::new(document).variables(Variables::from_json(variables)).data(crowd.context());
        let answer = crowd.schema.execute(request).await;
        assert!(answer.errors.is_empty(), "{question}: {:?}", answer.errors);
        let mut data = answer.data.into_json().unwrap();
        let mut hasher = DefaultHasher::new();
        data.to_string().hash(&mut hasher);
        self.0.push((question, hasher.finish()));
        data["organization"]["members"].take()
    }
}

/// The people who are meant, in the order that is asked for.
fn naive<'a>(crowd: &'a Crowd, (field, descending): (&str, bool), meant: impl Fn(&Person) -> bool) -> Vec<&'a Person> {
    let mut people: Vec<_> = crowd.people.iter().filter(|person| meant(person)).collect();
    match field {
        "NAME" => people.sort_by_key(|person| (&person.name_key, person.id)),
        "EMAIL" => people.sort_by_key(|person| (&person.email_key, person.id)),
        "JOINED_AT" => people.sort_by_key(|person| (person.joined_at, person.id)),
        _ => people.sort_by_key(|person| (person.last_login_at, person.id)),
    }
    if descending {
        people.reverse();
    }
    people
}

fn present(person: &Person) -> bool {
    person.status != "FORMER"
}

/// Reads every page from one end to the other.
async fn walk(crowd: &Crowd, transcript: &mut Transcript, order: (&str, bool), forwards: bool) {
    let order_by = json!({ "field": order.0, "direction": if order.1 { "DESC" } else { "ASC" } });
    let mut found = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let variables = if forwards {
            json!({ "id": crowd.id, "first": 100, "after": cursor, "orderBy": order_by })
        } else {
            json!({ "id": crowd.id, "last": 100, "before": cursor, "orderBy": order_by })
        };
        let mut page = transcript.ask(crowd, MEMBERS, variables).await;
        let info = page["pageInfo"].take();
        let first = found.is_empty();
        let (more, before) =
            if forwards { ("hasNextPage", "hasPreviousPage") } else { ("hasPreviousPage", "hasNextPage") };
        assert_eq!(info[before], !first, "{order:?}");
        let Value::Array(mut edges) = page["edges"].take() else { panic!("{page}") };
        if !forwards {
            edges.reverse();
        }
        cursor = edges.last().unwrap()["cursor"].clone();
        found.extend(edges.into_iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()));
        if info[more] == false {
            break;
        }
    }
    let mut expected = naive(crowd, order, present);
    if !forwards {
        expected.reverse();
    }
    let expected: Vec<_> = expected.into_iter().map(|person| crowd.member(person)).collect();
    assert!(found == expected, "{order:?}, forwards: {forwards}: {:?}", first_difference(&found, &expected));
}

fn first_difference<'a>(
    found: &'a [String],
    expected: &'a [String],
) -> (usize, Option<&'a String>, Option<&'a String>) {
    let at = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    (at, found.get(at), expected.get(at))
}

/// Holds the count and both ends of a list against the naive computation.
async fn find(
    crowd: &Crowd,
    transcript: &mut Transcript,
    order: (&str, bool),
    question: Value,
    meant: impl Fn(&Person) -> bool,
) -> usize {
    let expected = naive(crowd, order, meant);
    for end in ["first", "last"] {
        let mut variables = question.clone();
        variables["id"] = json!(crowd.id);
        variables[end] = json!(25);
        variables["orderBy"] = json!({ "field": order.0, "direction": if order.1 { "DESC" } else { "ASC" } });
        let page = transcript.ask(crowd, FOUND, variables.clone()).await;
        assert_eq!(page["totalCount"], expected.len(), "{variables}");
        let few = expected.len().min(25);
        let expected = if end == "first" { &expected[..few] } else { &expected[expected.len() - few..] };
        let nodes = page["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), few, "{variables}");
        for (node, person) in nodes.iter().zip(expected) {
            assert_eq!(*node, crowd.node(person), "{variables}");
        }
    }
    expected.len()
}

/// Parts of names and emails as people type them, and texts that a pattern language would take for something else.
fn needles(crowd: &Crowd) -> Vec<String> {
    use unicode_normalization::UnicodeNormalization;

    let special =
        ["%", "_", "\\", "'", "\"", "%%", "\\%", "a_b", "a%b", "' or 1=1", "--", "nobody at all", "\u{301}", "@"];
    let mut needles: Vec<String> = special.map(str::to_owned).to_vec();
    for (at, person) in crowd.people.iter().step_by(397).enumerate() {
        let text = if at % 3 == 0 { &person.email } else { person.name.as_ref().unwrap_or(&person.email) };
        let characters: Vec<char> = text.nfc().collect();
        for length in 1..=4 {
            let start = (at * 7 + length) % characters.len();
            let part: String = characters[start..characters.len().min(start + length)].iter().collect();
            needles.push(match at % 4 {
                0 => part,
                1 => part.to_uppercase(),
                2 => part.to_lowercase(),
                _ => part.nfd().collect(),
            });
        }
    }
    needles.push(crowd.people[5000].email.to_uppercase());
    needles
}

/// Asks everything.
async fn examine(url: &str, database: &str) -> Transcript {
    let started = Instant::now();
    let crowd = Crowd::gather(url).await;
    let made = started.elapsed();
    let started = Instant::now();
    let mut transcript = Transcript::default();
    for field in ORDERS {
        for descending in [false, true] {
            walk(&crowd, &mut transcript, (field, descending), true).await;
            walk(&crowd, &mut transcript, (field, descending), false).await;
        }
    }
    let walked = started.elapsed();
    let started = Instant::now();
    let mut matches = 0;
    for (at, needle) in needles(&crowd).into_iter().enumerate() {
        let order = (ORDERS[at % 4], at % 8 > 3);
        let folded_needle = folded(&needle);
        let meant = |person: &Person| present(person) && person.has(&folded_needle);
        matches += find(&crowd, &mut transcript, order, json!({ "search": needle }), meant).await;
    }
    assert!(matches > PEOPLE, "the needles are in the haystack");
    filters(&crowd, &mut transcript).await;
    let found = started.elapsed();
    announce(&format!("10,000 members on {database}: made in {made:?}, paged in {walked:?}, searched in {found:?}"));
    crowd.close().await;
    transcript
}

async fn filters(crowd: &Crowd, transcript: &mut Transcript) {
    let (start, end) = (crowd.people[2500].joined_at, crowd.people[7500].joined_at);
    let ranges = [(None, None), (Some(start), None), (None, Some(end)), (Some(start), Some(end))];
    let statuses: [&[&str]; 4] =
        [&["ACTIVE"], &["INACTIVE"], &["FORMER", "INACTIVE"], &["ACTIVE", "INACTIVE", "FORMER"]];
    let roles: [&[&str]; 3] = [&[], &["AUDITOR"], &["MANAGER", "CO_ADMIN"]];
    let mut at = 0;
    for (from, to) in ranges {
        for statuses in statuses {
            for roles in roles {
                at += 1;
                let ids: Vec<_> = roles.iter().map(|role| crowd.roles[*role].clone()).collect();
                let mut filter = json!({ "statuses": statuses, "joinedFrom": from, "joinedTo": to });
                if !ids.is_empty() {
                    filter["roleIds"] = json!(ids);
                }
                let search = (at % 3 == 0).then_some("é");
                let meant = |person: &Person| {
                    statuses.contains(&person.status)
                        && (roles.is_empty() || roles.contains(&person.role))
                        && from.is_none_or(|from| person.joined_at >= from)
                        && to.is_none_or(|to| person.joined_at < to)
                        && search.is_none_or(|search| person.has(search))
                };
                let question = json!({ "filter": filter, "search": search });
                find(crowd, transcript, (ORDERS[at % 4], at % 8 > 3), question, meant).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_members_are_paged_searched_and_filtered_alike_on_both_databases() {
    let name = concat!(module_path!(), "::on_postgres");
    let (mut of_sqlite, mut of_postgres) = (None, None);
    tokio::join!(
        on_sqlite(async |url: &str| of_sqlite = Some(examine(url, "SQLite").await)),
        on_postgres(name, async |url: &str| of_postgres = Some(examine(url, "PostgreSQL").await)),
    );
    let Some(Transcript(of_postgres)) = of_postgres else { return };
    let Transcript(of_sqlite) = of_sqlite.unwrap();
    assert_eq!(of_sqlite.len(), of_postgres.len());
    let differences: HashMap<_, _> = of_sqlite.iter().zip(&of_postgres).filter(|(one, other)| one != other).collect();
    assert!(differences.is_empty(), "{} answers differ, one to {:?}", differences.len(), differences.keys().next());
}
