//! What the store promises, on both databases: every test here runs on SQLite and on PostgreSQL.

mod api_keys;
mod chain;
mod events;
mod faults;
mod history;
mod idempotency;
mod invitations;
mod kinds;
mod ledger;
mod life;
mod locks;
mod long_ledger;
mod lookups;
mod members;
mod pages;
mod people;
mod plans;
mod purge;
pub mod rebuild;
mod refusals;
mod retention;
mod schema;
mod verify;
pub mod world;
