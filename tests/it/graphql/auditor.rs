//! `docs/auditor.md`, run to the letter: the story it tells is lived, then its commands are typed, and each has to answer
//! what the page says. `…` on the page is anything.

use std::{env, fs, path::Path, process::Command};

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    acme::Acme,
    server::{Server, list, text},
};
use crate::support::databases::{announce, both_databases};

const BOB: &str = "bob@example.com";
const CLEO: &str = "cleo@example.com";

/// The fenced blocks of the page, in order: the language and the text of each.
fn blocks() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/auditor.md");
    let page = fs::read_to_string(page).unwrap();
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).map(|(kind, text)| (kind.to_owned(), text.to_owned())).collect()
}

/// Whether an answer is what the page shows.
fn fits(page: &Value, answer: &Value) -> bool {
    match (page, answer) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Array(page), Value::Array(answer)) => follow(page, answer),
        (Value::Object(page), Value::Object(answer)) => {
            page.len() == answer.len()
                && page.iter().all(|(name, value)| answer.get(name).is_some_and(|found| fits(value, found)))
        }
        _ => page == answer,
    }
}

fn follow(page: &[Value], answer: &[Value]) -> bool {
    match page {
        [] => answer.is_empty(),
        [any, rest @ ..] if any == "…" => (0..=answer.len()).any(|left_out| follow(rest, &answer[left_out..])),
        [first, rest @ ..] => answer.first().is_some_and(|found| fits(first, found)) && follow(rest, &answer[1..]),
    }
}

/// The same of text.
fn reads(page: &str, said: &str) -> bool {
    let Some((before, rest)) = page.split_once('…') else { return page == said };
    let Some(said) = said.strip_prefix(before) else { return false };
    (0..=said.len()).any(|left_out| said.get(left_out..).is_some_and(|said| reads(rest, said)))
}

/// Who has a permission, of the rows of an answer.
fn holders<'a>(answer: &'a Value, place: &str, name: &str) -> Vec<&'a str> {
    let holds = |row: &&Value| list(row, "/permissions").contains(&json!("API_KEYS_MANAGE"));
    list(answer, place).iter().filter(holds).map(|row| text(row, name)).collect()
}

/// What happens in Acme in March: the short names of the page for ids and the ids, and the note that Cleo keeps.
async fn live(acme: &Acme<'_>) -> (Vec<(&'static str, String)>, String) {
    let (server, ada) = (acme.server, &acme.ada);
    let bob = acme.join(BOB, "MEMBER").await;
    let cleo = acme.join(CLEO, "AUDITOR").await;
    let bob_id = acme.member(BOB).await;
    server.wait(TimeDelta::hours(1));
    let role = json!({ "name": "Integrator", "level": 3, "permissions": ["MEMBERS_READ", "API_KEYS_READ"] });
    let answer = ada.operation("CreateRole", acme.with(role)).await;
    let role = text(&answer, "/createRole/role/id").to_owned();
    let change = async |role: &str, reason: &str| {
        let change = json!({ "memberId": bob_id, "roleId": role, "reason": reason });
        assert_eq!(ada.refusals("ChangeMemberRole", acme.with(change)).await, [""; 0]);
    };
    change(&role, "Bob looks after the integrations").await;
    server.wait(TimeDelta::hours(1));
    let more = json!({ "roleId": role, "permissions": ["MEMBERS_READ", "API_KEYS_READ", "API_KEYS_MANAGE"] });
    assert_eq!(ada.refusals("UpdateRole", acme.with(more)).await, [""; 0]);
    server.wait(TimeDelta::hours(1));
    let key = json!({ "name": "deploy", "permissions": ["API_KEYS_READ", "API_KEYS_MANAGE"] });
    let answer = bob.operation("CreateApiKey", acme.with(key)).await;
    let deploy = text(&answer, "/createApiKey/apiKey/id").to_owned();
    let key = server.with_key(text(&answer, "/createApiKey/secret"));
    server.wait(TimeDelta::hours(25));
    let copy = json!({ "name": "copy", "permissions": ["API_KEYS_READ"] });
    let answer = key.operation("CreateApiKey", acme.with(copy)).await;
    let copy = text(&answer, "/createApiKey/apiKey/id").to_owned();
    server.wait(TimeDelta::hours(1));
    let disable = acme.with(json!({ "apiKeyId": copy }));
    assert_eq!(bob.refusals("DisableApiKey", disable).await, ["RANK_TOO_LOW"]);
    let head = cleo.operation("LedgerHead", acme.with(json!({}))).await;
    let kept = text(&head, "/organization/ledgerHead/signedNote").to_owned();
    server.wait(TimeDelta::days(2));
    change(acme.role("MEMBER"), "Integrations went to another team").await;
    let another = acme.with(json!({ "name": "another", "permissions": ["API_KEYS_READ"] }));
    assert_eq!(bob.refusals("CreateApiKey", another).await, ["PERMISSION_REQUIRED"]);
    server.wait(TimeDelta::days(1));
    let revoke = json!({ "apiKeyId": deploy, "reason": "Nobody needs it" });
    assert_eq!(ada.refusals("RevokeApiKey", acme.with(revoke)).await, [""; 0]);
    let less = json!({ "roleId": role, "permissions": ["MEMBERS_READ", "API_KEYS_READ"] });
    assert_eq!(ada.refusals("UpdateRole", acme.with(less)).await, [""; 0]);
    server.wait(TimeDelta::days(26));
    (vec![("mem_BOB", bob_id), ("rol_INTEGRATOR", role), ("key_DEPLOY", deploy), ("key_COPY", copy)], kept)
}

