//! The program as its users meet it: started, asked, stopped and killed as a process, on both databases.

mod callers;
mod crash;
mod letters;
mod processes;
mod serve;
mod ten_thousand;
mod two_servers;
mod verify;
