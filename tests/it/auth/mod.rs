//! Who is calling, and how much they may ask for, below HTTP.

mod limits;
