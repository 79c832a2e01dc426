//! orgledger: organizations, members, invitations, roles and API keys, kept in a tamper-evident ledger.

pub mod clock;
pub mod domain;
pub mod entropy;
pub mod http;
pub mod mail;
pub mod secrets;
pub mod store;
