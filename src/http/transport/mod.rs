//! From the socket to a request: listening, connections, framing, the limit of connections.

mod connection;
mod framing;
pub(super) mod server;
pub(super) mod slots;
mod socket_file;
