//! From the socket to a complete request: listening, connections, framing, the connection limit, shutdown.

mod connection;
mod connection_limit;
mod framing;
mod listener;
pub(super) mod server;
mod socket_file;
