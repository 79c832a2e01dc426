//! What tests stand on: both databases, and a server that takes mail. Nothing here knows a rule of the product.

pub mod databases;
pub mod postgres;
pub mod smtp;
