//! The service as its clients meet it: over HTTP and WebSocket, on both databases, with answers to the letter.
//!
//! A [`server::Server`] is the whole service in this process, with a clock that stands still until it is moved and a
//! courier that goes when it is told to. Its clients are actors: a person who signed in by an emailed link, an API
//! key, nobody. What they send are the documents of `tests/fixtures/operations.graphql`, or their own.

pub mod acme;
mod api_keys;
mod auditor;
mod connections;
mod cost;
pub mod data_exports;
mod enterprise;
mod erasure;
mod event_types;
pub mod exports;
mod help_pages;
mod history;
mod hostile;
mod inside;
mod invitations;
mod isolation;
mod letters;
mod limits;
mod logo;
mod may_i;
mod media;
mod members;
mod membership_letters;
mod mistakes;
mod notices;
pub mod operations;
mod organization;
mod pages;
mod paging;
mod past;
mod preferences;
mod protocol;
mod role_effects;
mod roles;
mod scene;
mod schema;
pub mod server;
mod signing_in;
pub mod socket;
mod statement_table;
pub mod statements;
mod subscriptions;
pub mod traces;
pub mod transcript;
mod transport;
mod verify_api_key;
mod walk;
