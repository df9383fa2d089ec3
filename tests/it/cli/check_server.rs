//! `check` and the running server: at which address it asks the server, what it learns, and what it does not disturb.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;

use super::check::{free_address, healthy, healthy_in, install, install_in, mends};
use crate::support::Workspace;

/// Answers one request like a server of another kind.
fn stranger(address: &str) -> std::thread::JoinHandle<()> {
    let stranger = TcpListener::bind(address).expect("it is still free");
    std::thread::spawn(move || {
        let (mut stream, _) = stranger.accept().expect("the check connects");
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    })
}

/// Sends a request with the additional header `lines`; returns the answer.
fn ask(address: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}

#[test]
fn a_server_that_does_not_run_and_a_stranger_in_its_place_are_found() {
    let (workspace, address) = install();
    assert!(workspace.output(&["init"], "").status.success());
    assert_snapshot!(mends(&workspace), @"mend     server         none has run here yet; start it: systemctl start arkloop, or arkloop serve");
    workspace.serve_on(&address).stop();
    assert_snapshot!(mends(&workspace).replace(&address, "<address>"), @"mend     server         it does not answer at <address>, where it listened last: Connection refused (os error 111); start it: systemctl start arkloop, or arkloop serve");
    let serving = stranger(&address);
    assert_snapshot!(mends(&workspace).replace(&address, "<address>"), @"mend     server         something else answers at <address>, where it listened last; start it: systemctl start arkloop, or arkloop serve");
    serving.join().expect("it has answered");
}

#[test]
fn a_public_url_that_leads_elsewhere_is_found() {
    let mut workspace = Workspace::new();
    let elsewhere = free_address();
    workspace.set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{elsewhere}"));
    let _server = workspace.serve();
    assert_snapshot!(mends(&workspace).replace(&elsewhere, "<elsewhere>"), @"mend     public_url     http://<elsewhere> does not lead to this server: the connection to the server failed: Connection refused (os error 111); the server runs: start its proxy, see that the name of server.public_url leads to this machine, or change server.public_url");
    let serving = stranger(&elsewhere);
    assert_snapshot!(mends(&workspace).replace(&elsewhere, "<elsewhere>"), @"mend     public_url     http://<elsewhere> does not lead to this server: something else answered there, with status 200; the server runs: start its proxy, see that the name of server.public_url leads to this machine, or change server.public_url");
    serving.join().expect("it has answered");
}

#[test]
fn the_server_is_asked_where_it_recorded_that_it_listens() {
    let (mut workspace, server) = healthy_in(Workspace::of_sqlite());
    let own = free_address();
    workspace
        .set("ARKLOOP_SERVER__LISTEN", &own)
        .set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{own}"));
    let told = workspace.run(&["check"]);
    let told = told.replace(server.address(), "<address>").replace(&own, "<own>");
    let lines = told.lines().filter(|line| {
        ["server", "public_url", "configuration"]
            .iter()
            .any(|subject| line.contains(subject))
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    ok       configuration    defaults and environment
    ok       server           it listens at <address> and can serve
    ok       public_url       http://<address> leads to this server
    warning  configuration    server.public_url is "http://<own>" here, but the server last ran with "http://<address>"; the server's is used (--config names its configuration); name the server's own with --config FILE
    "#);
}

/// Starts a proxy in front of a server, which adds `line` to the header of each request. Returns its address and the headers that it received.
fn proxy(upstream: &str, line: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener
        .local_addr()
        .expect("the socket has an address")
        .to_string();
    let upstream = upstream.to_owned();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let memory = Arc::clone(&noted);
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            memory
                .lock()
                .expect("the lock is not poisoned")
                .push(head.to_string());
            // After the headers of the client, as proxies append their own.
            let head = format!("{}connection: close\r\n{line}\r\n", &head[..head.len() - 2]);
            let mut server = TcpStream::connect(&upstream).expect("the server listens");
            server.write_all(head.as_bytes()).expect("the server reads");
            let mut answer = Vec::new();
            let _ = server.read_to_end(&mut answer);
            let _ = client.write_all(&answer);
        }
    });
    (address, noted)
}

#[test]
fn a_proxy_that_is_believed_too_little_or_too_much_is_found() {
    for (trusted, line, expected) in [
        (
            "",
            "x-forwarded-for: 198.51.100.1\r\n",
            "trusted_proxies = [\"127.0.0.1\"]",
        ),
        ("127.0.0.0/8", "", "X-Forwarded-For is believed from every client"),
        ("127.0.0.0/8", "x-forwarded-for: 198.51.100.1\r\n", ""),
    ] {
        let mut workspace = Workspace::new();
        workspace.set("ARKLOOP_SERVER__TRUSTED_PROXIES", trusted);
        let upstream = free_address();
        let (address, _) = proxy(&upstream, line);
        workspace.set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{address}"));
        let _server = workspace.serve_on(&upstream);
        let found = mends(&workspace);
        assert!(
            found.contains(expected) && found.is_empty() == expected.is_empty(),
            "{found}"
        );
    }
}

