//! From the socket to a whole request: listening, connections, framing, the connection limit, the stop.

mod connection;
mod connection_limit;
mod framing;
mod listener;
pub(super) mod server;
mod socket_file;
