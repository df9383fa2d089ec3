//! `config show`, and how it reports a configuration that is refused.

#![expect(clippy::too_many_lines, reason = "every key is a line of the snapshot")]

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn config_show_tells_every_value_and_where_it_was_given() {
    let mut workspace = Workspace::of_sqlite();
    workspace.write("arkloop.toml", "[tokens]\naudience = \"the \\\"apps\\\"\"\n");
    workspace.set(
        "ARKLOOP_SERVER__ALLOWED_ORIGINS",
        "https://a.example,https://b.example",
    );
    workspace.set("ARKLOOP_MAIL__HELO_NAME", "auth.example.org");
    assert_snapshot!(workspace.run(&["config", "show", "--data-dir", "/srv/auth"]), @r#"
    exit: 0
    stdout:
    data_dir = "/srv/auth"  # flag --data-dir
    key_file = "/srv/auth/arkloop.key"

    [database]
    url = ""

    [server]
    name = "localhost"
    # logo_file is not set
    listen = "127.0.0.1:8080"
    public_url = "http://localhost:8080"  # variable ARKLOOP_SERVER__PUBLIC_URL
    # app_url is not set
    allowed_origins = ["https://a.example","https://b.example"]  # variable ARKLOOP_SERVER__ALLOWED_ORIGINS
    cookie_same_site = "strict"
    # trusted_proxies is not set
    max_connections = 2000
    max_connections_per_address = 200
    docs = true
    pages = true
    arkloop_client = false

    [registration]
    # mode is not set
    identity_check = true

    [tokens]
    # algorithm is not set
    audience = "the \"apps\""  # <dir>/arkloop.toml, line 2
    access_ttl = "15m"
    refresh_idle_ttl = "14d"
    refresh_absolute_ttl = "30d"
    refresh_grace = "30s"
    lost_answer = "1d"
    max_sessions = 20

    [password]
    min_length = 8
    argon2_memory_kib = 8  # variable ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB
    argon2_iterations = 1  # variable ARKLOOP_PASSWORD__ARGON2_ITERATIONS
    argon2_parallelism = 1
    # hash_threads is not set
    implementation = "auto"

    [mail]
    transport = "file"
    smtp_url = ""
    # smtp_security is not set
    helo_name = "auth.example.org"  # variable ARKLOOP_MAIL__HELO_NAME
    smtp_user = ""
    smtp_password = ""
    from = "no-reply@localhost"
    locale = "en"
    # ca_file is not set

    [links]
    verify = "{app_url}/verify#token={token}"
    reset = "{app_url}/reset#token={token}"
    invite = "{app_url}/register?invite={code}"
    change = "{public_url}/account#change={token}"
    undo = "{public_url}/account#undo={token}"

    [otp]
    enabled = true
    digits = 6
    spray_threshold = 1000

    [turnstile]
    site_key = ""
    secret_key = ""
    allowed_hosts = []
    verify_url = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
    protect_check = false

    [rate_limit]
    enabled = true
    nodes = 1
    login = "60/1m"
    register = "30/10m"
    check = "20/1m"
    otp_send = "30/10m"
    verify_send = "30/10m"
    reset_send = "30/10m"
    otp_verify = "20/1m"
    verify_confirm = "20/1m"
    reset_confirm = "20/1m"
    refresh = "300/1m"
    rename = "5/1h"
    own_account = "10/1h"
    other = "600/1m"
    wrong_passwords_per_address = "5/1m"
    wrong_passwords_per_account = "100/15m"

    [audit]
    keep = "90d"

    [metrics]
    # listen is not set

    [log]
    format = "text"
    level = "info"
    stderr:
    warning: the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet (19456 KiB and 2 iterations): a stolen database is cheaper to guess at
    "#);
}

#[test]
fn config_show_masks_secrets_and_tells_where_they_stand() {
    let mut workspace = Workspace::of_sqlite();
    workspace.write("mail-password", "sentinel-of-the-mail-server\n");
    workspace.write(
        "arkloop.toml",
        "[mail]\ntransport = \"off\"\nsmtp_user = \"ann\"\nsmtp_password_file = \"mail-password\"\n\
         [turnstile]\nsite_key = \"0x4AAA\"\n",
    );
    workspace.set("ARKLOOP_TURNSTILE__SECRET_KEY", "sentinel-of-turnstile");
    let shown = workspace.output(&["config", "show"], "").stdout;
    let shown = String::from_utf8(shown).expect("the output is text");
    assert!(!shown.contains("sentinel"), "{shown}");
    let json = workspace.json(&["config", "show"]);
    assert!(!json.to_string().contains("sentinel"), "{json}");
    assert_eq!(json["mail"]["smtp_password"], "********");
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("****") || line.starts_with("transport"))
        .collect();
    let directory = workspace.path().display().to_string();
    assert_snapshot!(lines.join("\n").replace(&directory, "<dir>"), @r#"
    transport = "off"  # <dir>/arkloop.toml, line 2
    smtp_password = "********"  # <dir>/arkloop.toml, line 4
    secret_key = "********"  # variable ARKLOOP_TURNSTILE__SECRET_KEY
    "#);
}

#[test]
fn config_show_is_an_object_of_objects_as_json() {
    let mut workspace = Workspace::of_sqlite();
    workspace.set("ARKLOOP_MAIL__HELO_NAME", "auth.example.org");
    assert_snapshot!(workspace.run(&["config", "show", "--json", "-q"]), @r#"
    exit: 0
    stdout:
    {
      "data_dir": "<dir>/data",
      "key_file": "<dir>/data/arkloop.key",
      "database": {
        "url": ""
      },
      "server": {
        "name": "localhost",
        "logo_file": null,
        "listen": "127.0.0.1:8080",
        "public_url": "http://localhost:8080",
        "app_url": null,
        "allowed_origins": [],
        "cookie_same_site": "strict",
        "trusted_proxies": null,
        "max_connections": 2000,
        "max_connections_per_address": 200,
        "docs": true,
        "pages": true,
        "arkloop_client": false
      },
      "registration": {
        "mode": null,
        "identity_check": true
      },
      "tokens": {
        "algorithm": null,
        "audience": "arkloop",
        "access_ttl": "15m",
        "refresh_idle_ttl": "14d",
        "refresh_absolute_ttl": "30d",
        "refresh_grace": "30s",
        "lost_answer": "1d",
        "max_sessions": 20
      },
      "password": {
        "min_length": 8,
        "argon2_memory_kib": 8,
        "argon2_iterations": 1,
        "argon2_parallelism": 1,
        "hash_threads": null,
        "implementation": "auto"
      },
      "mail": {
        "transport": "file",
        "smtp_url": "",
        "smtp_security": null,
        "helo_name": "auth.example.org",
        "smtp_user": "",
        "smtp_password": "",
        "from": "no-reply@localhost",
        "locale": "en",
        "ca_file": null
      },
      "links": {
        "verify": "{app_url}/verify#token={token}",
        "reset": "{app_url}/reset#token={token}",
        "invite": "{app_url}/register?invite={code}",
        "change": "{public_url}/account#change={token}",
        "undo": "{public_url}/account#undo={token}"
      },
      "otp": {
        "enabled": true,
        "digits": 6,
        "spray_threshold": 1000
      },
      "turnstile": {
        "site_key": "",
        "secret_key": "",
        "allowed_hosts": [],
        "verify_url": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        "protect_check": false
      },
      "rate_limit": {
        "enabled": true,
        "nodes": 1,
        "login": "60/1m",
        "register": "30/10m",
        "check": "20/1m",
        "otp_send": "30/10m",
        "verify_send": "30/10m",
        "reset_send": "30/10m",
        "otp_verify": "20/1m",
        "verify_confirm": "20/1m",
        "reset_confirm": "20/1m",
        "refresh": "300/1m",
        "rename": "5/1h",
        "own_account": "10/1h",
        "other": "600/1m",
        "wrong_passwords_per_address": "5/1m",
        "wrong_passwords_per_account": "100/15m"
      },
      "audit": {
        "keep": "90d"
      },
      "metrics": {
        "listen": null
      },
      "log": {
        "format": "text",
        "level": "info"
      }
    }
    "#);
}

#[test]
fn what_config_show_prints_is_a_configuration() {
    let workspace = Workspace::new();
    // JSON may have U+007F unescaped; TOML must not.
    workspace.write("arkloop.toml", "data_dir = \"a\\u007f\\tb\"\n");
    let shown = workspace.output(&["config", "show"], "").stdout;
    let shown = String::from_utf8(shown).expect("the output is text");
    workspace.write("copy.toml", &shown);
    assert_eq!(
        workspace.json(&["config", "show", "--config", "copy.toml"]),
        workspace.json(&["config", "show"])
    );
}

#[test]
fn a_refused_configuration_is_one_line_or_one_object() {
    let workspace = Workspace::new();
    workspace.write("arkloop.toml", "[server]\nlisten = \"here\"\n");
    assert_snapshot!(workspace.run(&["config", "show"]), @r#"
    exit: 1
    stderr:
    error: the value of server.listen is not acceptable (<dir>/arkloop.toml, line 2); it must be an address with a port such as "127.0.0.1:8080" or "[::1]:8080", or "unix:/path/of/socket"
    "#);
    assert_snapshot!(workspace.run(&["user", "list", "--json"]), @r#"
    exit: 1
    stderr:
    {"error":"the value of server.listen is not acceptable (<dir>/arkloop.toml, line 2)","hint":"it must be an address with a port such as \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path/of/socket\""}
    "#);
}
