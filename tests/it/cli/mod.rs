//! The real executable: exit code, standard output and standard error of each command, done and refused.

mod audit;
mod backup;
mod check;
mod completions;
mod config;
mod config_services;
mod config_show;
mod every_command;
mod explain;
mod help;
mod init;
mod invite;
mod key;
mod key_file;
mod mail;
mod man;
mod metrics;
mod openapi;
mod registration;
mod restore;
mod restore_refused;
mod serve;
mod session;
mod terminal;
mod user;
mod user_refused;
