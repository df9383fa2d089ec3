//! A server that may open too few files for its connections.

use std::net::TcpStream;

use crate::support::Workspace;

#[test]
fn a_flood_that_takes_every_descriptor_is_survived() {
    let mut workspace = Workspace::new();
    workspace.under("ulimit -n 80");
    let server = workspace.serve();
    let connect = || TcpStream::connect(server.address()).expect("the system's queue has room");
    for _ in 0..3 {
        let flood: Vec<_> = (0..150).map(|_| connect()).collect();
        // Silent connections are closed for new ones, so others are served during the flood.
        assert_eq!(server.request("GET", "/readyz", None, None).0, 200);
        drop(flood);
        assert_eq!(server.request("GET", "/readyz", None, None).0, 200);
    }
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    let says = |text: &str| assert!(log.contains(text), "{log}");
    says("only 80 files may be open at once, but 2000 connections need 2256");
    says("over: connections cannot be accepted");
    let told = log.matches(" connections cannot be accepted: ").count();
    assert_eq!(told, 1, "{log}");
}

#[test]
fn a_soft_limit_of_descriptors_is_raised_to_what_the_connections_need() {
    let mut workspace = Workspace::new();
    workspace.under("ulimit -Sn 64");
    workspace.set("ARKLOOP_SERVER__MAX_CONNECTIONS", "300");
    let server = workspace.serve();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("it runs");
    let open_files = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = open_files.and_then(|line| line.split_whitespace().nth(3));
    assert_eq!(soft, Some("556"), "{limits}");
}
