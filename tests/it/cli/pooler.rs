//! Two servers behind pgbouncer in transaction mode, with two connections to PostgreSQL for both: each transaction may get
//! another one than the last.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use futures_util::future::join_all;
use orgledger::store::{Database, statement::Statement};
use serde_json::json;

use super::{
    callers::{Answer, text},
    processes::{Installation, until},
};
use crate::support::{databases::announce, postgres};

/// Keeps the pooler `$1` with the settings in `$2` until the pipe on its input closes.
const KEEPER: &str = r#""$1" -q "$2" & cat >/dev/null; kill $!"#;

/// A pooler in front of a cluster. It ends when this is dropped.
struct Pooler {
    keeper: Child,
    url: String,
}

impl Pooler {
    /// Starts it with sockets in the cluster's directory, as the cluster's user.
    async fn start(program: &Path, cluster: &postgres::Server) -> Self {
        let home = cluster.directory();
        let settings = home.join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host={home} port=5432 user=postgres\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {home}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 2\n",
            home = home.display()
        );
        fs::write(&settings, text).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).args([program, &settings]).stdin(Stdio::piped()).process_group(0);
        postgres::as_ordinary_user(&mut keeper, home);
        let keeper = keeper.spawn().unwrap();
        let socket = home.join(".s.PGSQL.6432");
        until("pgbouncer", async || socket.exists().then_some(())).await;
        let url = format!("postgres://postgres@localhost:6432/postgres?host={}", home.display());
        Self { keeper, url }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Where pgbouncer is, if it is there.
fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin".into()]);
    places.map(|place| place.join("pgbouncer")).find(|program| program.is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_work_behind_a_pooler_that_gives_each_transaction_another_connection() {
    let skipped = concat!("skipped: ", module_path!(), "::two_servers_work_behind_a_pooler");
    let Some(program) = program() else {
        assert!(env::var("CI").as_deref() != Ok("true"), "no pgbouncer here, and with CI=true that is a failure");
        return announce(skipped);
    };
    let Some(cluster) = postgres::cluster_of_its_own() else { return announce(skipped) };
    let pooler = Pooler::start(&program, &cluster).await;
    let unsaid = Installation::on(&pooler.url).run(&["--listen", "127.0.0.1:0"]).await;
    assert!(!unsaid.status.success(), "a pooler has to be told of: {unsaid:?}");
    assert!(unsaid.err.contains("needs --database-pooling transaction"), "{unsaid:?}");
    let installation = Installation::on(&pooler.url).with("DATABASE_POOLING", "transaction");
    let [one, other] = [installation.serve().await, installation.serve().await];

    let ann = one.sign_in("ann@example.com").await;
    let sam = other.sign_in("sam@example.com").await;
    let acme = &ann.create_organization("Acme").await;
    let member = ann.admit(acme, &sam, "sam@example.com", "AUDITOR").await;
    let mut subscription = sam.subscribe(acme, None).await;
    for sequence in 1..=5 {
        assert_eq!(subscription.next_event().await["node"]["sequence"], sequence);
    }
    let callers = [one.same(&ann), other.same(&ann)];
    let invitations = (0..30).map(async |number| {
        let caller = &callers[number % 2];
        caller.invite(acme, &format!("person-{number}@example.com")).await
    });
    for answer in join_all(invitations).await {
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }
    // What was written through either server is heard at the other, by the look of every second.
    for sequence in 6..=35 {
        assert_eq!(subscription.next_event().await["node"]["sequence"], sequence);
    }
    let document = "query($id: ID!) { organization(id: $id) { invitations(first: 100) { totalCount nodes { email } } \
         auditLog { nodes { type } } overview { memberCount } roles { key memberCount } } }";
    let pages = join_all((0..30).map(|number| callers[number % 2].ask(document, json!({ "id": acme })))).await;
    for page in pages {
        assert_eq!(page["organization"]["invitations"]["nodes"].as_array().unwrap().len(), 31, "{page}");
        assert_eq!(page["organization"]["invitations"]["totalCount"], 31);
        assert_eq!(page["organization"]["auditLog"]["nodes"].as_array().unwrap().len(), 35);
    }
    let manager = ann.role(acme, "MANAGER").await;
    let changed = other.same(&ann).change_role(acme, &member, &manager).await.done();
    assert_eq!(text(&changed["member"]["role"]["key"]), "MANAGER");

    let ended = installation.run(&["verify"]).await;
    assert!(ended.status.success(), "{ended:?}");
    let direct = Database::connect(&cluster.url).await.unwrap();
    let connections = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND pid <> PG_BACKEND_PID()";
    assert!(Statement::new(connections).count(&direct).await.unwrap() <= 2, "more than the pooler's");
    direct.close().await;
    one.stop().await;
    other.stop().await;
    drop(pooler);
    cluster.stop();
}
