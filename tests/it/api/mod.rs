//! Every endpoint over a real port: one file a noun, and one for each rule that all of them share.

mod access_tokens;
mod bearer;
mod bodies;
mod body_sizes;
mod captcha;
mod client_address;
mod docs;
mod faults;
mod forged_tokens;
mod headers;
mod health;
mod keys;
mod operations;
mod origin;
mod password;
mod refresh;
mod registration;
mod registration_fields;
mod session;
mod sign_in;
mod sign_out;
mod user;
