//! The command line: one program that serves, and the tools of who runs it.

mod organization;
mod proof;
mod serve;
mod tools;
mod user;

use std::{convert::Infallible, ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::{
    commands::INVITATION_LIFETIME,
    domain::organization::profile::CertificationDecision,
    http::{PageOrigin, documents::TrustedDocuments},
    store::{database::Pooling, note::VerifierKey, retention::KEPT},
};

/// Organizations, members, invitations, roles and API keys behind a GraphQL API, kept in a tamper-evident ledger.
///
/// Without a command it serves.
#[derive(Parser)]
#[command(name = "orgledger", version, flatten_help = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and its pages (the default).
    Serve(ServeArguments),
    /// Bring the database to this version, and end.
    Migrate(StoreArguments),
    /// Print the GraphQL schema.
    ExportSchema,
    /// Make the rows that queries read anew from the ledger; servers may run.
    Rebuild(RebuildArguments),
    /// Check that nobody rewrote the ledger, or an export of it. Ends with status 1 and names the place if somebody did.
    Verify(VerifyArguments),
    /// See what others check this service's signatures with.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// See which organizations wait for certification, and give or refuse it; servers may run.
    #[command(subcommand)]
    Organization(OrganizationCommand),
    /// Erase people; servers may run.
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Erase a person for good: their memberships end, and everything that is kept about them is blanked. Where an
    /// organization would be left without its owner, nobody is erased.
    Erase(EraseArguments),
}

/// Who is erased.
#[derive(Args, Clone, Debug)]
struct EraseArguments {
    /// The person's id, usr_…, or email address
    person: String,
    /// Where the servers keep files, if not in the data directory
    #[arg(long, env = "ORGLEDGER_FILES_URL", value_name = "URL")]
    files_url: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Print the key that verifies signed notes, as c2sp.org/signed-note writes it.
    Show(StoreArguments),
}

#[derive(Subcommand)]
enum OrganizationCommand {
    /// List the organizations whose request for certification is open.
    Requests(StoreArguments),
    /// Certify an organization that asked for it: its members can be managed from then on.
    Certify(CertificationArguments),
    /// Refuse to certify an organization that asked for it; it may ask again.
    Reject(CertificationArguments),
}

/// Which organization, and why.
#[derive(Args, Clone, Debug)]
struct CertificationArguments {
    /// The organization's id, org_…
    id: String,
    /// Why; its owner reads it in the audit log, e.g. --reason 'Contract 4711'
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
}

/// Where the data is.
#[derive(Args, Clone, Debug)]
struct StoreArguments {
    /// The folder of the embedded database and of letters, e.g. --data-dir /var/lib/orgledger
    #[arg(long, env = "ORGLEDGER_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// The database; SQLite in the data directory unless told otherwise,
    /// e.g. --database-url postgres://orgledger:secret@localhost/orgledger
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Whose the connections to PostgreSQL are: ours (session), or those of a pooler such as pgbouncer in transaction mode
    /// (transaction), e.g. --database-pooling transaction
    #[arg(long, env = "DATABASE_POOLING", default_value = "session", value_name = "MODE")]
    database_pooling: DatabasePooling,
    /// What the server's own keys in the database are encrypted with, 32 characters or more; set it in the environment,
    /// because everybody on a machine sees the arguments of its programs
    #[arg(long, env = "ORGLEDGER_SECRET", value_name = "SECRET", hide_env_values = true, value_parser = unseen)]
    secret: Option<SecretString>,
}

