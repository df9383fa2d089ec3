//! How `serve` handles signals.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Workspace;
use crate::support::{Served, send_signal};

/// Runs the server in a new session with no signal ignored, even if the tests run under `nohup`.
const WITHOUT_A_TERMINAL: &str = "exec env --default-signal setsid \"$0\" \"$@\"";

/// Begins a request and keeps it in flight: the server has read the head, and the body is not sent yet.
fn begin(server: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("the server listens");
    let head = "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                content-length: 16\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the server reads");
    assert_eq!(server.request("GET", "/healthz", None, None).0, 200);
    stream
}

fn finish(mut stream: TcpStream) -> String {
    stream
        .write_all(b"{\"login\": \"ann\"}")
        .expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

#[test]
fn signals_that_stop_no_server_are_logged_and_drop_no_request() {
    let mut workspace = Workspace::new();
    workspace.under(WITHOUT_A_TERMINAL);
    let server = workspace.serve();
    let signals = [
        "HUP", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR", "XCPU", "XFSZ", "HUP",
    ];
    let in_flight = begin(&server);
    for signal in signals {
        server.signal(signal);
        assert_eq!(server.request("GET", "/healthz", None, None).0, 200, "{signal}");
    }
    let answer = finish(in_flight);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for signal in signals {
        assert!(
            log.contains(&format!("SIG{signal} received and ignored")),
            "{signal}: {log}"
        );
    }
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_so() {
    let mut workspace = Workspace::new();
    workspace.under("trap '' HUP; exec setsid \"$0\" \"$@\"");
    let server = workspace.serve();
    server.signal("HUP");
    assert_eq!(server.request("GET", "/healthz", None, None).0, 200);
    let log = server.stop();
    assert!(!log.contains("SIGHUP"), "{log}");
}

/// Runs `prelude` and then a server on a terminal of its own; returns the terminal and the process id of the server.
fn serve_on_a_terminal(workspace: &Workspace, prelude: &str) -> (Child, u32) {
    let line = format!(
        "echo $$ >pid; {prelude} '{}' serve --listen 127.0.0.1:0 2>log",
        env!("CARGO_BIN_EXE_arkloop")
    );
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .current_dir(workspace.path())
        .env_clear()
        .env("SHELL", "/bin/sh")
        .env("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the command script is installed");
    until(workspace, "it listens", || {
        log_of(workspace).contains("registration is")
    });
    let pid = fs::read_to_string(workspace.path().join("pid")).expect("the shell wrote it");
    (terminal, pid.trim().parse().expect("it is a number"))
}

fn log_of(workspace: &Workspace) -> String {
    fs::read_to_string(workspace.path().join("log")).unwrap_or_default()
}

fn until(workspace: &Workspace, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} not: {}", log_of(workspace));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_terminal_that_is_closed_stops_its_server_in_order() {
    let workspace = Workspace::new();
    let (mut terminal, _) = serve_on_a_terminal(&workspace, "exec env --default-signal=HUP");
    // This closes the other end of the terminal, and the kernel sends SIGHUP.
    terminal
        .kill()
        .and_then(|()| terminal.wait().map(drop))
        .expect("it runs");
    until(&workspace, "it stopped", || {
        log_of(&workspace).trim_end().ends_with("stopped")
    });
    let log = log_of(&workspace);
    assert!(log.contains("SIGHUP received: finishing what has begun"), "{log}");
}

#[test]
fn under_nohup_a_server_outlives_its_terminal() {
    let workspace = Workspace::new();
    let (mut terminal, pid) = serve_on_a_terminal(&workspace, "trap '' HUP; exec");
    terminal
        .kill()
        .and_then(|()| terminal.wait().map(drop))
        .expect("it runs");
    send_signal(pid, "HUP");
    let said = workspace.run(&["healthcheck"]);
    assert!(said.starts_with("exit: 0\n"), "{said}");
    send_signal(pid, "TERM");
    until(&workspace, "it stopped", || {
        log_of(&workspace).trim_end().ends_with("stopped")
    });
    assert!(!log_of(&workspace).contains("SIGHUP"), "{}", log_of(&workspace));
}

#[test]
fn a_second_hangup_does_not_cut_off_what_the_first_one_waits_for() {
    let workspace = Workspace::new();
    let (mut terminal, pid) = serve_on_a_terminal(&workspace, "exec env --default-signal=HUP");
    let log = log_of(&workspace);
    let address = log.split_once("listening on http://").expect("it listens").1;
    let address = address.split(';').next().expect("an address").to_owned();
    let mut slow = TcpStream::connect(&address).expect("the server listens");
    slow.write_all(
        b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n",
    )
    .expect("the server reads");
    std::thread::sleep(Duration::from_millis(100));
    send_signal(pid, "HUP");
    until(&workspace, "it drains", || {
        log_of(&workspace).contains("SIGHUP received: finishing")
    });
    send_signal(pid, "HUP");
    until(&workspace, "it noticed", || {
        log_of(&workspace).contains("SIGHUP received and ignored")
    });
    slow.write_all(b"{}").expect("it still reads");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("the answer is text");
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    terminal.wait().expect("the process ends");
    assert!(log_of(&workspace).trim_end().ends_with("stopped"));
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let workspace = Workspace::new();
    let mut server = workspace.spawn_logging_into_a_closed_pipe(&["serve", "--listen", "127.0.0.1:0"]);
    until(&workspace, "it is ready", || {
        workspace.run(&["healthcheck"]).starts_with("exit: 0")
    });
    send_signal(server.id(), "TERM");
    assert_eq!(server.wait().expect("the process ends").code(), Some(0));
}
