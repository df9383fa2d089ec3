//! `packaging/monitoring`: the dashboard and the alerts query only metrics that a server has.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::support::Workspace;

const DASHBOARD: &str = include_str!("../../../packaging/monitoring/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../../packaging/monitoring/alerts.yaml");

/// The names of the metrics in a Prometheus query.
fn names(question: &str) -> BTreeSet<String> {
    let words = question.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("arkloop_") || word.starts_with("process_"));
    ours.map(|word| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let base = suffixes.iter().find_map(|suffix| word.strip_suffix(suffix));
        base.unwrap_or(word).to_owned()
    })
    .collect()
}

/// The queries of the alerts: one per line, in quotes.
fn alerts() -> Vec<&'static str> {
    let lines = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: '"));
    lines
        .map(|line| line.strip_suffix('\'').expect("it ends in its line"))
        .collect()
}

/// The queries of the dashboard.
fn panels() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the text is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("a panel has queries"));
    targets
        .map(|target| target["expr"].as_str().expect("the value is a text").to_owned())
        .collect()
}

/// The names of the metrics of a server that has done some work.
fn told() -> BTreeSet<String> {
    let mut workspace = Workspace::of_sqlite();
    workspace
        .set("ARKLOOP_METRICS__LISTEN", "unix:metrics.sock")
        .set("ARKLOOP_REGISTRATION__MODE", "open");
    let server = workspace.serve();
    let alice = json!({ "login": "alice", "email": "alice@example.org", "password": "a quiet harbour" });
    server.request("POST", "/v1/auth/register", None, Some(&alice));
    for _ in 0..2 {
        let email = json!({ "email": "alice@example.org" });
        server.request("POST", "/v1/auth/email/otp/send", None, Some(&email));
    }
    workspace.json(&["backup", "copy.db"]);
    let mut found = BTreeSet::new();
    // The metrics of sent mail appear a moment later.
    for _ in 0..100 {
        let mut stream =
            UnixStream::connect(workspace.path().join("metrics.sock")).expect("the server listens");
        let request = "GET /metrics HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let explained = answer
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        found = explained.map(str::to_owned).collect();
        if found.contains("arkloop_mails_total") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    found
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_a_server_tells() {
    let questions = alerts().into_iter().map(str::to_owned).chain(panels());
    let asked: BTreeSet<String> = questions.flat_map(|question| names(&question)).collect();
    let told = told();
    let unknown: Vec<&String> = asked.difference(&told).collect();
    assert!(unknown.is_empty(), "the server has no {unknown:?}, only {told:?}");
    // The dashboard or an alert uses each metric of arkloop's own.
    let ours = told.iter().filter(|name| name.starts_with("arkloop_"));
    let unseen: Vec<&String> = ours.filter(|name| !asked.contains(*name)).collect();
    assert!(unseen.is_empty(), "the dashboard shows no {unseen:?}");
}

#[test]
fn every_alert_says_what_it_is_about_and_how_bad_it_is() {
    let alerts = ALERTS.matches("\n      - alert: ").count();
    for part in [
        "        expr: '",
        "          severity: ",
        "          summary: \"",
        "          description: \"",
    ] {
        assert_eq!(ALERTS.matches(&format!("\n{part}")).count(), alerts, "{part}");
    }
    assert!(!ALERTS.contains('\t'), "YAML does not allow tabs");
    assert!(alerts >= 8, "{alerts}");
}