/// A secret, whatever it is: the refusal of a value would show it.
#[expect(clippy::unnecessary_wraps, reason = "the form that the parser of arguments asks for")]
fn unseen(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

/// What is rebuilt.
#[derive(Args, Clone, Debug)]
struct RebuildArguments {
    /// Go on behind this organization, which an interrupted rebuild named as its last, e.g. --after org_…
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Rebuild this organization and no other, e.g. --organization org_…
    #[arg(long, value_name = "ID", conflicts_with = "after")]
    organization: Option<String>,
    #[command(flatten)]
    store: StoreArguments,
}

/// What is checked: the database, or a file without any.
#[derive(Args, Clone, Debug)]
struct VerifyArguments {
    /// An exported ledger to check instead of the database, which is not opened then, e.g. --file export.jsonl
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The key that `orgledger keys show` printed, from somebody you trust, e.g. --key orgledger+1a2b3c4d+AbCd…
    #[arg(long, value_name = "KEY", requires = "file")]
    key: Option<VerifierKey>,
    /// A signed note of this ledger: the file has to be what the note says, or to go on from there, e.g. --note note.txt
    #[arg(long, value_name = "FILE", requires = "file", requires = "key")]
    note: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArguments,
}

/// How to serve.
#[derive(Args, Clone, Debug)]
struct ServeArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Where to listen, e.g. --listen 0.0.0.0:8080
    #[arg(long, env = "ORGLEDGER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A standby of the PostgreSQL database, which queries read their pages from,
    /// e.g. --database-read-url postgres://orgledger:secret@standby/orgledger
    #[arg(long, env = "DATABASE_READ_URL", value_name = "URL", hide_env_values = true)]
    database_read_url: Option<String>,
    /// How people reach the service, for the links in letters, e.g. --public-url https://org.example.com
    /// [default: http:// and where it listens]
    #[arg(long, env = "ORGLEDGER_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Where the files of organizations are kept; in the data directory unless told otherwise, which several servers
    /// have to share, e.g. --files-url s3://bucket/prefix, in a program built with the feature s3
    #[arg(long, env = "ORGLEDGER_FILES_URL", value_name = "URL")]
    files_url: Option<String>,
    /// How long an invitation is good, in hours, 1 to 720, e.g. --invitation-hours 72
    #[arg(
        long,
        env = "ORGLEDGER_INVITATION_HOURS",
        default_value_t = INVITATION_LIFETIME.num_hours(),
        value_name = "HOURS",
        value_parser = clap::value_parser!(i64).range(1..=720)
    )]
    invitation_hours: i64,
    /// How long the audit log tells from which address and with which program something was done or tried, in days;
    /// 0 is for ever, e.g. --context-retention-days 30
    #[arg(
        long,
        env = "ORGLEDGER_CONTEXT_RETENTION_DAYS",
        default_value_t = KEPT.num_days(),
        value_name = "DAYS",
        value_parser = clap::value_parser!(i64).range(0..=36500)
    )]
    context_retention_days: i64,
    /// The mail server; without one, letters are kept in the data directory and their links are in the log,
    /// e.g. --smtp-url smtps://user:secret@mail.example.com, or smtp://localhost:25?tls=opportunistic
    #[arg(long, env = "SMTP_URL", value_name = "URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Who letters come from, e.g. --mail-from 'Acme <org@example.com>'
    #[arg(
        long,
        env = "ORGLEDGER_MAIL_FROM",
        default_value = "orgledger <orgledger@localhost>",
        value_name = "MAILBOX"
    )]
    mail_from: String,
    /// The OpenID Connect provider whose tokens are taken as well, exactly as they name it in `iss`; its keys are found
    /// through its discovery document, e.g. --oidc-issuer https://accounts.example.com
    #[arg(long, env = "OIDC_ISSUER", value_name = "URL", requires = "oidc_audience")]
    oidc_issuer: Option<String>,
    /// Who such a token has to be for: this service's name at the provider, e.g. --oidc-audience orgledger
    #[arg(long, env = "OIDC_AUDIENCE", value_name = "AUDIENCE", requires = "oidc_issuer")]
    oidc_audience: Option<String>,
    /// The origins of pages that may use the API from a browser, with commas between them,
    /// e.g. --cors-origins https://app.example.com
    #[arg(long, env = "ORGLEDGER_CORS_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<PageOrigin>,
    /// How many proxies stand in front, each of which adds to X-Forwarded-For the address it was called from,
    /// e.g. --trusted-proxies 1
    #[arg(long, env = "ORGLEDGER_TRUSTED_PROXIES", default_value_t = 0, value_name = "NUMBER")]
    trusted_proxies: usize,
    /// Which documents are run: any (off), any with the listed ones known by their ids (prefer), the listed ones only
    /// (required), e.g. --trusted-documents required
    #[arg(long, env = "ORGLEDGER_TRUSTED_DOCUMENTS", default_value = "off", value_name = "WHICH")]
    trusted_documents: Trusted,
    /// The list of trusted documents: a JSON object of ids and documents, as client tools write it,
    /// e.g. --trusted-documents-file documents.json
    #[arg(long, env = "ORGLEDGER_TRUSTED_DOCUMENTS_FILE", value_name = "FILE")]
    trusted_documents_file: Option<PathBuf>,
    /// Whether the schema may be asked for, e.g. --introspection false
    #[arg(long, env = "ORGLEDGER_INTROSPECTION", default_value_t = true, action = ArgAction::Set, value_name = "BOOLEAN")]
    introspection: bool,
}

