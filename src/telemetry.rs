//! The log: one line an event, to standard error, at the levels that `RUST_LOG` names.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to write the log; INFO, unless `RUST_LOG` says otherwise.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Somebody else, a test, may have begun already.
    let _ = log.try_init();
}
