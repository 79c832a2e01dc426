//! Serving as the README describes it: with no command, by the environment, until a signal.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use orgledger::{graphql::schema_text, store::Database};
use serde_json::json;

use super::processes::{Ended, Installation, link};
use crate::support::databases::both_databases;

const VIEWER: &str = "{ viewer { user { email } } }";

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_it_serves_the_embedded_database_and_finds_its_data_again() {
    let installation = Installation::embedded();
    let server = installation.serve_with(&["--listen", "127.0.0.1:0"]).await;
    let zoe = server.sign_in("zoe@example.com").await;
    let organization = zoe.create_organization("Acme").await;
    assert!(installation.data().join("orgledger.db").is_file());
    server.stop().await;

    let server = installation.serve_with(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"]).await;
    let zoe = server.same(&zoe);
    assert_eq!(zoe.ask(VIEWER, json!({})).await["viewer"]["user"]["email"], "zoe@example.com");
    let found = zoe.ask("query($id: ID!) { organization(id: $id) { name } }", json!({ "id": organization })).await;
    assert_eq!(found["organization"]["name"], "Acme");
    server.stop().await;
}

/// As a settings file has it that leaves the value out.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_url_is_none_and_it_says_where_the_ledger_is() {
    let installation = Installation::embedded().with("DATABASE_URL", "");
    let server = installation.serve().await;
    assert_eq!(server.line("The ledger ").await, "The ledger is in ./data/orgledger.db");
    server.stop().await;
}

both_databases! {
    async fn the_environment_says_how_to_serve(url: &str) {
        let installation = Installation::on(url)
            .with("ORGLEDGER_LISTEN", "127.0.0.1:0")
            .with("ORGLEDGER_DATA_DIR", "data")
            .with("ORGLEDGER_PUBLIC_URL", "https://org.example.com/");
        let server = installation.serve_with(&[]).await;
        let open = server.line("Open ").await;
        assert_eq!(open, "Open https://org.example.com to sign in; the API is at https://org.example.com/graphql");
        server.sign_in("zoe@example.com").await;
        let link = link(&server.letters_to("zoe@example.com")[0]).unwrap();
        assert!(link.starts_with("https://org.example.com/sign-in?token="), "{link}");
        let database = Database::connect(url).await.unwrap();
        let users = orgledger::store::statement::Statement::new("SELECT COUNT(*) FROM users");
        assert_eq!(users.count(&database).await.unwrap(), 1);
        database.close().await;
        server.stop().await;
    }

    async fn it_says_which_database_it_is_and_not_who_connects(url: &str) {
        let server = Installation::on(url).serve().await;
        let line = server.line("The ledger ").await;
        if let Some(file) = url.strip_prefix("sqlite://") {
            assert_eq!(line, format!("The ledger is in {file}"));
        } else {
            assert!(line.starts_with("The ledger is in the database "), "{line}");
            assert!(line.contains(" of PostgreSQL ") && !line.contains('@'), "{line}");
        }
        server.stop().await;
    }

    async fn the_sign_in_link_is_in_the_log_and_alone_on_a_line_of_the_letter(url: &str) {
        let installation = Installation::on(url);
        let server = installation.serve().await;
        server.sign_in("zoe@example.com").await;
        let letters = server.letters_to("zoe@example.com");
        let link = link(&letters[0]).unwrap();
        assert!(link.starts_with(&format!("{}/sign-in?token=", server.address)), "{link}");
        assert_eq!(letters[0].lines().filter(|line| *line == link).count(), 1);
        let log = server.log();
        assert!(log.lines().any(|line| line.contains("INFO") && line.contains(&link)), "{log}");
        server.stop().await;
    }

    async fn migrating_twice_changes_nothing_and_a_server_starts_on_it(url: &str) {
        let installation = Installation::on(url);
        for _ in 0..2 {
            let ended = installation.run(&["migrate"]).await;
            assert!(ended.status.success(), "{ended:?}");
            assert_eq!(ended.out, "The database is at this version.\n");
        }
        installation.serve().await.stop().await;
    }

    /// Open sockets, idle connections and silent ones do not keep it.
    async fn it_stops_on_a_signal_whoever_is_connected(url: &str) {
        let installation = Installation::on(url);
        let mut credential = None;
        for signal in ["TERM", "INT"] {
            let server = installation.serve().await;
            let zoe = match &credential {
                Some(zoe) => server.same(zoe),
                None => server.sign_in("zoe@example.com").await,
            };
            let organization = zoe.create_organization(signal).await;
            let mut subscription = zoe.subscribe(&organization, None).await;
            assert_eq!(subscription.next_event().await["node"]["sequence"], 1);
            let address = server.address.trim_start_matches("http://").to_owned();
            let silent = TcpStream::connect(&address).unwrap();
            let mut idle = TcpStream::connect(&address).unwrap();
            idle.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut answer = [0; 12];
            idle.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");

            server.signal(signal);
            let ended = server.ended().await;
            assert!(ended.status.success() && ended.out.ends_with("orgledger has stopped.\n"), "{signal}: {ended:?}");
            assert!(!ended.err.contains("ERROR") && !ended.err.contains("panicked"), "{}", ended.err);
            assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
            drop((silent, idle));
            credential = Some(zoe);
        }
    }
}