/// Which documents are run.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Trusted {
    Off,
    Prefer,
    Required,
}

impl From<Trusted> for TrustedDocuments {
    fn from(trusted: Trusted) -> Self {
        match trusted {
            Trusted::Off => Self::Off,
            Trusted::Prefer => Self::Prefer,
            Trusted::Required => Self::Required,
        }
    }
}

/// Whose the connections to PostgreSQL are.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DatabasePooling {
    Session,
    Transaction,
}

impl From<DatabasePooling> for Pooling {
    fn from(pooling: DatabasePooling) -> Self {
        match pooling {
            DatabasePooling::Session => Self::Session,
            DatabasePooling::Transaction => Self::Transaction,
        }
    }
}

/// Why the program ends early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program; what it returns is its exit status.
pub fn run() -> ExitCode {
    let Arguments { command } = Arguments::parse_from(with_default_command(std::env::args_os().collect()));
    crate::telemetry::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(async {
        match command {
            Command::Serve(arguments) => serve::serve(arguments).await,
            Command::Migrate(arguments) => tools::migrate(&arguments).await,
            Command::ExportSchema => {
                tools::export_schema();
                Ok(())
            }
            Command::Rebuild(arguments) => tools::rebuild(&arguments).await,
            Command::Verify(arguments) => match &arguments.file {
                Some(file) => proof::verify(file, arguments.key.as_ref(), arguments.note.as_deref()),
                None => tools::verify(&arguments.store).await,
            },
            Command::Keys(KeysCommand::Show(arguments)) => proof::show_key(&arguments).await,
            Command::User(UserCommand::Erase(arguments)) => user::erase(&arguments).await,
            Command::Organization(OrganizationCommand::Requests(arguments)) => organization::requests(&arguments).await,
            Command::Organization(OrganizationCommand::Certify(arguments)) => {
                organization::decide(&arguments, CertificationDecision::Certify).await
            }
            Command::Organization(OrganizationCommand::Reject(arguments)) => {
                organization::decide(&arguments, CertificationDecision::Reject).await
            }
        }
    });
    // What still runs is idle: waiting for letters, wake-ups or clients.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// `orgledger --listen …` means `orgledger serve --listen …`.
fn with_default_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|argument| argument.to_str());
    let own = matches!(first, Some("--help" | "-h" | "--version" | "-V"));
    if first.is_none_or(|first| first.starts_with('-')) && !own {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    arguments
}

fn failed(error: &Failure) -> ExitCode {
    eprintln!("orgledger: {}", sentence(&**error));
    ExitCode::FAILURE
}

/// What went wrong, and why.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some errors say themselves what they come from.
        if !sentence.contains(&cause.to_string()) {
            sentence = format!("{sentence}: {cause}");
        }
        source = cause.source();
    }
    sentence
}
