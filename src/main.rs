//! The orgledger server and its tools.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread takes, another frees, thousands of times a second; glibc takes locks for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    orgledger::cli::run()
}
