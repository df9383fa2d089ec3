//! The configuration: its sources, and what is refused.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use arkloop::config::{Config, Sources};
use arkloop::domain::{LimitClass, Listen, Rate};
use insta::assert_snapshot;
use tempfile::TempDir;

/// A working directory with an `arkloop.toml`.
pub(super) struct Place {
    directory: TempDir,
    sources: Sources,
}

impl Place {
    pub(super) fn new(file: &str) -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        let cwd = directory.path().canonicalize().expect("it exists");
        fs::write(cwd.join("arkloop.toml"), file).expect("the directory is writable");
        Self {
            directory,
            sources: Sources {
                cwd,
                ..Sources::default()
            },
        }
    }

    pub(super) fn with(mut self, variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.sources.env = variables.collect::<BTreeMap<_, _>>();
        self
    }

    pub(super) fn write(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("the path has a parent")).expect("the directory is writable");
        fs::write(path, text).expect("the directory is writable");
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.sources.cwd.join(name)
    }

    pub(super) fn load(&self) -> Config {
        Config::load(&self.sources).unwrap_or_else(|error| panic!("{error}; {}", error.hint))
    }

    pub(super) fn refusal(&self) -> String {
        let error = Config::load(&self.sources).expect_err("this is refused");
        let cwd = self.sources.cwd.display().to_string();
        assert!(self.directory.path().exists());
        format!("{error}; {}", error.hint).replace(&cwd, "<dir>")
    }
}

pub(super) fn refusal(file: &str) -> String {
    Place::new(file).refusal()
}

pub(super) fn refusal_of(name: &str, value: &str) -> String {
    Place::new("").with(&[(name, value)]).refusal()
}

#[test]
fn the_environment_beats_the_file_and_flags_beat_both() {
    let mut place = Place::new(
        "data_dir = \"from-file\"\n[server]\nlisten = \"127.0.0.1:1\"\n[tokens]\naudience = \"file\"",
    )
    .with(&[
        ("ARKLOOP_SERVER__LISTEN", "127.0.0.1:2"),
        ("ARKLOOP_DATA_DIR", "from-variable"),
    ]);
    let config = place.load();
    assert_eq!(
        (config.tokens.audience.as_str(), config.public_url().as_str()),
        ("file", "http://localhost:2")
    );
    assert_eq!(config.data_dir, place.path("from-variable"));
    place.sources.listen_flag = Some("[::1]:3".to_owned());
    place.sources.data_dir_flag = Some("./from-flag".into());
    let config = place.load();
    assert_eq!(config.server.listen.to_string(), "[::1]:3");
    assert_eq!(config.data_dir, place.path("from-flag"));
}

#[test]
fn a_file_can_be_named_by_variable_and_by_flag() {
    let audience = |name: &str| format!("[tokens]\naudience = \"{name}\"");
    let mut place = Place::new(&audience("local"))
        .write("a/one.toml", &audience("variable"))
        .write("b/two.toml", &audience("flag"))
        .with(&[("ARKLOOP_CONFIG", "a/one.toml")]);
    assert_eq!(place.load().tokens.audience, "variable");
    place.sources.config_flag = Some("b/two.toml".into());
    assert_eq!(place.load().tokens.audience, "flag");
    place.sources.config_flag = Some("b/three.toml".into());
    assert_snapshot!(place.refusal(), @"cannot read the configuration file <dir>/b/three.toml: it does not exist (flag --config); name another with --config FILE or ARKLOOP_CONFIG");
    place.sources.config_flag = None;
    place
        .sources
        .env
        .insert("ARKLOOP_CONFIG".to_owned(), "a".to_owned());
    assert_snapshot!(place.refusal(), @"cannot read the configuration file <dir>/a: Is a directory (os error 21) (variable ARKLOOP_CONFIG); name another with --config FILE or ARKLOOP_CONFIG");
}

