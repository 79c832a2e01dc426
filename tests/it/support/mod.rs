//! What tests stand on: both databases, files that are or pretend to be pictures, and a server that takes mail. Nothing here knows a rule of the product.

pub mod databases;
pub mod pictures;
pub mod postgres;
pub mod smtp;
