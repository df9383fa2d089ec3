//! What must hold when many come at once, when clients are hostile, and when things break.

mod audit;
mod backup;
mod captcha;
mod clock;
mod codes;
mod commands;
mod connections;
mod descriptors;
mod disk;
mod forgiveness;
mod invites;
mod kill;
mod mail;
mod passwords;
mod planted;
mod refreshes;
mod refusals;
mod sameness;
mod secrets;
mod slow_clients;
mod smuggling;
mod stops;
mod turnstile;
mod upgrade;
mod writer;
