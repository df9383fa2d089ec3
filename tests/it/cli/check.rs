//! `check`: a healthy server, and each fault that the command must find.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::support::Served;
use crate::support::smtp::SmtpServer;
use crate::support::{Behaviour, SECRET_KEY, Siteverify, Workspace, old_database};

/// An address with a free port. Another process could take the port before the test does.
pub(super) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener
        .local_addr()
        .expect("the socket has an address")
        .to_string()
}

/// A workspace with the default cost of password hashes and with a public address of its own; returns that address too.
pub(super) fn install() -> (Workspace, String) {
    install_in(Workspace::new())
}

pub(super) fn install_in(mut workspace: Workspace) -> (Workspace, String) {
    let address = free_address();
    workspace
        .set("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "19456")
        .set("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "2")
        .set("ARKLOOP_SERVER__PUBLIC_URL", &format!("http://{address}"));
    (workspace, address)
}

/// A server that runs as in the README.
pub(super) fn healthy() -> (Workspace, Served) {
    healthy_in(Workspace::new())
}

pub(super) fn healthy_in(workspace: Workspace) -> (Workspace, Served) {
    let (workspace, address) = install_in(workspace);
    let server = workspace.serve_on(&address);
    (workspace, server)
}

/// The lines of `check` about problems. The exit code must be 1 if there are any, and 0 otherwise.
pub(super) fn mends(workspace: &Workspace) -> String {
    let output = workspace.run(&["check"]);
    let lines: Vec<&str> = output.lines().filter(|line| line.starts_with("mend ")).collect();
    let code = if lines.is_empty() { "exit: 0" } else { "exit: 1" };
    assert!(output.starts_with(code), "{output}");
    lines.join("\n")
}

fn set_mode(workspace: &Workspace, path: &str, mode: u32) {
    let path = workspace.path().join(path);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be changed");
}

pub(super) fn plant(workspace: &Workspace, sql: &str) {
    workspace.database().change(sql);
}

#[test]
fn a_healthy_server_has_only_good_lines() {
    let (workspace, server) = healthy_in(Workspace::of_sqlite());
    let output = workspace.run(&["check"]);
    let output = output.replace(server.address(), "<address>");
    let free = output
        .split("disk             ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let output = output.replace(free.expect("it says how much is free"), "<n>");
    assert_snapshot!(output, @"
    exit: 0
    stdout:
    ok       configuration    defaults and environment
    ok       files            only their owner can read what is in <dir>/data
    ok       disk             <n> MiB are free
    ok       memory           <capacity>
    ok       database         whole, and of the schema that this version knows
    ok       clock            <time>
    ok       keys             the key file is the database's; access tokens are signed with a key since <time>, with ES256
    ok       outbox           no mail waits that was tried
    ok       codes            wrong in the last hour at accounts: 0, at unknown addresses: 0
    ok       backup           there is none, and no account either
    ok       mail             not sent but written into <dir>/data/outbox, to try things out
    ok       turnstile        off
    ok       server           it listens at <address> and can serve
    ok       public_url       http://<address> leads to this server
    ok       trusted_proxies  clients are told apart; this request came from 127.0.0.1
    0 faults, 0 warnings
    ");
    let told = workspace.run(&["--json", "check"]);
    let findings = told
        .strip_prefix("exit: 0\nstdout:\n")
        .expect("there is no problem");
    let findings: Vec<serde_json::Value> = serde_json::from_str(findings).expect("the text is JSON");
    assert!(
        findings.iter().all(|finding| finding["state"] == "ok"),
        "{findings:?}"
    );
    assert_eq!(findings[0]["subject"], "configuration");
    assert_eq!(findings[0]["mend"], serde_json::Value::Null);
}

#[test]
fn files_that_others_can_use_are_found() {
    let (workspace, _server) = healthy_in(Workspace::of_sqlite());
    set_mode(&workspace, "data", 0o755);
    set_mode(&workspace, "data/arkloop.db", 0o640);
    assert_snapshot!(mends(&workspace), @"mend     files            <dir>/data can be used by others than its owner (mode 0755); <dir>/data/arkloop.db can be used by others than its owner (mode 0640); run: chmod 700 <dir>/data && chmod 600 <dir>/data/arkloop.db");
    set_mode(&workspace, "data", 0o700);
    set_mode(&workspace, "data/arkloop.db", 0o600);
    set_mode(&workspace, "data/arkloop.key", 0o644);
    assert_snapshot!(mends(&workspace), @"
    mend     files          <dir>/data/arkloop.key can be used by others than its owner (mode 0644); run: chmod 600 <dir>/data/arkloop.key
    mend     database       the key file <dir>/data/arkloop.key can be read by others (mode 0644); mend the files first
    ");
}

#[test]
fn a_missing_a_foreign_and_a_damaged_key_are_found() {
    let (workspace, _server) = healthy();
    let key = workspace.path().join("data/arkloop.key");
    let bytes = fs::read(&key).expect("the file can be read");
    fs::write(&key, [7; 32]).expect("the file can be written");
    assert_snapshot!(mends(&workspace), @"mend     database       the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed");
    fs::write(&key, [7; 5]).expect("the file can be written");
    assert_snapshot!(mends(&workspace), @"mend     database       the key file <dir>/data/arkloop.key has 5 bytes, but a key has 32; put the right key file there; it was not changed");
    fs::remove_file(&key).expect("the file can be removed");
    assert_snapshot!(mends(&workspace), @"mend     database       the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`");
    fs::write(&key, bytes).expect("the file can be written");
    set_mode(&workspace, "data/arkloop.key", 0o600);
    assert_eq!(mends(&workspace), "");
}

#[test]
fn a_missing_database_is_found() {
    let (workspace, _) = install();
    assert_snapshot!(mends(&workspace), @"
    mend     files          there is no data directory <dir>/data; name another with --data-dir DIR, or make one with `arkloop init`
    mend     database       there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
}

#[test]
fn what_must_be_mended_is_told_as_json_too() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_LOG__LEVEL", "loud");
    assert_snapshot!(workspace.run_in_both_forms(&["check"]), @r#"
    exit: 1
    stderr:
    error: the value of log.level is not acceptable (variable ARKLOOP_LOG__LEVEL); it must be one of "error", "warn", "info", "debug", "trace"
    exit: 1
    stderr:
    {"error":"the value of log.level is not acceptable (variable ARKLOOP_LOG__LEVEL)","hint":"it must be one of \"error\", \"warn\", \"info\", \"debug\", \"trace\""}
    "#);
    workspace.set("ARKLOOP_LOG__LEVEL", "info");
    assert_snapshot!(workspace.run(&["--json", "check"]), @r#"
    exit: 1
    stdout:
    [
      {
        "subject": "memory",
        "state": "ok",
        "seen": "<capacity>",
        "mend": null
      },
      {
        "subject": "mail",
        "state": "ok",
        "seen": "not sent but written into <dir>/data/outbox, to try things out",
        "mend": null
      },
      {
        "subject": "turnstile",
        "state": "ok",
        "seen": "off",
        "mend": null
      },
      {
        "subject": "configuration",
        "state": "warning",
        "seen": "the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet (19456 KiB and 2 iterations): a stolen database is cheaper to guess at",
        "mend": "see `arkloop config show` and arkloop.toml.example"
      },
      {
        "subject": "files",
        "state": "mend",
        "seen": "there is no data directory <dir>/data",
        "mend": "name another with --data-dir DIR, or make one with `arkloop init`"
      },
      {
        "subject": "database",
        "state": "mend",
        "seen": "there is no database at <dir>/data/arkloop.db",
        "mend": "make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR"
      }
    ]
    stderr:
    {"error":"2 things must be mended","hint":"their lines say how"}
    "#);
}

#[test]
fn a_database_with_orphans_or_of_a_newer_schema_is_found() {
    let (workspace, _server) = healthy_in(Workspace::of_sqlite());
    plant(
        &workspace,
        "PRAGMA foreign_keys = OFF;
         INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at)
         VALUES (randomblob(16), randomblob(16), randomblob(16), 'pwd', 0, 0, 0);",
    );
    assert_snapshot!(mends(&workspace), @"mend     database         a row of sessions belongs to one of users that is gone; stop the server and restore a backup: arkloop restore FILE");
    plant(&workspace, "DELETE FROM sessions; PRAGMA user_version = 999");
    let newest = old_database::newest();
    let mends = mends(&workspace)
        .replace(&format!("only {newest};"), "only <newest>;")
        .replace(env!("CARGO_PKG_VERSION"), "<version>");
    assert_snapshot!(mends, @"mend     database       <dir>/data/arkloop.db has schema 999, but this version knows only <newest>; use arkloop <version> or newer");
}

#[test]
fn a_damaged_database_is_found() {
    let (workspace, _) = install_in(Workspace::of_sqlite());
    assert!(workspace.output(&["init"], "").status.success());
    plant(
        &workspace,
        "INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
         VALUES (randomblob(16), 'a', 'a', 'A@example.org', 'a@example.org', 'active', 'en', 0);
         PRAGMA wal_checkpoint(TRUNCATE)",
    );
    // The address is stored in its row and in the index: this changes one of the two.
    let path = workspace.path().join("data/arkloop.db");
    let mut bytes = fs::read(&path).expect("the file can be read");
    let place = bytes.windows(13).position(|bytes| bytes == b"a@example.org");
    bytes[place.expect("it is stored")] = b'b';
    fs::write(&path, bytes).expect("the file can be written");
    let found = mends(&workspace);
    let found = found.lines().find(|line| line.contains(" database "));
    assert_snapshot!(found.expect("it is found"), @"mend     database       row 1 missing from index sqlite_autoindex_users_3; stop the server and restore a backup: arkloop restore FILE");
}

#[test]
fn a_clock_that_is_behind_is_found() {
    let (workspace, _server) = healthy();
    plant(
        &workspace,
        "INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
         VALUES (randomblob(16), 'a', 'a', 'a@example.org', 'a@example.org', 'active', 'en', 4102444800000)",
    );
    let found = mends(&workspace);
    let (before, after) = found.split_once("it says ").expect("the clock is behind");
    let after = after.split_once(',').expect("a text follows the time").1;
    assert_snapshot!(format!("{before}it says <time>,{after}"), @"mend     clock            it says <time>, and the database knows of <time>; set the clock and keep it set: timedatectl set-ntp true");
}

#[test]
fn accounts_that_no_backup_has_are_found() {
    let (workspace, _server) = healthy_in(Workspace::of_sqlite());
    plant(
        &workspace,
        "INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
         VALUES (randomblob(16), 'a', 'a', 'a@example.org', 'a@example.org', 'active', 'en', 1767225600000)",
    );
    assert_snapshot!(mends(&workspace), @"mend     backup           there is none; make one each night with a timer: arkloop backup --keep 14 DIR, and take it to another machine");
    assert!(workspace.output(&["backup", "copy.db"], "").status.success());
    assert_eq!(mends(&workspace), "");
    plant(
        &workspace,
        "UPDATE settings SET value = 1767225600000 WHERE name = 'last_backup_at'",
    );
    assert_snapshot!(mends(&workspace), @"mend     backup           the last one is of <time>; make one each night with a timer: arkloop backup --keep 14 DIR, and take it to another machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_cannot_be_used_is_found() {
    let (mut workspace, _server) = healthy();
    workspace
        .set("ARKLOOP_MAIL__TRANSPORT", "smtp")
        .set("ARKLOOP_MAIL__FROM", "Arkloop <auth@example.org>");
    let smtp = SmtpServer::start();
    workspace.set("ARKLOOP_MAIL__SMTP_URL", &smtp.url());
    assert_eq!(mends(&workspace), "");
    assert_eq!(smtp.received().len(), 0, "no mail is sent");
    let nobody = free_address();
    workspace.set("ARKLOOP_MAIL__SMTP_URL", &format!("smtp://{nobody}"));
    assert_snapshot!(mends(&workspace).replace(&nobody, "<address>"), @"mend     mail             the conversation with the mail server failed while connecting: Connection refused (os error 111); check [mail] in the configuration, and try: arkloop mail test ADDRESS");
}

#[test]
fn mail_that_is_not_taken_is_found() {
    let (workspace, server) = healthy();
    // A running server would try to send the invented mails: at its start, all waiting mail becomes due.
    drop(server);
    let outbox = |workspace: &Workspace| {
        let lines = mends(workspace);
        let line = lines.lines().find(|line| line.starts_with("mend     outbox"));
        line.unwrap_or_default().to_owned()
    };
    plant(
        &workspace,
        "INSERT INTO outbox (id, kind, sealed_mail, message_id, created_at, expires_at, next_attempt_at, attempts, last_error, last_hint)
         VALUES (randomblob(16), 'invite', x'00', '<a@b>', 1, 4102444800000, 4102444700000, 3, 'go away', 'ask the provider'),
                (randomblob(16), 'invite', x'00', '<b@b>', 1, 4102444800000, 4102444700000, 3, 'go away', 'ask the provider'),
                (randomblob(16), 'invite', x'00', '<c@b>', 1, 4102444800000, 4102444700000, 3, 'no time', NULL)",
    );
    assert_snapshot!(outbox(&workspace), @"mend     outbox         mails that were tried and still wait: 3; the last try: go away (2 of them; 1 for other reasons); ask the provider; see which with `arkloop mail queue`; when the cause is mended, have them tried again: arkloop mail retry");
    // A recipient that does not exist is not a problem that the operator must fix.
    plant(&workspace, "UPDATE outbox SET is_refused = 1");
    assert_eq!(outbox(&workspace), "");
    let check = workspace.run(&["check"]);
    assert!(
        check.contains("mails to addresses that take none, as the mail server says: 3"),
        "{check}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turnstile_that_refuses_or_is_not_there_is_found() {
    let (mut workspace, _server) = healthy();
    let siteverify = Siteverify::start().await;
    workspace
        .set("ARKLOOP_TURNSTILE__SITE_KEY", "a site key")
        .set("ARKLOOP_TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("ARKLOOP_TURNSTILE__VERIFY_URL", &siteverify.url());
    assert_eq!(mends(&workspace), "");
    workspace.set("ARKLOOP_TURNSTILE__SECRET_KEY", "another secret");
    assert_snapshot!(mends(&workspace), @"mend     turnstile        turnstile.secret_key is refused; compare turnstile.site_key and secret_key with the Cloudflare dashboard; the server must reach turnstile.verify_url");
    siteverify.usually(Behaviour::HangUp);
    assert_snapshot!(mends(&workspace), @"mend     turnstile        the connection to siteverify failed: Peer disconnected; compare turnstile.site_key and secret_key with the Cloudflare dashboard; the server must reach turnstile.verify_url");
    siteverify.usually(Behaviour::SuccessOn("auth.example.org"));
    assert_snapshot!(mends(&workspace), @"mend     turnstile        siteverify lets a token pass that it never gave out; compare turnstile.site_key and secret_key with the Cloudflare dashboard; the server must reach turnstile.verify_url");
    workspace.set(
        "ARKLOOP_TURNSTILE__SECRET_KEY",
        "1x0000000000000000000000000000000AA",
    );
    let warned = workspace.run(&["check"]);
    assert!(
        warned.contains("published test keys") && warned.starts_with("exit: 0"),
        "{warned}"
    );
}