#[test]
fn a_check_leaves_no_warning_in_the_log_and_uses_up_none() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_SERVER__TRUSTED_PROXIES", "");
    let address = free_address();
    workspace.set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{address}"));
    let server = workspace.serve_on(&address);
    for _ in 0..2 {
        assert_eq!(mends(&workspace), "");
    }
    ask(&address, "x-forwarded-for: 198.51.100.1\r\n");
    let log = server.stop();
    assert_eq!(log.matches("is not believed").count(), 1, "{log}");
    assert!(log.contains("x-forwarded-for came from 127.0.0.1"), "{log}");
}

#[test]
fn a_word_that_was_heard_on_its_way_is_of_no_use() {
    let mut workspace = Workspace::new();
    let upstream = free_address();
    let (address, noted) = proxy(&upstream, "");
    workspace.set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{address}"));
    let _server = workspace.serve_on(&upstream);
    workspace.run(&["check"]);
    let noted = noted.lock().expect("the lock is not poisoned");
    assert_eq!(noted.len(), 2, "{noted:?}");
    for head in noted.iter() {
        let line = head.lines().find(|line| line.starts_with("x-arkloop-check: "));
        let line = line.expect("a check has a word");
        let answer = ask(&upstream, &format!("{line}\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("x-arkloop"),
            "{answer}"
        );
    }
}

#[test]
fn only_the_holder_of_the_key_learns_how_the_server_sees_a_request() {
    let (workspace, server) = healthy();
    let (other, _) = install();
    assert!(other.output(&["init"], "").status.success());
    let head = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-arkloop-check: ";
    for word in ["", "AAAA", "not base64!", &"A".repeat(60)] {
        let mut stream = TcpStream::connect(server.address()).expect("the server listens");
        let request = format!("{head}{word}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("x-arkloop"),
            "{answer}"
        );
    }
    drop(workspace);
}

#[test]
fn what_must_be_mended_stands_last_with_a_count() {
    let (workspace, _) = install_in(Workspace::of_sqlite());
    assert!(workspace.output(&["init"], "").status.success());
    let told = workspace.run(&["check"]);
    let states: Vec<&str> = told.lines().filter_map(|line| line.split("  ").next()).collect();
    let first_fault = states
        .iter()
        .position(|state| *state == "mend")
        .expect("there is one");
    assert!(!states[first_fault..].contains(&"ok     "), "{told}");
    assert!(
        told.contains("\n1 fault, 0 warnings\nstderr:\nerror: one thing must be mended"),
        "{told}"
    );
    assert_snapshot!(workspace.run(&["-q", "check"]), @"
    exit: 1
    stdout:
    mend     server  none has run here yet; start it: systemctl start arkloop, or arkloop serve
    stderr:
    error: one thing must be mended; its line says how
    ");
    let quiet = workspace.output(&["--json", "-q", "check"], "");
    let quiet: serde_json::Value = serde_json::from_slice(&quiet.stdout).expect("it is JSON");
    assert_eq!(quiet.as_array().map(Vec::len), Some(1), "{quiet}");
}

#[test]
fn verdicts_have_colours_on_a_terminal_that_has_them() {
    let mut workspace = Workspace::with_database();
    let is_coloured = |workspace: &Workspace| {
        let screen = workspace.look_at_a_terminal(80, &["check"]);
        screen.text().contains("\u{1b}[31mmend\u{1b}[0m")
    };
    assert!(is_coloured(&workspace));
    assert!(!workspace.run(&["check"]).contains('\u{1b}'));
    assert!(!is_coloured(workspace.set("TERM", "dumb")));
    assert!(!is_coloured(workspace.set("TERM", "xterm").set("NO_COLOR", "1")));
}

#[test]
fn what_takes_longer_than_a_second_is_told_on_a_terminal_and_erased() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = silent.local_addr().expect("the socket has an address");
    std::thread::spawn(move || {
        while let Ok((stream, _)) = silent.accept() {
            std::thread::sleep(std::time::Duration::from_millis(1200));
            drop(stream);
        }
    });
    let mut workspace = Workspace::with_database();
    workspace
        .set("ARKLOOP_MAIL__TRANSPORT", "smtp")
        .set("ARKLOOP_MAIL__SMTP_URL", &format!("smtp://{address}"));
    let screen = workspace.look_at_a_terminal(80, &["check"]);
    let (told, rest) = screen
        .text()
        .split_once("looking at the mail server\u{2026} 1 s\u{1b}[K")
        .unwrap_or_else(|| panic!("{}", screen.text()));
    assert_eq!(
        (told, rest.starts_with("\u{1b}[K")),
        ("", true),
        "{}",
        screen.text()
    );
}
