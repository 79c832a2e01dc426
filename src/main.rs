//! The orgledger server and its tools.

fn main() {}
