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
    assert_snapshot!(warnings(off), @"
    server.pages is false and server.app_url is not set: links in mails and of invites lead to this server, which has no page there; set server.app_url or [links]
    server.pages is false: this server has no pages for the links of links.change and links.undo; let them lead to your app
    ");
    let app = format!("{off}app_url = \"https://app.example.org\"\n");
    assert_snapshot!(warnings(&app), @"server.pages is false: this server has no pages for the links of links.change and links.undo; let them lead to your app");
    let there =
        format!("{app}[links]\nchange = \"{{app_url}}/c#{{token}}\"\nundo = \"{{app_url}}/u#{{token}}\"\n");
    assert_snapshot!(warnings(&there), @"");
    let here = format!("{there}reset = \"{{public_url}}/reset#token={{token}}\"");
    assert_snapshot!(warnings(&here), @"server.pages is false: this server has no pages for the links of links.reset; let them lead to your app");
    let logo = there.replace("pages = false", "pages = false\nlogo_file = \"logo.svg\"");
    assert_snapshot!(warnings(&logo), @"server.logo_file has no effect while server.pages is false");
}

#[test]
fn arkloops_web_client_has_links_of_its_own_unless_they_are_set() {
    let links = |file: &str| {
        let links = Place::new(file).load().links;
        [links.verify, links.reset, links.invite].join("\n")
    };
    let client = "[server]\narkloop_client = true\n";
    assert_snapshot!(links(client), @"
    {app_url}/verify?token={token}
    {public_url}/reset#token={token}
    {public_url}/register?invite={code}
    ");
    let set = format!("{client}[links]\nreset = \"{{app_url}}/reset#{{token}}\"");
    assert_snapshot!(links(&set), @"
    {app_url}/verify?token={token}
    {app_url}/reset#{token}
    {public_url}/register?invite={code}
    ");
    let mut workspace = Workspace::with_database();
    workspace.set("ARKLOOP_SERVER__APP_URL", "https://app.example.org");
    workspace.set("ARKLOOP_SERVER__ARKLOOP_CLIENT", "true");
    assert_snapshot!(workspace.run(&["-q", "invite", "create"]), @"
    exit: 0
    stdout:
    <code>
    http://localhost:8080/register?invite=<code>
    ");
    let shown = workspace.json(&["config", "show"]);
    assert_eq!(shown["server"]["arkloop_client"], true);
    assert_eq!(shown["links"]["verify"], "{app_url}/verify?token={token}");
}

#[test]
fn codes_that_arkloops_web_client_does_not_take_are_warned_of() {
    let warnings = |file: &str| Place::new(file).load().warnings().join("\n");
    let client = "server.arkloop_client = true\n";
    assert_snapshot!(warnings(client), @"");
    assert_snapshot!(warnings(&format!("{client}otp.digits = 8")), @"server.arkloop_client is true and otp.digits is 8: Arkloop's own web client takes only codes of 6 digits");
    assert_snapshot!(warnings(&format!("{client}otp.digits = 8\notp.enabled = false")), @"");
    assert_snapshot!(warnings("otp.digits = 8"), @"");
}
