//! Mail to people: what letters say, and how they leave.

pub mod courier;
pub mod letters;
mod notices;
pub mod transport;

pub use letters::{InvitationLetter, Letter};
pub use transport::Transport;
