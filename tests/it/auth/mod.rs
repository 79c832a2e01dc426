//! Who is calling: tokens of an identity provider, the sessions of one's devices, and how much a key may ask for.
//!
//! The provider is one of the tests' own, on loopback: it publishes keys, signs what it is told to, and fails when it
//! is told to.

mod identities;
mod keys;
mod limits;
mod provider;
mod sessions;
mod settings;
mod tokens;