/// What the commands of the page say, one text for each `sh` block.
fn typed(folder: &Path, script: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_orgledger")).parent().unwrap();
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap());
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify.py"), folder.join("verify.py")).unwrap();
    let script = format!("exec 2>&1\n{script}");
    let mut command = Command::new("bash");
    command.args(["-uo", "pipefail", "-c", &script]).current_dir(folder).env("PATH", path);
    let done = command.envs(environment.iter().copied()).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    said.split_terminator('\0').map(str::to_owned).collect()
}

both_databases! {
    async fn an_auditors_afternoon_goes_as_its_page_says(url: &str) {
        for tool in ["curl", "python3"] {
            if Command::new(tool).arg("--version").output().is_err() {
                assert!(env::var_os("CI").is_none(), "{tool} is missing, and the page needs it");
                return announce(&format!("skipped without {tool}: an_auditors_afternoon_goes_as_its_page_says"));
            }
        }
        let server = Server::start(url).await;
        let acme = Acme::workspace(&server).await;
        let (ids, kept) = live(&acme).await;
        let cleo = server.person(CLEO).await;

        let folder = tempfile::Builder::new().prefix("orgledger-auditor-").tempdir().unwrap();
        fs::write(folder.path().join("kept.txt"), kept).unwrap();
        let (mut script, mut shown) = (String::new(), Vec::new());
        for (kind, block) in blocks() {
            match kind.as_str() {
                "graphql" => {
                    let name = block.lines().next().unwrap().strip_prefix("# ").unwrap();
                    fs::write(folder.path().join(name), &block).unwrap();
                }
                "sh" => {
                    script.extend([&block, "\nprintf '\\0'\n"]);
                    shown.push(None);
                }
                _ => assert!(shown.last_mut().unwrap().replace((kind, block)).is_none(), "one answer to each command"),
            }
        }
        for (short, id) in &ids {
            script = script.replace(short, id);
        }
        let token = cleo.credential.as_deref().unwrap();
        let environment = [("SERVER", server.url.as_str()), ("ORG", &acme.id), ("TOKEN", token), ("DATABASE_URL", url)];
        let said = typed(folder.path(), &script, &environment);
        assert_eq!(said.len(), shown.len(), "{said:?}");
        let (mut answers, mut wrong) = (Vec::new(), Vec::new());
        for (said, shown) in said.iter().zip(shown) {
            let mut said = said.replace(&acme.id, "org_ACME");
            for (short, id) in &ids {
                said = said.replace(id, short);
            }
            match shown {
                Some((kind, block)) if kind == "json" => {
                    let page: Value = serde_json::from_str(&block).unwrap_or_else(|error| panic!("{error}: {block}"));
                    let answer: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
                    assert!(answer.get("errors").is_none(), "{answer:#}");
                    let answer = answer["data"]["organization"].clone();
                    if !fits(&page, &answer) {
                        wrong.push(format!("the page shows\n{block}\nbut the answer is\n{answer}"));
                    }
                    answers.push(answer);
                }
                Some((_, block)) if reads(&block, said.trim_end()) => {}
                Some((_, block)) => wrong.push(format!("the page shows\n{block}\nbut it said\n{said}")),
                None => assert_eq!(said, "", "the page shows no answer"),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        // What the page leaves out changes nothing of its first answer.
        assert_eq!(holders(&answers[0], "/roles", "/name"), ["Admin", "Co-Admin", "Integrator"]);
        assert_eq!(holders(&answers[0], "/members/nodes", "/user/email"), ["ada@example.com", BOB]);
        let written = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(written("new.txt").contains("\n16\n"), "the note of this visit is as new as the record then was");
        assert!(written("audit.jsonl").lines().next_back().unwrap().contains("\"type\":\"audit.exported\""));
    }
}
