//! What the tests share: a running server, a client that speaks HTTP/1.1, the real executable, the record of what was observed.

mod answer;
mod app;
mod audit;
mod client;
pub mod command;
pub mod device;
mod follower;
mod forms;
mod gate;
mod machine;
pub mod old_database;
pub mod planting;
mod raw;
pub mod record;
mod redact;
pub mod secrets;
mod served;
pub mod shown;
mod siteverify;
pub mod smtp;
mod statements;
mod terminal;
mod typing;

pub use answer::Answer;
pub use app::{Builder, PASSWORD, TestApp, registration};
pub use audit::EVERYTHING;
pub use client::Request;
pub use command::Workspace;
pub use gate::Gate;
pub use machine::{MovableClock, seeded_system};
pub use raw::RawConnection;
pub use record::documented;
pub use served::{Served, send_signal};
pub use siteverify::{Behaviour, SECRET_KEY, Siteverify};
pub use statements::{one_line, scans};
pub use typing::{full_width, pasted_dashes};
