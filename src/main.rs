//! The orgledger server and its tools.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A row that SQLite's thread reads is freed by the one that answers, thousands of times a second; glibc takes locks for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    orgledger::cli::run()
}
