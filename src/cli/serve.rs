//! Serving: everything put together, until a signal ends it.

use chrono::TimeDelta;
use tokio::{
    net::TcpListener,
    signal::unix::{self, SignalKind},
    task::JoinSet,
};

use super::{
    Failure, ServeArguments,
    tools::{connect, files as files_of, open, standby},
};
use crate::{
    auth::{
        oidc::Oidc,
        usage::{FLUSH_EVERY, Usage},
    },
    commands::{Commands, erasure::Erasure},
    http::{self, Api, Settings, documents::Documents, pages::Letters},
    mail::{Transport, courier::Courier},
    store::{
        Store,
        data_exports::Runner,
        feed::POLL,
        files::{self, Files},
        purge, retention, wakeups,
    },
};

/// Serves until SIGTERM or Ctrl-C.
pub(super) async fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let oidc = provider(&arguments)?;
    let ServeArguments {
        store: of_store,
        database_read_url,
        listen,
        public_url,
        files_url,
        invitation_hours,
        context_retention_days,
        smtp_url,
        mail_from,
        cors_origins,
        trusted_proxies,
        trusted_documents,
        trusted_documents_file,
        introspection,
        ..
    } = arguments;
    let documents = Documents::open(trusted_documents.into(), trusted_documents_file.as_deref())?;
    let standby = standby(&of_store, database_read_url.as_deref())?;
    let database = connect(&of_store).await?;
    let store = Store { standby, ..open(&of_store, database).await? };
    // Letters may have been kept there before there was a mail server.
    let files = files_of(&of_store, files_url.as_deref())?.with_letters(of_store.data_dir.join("mail"));
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
    let address = listener.local_addr()?;
    let public_url = public_url.unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();

    let (transport, letters) = match &smtp_url {
        Some(url) => (Transport::smtp(url)?, Letters::Sent),
        None => (Transport::files(of_store.data_dir.join("mail")), Letters::KeptLocally),
    };
    let from = mail_from.parse().map_err(|error| format!("--mail-from: {error}"))?;
    let usage = Usage::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(Courier { store: store.clone(), transport, from, public_url: public_url.clone() }.run());
    tasks.spawn(flush(store.clone(), usage.clone()));
    tasks.spawn(poll(store.clone()));
    tasks.spawn(wakeups::tell(store.clone()));
    tasks.spawn(wakeups::listen(store.clone()));
    tasks.spawn(purge_deleted(store.clone(), files.clone()));
    tasks.spawn(sweep(store.clone(), files.clone()));
    tasks.spawn(resume_erasures(Erasure { store: store.clone(), files: files.clone() }));
    tasks.spawn(Runner { store: store.clone(), files: files.clone() }.run());
    if context_retention_days > 0 {
        tasks.spawn(forget(store.clone(), TimeDelta::days(context_retention_days)));
    }

    let commands = Commands { store: store.clone(), invitation_lifetime: TimeDelta::hours(invitation_hours) };
    let settings = Settings {
        public_url: public_url.clone(),
        letters,
        files,
        oidc,
        documents,
        introspection,
        origins: cors_origins,
        proxies: trusted_proxies,
    };
    let api = Api::new(commands, usage.clone(), settings);
    tasks.spawn(api.watch.clone().run(store.clone()));
    if let Some(standby) = store.standby.clone() {
        tasks.spawn(async move { standby.greet().await });
    }
    // Whoever reads that it listens may stop it at once.
    let stop = signal()?;
    println!("orgledger listens on http://{address}");
    println!("Open {public_url} to sign in; the API is at {public_url}/graphql");
    println!("The ledger is in {}", store.database.place());
    http::serve(listener, api, http::room(), stop).await;
    tasks.shutdown().await;
    if let Err(error) = usage.flush(&store).await {
        tracing::warn!(?error, "the last uses of credentials were not written");
    }
    if let Some(standby) = &store.standby {
        standby.close().await;
    }
    store.database.close().await;
    println!("orgledger has stopped.");
    Ok(())
}

/// The identity provider of the arguments, which come together or not at all.
fn provider(arguments: &ServeArguments) -> Result<Option<Oidc>, Failure> {
    let (Some(issuer), Some(audience)) = (&arguments.oidc_issuer, &arguments.oidc_audience) else { return Ok(None) };
    Ok(Some(Oidc::new(issuer, audience).map_err(|error| format!("--oidc-issuer and --oidc-audience: {error}"))?))
}

async fn flush(store: Store, usage: Usage) {
    loop {
        tokio::time::sleep(FLUSH_EVERY).await;
        if let Err(error) = usage.flush(&store).await {
            tracing::warn!(?error, "uses of credentials were not written");
        }
    }
}

async fn poll(store: Store) {
    loop {
        tokio::time::sleep(POLL).await;
        if let Err(error) = store.feed.poll(&store.database).await {
            tracing::warn!(?error, "the heads of followed organizations were not read");
        }
    }
}

async fn purge_deleted(store: Store, files: Files) {
    loop {
        match purge::purge(&store.database, &files).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "deleted organizations were purged"),
            Err(error) => tracing::warn!(?error, "deleted organizations were not purged"),
        }
        tokio::time::sleep(purge::LOOK_EVERY).await;
    }
}

async fn resume_erasures(erasure: Erasure) {
    loop {
        match erasure.resume().await {
            Ok(0) => {}
            Ok(people) => tracing::info!(people, "erasures went on"),
            Err(error) => tracing::warn!(?error, "erasures did not go on"),
        }
        tokio::time::sleep(purge::LOOK_EVERY).await;
    }
}

async fn sweep(store: Store, files: Files) {
    loop {
        match files.sweep(&store.database, store.now() - files::GRACE).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "files that nothing names were deleted"),
            Err(error) => tracing::warn!(?error, "files that nothing names were not deleted"),
        }
        tokio::time::sleep(files::SWEEP_EVERY).await;
    }
}

async fn forget(store: Store, kept: TimeDelta) {
    loop {
        match retention::forget(&store.database, store.now() - kept).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "addresses and programs of clients were forgotten"),
            Err(error) => tracing::warn!(?error, "addresses and programs of clients were not forgotten"),
        }
        tokio::time::sleep(retention::LOOK_EVERY).await;
    }
}

/// Listens for SIGTERM and Ctrl-C from now on; what it gives waits for one of them.
fn signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminated = unix::signal(SignalKind::terminate())?;
    let mut interrupted = unix::signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
