//! Every integration test, in one binary, so that the library is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

mod auth;
mod cli;
mod corpus;
mod domain;
mod faults;
mod graphql;
mod mail;
mod pages;
mod pictures;
mod store;
mod support;
mod tidy;
