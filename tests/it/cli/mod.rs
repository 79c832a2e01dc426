//! The program as its users meet it: started, asked, stopped and killed as a process, on both databases.

mod callers;
mod letters;
mod processes;
mod serve;
mod verify;
