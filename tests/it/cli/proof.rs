//! What an auditor does with the program alone: an export, a note and a key, checked without a database; and what the
//! operator does with the server's keys.

use std::{fs, net::TcpStream};

use orgledger::{domain::GlobalId, store::Database};
use serde_json::json;

use super::{
    callers::{Caller, text},
    processes::{Ended, Installation, Server, until},
};
use crate::{
    graphql::exports::{bare, read_until_it_breaks, swell},
    support::databases::both_databases,
};

const SECRET: &str = "correct horse battery staple, and more";

async fn export(server: &Server, caller: &Caller, organization: &str) -> String {
    let path = format!("{}/organizations/{organization}/audit.jsonl", server.address);
    caller.get(&path).await.text().await.unwrap()
}

async fn note(caller: &Caller, organization: &str) -> String {
    let document = "query($id: ID!) { organization(id: $id) { ledgerHead { signedNote } } }";
    let answer = caller.ask(document, json!({ "id": organization })).await;
    text(&answer["organization"]["ledgerHead"]["signedNote"])
}

fn fails(ended: &Ended, what: &str) {
    assert!(ended.status.code() == Some(1) && ended.out.is_empty() && ended.err.contains(what), "{what}: {ended:?}");
}

both_databases! {
    async fn an_export_and_a_note_are_checked_without_the_database(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let organization = zoe.create_organization("Acme").await;
        let early = note(&zoe, &organization).await;
        zoe.invite(&organization, "sam@example.com").await.done();
        let file = export(&server, &zoe, &organization).await;
        let fitting = note(&zoe, &organization).await;
        server.stop().await;
        let key = installation.run(&["keys", "show"]).await.out.trim().to_owned();

        // Another machine, which has nothing but the files.
        let auditor = Installation::embedded();
        let folder = auditor.data();
        fs::create_dir(&folder).unwrap();
        let put = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
        };
        put("export.jsonl", &file);
        put("early.txt", &early);
        put("fitting.txt", &fitting);
        put("broken.txt", &fitting.replacen("\n4\n", "\n5\n", 1));
        let lines: Vec<_> = file.split_inclusive('\n').collect();
        put("short.jsonl", &lines[..3].concat());
        put("edited.jsonl", &file.replace("Acme", "Acne"));
        let check = async |arguments: &[&str]| auditor.run(&[&["verify", "--file"], arguments].concat()).await;

        let GlobalId::Organization(id) = organization.parse().unwrap() else { panic!("{organization}") };
        let said = check(&["data/export.jsonl", "--key", &key, "--note", "data/fitting.txt"]).await;
        assert!(said.status.success(), "{said:?}");
        let told: Vec<_> = said.out.lines().collect();
        assert_eq!(told[0], format!("The chain holds: 4 events of {organization}."));
        assert_eq!(told[2], "The note is signed, and of this very ledger.");
        assert!(fitting.starts_with(&format!("orgledger/{id}\n4\n")), "{fitting}");
        let said = check(&["data/export.jsonl", "--key", &key, "--note", "data/early.txt"]).await;
        assert!(said.status.success() && said.out.contains("of the first 2 of these events"), "{said:?}");
        for arguments in [&["data/export.jsonl"][..], &["data/export.jsonl", "--key", &key]] {
            let said = check(arguments).await;
            assert!(said.status.success() && said.out.contains("Only the chain inside the file was checked"), "{said:?}");
        }

        fails(&check(&["data/edited.jsonl"]).await, "data/edited.jsonl: line 1: sequence 1: the event was changed");
        let short = ["data/short.jsonl", "--key", &key, "--note", "data/fitting.txt"];
        fails(&check(&short).await, "the file ends with 3, the note has 4");
        assert!(check(&["data/short.jsonl"]).await.status.success());
        let forged = ["data/export.jsonl", "--key", &key, "--note", "data/broken.txt"];
        fails(&check(&forged).await, "data/broken.txt: its signature is wrong");
        fails(&check(&["data/none.jsonl"]).await, "data/none.jsonl: No such file");
        fails(&check(&["data"]).await, "data: line 1: the file cannot be read");
        let keyless = check(&["data/export.jsonl", "--note", "data/fitting.txt"]).await;
        assert!(keyless.status.code() == Some(2) && keyless.err.contains("--key"), "{keyless:?}");
        let wrong = check(&["data/export.jsonl", "--key", "nonsense"]).await;
        assert!(wrong.status.code() == Some(2) && wrong.err.contains("not a verifier key"), "{wrong:?}");
        let fileless = auditor.run(&["verify", "--key", &key]).await;
        assert!(fileless.status.code() == Some(2) && fileless.err.contains("--file"), "{fileless:?}");
    }

    async fn wrapped_keys_open_with_the_secret_alone_and_links_outlive_the_wrapping(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let organization = zoe.create_organization("Acme").await;
        let before = note(&zoe, &organization).await;
        server.stop().await;
        let key = installation.run(&["keys", "show"]).await.out;

        let sealed = installation.with("ORGLEDGER_SECRET", SECRET);
        let server = sealed.serve().await;
        assert_eq!(note(&server.same(&zoe), &organization).await, before);
        server.stop().await;
        assert_eq!(sealed.run(&["keys", "show"]).await.out, key);
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["keys", "show"]] {
            let other = sealed.run(&[command, &["--secret", "another secret of 32 characters!"]].concat()).await;
            fails(&other, "orgledger: ORGLEDGER_SECRET is not the secret that the server's keys were wrapped with");
            let short = sealed.run(&[command, &["--secret", "too short"]].concat()).await;
            fails(&short, "orgledger: ORGLEDGER_SECRET: it has to have at least 32 characters");
            assert!(!short.err.contains("too short"), "{short:?}");
        }
        let bare = sealed.without("ORGLEDGER_SECRET");
        let closed = "orgledger: the server's keys are wrapped: set ORGLEDGER_SECRET";
        fails(&bare.run(&["serve", "--listen", "127.0.0.1:0"]).await, closed);
        fails(&bare.run(&["keys", "show"]).await, closed);
        assert!(bare.run(&["verify"]).await.status.success(), "the chain needs no key");
        let server = bare.with("ORGLEDGER_SECRET", SECRET).serve().await;
        server.stop().await;
    }

    async fn an_export_breaks_when_the_service_stops(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        let zoe = server.sign_in("zoe@example.com").await;
        let organization = zoe.create_organization("Acme").await;
        let database = Database::connect(url).await.unwrap();
        // A page of twenty megabytes, and a little more.
        swell(&database, bare(&organization), 1100, 20_000).await;
        database.close().await;
        let path = format!("{}/organizations/{organization}/audit.jsonl", server.address);
        let mut response = zoe.get(&path).await;
        assert!(response.chunk().await.unwrap().is_some());
        server.signal("TERM");
        let host = server.address.strip_prefix("http://").unwrap();
        until("the end of listening", async || TcpStream::connect(host).is_err().then_some(())).await;
        assert!(read_until_it_breaks(response).await < 22_000_000);
        server.ended().await;
    }
}
