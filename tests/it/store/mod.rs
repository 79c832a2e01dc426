//! What the store promises, on both databases: every test here runs on SQLite and on PostgreSQL.

mod api_keys;
mod chain;
pub mod events;
mod idempotency;
mod invitations;
mod kinds;
mod ledger;
mod life;
mod locks;
mod lookups;
mod members;
mod notices;
mod pages;
mod people;
mod plans;
mod purge;
mod rebuild;
mod schema;
mod verify;
pub mod world;
