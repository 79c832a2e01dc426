//! The log: one line an event, to standard error, at the levels that `RUST_LOG` names.

use tracing_subscriber::EnvFilter;

/// Begins to write the log; INFO, unless `RUST_LOG` says otherwise.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Somebody else, a test, may have begun already.
    let _ = log.try_init();
}
