//! The listener for monitoring of the real executable.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Workspace;

fn watched() -> Workspace {
    let mut workspace = Workspace::new();
    workspace
        .set("ARKLOOP_METRICS__LISTEN", "unix:metrics.sock")
        .set("ARKLOOP_REGISTRATION__MODE", "open")
        .set("ARKLOOP_LOG__LEVEL", "debug")
        .set("ARKLOOP_LOG__FORMAT", "json");
    workspace
}

/// Sends a request to the listener; returns the head and the body of the answer.
fn ask(workspace: &Workspace, path: &str) -> (String, String) {
    let mut stream = UnixStream::connect(workspace.path().join("metrics.sock")).expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_owned(), body.to_owned())
}

/// The text of a scrape, and its samples by name with labels.
fn scrape(workspace: &Workspace) -> (String, BTreeMap<String, f64>) {
    let (head, text) = ask(workspace, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{head}"
    );
    let samples = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
            (name.to_owned(), value.parse().expect("a value is a number"))
        });
    (text.clone(), samples.collect())
}

/// Waits until the sample has the value, because the rows of the database are counted only from time to time.
fn wait_for(workspace: &Workspace, name: &str, value: f64) {
    let started_at = Instant::now();
    loop {
        let found = scrape(workspace).1.get(name).copied();
        if found == Some(value) {
            return;
        }
        assert!(
            started_at.elapsed() < Duration::from_secs(40),
            "{name} is {found:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn live(server: &crate::support::Served) {
    let alice = json!({ "login": "alice", "email": "alice@example.org", "password": "a quiet harbour" });
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&alice)).0,
        201
    );
    let wrong = json!({ "login": "alice", "password": "a loud harbour" });
    assert_eq!(
        server.request("POST", "/v1/auth/login", None, Some(&wrong)).0,
        401
    );
    assert_eq!(server.request("GET", "/nowhere/at/all", None, None).0, 404);
    let email = json!({ "email": "alice@example.org" });
    assert_eq!(
        server
            .request("POST", "/v1/auth/email/otp/send", None, Some(&email))
            .0,
        204
    );
    assert_eq!(
        server
            .request("POST", "/v1/auth/email/otp/send", None, Some(&email))
            .0,
        429
    );
}

#[test]
fn what_happens_is_counted_by_operation_and_status() {
    let workspace = watched();
    let server = workspace.serve();
    live(&server);
    let (_, samples) = scrape(&workspace);
    let requests = |operation: &str, status: u16| {
        let name = format!("arkloop_http_requests_total{{operation=\"{operation}\",status=\"{status}\"}}");
        samples.get(&name).copied()
    };
    assert_eq!(requests("register", 201), Some(1.0));
    assert_eq!(requests("login", 401), Some(1.0));
    assert_eq!(requests("-", 404), Some(1.0));
    assert_eq!(requests("send_code", 204), Some(1.0));
    let latencies = "arkloop_http_request_duration_seconds_count{operation=\"login\"}";
    assert_eq!(samples.get(latencies), Some(&1.0));
    let limits = "arkloop_limits_hit_total{operation=\"send_code\",code=\"auth.otp_rate_limited\"}";
    assert_eq!(samples.get(limits), Some(&1.0));
    assert_eq!(samples.get("arkloop_hash_queue"), Some(&0.0));
    // There are two mails: one to verify the address, and one with the code.
    wait_for(
        &workspace,
        "arkloop_mails_total{kind=\"sign_in_code\",outcome=\"sent\"}",
        1.0,
    );
    wait_for(&workspace, "arkloop_users", 1.0);
    wait_for(&workspace, "arkloop_sessions", 1.0);
    wait_for(&workspace, "arkloop_mails_waiting", 0.0);
}

