//! What must hold when many come at once, when clients are hostile, and when things break.

mod audit;
mod backup;
mod captcha;
mod codes;
mod commands;
mod disk;
mod invites;
mod kill;
mod mail;
mod planted;
mod refreshes;
mod refusals;
mod secrets;
mod slow_clients;
mod turnstile;
mod upgrade;
mod writer;
