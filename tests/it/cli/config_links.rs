//! Where the links in mails and of invites lead.

use insta::assert_snapshot;
use serde_json::Value;

use super::config::Place;
use crate::support::Workspace;

#[test]
fn a_link_may_lead_to_this_server_although_the_app_is_elsewhere() {
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_SERVER__APP_URL", "https://app.example.org");
    workspace.set("ARKLOOP_LINKS__INVITE", "{public_url}/register?invite={code}");
    assert_snapshot!(workspace.run(&["-q", "invite", "create"]), @"
    exit: 0
    stdout:
    <code>
    http://localhost:8080/register?invite=<code>
    ");
    workspace.set("ARKLOOP_SERVER__PAGES", "false");
    assert_eq!(workspace.json(&["invite", "create"])["link"], Value::Null);
}

#[test]
fn links_to_pages_that_are_off_are_warned_of() {
    let warnings = |file: &str| Place::new(file).load().warnings().join("\n");
    let off = "[server]\npages = false\n";
    assert_snapshot!(warnings(off), @"server.pages is false and server.app_url is not set: links in mails and of invites lead to this server, which has no page there; set server.app_url or [links]");
    let app = format!("{off}app_url = \"https://app.example.org\"\n");
    assert_snapshot!(warnings(&app), @"");
    let here = format!("{app}[links]\nreset = \"{{public_url}}/reset#token={{token}}\"");
    assert_snapshot!(warnings(&here), @"server.pages is false: links that begin with {public_url} lead to this server, which has no page there; set them in [links]");
}
