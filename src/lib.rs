//! orgledger: organizations, members, invitations, roles and API keys, kept in a tamper-evident ledger.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod domain;
pub mod entropy;
pub mod graphql;
pub mod http;
pub mod mail;
pub mod pictures;
pub mod secrets;
pub mod store;
pub mod telemetry;
