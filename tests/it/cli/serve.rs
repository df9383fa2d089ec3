//! `serve`.

use std::io::{Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn the_server_needs_nothing_and_says_where_everything_is() {
    let workspace = Workspace::new();
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/healthz", None, None).0, 200);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert_snapshot!(log, @"
    <time>  WARN the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet (19456 KiB and 2 iterations): a stolen database is cheaper to guess at
    <time>  INFO made a new, empty installation in <dir>/data; keep a copy of its key file <dir>/data/arkloop.key elsewhere
    <time>  INFO <capacity>
    <time>  INFO listening on http://<address>; server.public_url is http://localhost:8080
    <time>  INFO the API is described at http://localhost:8080/docs
    <time>  INFO mail is not sent but written into <dir>/data/outbox, to try things out
    <time>  INFO registration is by invite only; make one with: <command>
    <time>  INFO SIGTERM received: finishing what has begun
    <time>  INFO stopped
    ");
}

#[test]
fn a_command_that_the_log_proposes_can_be_pasted() {
    let mut workspace = Workspace::new();
    workspace.write("my arkloop.toml", "[server]\ndocs = false\n");
    workspace.set("ARKLOOP_CONFIG", "my arkloop.toml");
    workspace.set("ARKLOOP_DATA_DIR", "the data");
    let log = workspace.serve().stop();
    assert!(!log.contains("/docs"), "{log}");
    let (_, proposed) = log.split_once("make one with: ").expect("it proposes a command");
    let proposed = proposed.lines().next().unwrap_or_default();
    let pasted = std::process::Command::new("/bin/sh")
        .args(["-c", proposed])
        .current_dir(workspace.path())
        .env_clear()
        .envs(
            workspace
                .database()
                .url()
                .map(|url| ("ARKLOOP_DATABASE__URL", url)),
        )
        .output()
        .expect("there is a shell");
    assert!(pasted.status.success(), "{proposed}: {pasted:?}");
    assert_eq!(
        workspace.json(&["invite", "list"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn it_says_how_mail_leaves_and_warns_when_it_does_not() {
    let log_with = |variables: &[(&str, &str)]| {
        let mut workspace = Workspace::new();
        for (name, value) in variables {
            workspace.set(name, value);
        }
        let server = workspace.serve();
        server.signal("TERM");
        let log = server.wait().1;
        let lines: Vec<_> = log.lines().filter(|line| line.contains(" mail ")).collect();
        lines.join("\n")
    };
    assert_snapshot!(log_with(&[("ARKLOOP_MAIL__TRANSPORT", "off")]), @"<time>  WARN mail is off: people cannot verify an address, sign in with a code or reset a password; set mail.transport");
    let smtp = [
        ("ARKLOOP_MAIL__TRANSPORT", "smtp"),
        ("ARKLOOP_MAIL__SMTP_URL", "smtps://mail.example.org"),
        ("ARKLOOP_MAIL__SMTP_USER", "ann"),
        ("ARKLOOP_MAIL__SMTP_PASSWORD", "hunter2"),
        ("ARKLOOP_MAIL__FROM", "Our Club <club@example.org>"),
    ];
    assert_snapshot!(log_with(&smtp), @"<time>  INFO mail goes through smtps://mail.example.org as Our Club <club@example.org>");
}

#[test]
fn the_log_tells_once_of_a_proxy_that_is_not_listed() {
    let log_with = |proxies: &str| {
        let mut workspace = Workspace::new();
        workspace.set("ARKLOOP_SERVER__TRUSTED_PROXIES", proxies);
        let server = workspace.serve();
        for header in [
            "x-forwarded-for: 198.51.100.1",
            "forwarded: for=198.51.100.1",
            "x-real-ip: 198.51.100.1",
        ] {
            let mut stream = TcpStream::connect(server.address()).expect("the server listens");
            let request =
                format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("the server reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("the answer is text");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        server.signal("TERM");
        let log = server.wait().1;
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("trusted_proxies"))
            .collect();
        lines.join("\n")
    };
    assert_eq!(log_with("127.0.0.0/8"), "");
    assert_snapshot!(log_with("10.0.0.0/8"), @r#"<time>  WARN x-forwarded-for came from 127.0.0.1, which server.trusted_proxies does not list: it is not believed, and all clients behind 127.0.0.1 count as one client; if that is your proxy, add "127.0.0.1" to server.trusted_proxies"#);
}

#[test]
fn authorities_that_cannot_be_read_are_refused_at_the_start() {
    let mut workspace = Workspace::new();
    workspace.write("authority.pem", "no certificate");
    workspace.set("ARKLOOP_MAIL__TRANSPORT", "smtp");
    workspace.set("ARKLOOP_MAIL__SMTP_URL", "smtp://mail.example.org");
    workspace.set("ARKLOOP_MAIL__CA_FILE", "authority.pem");
    assert_snapshot!(workspace.run_in_both_forms(&["-q", "serve", "--listen", "127.0.0.1:0"]), @r#"
    exit: 1
    stderr:
    error: the file of mail.ca_file, <dir>/authority.pem, holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); check [mail] in the configuration
    exit: 1
    stderr:
    {"error":"the file of mail.ca_file, <dir>/authority.pem, holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)","hint":"check [mail] in the configuration"}
    "#);
}

#[test]
fn systemd_is_told_when_it_listens_and_when_it_stops() {
    let mut workspace = Workspace::new();
    let path = workspace.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("the directory is writable");
    manager
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("it is a length of time");
    let told = || {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).expect("a message comes");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    workspace.set("NOTIFY_SOCKET", &path.to_string_lossy());
    let server = workspace.serve();
    assert_eq!(told(), "READY=1\n");
    assert_eq!(server.request("GET", "/healthz", None, None).0, 200);
    server.signal("TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn sigint_stops_it_as_well() {
    let workspace = Workspace::new();
    let server = workspace.serve();
    server.signal("INT");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_what_the_first_one_waits_for() {
    let workspace = Workspace::new();
    let server = workspace.serve();
    // The server waits for a request that is never complete.
    let mut slow = TcpStream::connect(server.address()).expect("the server listens");
    slow.write_all(b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        .expect("the server reads");
    assert_eq!(server.request("GET", "/healthz", None, None).0, 200);
    server.signal("TERM");
    while TcpStream::connect(server.address()).is_ok() {
        std::thread::yield_now();
    }
    server.signal("INT");
    assert_eq!(server.wait().0.code(), Some(130));
}

#[test]
fn a_second_server_over_the_same_database_is_refused() {
    let workspace = Workspace::of_sqlite();
    let _server = workspace.serve();
    assert_snapshot!(workspace.run_in_both_forms(&["-q", "serve", "--listen", "127.0.0.1:0"]), @r#"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    exit: 1
    stderr:
    {"error":"another arkloop serves <dir>/data/arkloop.db","hint":"stop that one first, or name another data directory with --data-dir DIR"}
    "#);
}

#[test]
fn an_address_in_use_is_refused() {
    let workspace = Workspace::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("the socket has an address").to_string();
    let text = workspace
        .run_in_both_forms(&["-q", "serve", "--listen", &address])
        .replace(&address, "<address>");
    assert_snapshot!(text, @r#"
    exit: 1
    stderr:
    error: cannot listen on <address>: Address already in use (os error 98); stop what listens there, or name another place with --listen or server.listen
    exit: 1
    stderr:
    {"error":"cannot listen on <address>: Address already in use (os error 98)","hint":"stop what listens there, or name another place with --listen or server.listen"}
    "#);
}

#[test]
fn bad_configuration_is_refused_before_anything_is_made() {
    let workspace = Workspace::new();
    assert_snapshot!(workspace.run_in_both_forms(&["serve", "--listen", "localhost"]), @r#"
    exit: 1
    stderr:
    error: the value of server.listen is not acceptable (flag --listen); it must be an address with a port such as "127.0.0.1:8080" or "[::1]:8080", or "unix:/path/of/socket"
    exit: 1
    stderr:
    {"error":"the value of server.listen is not acceptable (flag --listen)","hint":"it must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path/of/socket\""}
    "#);
    assert!(!workspace.path().join("data").exists());
}

#[test]
fn a_command_warns_when_the_server_was_configured_otherwise() {
    let mut workspace = Workspace::new();
    drop(workspace.serve());
    workspace.set("ARKLOOP_SERVER__PUBLIC_URL", "http://localhost:9999");
    assert_snapshot!(workspace.run(&["registration", "show"]), @r#"
    exit: 0
    stdout:
    invite_only (the default)
    stderr:
    warning: server.public_url is "http://localhost:9999" here, but the server last ran with "http://localhost:8080"; the server's is used (--config names its configuration)
    "#);
    assert_snapshot!(workspace.run(&["--json", "registration", "show"]), @r#"
    exit: 0
    stdout:
    {
      "mode": "invite_only",
      "source": "default"
    }
    stderr:
    {"warning":"server.public_url is \"http://localhost:9999\" here, but the server last ran with \"http://localhost:8080\"; the server's is used (--config names its configuration)"}
    "#);
    assert_snapshot!(workspace.run(&["-q", "registration", "show"]), @"
    exit: 0
    stdout:
    invite_only (the default)
    ");
}

#[test]
fn the_log_is_json_if_asked_for() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_LOG__FORMAT", "json");
    let server = workspace.serve();
    server.signal("TERM");
    for line in server.wait().1.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a line is an object");
        assert!(
            event["level"].is_string() && event["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_place_that_cannot_be_listened_on_is_told_by_what_is_wrong_with_it() {
    let workspace = Workspace::new();
    let refusal = |listen: &str| workspace.run(&["-q", "serve", "--listen", listen]);
    let long = format!("unix:{}.sock", "z".repeat(120));
    let said = refusal(&long).replace(&"z".repeat(120), "zzz");
    let bytes = workspace.path().join(&long[5..]).as_os_str().len();
    assert_snapshot!(said.replace(&bytes.to_string(), "<n>"), @"
    exit: 1
    stderr:
    error: cannot listen on unix:<dir>/zzz.sock: its path has <n> bytes, and that of a unix socket has at most 107; name a shorter one in --listen or server.listen, such as unix:/run/arkloop/arkloop.sock
    ");
    assert_snapshot!(refusal("unix:missing/arkloop.sock"), @"
    exit: 1
    stderr:
    error: cannot listen on unix:<dir>/missing/arkloop.sock: No such file or directory (os error 2); make its directory, or name another place in --listen or server.listen
    ");
    assert_snapshot!(refusal("192.0.2.1:8080"), @"
    exit: 1
    stderr:
    error: cannot listen on 192.0.2.1:8080: Cannot assign requested address (os error 99); this machine does not have that address; name another in --listen or server.listen
    ");
}

#[test]
fn a_limit_of_processes_is_told_as_what_it_is() {
    let mut workspace = Workspace::new();
    let user = 64_999;
    // The limit counts the processes of a user; it does not apply to root.
    if rustix::process::geteuid().is_root() {
        let data = workspace.path().join("data");
        std::fs::create_dir(&data)
            .and_then(|()| std::os::unix::fs::chown(&data, Some(user), Some(user)))
            .and_then(|()| {
                std::fs::set_permissions(
                    workspace.path(),
                    std::os::unix::fs::PermissionsExt::from_mode(0o755),
                )
            })
            .expect("root may change the owner and the mode");
        workspace.run_as(user);
    } else {
        return;
    }
    workspace.under("prlimit --nproc=8:8 --pid $$");
    let said = workspace.run_in_both_forms(&["-q", "serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("threads, but the system gives only"), "{said}");
    assert!(
        said.contains("--pids-limit of docker run, TasksMax= of the systemd unit, or ulimit -u"),
        "{said}"
    );
    assert!(
        !workspace.path().join("data/arkloop.db").exists(),
        "it has made nothing"
    );
}

#[test]
fn the_log_says_what_the_memory_is_used_for_and_warns_when_it_does_not_do() {
    let log_with = |variables: &[(&str, &str)]| {
        let mut workspace = Workspace::new();
        for (name, value) in variables {
            workspace.set(name, value);
        }
        let server = workspace.serve();
        let check = workspace.run(&["check"]);
        let log = server.stop();
        let memory = |text: &str| {
            let lines = text.lines().filter(|line| line.contains("hash"));
            lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        (memory(&log), memory(&check))
    };
    let (log, check) = log_with(&[("ARKLOOP_PASSWORD__HASH_THREADS", "3")]);
    let told = "at most 3 passwords are hashed at once (24 KiB)";
    assert!(log.contains(told) && log.contains(" MiB "), "{log}");
    // [`Workspace::run`] redacts the line of `check`, because it differs between machines.
    assert!(check.is_empty() && log.lines().count() == 1, "{check}\n{log}");
    let (log, check) = log_with(&[
        ("ARKLOOP_PASSWORD__HASH_THREADS", "1024"),
        ("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "1048576"),
        ("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "2"),
    ]);
    let warned = "password.hash_threads = 1024 lets password hashes take 1048576 MiB, more than half of the ";
    assert!(log.contains("WARN") && log.contains(warned), "{log}");
    assert!(
        check.contains("warning  memory") && check.contains(warned),
        "{check}"
    );
}