#[test]
fn relative_paths_count_from_where_they_are_written() {
    let file = "data_dir = \"data\"\nkey_file = \"../key\"\n[server]\nlisten = \"unix:run/socket\"";
    let mut place = Place::new("")
        .write("etc/arkloop.toml", file)
        .with(&[("ARKLOOP_KEY_FILE", "./key")]);
    place.sources.config_flag = Some("etc/arkloop.toml".into());
    let config = place.load();
    assert_eq!(
        (config.data_dir.clone(), config.key_path()),
        (place.path("etc/data"), place.path("key"))
    );
    assert_eq!(config.server.listen, Listen::Unix(place.path("etc/run/socket")));
    assert_eq!(config.database_path(), place.path("etc/data/arkloop.db"));
}

#[test]
fn lists_are_separated_by_commas_in_variables() {
    let place = Place::new("[server]\nallowed_origins = [\"https://c.example\"]").with(&[
        (
            "ARKLOOP_SERVER__ALLOWED_ORIGINS",
            "https://a.example/, http://B.example:80",
        ),
        ("ARKLOOP_SERVER__TRUSTED_PROXIES", "10.1.2.3/8,::1,unix"),
        ("ARKLOOP_SERVER__DOCS", "false"),
        ("ARKLOOP_PASSWORD__MIN_LENGTH", "12"),
    ]);
    let config = place.load();
    let origins: Vec<String> = config
        .server
        .allowed_origins
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(origins, ["https://a.example", "http://b.example"]);
    let proxies = config.server.trusted_proxies.expect("it is set");
    let networks: Vec<String> = proxies.networks.iter().map(ToString::to_string).collect();
    assert_eq!(
        (networks, proxies.unix),
        (vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()], true)
    );
    assert_eq!((config.server.docs, config.password.min_length), (false, 12));
    let config = Place::new("")
        .with(&[("ARKLOOP_SERVER__TRUSTED_PROXIES", "")])
        .load();
    assert!(
        config
            .server
            .trusted_proxies
            .is_some_and(|proxies| proxies.networks.is_empty())
    );
}

#[test]
fn variables_that_orchestrators_invent_are_not_ours() {
    let place = Place::new("").with(&[
        ("ARKLOOP_PORT", "tcp://10.0.0.1:80"),
        ("ARKLOOP_SERVICE_HOST", "10.0.0.1"),
    ]);
    assert_eq!(place.load().public_url(), "http://localhost:8080");
}

