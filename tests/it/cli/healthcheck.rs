//! `healthcheck`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use tokio::net::UnixSocket;

use crate::support::Workspace;

/// Everything under a directory, with sizes and times of change.
fn listing(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let mut lines: Vec<String> = entries
        .map(|entry| {
            let entry = entry.expect("the entry can be read");
            let found = entry.metadata().expect("the entry exists");
            format!(
                "{} {} {:?}",
                entry.path().display(),
                found.len(),
                found.modified().ok()
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn its_exit_code_says_whether_the_recorded_server_is_ready() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run_in_both_forms(&["healthcheck"]), @r#"
    exit: 1
    stderr:
    error: no server has recorded where it listens in <dir>/data; start one with `arkloop serve`, or name its data directory with --data-dir DIR
    exit: 1
    stderr:
    {"error":"no server has recorded where it listens in <dir>/data","hint":"start one with `arkloop serve`, or name its data directory with --data-dir DIR"}
    "#);
    assert!(!workspace.path().join("data").exists(), "it makes nothing");
    let server = workspace.serve();
    let before = listing(&workspace.path().join("data"));
    let said = workspace.run_in_both_forms(&["healthcheck"]);
    assert_snapshot!(said.replace(server.address(), "<address>"), @r#"
    exit: 0
    stdout:
    the server at http://<address> is ready
    exit: 0
    stdout:
    {
      "status": "ok",
      "listener": "http://<address>"
    }
    "#);
    assert_eq!(
        listing(&workspace.path().join("data")),
        before,
        "it changes nothing"
    );
    let address = server.address().to_owned();
    let log = server.stop();
    let since = log.find("listening on").expect("it listened");
    assert!(!log[since..].contains(" WARN "), "it causes no warning: {log}");
    let said = workspace.run_in_both_forms(&["healthcheck"]);
    assert_snapshot!(said.replace(&address, "<address>"), @r#"
    exit: 1
    stderr:
    error: the server at http://<address> does not answer: Connection refused (os error 111); see whether it runs, and what its log says
    exit: 1
    stderr:
    {"error":"the server at http://<address> does not answer: Connection refused (os error 111)","hint":"see whether it runs, and what its log says"}
    "#);
}

#[test]
fn it_finds_servers_on_every_address_and_on_a_unix_socket() {
    let workspace = Workspace::new();
    for wildcard in ["0.0.0.0:0", "[::]:0", "[::1]:0"] {
        let server = workspace.serve_on(wildcard);
        let said = workspace.run(&["healthcheck"]);
        assert!(said.starts_with("exit: 0\n"), "{wildcard}: {said}");
        server.stop();
    }
    let mut server = workspace.spawn(&["serve", "--listen", "unix:auth.sock"]);
    let said = until_it_listens(&workspace, &mut server);
    assert_snapshot!(said, @"
    exit: 0
    stdout:
    the server at unix:<dir>/auth.sock is ready
    ");
    server
        .kill()
        .and_then(|()| server.wait().map(drop))
        .expect("it runs");
    assert_snapshot!(workspace.run(&["healthcheck"]), @"
    exit: 1
    stderr:
    error: the server at unix:<dir>/auth.sock does not answer: Connection refused (os error 111); see whether it runs, and what its log says
    ");
}

fn until_it_listens(workspace: &Workspace, server: &mut Child) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let said = workspace.run(&["healthcheck"]);
        let has_ended = server
            .try_wait()
            .expect("the process can be waited for")
            .is_some();
        if said.starts_with("exit: 0") || has_ended || Instant::now() > deadline {
            return said;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_cannot_serve_or_does_not_answer_is_told() {
    let workspace = Workspace::new();
    let server = workspace.serve();
    let said = |expected: &str| {
        let said = workspace
            .run(&["healthcheck"])
            .replace(server.address(), "<address>");
        assert!(said.starts_with(expected), "{said}");
        said
    };
    server.signal("STOP");
    let asked_at = Instant::now();
    assert_snapshot!(said("exit: 1\n"), @"
    exit: 1
    stderr:
    error: the server at http://<address> does not answer: no answer within 3 seconds; see whether it runs, and what its log says
    ");
    assert!(asked_at.elapsed() < Duration::from_secs(10));
    server.signal("CONT");
    said("exit: 0\n");
    drop(server);
    let unready = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = unready
        .local_addr()
        .expect("the socket has an address")
        .to_string();
    workspace.write("data/server.lock", &address);
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = unready.accept().expect("it is asked");
        let mut request = [0; 1024];
        let length = stream.read(&mut request).expect("it is asked");
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            .expect("it is read");
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let said = workspace.run(&["healthcheck"]).replace(&address, "<address>");
    assert_snapshot!(said, @"
    exit: 1
    stderr:
    error: the server at http://<address> cannot serve: /readyz answered 503; its log says why; so does `arkloop check`
    ");
    let request = answering.join().expect("it was asked");
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
}

#[test]
fn a_socket_on_which_nothing_is_accepted_is_no_answer() {
    let workspace = Workspace::new();
    let path = workspace.path().join("full.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a thread can be had");
    let _inside = runtime.enter();
    let socket = UnixSocket::new_stream().expect("it can be made");
    socket.bind(&path).expect("it is free");
    let _listener = socket.listen(0).expect("the socket can listen");
    // This connection takes the only place in the queue of the socket.
    let _waiting = UnixStream::connect(&path).expect("the server listens");
    fs::create_dir(workspace.path().join("data")).expect("the directory can be created");
    workspace.write("data/server.lock", &format!("unix:{}", path.display()));
    let said = workspace.run(&["healthcheck"]);
    assert!(
        said.contains("does not answer: no answer within 3 seconds"),
        "{said}"
    );
}

#[test]
fn neither_a_lost_key_nor_another_reader_keeps_it_from_asking() {
    let workspace = Workspace::new();
    let server = workspace.serve();
    let data = workspace.path().join("data");
    fs::remove_file(data.join("arkloop.key")).expect("the file can be removed");
    let said = workspace.run(&["healthcheck"]);
    assert!(said.starts_with("exit: 0\n"), "{said}");
    drop(server);
    // Only root can give a directory away and run commands as another user.
    if chown(&data, Some(65_534), None).is_ok() && chown(data.join("arkloop.db"), Some(65_534), None).is_ok()
    {
        let mut workspace = workspace;
        fs::set_permissions(workspace.path(), fs::Permissions::from_mode(0o755))
            .expect("the mode can be changed");
        let denied = workspace.run_as(65_533).run(&["healthcheck"]);
        assert!(denied.contains("arkloop.db belongs to "), "{denied}");
    }
}

#[test]
fn a_flood_of_health_checks_meets_no_limit() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_RATE_LIMIT__OTHER", "1/1h");
    let server = workspace.serve();
    for _ in 0..3 {
        let said = workspace.run(&["healthcheck"]);
        assert!(said.starts_with("exit: 0\n"), "{said}");
    }
    assert_eq!(
        server.request("GET", "/v1/auth/registration-mode", None, None).0,
        200
    );
    assert_eq!(
        server.request("GET", "/v1/auth/registration-mode", None, None).0,
        429
    );
}
