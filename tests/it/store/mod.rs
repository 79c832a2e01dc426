//! What the store promises, on both databases: every test here runs on SQLite and on PostgreSQL.

mod api_keys;
mod chain;
mod events;
mod format;
mod idempotency;
mod invitations;
mod kinds;
mod ledger;
mod life;
mod locks;
mod members;
mod notes;
mod pages;
mod people;
mod plans;
mod proof;
mod purge;
mod rebuild;
mod schema;
mod server_keys;
mod verify;
pub mod world;