#[test]
fn every_figure_says_what_it_means() {
    let mut workspace = watched();
    // It has a figure of backups.
    workspace.use_sqlite();
    let server = workspace.serve();
    live(&server);
    wait_for(&workspace, "arkloop_mails_waiting", 0.0);
    assert!(!scrape(&workspace).0.contains("arkloop_backup_age_seconds"));
    assert!(workspace.output(&["backup", "copy.db"], "").status.success());
    let (text, samples) = scrape(&workspace);
    let explained: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    for name in samples.keys() {
        let base = name.split('{').next().unwrap_or_default();
        let is_explained = ["", "_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| base.strip_suffix(suffix))
            .any(|base| explained.contains(&base));
        assert!(is_explained, "{base} has no explanation");
    }
    for name in &explained {
        let guide = include_str!("../../../docs/monitoring.md");
        assert!(
            guide.contains(&format!("`{name}`")),
            "docs/monitoring.md lacks {name}"
        );
    }
    let explained: Vec<&str> = explained.into_iter().collect();
    assert_snapshot!(explained.join("\n"), @"
    arkloop_backup_age_seconds
    arkloop_build_info
    arkloop_codes_braked
    arkloop_connections
    arkloop_database_bytes
    arkloop_hash_queue
    arkloop_http_request_duration_seconds
    arkloop_http_requests_total
    arkloop_limits_hit_total
    arkloop_mail_oldest_seconds
    arkloop_mails_failing
    arkloop_mails_total
    arkloop_mails_waiting
    arkloop_ready
    arkloop_sessions
    arkloop_users
    arkloop_write_batch_size
    arkloop_write_queue
    arkloop_wrong_codes_last_hour
    process_cpu_seconds_total
    process_max_fds
    process_open_fds
    process_resident_memory_bytes
    process_start_time_seconds
    process_threads
    process_virtual_memory_bytes
    ");
}

#[test]
fn counters_are_there_from_the_start_and_the_process_is_measured() {
    let workspace = watched();
    let server = workspace.serve();
    let (text, samples) = scrape(&workspace);
    for name in [
        "arkloop_http_requests_total{operation=\"register\",status=\"201\"}",
        "arkloop_http_requests_total{operation=\"login\",status=\"500\"}",
        "arkloop_http_requests_total{operation=\"readyz\",status=\"503\"}",
        "arkloop_limits_hit_total{operation=\"send_code\",code=\"auth.otp_rate_limited\"}",
        "arkloop_mails_total{kind=\"sign_in_code\",outcome=\"sent\"}",
        "arkloop_mails_total{kind=\"test\",outcome=\"dropped\"}",
    ] {
        assert_eq!(samples.get(name), Some(&0.0), "{name}");
    }
    let of_process = |name: &str| samples.get(&format!("process_{name}")).copied();
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("it is past 1970")
        .as_secs_f64();
    let started_at = of_process("start_time_seconds").expect("the metric exists");
    assert!((now - started_at).abs() < 60.0, "{started_at}");
    assert!(of_process("resident_memory_bytes") < of_process("virtual_memory_bytes"));
    assert!(of_process("resident_memory_bytes") > Some(1_000_000.0), "{text}");
    assert!(of_process("open_fds") > Some(3.0) && of_process("open_fds") < of_process("max_fds"));
    assert!(
        of_process("threads") > Some(1.0) && of_process("cpu_seconds_total") > Some(0.0),
        "{text}"
    );
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"));
    drop(server);
}

#[test]
fn the_listener_says_what_keeps_the_server_from_serving() {
    let workspace = watched();
    let server = workspace.serve();
    let (head, body) = ask(&workspace, "/readyz");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut body: serde_json::Value = serde_json::from_str(&body).expect("the text is JSON");
    assert!(body["waiting_writes"].take().is_u64(), "{body}");
    let expected = json!({
        "status": "ok", "cause": null, "version": env!("CARGO_PKG_VERSION"), "waiting_writes": null,
    });
    assert_eq!(body, expected);
    for path in ["/", "/healthz", "/v1/me", "/metrics/"] {
        let (head, _) = ask(&workspace, path);
        assert!(head.starts_with("HTTP/1.1 404"), "{path}: {head}");
    }
    assert_eq!(server.request("GET", "/metrics", None, None).0, 404);
}

#[test]
fn a_log_line_of_a_request_has_its_operation_status_and_time() {
    let workspace = watched();
    let server = workspace.serve();
    live(&server);
    let log = server.stop();
    let line = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["message"] == "answered" && line["operation"] == "login")
        .expect("the request is in the log");
    assert_eq!((&line["status"], &line["method"]), (&json!(401), &json!("POST")));
    assert!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    let trace_id = line["trace_id"].as_str().unwrap_or_default();
    assert!(
        trace_id.len() == 32 && trace_id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{line}"
    );
}

#[test]
fn a_place_that_is_taken_is_refused_at_the_start() {
    let mut workspace = Workspace::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("the socket has an address").to_string();
    workspace.set("ARKLOOP_METRICS__LISTEN", &address);
    let refused = workspace.run_in_both_forms(&["-q", "serve", "--listen", "127.0.0.1:0"]);
    assert_snapshot!(refused.replace(&address, "<address>"), @r#"
    exit: 1
    stderr:
    error: cannot serve metrics on <address>: Address already in use (os error 98); stop what listens there, or name another place with metrics.listen
    exit: 1
    stderr:
    {"error":"cannot serve metrics on <address>: Address already in use (os error 98)","hint":"stop what listens there, or name another place with metrics.listen"}
    "#);
}
