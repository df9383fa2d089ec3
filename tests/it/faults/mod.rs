//! What must hold when many come at once, when clients are hostile, and when things break.

mod commands;
mod invites;
mod kill;
mod refreshes;
mod slow_clients;
mod writer;
