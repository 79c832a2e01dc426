//! orgledger: organizations, members, invitations, roles and API keys, kept in a tamper-evident ledger.

pub mod domain;
pub mod http;
pub mod mail;
