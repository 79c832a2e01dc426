//! The orgledger server and its tools.

use std::process::ExitCode;

fn main() -> ExitCode {
    orgledger::cli::run()
}
