//! The walk of the README, run to the letter: a reader who types what stands there sees what it says.

use std::process::Command;

use super::processes::Installation;
use crate::support::databases::announce;

/// What the answers to the walk must hold, in this order.
const SEEN: &[&str] = &[
    r#""key":"CO_ADMIN""#,
    r#""invitation":{"id":"inv_"#,
    r#""maskedEmail":"b***@example.com""#,
    r#""totalCount":3"#,
    r#""role":{"key":"CO_ADMIN""#,
    r#""code":"ROLE_NOT_ASSIGNABLE""#,
    r#""allowed":false,"code":"ROLE_NOT_ASSIGNABLE""#,
    r#""totalCount":3"#,
    r#""status":"DISABLED""#,
    r#""code":"UNAUTHENTICATED""#,
    r#""status":"ACTIVE""#,
    r#""totalCount":3"#,
    r#""status":"REVOKED""#,
    r#""code":"UNAUTHENTICATED""#,
    r#""status":"INACTIVE""#,
    r#"{"data":{"organization":null}"#,
    r#""code":"LAST_OWNER""#,
    r#""role":{"key":"ADMIN""#,
    r#""leaveOrganization":{"cursor":""#,
    r#""auditLog":{"totalCount":16"#,
    r#""type":"organization.created""#,
    r#""key":"TEAM_LEAD","name":"Team lead","level":3"#,
    r#""permissions":["MEMBERS_READ","MEMBERS_INVITE"]"#,
    r#""role":{"key":"TEAM_LEAD","level":3},"permissions":[]"#,
    r#""code":"ROLE_IN_USE""#,
    r#""memberCount":1"#,
    r#""deletedRoleId":"rol_"#,
    r#""code":"NOT_CERTIFIED""#,
    r#""certification":"REQUESTED""#,
    "  Corp\n",
    " is certified.\n",
    r#""code":"OWNER_MUST_TRANSFER""#,
    r#""viewerRole":{"key":"MEMBER"}"#,
    r#""leaveOrganization":{"cursor":""#,
];

fn walk() -> String {
    let readme = include_str!("../../../README.md");
    let (_, walk) = readme.split_once("\n## The walk\n").unwrap();
    let (walk, _) = walk.split_once("\n## ").unwrap();
    walk.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_the_readme_shows_what_it_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is missing, and the walk of the README needs it");
        announce("skipped without curl: the_walk_of_the_readme_shows_what_it_says");
        return;
    }
    let installation = Installation::embedded();
    let server = installation.serve().await;
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &walk()])
        .env_remove("DATABASE_URL")
        .env_remove("ORGLEDGER_SECRET")
        .env("SERVER", &server.address)
        .env("DATA", installation.data())
        .env("ORGLEDGER", env!("CARGO_BIN_EXE_orgledger"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    let mut rest = &*said;
    for expected in SEEN {
        let found = rest.find(expected);
        rest = &rest[found.unwrap_or_else(|| panic!("{expected} is not in what follows:\n{rest}"))..][expected.len()..];
    }
    server.stop().await;
    let verified = installation.run(&["verify"]).await;
    assert_eq!(verified.out, "The chain holds: 6 organizations, 38 events.\n");
}
