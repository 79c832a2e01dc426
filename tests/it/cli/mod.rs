//! The program as its users meet it: started, asked, stopped and killed as a process, on both databases.

#[cfg(feature = "s3")]
mod bucket;
mod callers;
mod chaos;
mod crash;
mod disconnects;
mod exports;
mod letters;
mod load;
mod organization;
mod pooler;
mod processes;
mod proof;
mod readme;
mod serve;
mod standby;
mod ten_thousand;
mod two_servers;
mod user;
mod verify;
