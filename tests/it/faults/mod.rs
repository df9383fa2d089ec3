//! What must hold when many come at once, when clients are hostile, and when things break.

mod audit;
mod backup;
mod captcha;
mod codes;
mod commands;
mod invites;
mod kill;
mod mail;
mod planted;
mod refreshes;
mod secrets;
mod slow_clients;
mod turnstile;
mod upgrade;
mod writer;