#[test]
fn an_unknown_key_is_refused_with_its_place() {
    assert_snapshot!(refusal("[tokens]\naccess_ttl = \"5m\"\nrefresh_ttl = \"5m\""), @"unknown key tokens.refresh_ttl (<dir>/arkloop.toml, line 3); [tokens] has access_ttl, algorithm, audience, lost_answer, max_sessions, refresh_absolute_ttl, refresh_grace, refresh_idle_ttl");
    assert_snapshot!(refusal("\n[sever]\nlisten = \"127.0.0.1:1\""), @"unknown key sever.listen (<dir>/arkloop.toml, line 3); the sections are audit, database, links, log, mail, metrics, otp, password, rate_limit, registration, server, tokens, turnstile");
    assert_snapshot!(refusal("listen = \"127.0.0.1:1\""), @"unknown key listen (<dir>/arkloop.toml, line 1); outside of a section there are data_dir, key_file");
    assert_snapshot!(refusal("server = \"127.0.0.1:1\""), @"unknown key server (<dir>/arkloop.toml, line 1); server is a section: write [server] and its keys below it");
    assert_snapshot!(refusal("[server.listen]\nport = 1"), @r#"the value of server.listen is not acceptable (<dir>/arkloop.toml, line 1); it must be an address with a port such as "127.0.0.1:8080" or "[::1]:8080", or "unix:/path/of/socket""#);
    assert_snapshot!(refusal_of("ARKLOOP_SERVER__PORT", "1"), @"unknown key server.port (variable ARKLOOP_SERVER__PORT); [server] has allowed_origins, app_url, arkloop_client, cookie_same_site, docs, listen, logo_file, max_connections, max_connections_per_address, name, pages, public_url, trusted_proxies");
    assert_snapshot!(refusal_of("ARKLOOP_server__listen", "127.0.0.1:1"), @"unknown key server__listen (variable ARKLOOP_server__listen); outside of a section there are data_dir, key_file");
    assert_snapshot!(refusal_of("ARKLOOP_SERVER__TLS__CERT", "x"), @"unknown key server.tls__cert (variable ARKLOOP_SERVER__TLS__CERT); [server] has allowed_origins, app_url, arkloop_client, cookie_same_site, docs, listen, logo_file, max_connections, max_connections_per_address, name, pages, public_url, trusted_proxies");
}

#[test]
fn a_bad_value_is_refused_with_its_place_and_the_accepted_form() {
    assert_snapshot!(refusal("# a comment\n\n[server]\nlisten = 8080"), @r#"the value of server.listen is not acceptable (<dir>/arkloop.toml, line 4); it must be an address with a port such as "127.0.0.1:8080" or "[::1]:8080", or "unix:/path/of/socket""#);
    assert_snapshot!(refusal_of("ARKLOOP_SERVER__LISTEN", "unix:"), @r#"the value of server.listen is not acceptable (variable ARKLOOP_SERVER__LISTEN); it must be an address with a port such as "127.0.0.1:8080" or "[::1]:8080", or "unix:/path/of/socket""#);
    assert_snapshot!(refusal("[server]\npublic_url = \"https://auth.example.org/path\""), @r#"the value of server.public_url is not acceptable (<dir>/arkloop.toml, line 2); it must be an http or https origin without path, query, user or star, such as "https://auth.example.org""#);
    assert_snapshot!(refusal("[server]\nallowed_origins = [\"*\"]"), @r#"the value of server.allowed_origins is not acceptable (<dir>/arkloop.toml, line 2); it must be a list (separated by commas in a variable) of origins without path, query, user or star, each by itself: of web apps such as "https://app.example.org", of native apps and extensions such as "capacitor://localhost", "app://." or "chrome-extension://" and the id; "null" and "file://" name no app: serve its pages from http, https or a scheme of its own"#);
    assert_snapshot!(refusal_of("ARKLOOP_SERVER__TRUSTED_PROXIES", "10.0.0.0/33"), @r#"the value of server.trusted_proxies is not acceptable (variable ARKLOOP_SERVER__TRUSTED_PROXIES); it must be a list (separated by commas in a variable) of networks such as "127.0.0.0/8", addresses, or "unix""#);
    assert_snapshot!(refusal("[server]\ncookie_same_site = \"Strict\""), @r#"the value of server.cookie_same_site is not acceptable (<dir>/arkloop.toml, line 2); it must be one of "strict", "lax", "none""#);
    assert_snapshot!(refusal("[server]\ndocs = \"yes\""), @"the value of server.docs is not acceptable (<dir>/arkloop.toml, line 2); it must be true or false");
    assert_snapshot!(refusal_of("ARKLOOP_REGISTRATION__MODE", "closed"), @r#"the value of registration.mode is not acceptable (variable ARKLOOP_REGISTRATION__MODE); it must be one of "open", "invite_only", "disabled""#);
    assert_snapshot!(refusal("tokens = { algorithm = \"RS256\" }"), @r#"the value of tokens.algorithm is not acceptable (<dir>/arkloop.toml, line 1); it must be one of "ES256", "EdDSA""#);
    assert_snapshot!(refusal("tokens.access_ttl = \"61m\""), @r#"the value of tokens.access_ttl is not acceptable (<dir>/arkloop.toml, line 1); it must be a duration from 1s to 1h: a whole number and one of the units s, m, h, d, such as "15m""#);
    assert_snapshot!(refusal("tokens.refresh_grace = \"2m\""), @r#"the value of tokens.refresh_grace is not acceptable (<dir>/arkloop.toml, line 1); it must be a duration from 0s to 1m: a whole number and one of the units s, m, h, d, such as "15m""#);
    assert_snapshot!(refusal("tokens.max_sessions = 0"), @"the value of tokens.max_sessions is not acceptable (<dir>/arkloop.toml, line 1); it must be a whole number from 1 to 1000");
    assert_snapshot!(refusal("tokens.lost_answer = \"31d\""), @r#"the value of tokens.lost_answer is not acceptable (<dir>/arkloop.toml, line 1); it must be a duration from 0s to 30d: a whole number and one of the units s, m, h, d, such as "15m""#);
    assert_snapshot!(refusal_of("ARKLOOP_TOKENS__REFRESH_IDLE_TTL", "14"), @r#"the value of tokens.refresh_idle_ttl is not acceptable (variable ARKLOOP_TOKENS__REFRESH_IDLE_TTL); it must be a duration from 1m to 366d: a whole number and one of the units s, m, h, d, such as "15m""#);
    assert_snapshot!(refusal("password.min_length = 7"), @"the value of password.min_length is not acceptable (<dir>/arkloop.toml, line 1); it must be a whole number from 8 to 64");
    assert_snapshot!(refusal_of("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "0x2"), @"the value of password.argon2_iterations is not acceptable (variable ARKLOOP_PASSWORD__ARGON2_ITERATIONS); it must be a whole number from 1 to 16");
    assert_snapshot!(refusal("password.argon2_memory_kib = 16\npassword.argon2_parallelism = 4"), @"password.argon2_memory_kib is too small for password.argon2_parallelism; it must be at least 8 KiB for each lane");
    assert_snapshot!(refusal("password.implementation = \"fast\""), @r#"the value of password.implementation is not acceptable (<dir>/arkloop.toml, line 1); it must be one of "auto", "portable""#);
    assert_snapshot!(refusal("[links]\ninvite = \"{app_url}/register\""), @"the value of links.invite is not acceptable (<dir>/arkloop.toml, line 2); it must be an http(s) link of one host (no star) with {code} in its path, query or fragment; it may begin with {app_url}, which stands for server.app_url, or with {public_url}, which stands for server.public_url");
    assert_snapshot!(refusal("[log]\nlevel = \"loud\""), @r#"the value of log.level is not acceptable (<dir>/arkloop.toml, line 2); it must be one of "error", "warn", "info", "debug", "trace""#);
    assert_snapshot!(refusal("data_dir = \"\""), @"the value of data_dir is not acceptable (<dir>/arkloop.toml, line 1); it must be a path");
}

#[test]
fn durations_have_one_unit() {
    for text in [
        "",
        "m",
        "15",
        "1.5h",
        "+5m",
        "-5m",
        "5 m",
        "5M",
        "1h30m",
        "99999999999999999999s",
        "999999999999999d",
    ] {
        let place = Place::new("").with(&[("ARKLOOP_TOKENS__ACCESS_TTL", text)]);
        assert!(place.refusal().contains("a duration from 1s to 1h"), "{text:?}");
    }
    for (text, seconds) in [("1s", 1), ("60m", 3_600), ("1h", 3_600), ("007m", 420)] {
        let config = Place::new("")
            .with(&[("ARKLOOP_TOKENS__ACCESS_TTL", text)])
            .load();
        assert_eq!(config.tokens.access_ttl, Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn rates_are_requests_and_a_duration() {
    for text in [
        "",
        "30",
        "30/",
        "/1m",
        "30/m",
        "0/1m",
        "30/0s",
        "-30/1m",
        "+30/1m",
        "30 / 1m",
        "30/1m/1m",
        "30/25h",
        "30/1.5m",
        "1000001/1m",
        "99999999999/1m",
        "30/min",
    ] {
        let place = Place::new("").with(&[("ARKLOOP_RATE_LIMIT__LOGIN", text)]);
        assert!(place.refusal().contains("rate_limit.login"), "{text:?}");
    }
    assert_snapshot!(refusal("rate_limit.other = 600"), @r#"the value of rate_limit.other is not acceptable (<dir>/arkloop.toml, line 1); it must be a number of requests from 1 to 1000000, a slash, and a duration from 1s to 1d, such as "30/1m""#);
    assert_snapshot!(refusal("rate_limit.wrong_passwords_per_account = \"0/15m\""), @r#"the value of rate_limit.wrong_passwords_per_account is not acceptable (<dir>/arkloop.toml, line 1); it must be a number of wrong passwords from 1 to 1000000, a slash, and a duration from 1s to 1d, such as "30/1m""#);
    assert_snapshot!(refusal("[rate_limit]\nlogins = \"30/1m\""), @"unknown key rate_limit.logins (<dir>/arkloop.toml, line 2); [rate_limit] has check, enabled, login, nodes, other, otp_send, otp_verify, own_account, refresh, register, rename, reset_confirm, reset_send, verify_confirm, verify_send, wrong_passwords_per_account, wrong_passwords_per_address");
    for (text, requests, seconds) in [
        ("30/1m", 30, 60),
        ("1/24h", 1, 86_400),
        ("007/90s", 7, 90),
        ("1000000/1s", 1_000_000, 1),
    ] {
        let place = Place::new("").with(&[("ARKLOOP_RATE_LIMIT__REFRESH", text)]);
        let rates = place.load().rate_limit.rates;
        let expected = Rate::new(requests, Duration::from_secs(seconds));
        assert_eq!(Some(rates[LimitClass::Refresh]), expected, "{text}");
        assert_eq!(rates[LimitClass::Login], LimitClass::Login.default_rate());
    }
}

#[test]
fn origins_are_plain() {
    for text in [
        "auth.example.org",
        "ftp://auth.example.org",
        "https://",
        "https://a@b.example",
        "https://b.example?",
        "https://b.example#",
        "https://b.example//",
        "https://b.example/x/..",
        "https:b.example",
        "https://b.example\\",
        " https://b.example",
        "*",
    ] {
        let refused = Place::new("").with(&[("ARKLOOP_SERVER__APP_URL", text)]);
        assert!(refused.refusal().contains("an http or https origin"), "{text}");
    }
    let app = Place::new("")
        .with(&[("ARKLOOP_SERVER__APP_URL", "HTTPS://App.Example.org:443/")])
        .load()
        .app_url();
    assert_eq!(app.as_deref(), Some("https://app.example.org"));
}

#[test]
fn toml_that_cannot_be_read_is_refused_without_showing_it() {
    let text = refusal("[turnstile]\nsecret_key = hunter2");
    assert!(!text.contains("hunter2"));
    assert_snapshot!(text, @"this is not valid TOML: string values must be quoted, expected literal string (<dir>/arkloop.toml, line 2); see https://toml.io");
    assert_snapshot!(refusal("[tokens]\naudience = \"a\"\naudience = \"b\""), @"this is not valid TOML: duplicate key (<dir>/arkloop.toml, line 3); see https://toml.io");
    let latin = Place::new("");
    fs::write(latin.path("arkloop.toml"), b"# caf\xe9").expect("the directory is writable");
    assert_snapshot!(latin.refusal(), @"cannot read the configuration file <dir>/arkloop.toml: it is not UTF-8 text; name another with --config FILE or ARKLOOP_CONFIG");
}

#[test]
fn an_https_server_behind_an_unknown_proxy_is_refused() {
    let https = "[server]\npublic_url = \"https://auth.example.org\"\n";
    assert_snapshot!(refusal(https), @r#"server.public_url is https and server.listen is local, so there is a proxy, but server.trusted_proxies is not set: all clients would count as one; add to [server] in the configuration: trusted_proxies = ["127.0.0.0/8"] (or = [] if no proxy sets X-Forwarded-For)"#);
    assert_snapshot!(refusal(&format!("{https}listen = \"unix:/run/arkloop.sock\"")), @r#"server.public_url is https and server.listen is local, so there is a proxy, but server.trusted_proxies is not set: all clients would count as one; add to [server] in the configuration: trusted_proxies = ["unix"] (or = [] if no proxy sets X-Forwarded-For)"#);
    assert_snapshot!(refusal(&format!("{https}listen = \"[::1]:8080\"")), @r#"server.public_url is https and server.listen is local, so there is a proxy, but server.trusted_proxies is not set: all clients would count as one; add to [server] in the configuration: trusted_proxies = ["::1/128"] (or = [] if no proxy sets X-Forwarded-For)"#);
    Place::new(&format!("{https}trusted_proxies = []")).load();
    Place::new(&format!("{https}listen = \"0.0.0.0:8080\"")).load();
}

#[test]
fn the_file_of_a_directory_that_may_not_be_searched_is_passed_over() {
    let place = Place::new("server.listen = \"127.0.0.1:9999\"");
    let directory = place.directory.path();
    // Root may search every directory, so the script becomes the user nobody. That user may have no access to the executable, so the executable
    // is opened before.
    let script = "chmod 0 . && if [ $(id -u) = 0 ]; then nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'; fi
        exec $nobody /proc/self/fd/0 config show";
    let executable = fs::File::open(env!("CARGO_BIN_EXE_arkloop")).expect("it is built");
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .stdin(executable)
        .output()
        .expect("there is a shell");
    fs::set_permissions(directory, Permissions::from_mode(0o700)).expect("the mode can be changed");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(shown.contains("listen = ") && !shown.contains("9999"), "{shown}");
}

#[test]
fn cookies_for_other_sites_need_https() {
    assert_snapshot!(refusal("[server]\ncookie_same_site = \"none\""), @r#"server.cookie_same_site = "none" needs an https server.public_url (<dir>/arkloop.toml, line 2); browsers drop such a cookie without Secure: set server.public_url to the https origin"#);
    let https = "public_url = \"https://auth.example.org\"\ntrusted_proxies = []";
    Place::new(&format!("[server]\n{https}\ncookie_same_site = \"none\"")).load();
}

#[test]
fn what_is_accepted_and_unwise_is_warned_of() {
    assert_eq!(Place::new("").load().warnings(), Vec::<String>::new());
    assert_eq!(
        Place::new("password.argon2_memory_kib = 12288\npassword.argon2_iterations = 3")
            .load()
            .warnings()
            .len(),
        0
    );
    assert_snapshot!(Place::new("[tokens]\nrefresh_grace = \"0s\"\nlost_answer = \"1h\"").load().warnings().join("\n"), @"tokens.lost_answer has no effect while tokens.refresh_grace is 0s: a refresh whose answer was lost ends the session");
    assert!(
        Place::new("[tokens]\nrefresh_grace = \"0s\"")
            .load()
            .warnings()
            .is_empty()
    );
    let unwise = "[server]\npublic_url = \"http://auth.example.org\"\n[password]\nargon2_iterations = 1\n\
                  [tokens]\nrefresh_idle_ttl = \"31d\"\n[rate_limit]\nenabled = false";
    assert_snapshot!(Place::new(unwise).load().warnings().join("\n"), @"
    the argon2 parameters of [password] are below the minimum of the OWASP Password Storage Cheat Sheet (19456 KiB and 2 iterations): a stolen database is cheaper to guess at
    tokens.refresh_idle_ttl is longer than tokens.refresh_absolute_ttl: sessions end at the latter
    server.public_url is http://auth.example.org: without https, passwords and cookies can be read on the way
    rate_limit.enabled is false: any client may guess passwords as fast as this machine hashes them
    ");
}