#[tokio::test]
async fn help_names_every_option_with_an_example_and_its_variable() {
    let installation = Installation::embedded();
    let help = installation.run(&["serve", "--help"]).await;
    assert!(help.status.success());
    for (option, variable) in [
        ("--listen", "ORGLEDGER_LISTEN"),
        ("--data-dir", "ORGLEDGER_DATA_DIR"),
        ("--database-url", "DATABASE_URL"),
        ("--database-read-url", "DATABASE_READ_URL"),
        ("--database-pooling", "DATABASE_POOLING"),
        ("--public-url", "ORGLEDGER_PUBLIC_URL"),
        ("--files-url", "ORGLEDGER_FILES_URL"),
        ("--smtp-url", "SMTP_URL"),
        ("--mail-from", "ORGLEDGER_MAIL_FROM"),
        ("--invitation-hours", "ORGLEDGER_INVITATION_HOURS"),
        ("--context-retention-days", "ORGLEDGER_CONTEXT_RETENTION_DAYS"),
        ("--cors-origins", "ORGLEDGER_CORS_ORIGINS"),
        ("--trusted-proxies", "ORGLEDGER_TRUSTED_PROXIES"),
        ("--trusted-documents", "ORGLEDGER_TRUSTED_DOCUMENTS"),
        ("--trusted-documents-file", "ORGLEDGER_TRUSTED_DOCUMENTS_FILE"),
        ("--introspection", "ORGLEDGER_INTROSPECTION"),
        ("--oidc-issuer", "OIDC_ISSUER"),
        ("--oidc-audience", "OIDC_AUDIENCE"),
    ] {
        assert!(help.out.contains(&format!("e.g. {option} ")), "{option} has an example:\n{}", help.out);
        assert!(help.out.contains(&format!("[env: {variable}")), "{variable}:\n{}", help.out);
    }
    let options = help.out.lines().filter(|line| line.trim_start().starts_with("--")).count();
    // A secret has no example: it stands in the environment.
    assert!(help.out.contains("[env: ORGLEDGER_SECRET"), "{}", help.out);
    assert_eq!(options, 19, "and there is no other one:\n{}", help.out);

    let help = installation.run(&["--help"]).await;
    for command in ["serve", "migrate", "export-schema", "rebuild", "verify"] {
        assert!(help.out.contains(&format!("\norgledger {command}:\n")), "{command}:\n{}", help.out);
    }
    assert!(help.out.contains("e.g. --listen "), "the options of the default command are there too:\n{}", help.out);
    let secret = Installation::on("postgres://orgledger:tell-nobody@localhost/orgledger");
    assert!(!secret.run(&["serve", "--help"]).await.out.contains("tell-nobody"));
}

#[tokio::test]
async fn the_exported_schema_is_the_one_that_is_served() {
    let ended = Installation::embedded().run(&["export-schema"]).await;
    assert!(ended.status.success());
    assert_eq!(ended.out, schema_text());
}

/// One sentence, for whoever started it.
fn said_in_one_sentence(ended: &Ended, named: &str) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let lines: Vec<_> = ended.err.lines().collect();
    assert!(matches!(lines[..], [line] if line.starts_with("orgledger: ") && line.contains(named)), "{ended:?}");
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    said_in_one_sentence(&Installation::embedded().run(&["--listen", &address]).await, &address);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_said_in_one_sentence() {
    for url in
        ["postgres://orgledger:tell-nobody@127.0.0.1:1/orgledger", "sqlite:///proc/nowhere/orgledger.db", "mysql://"]
    {
        let ended = Installation::on(url).run(&["--listen", "127.0.0.1:0"]).await;
        said_in_one_sentence(&ended, "");
        assert!(!ended.err.contains("tell-nobody"), "{}", ended.err);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_said_in_one_sentence() {
    for (option, value) in [("--mail-from", "nobody at all"), ("--smtp-url", "http://example.com")] {
        let ended = Installation::embedded().run(&["--listen", "127.0.0.1:0", option, value]).await;
        said_in_one_sentence(&ended, "");
    }
    // SQLite has no standby, and one of PostgreSQL would know nothing of it.
    let standby =
        ["--listen", "127.0.0.1:0", "--database-read-url", "postgres://orgledger:tell-nobody@standby/orgledger"];
    let ended = Installation::embedded().run(&standby).await;
    said_in_one_sentence(&ended, "--database-read-url");
    assert!(!ended.err.contains("tell-nobody"), "{}", ended.err);
    // Keys that somebody on the way could change would let them be anybody.
    let oidc =
        ["--listen", "127.0.0.1:0", "--oidc-issuer", "http://accounts.example.com", "--oidc-audience", "orgledger"];
    said_in_one_sentence(&Installation::embedded().run(&oidc).await, "--oidc-issuer");
    let alone = Installation::embedded().run(&["--listen", "127.0.0.1:0", "--oidc-audience", "orgledger"]).await;
    assert!(alone.status.code() == Some(2) && alone.err.contains("--oidc-issuer"), "one means nothing: {alone:?}");
}
