//! The configuration of the services that this server uses: the mail server and Turnstile.

use arkloop::config::Config;
use arkloop::domain::MailTransport;
use insta::assert_snapshot;
use secrecy::ExposeSecret;

use super::config::{Place, refusal, refusal_of};

const HTTPS: &str = "server.public_url = \"https://auth.example.org\"\nserver.trusted_proxies = []\n";
/// The test key of Cloudflare with which every captcha passes.
const DUMMY: &str = "1x0000000000000000000000000000000AA";

fn load(file: &str) -> Config {
    Place::new(file).load()
}

#[test]
fn mail_goes_into_files_only_where_the_server_is_tried_out() {
    for (file, transport) in [
        ("", MailTransport::File),
        ("server.public_url = \"http://127.0.0.1:9\"", MailTransport::File),
        ("mail.transport = \"\"", MailTransport::File),
        ("mail.transport = \"off\"", MailTransport::Off),
        (
            "server.public_url = \"http://auth.example.org\"",
            MailTransport::Off,
        ),
        (HTTPS, MailTransport::Off),
        (
            "server.public_url = \"https://localhost\"\nserver.trusted_proxies = []",
            MailTransport::Off,
        ),
        (
            "[mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://a.example\"",
            MailTransport::Smtp,
        ),
    ] {
        assert_eq!(load(file).mail_transport(), transport, "{file}");
    }
}

#[test]
fn a_mail_server_is_complete() {
    assert_snapshot!(refusal("mail.transport = \"smtp\""), @r#"mail.transport = "smtp" needs mail.smtp_url (<dir>/arkloop.toml, line 1); name the server, such as "smtp://mail.example.org:587""#);
    assert_snapshot!(refusal("[mail]\ntransport = \"smtp\"\nsmtp_url = \"\""), @r#"mail.transport = "smtp" needs mail.smtp_url (<dir>/arkloop.toml, line 2); name the server, such as "smtp://mail.example.org:587""#);
    assert_snapshot!(refusal("mail.smtp_user = \"ann\""), @"mail.smtp_user and mail.smtp_password need each other (<dir>/arkloop.toml, line 1); set both to sign in at the mail server, or neither");
    assert_snapshot!(refusal_of("ARKLOOP_MAIL__SMTP_PASSWORD", "hunter2"), @"mail.smtp_user and mail.smtp_password need each other (variable ARKLOOP_MAIL__SMTP_PASSWORD); set both to sign in at the mail server, or neither");
    assert_snapshot!(refusal_of("ARKLOOP_MAIL__TRANSPORT", "sendmail"), @r#"the value of mail.transport is not acceptable (variable ARKLOOP_MAIL__TRANSPORT); it must be one of "smtp", "file", "off""#);
    let file = "[mail]\ntransport = \"smtp\"\nsmtp_url = \"smtps://mail.example.org\"\nsmtp_user = \"ann\"\n\
                smtp_password_file = \"password\"\nfrom = \"Auth <auth@b\u{fc}cher.example>\"\nca_file = \"ca.pem\"";
    let place = Place::new(file).write("password", "hunter2\n");
    let mail = place.load().mail;
    assert_eq!(mail.ca_file, Some(place.path("ca.pem")));
    assert_eq!(
        (
            mail.smtp_url.expect("it is set").to_string().as_str(),
            mail.from.as_str()
        ),
        ("smtps://mail.example.org", "Auth <auth@xn--bcher-kva.example>")
    );
    let password = mail.smtp_password.expect("it is set");
    assert_eq!(password.expose_secret(), "hunter2");
    assert!(place.load().warnings().is_empty());
}

#[test]
fn mail_is_encrypted_as_the_url_says_or_the_key() {
    for (url, security, expected) in [
        ("smtp://mail.example.org", "", ("starttls", 587)),
        ("smtp://10.0.0.1", "", ("starttls", 587)),
        ("smtp://localhost.example.org", "", ("starttls", 587)),
        ("smtp://[2001:db8::1]", "", ("starttls", 587)),
        ("smtps://mail.example.org", "", ("tls", 465)),
        ("smtps://localhost", "", ("tls", 465)),
        ("smtp://localhost", "", ("none", 587)),
        ("smtp://mail.localhost", "", ("none", 587)),
        ("smtp://127.0.0.2", "", ("none", 587)),
        ("smtp://[::1]", "", ("none", 587)),
        ("smtp://mail.example.org", "tls", ("tls", 465)),
        ("smtps://mail.example.org", "tls", ("tls", 465)),
        ("smtp://localhost", "starttls", ("starttls", 587)),
        ("smtp://relay", "none", ("none", 25)),
        ("smtp://localhost", "none", ("none", 25)),
    ] {
        let config = load(&format!(
            "[mail]\nsmtp_url = \"{url}\"\nsmtp_security = \"{security}\""
        ));
        let found = (config.smtp_security().into_str(), config.smtp_default_port());
        assert_eq!(found, expected, "{url} {security}");
    }
    let with_own = load("[mail]\nsmtp_url = \"smtp://localhost\"\nca_file = \"ca.pem\"");
    assert_eq!(with_own.smtp_security().into_str(), "starttls");
    assert_snapshot!(refusal("[mail]\nsmtp_url = \"smtps://a.example\"\nsmtp_security = \"starttls\""), @r#"mail.smtp_security = "starttls" contradicts mail.smtp_url, whose scheme smtps:// means TLS from the first byte (<dir>/arkloop.toml, line 3); write smtp:// for "starttls", or leave out mail.smtp_security"#);
    assert_snapshot!(refusal("[mail]\nsmtp_security = \"none\"\nsmtp_url = \"smtps://a.example\""), @r#"mail.smtp_security = "none" contradicts mail.smtp_url, whose scheme smtps:// means TLS from the first byte (<dir>/arkloop.toml, line 2); write smtp:// for "none", or leave out mail.smtp_security"#);
    assert_snapshot!(refusal("mail.smtp_security = \"opportunistic\""), @r#"the value of mail.smtp_security is not acceptable (<dir>/arkloop.toml, line 1); it must be one of "starttls", "tls", "none""#);
    assert_snapshot!(refusal("mail.helo_name = \"relay\""), @r#"the value of mail.helo_name is not acceptable (<dir>/arkloop.toml, line 1); it must be the full name of this host, such as "auth.example.org", or its address in brackets, such as "[192.0.2.1]" or "[IPv6:2001:db8::1]""#);
}

#[test]
fn a_mail_server_has_an_address_and_a_sender_without_secrets_in_them() {
    let text = refusal_of("ARKLOOP_MAIL__SMTP_URL", "smtp://ann:hunter2@mail.example.org");
    assert!(!text.contains("hunter2"));
    assert_snapshot!(text, @r#"the value of mail.smtp_url is not acceptable (variable ARKLOOP_MAIL__SMTP_URL); it must be "smtp://host:587" (STARTTLS) or "smtps://host:465" (TLS from the first byte), without path or star; user and password are keys of their own"#);
    assert_snapshot!(refusal("[mail]\nfrom = \"Arkloop, Inc. <a@b.example>\""), @r#"the value of mail.from is not acceptable (<dir>/arkloop.toml, line 2); it must be an address such as "no-reply@example.org" or "Example <no-reply@example.org>"; a name with punctuation stands in quotes of its own"#);
}

#[test]
fn codes_have_six_to_eight_digits() {
    let config = load("[otp]\nenabled = false\ndigits = 8\nspray_threshold = 0");
    assert_eq!((config.otp.enabled, config.otp.digits), (false, 8));
    assert_eq!(config.otp.spray_threshold, 0);
    assert_snapshot!(refusal("otp.spray_threshold = -1"), @"the value of otp.spray_threshold is not acceptable (<dir>/arkloop.toml, line 1); it must be a whole number from 0 to 100000");
    assert_snapshot!(refusal("otp.digits = 5"), @"the value of otp.digits is not acceptable (<dir>/arkloop.toml, line 1); it must be a whole number from 6 to 8");
    assert_snapshot!(refusal_of("ARKLOOP_OTP__DIGITS", "9"), @"the value of otp.digits is not acceptable (variable ARKLOOP_OTP__DIGITS); it must be a whole number from 6 to 8");
}

#[test]
fn links_have_a_place_for_what_they_carry() {
    let config = load("[links]\nverify = \"https://app.example.org/v?token={token}\"");
    assert_eq!(config.links.verify, "https://app.example.org/v?token={token}");
    assert_snapshot!(refusal("links.verify = \"{app_url}/verify\""), @"the value of links.verify is not acceptable (<dir>/arkloop.toml, line 1); it must be an http(s) link of one host (no star) with {token} in its path, query or fragment; it may begin with {app_url}, which stands for server.app_url, or with {public_url}, which stands for server.public_url");
    for link in [
        "/reset#{token}",
        "javascript:{token}",
        "{app_url}/{code}#{token}",
        "{app_url}/ #{token}",
    ] {
        assert!(
            refusal_of("ARKLOOP_LINKS__RESET", link).contains("links.reset"),
            "{link}"
        );
    }
}

#[test]
fn a_link_carries_its_token_in_path_query_or_fragment_only() {
    for link in [
        "https://app.example.org/{token}",
        "https://app.example.org/a/{token}/b",
        "https://app.example.org?token={token}",
        "https://app.example.org#{token}",
        "https://app.example.org:8443/#{token}",
        "{app_url}/{token}",
        "{app_url}?{token}",
        "{app_url}#{token}",
        "{public_url}/reset#token={token}",
        "{public_url}?{token}",
        "http://[::1]:9/#{token}",
    ] {
        let config = load(&format!("[links]\nverify = \"{link}\"\nreset = \"{link}\""));
        assert_eq!(
            (config.links.verify.as_str(), config.links.reset.as_str()),
            (link, link)
        );
    }
    for link in [
        "https://{token}.example.org/",
        "https://{token}/",
        "https://app.{token}/#{token}",
        "https://{token}@app.example.org/",
        "https://ann:{token}@app.example.org/#{token}",
        "https://app.example.org:{token}/",
        "https:{token}.example.org/",
        "https:\\\\{token}.example.org",
        "https://a.example\\@{token}",
        "https://a.example\\{token}",
        "https:a.example/{token}",
        "https:///a.example/{token}",
        "https://ann:secret@a.example/{token}",
        "https://a.example/\"><b>{token}",
        "{token}://app.example.org/",
        "{app_url}{token}",
        "{app_url}.{token}/",
        "{app_url}.example.net/#{token}",
        "{app_url}@example.net/#{token}",
        "{app_url}:1/#{token}",
        "{public_url}{token}",
        "{public_url}.example.net/#{token}",
        "{public_url}@example.net/#{token}",
        "{app_url}{public_url}/#{token}",
        "https://example.net/{app_url}/{token}",
        "https://example.net/{public_url}/{token}",
        "https://*.example.org/#{token}",
        "https://%2A.example.org/#{token}",
    ] {
        for key in ["VERIFY", "RESET", "INVITE"] {
            let link = if key == "INVITE" {
                link.replace("{token}", "{code}")
            } else {
                link.to_owned()
            };
            let text = refusal_of(&format!("ARKLOOP_LINKS__{key}"), &link);
            assert!(text.contains("in its path, query or fragment"), "{link}: {text}");
        }
    }
}

#[test]
fn a_star_in_a_host_or_an_origin_is_refused_wherever_one_is_configured() {
    let stars = [
        "*",
        "*.example.org",
        "app.*.org",
        "a*.example.org",
        "%2A.example.org",
        "\u{ff0a}.example.org",
    ];
    for star in stars {
        for (key, value) in [
            ("SERVER__PUBLIC_URL", format!("https://{star}")),
            ("SERVER__APP_URL", format!("https://{star}:8443")),
            (
                "SERVER__ALLOWED_ORIGINS",
                format!("https://app.example.org,https://{star}"),
            ),
            ("SERVER__ALLOWED_ORIGINS", star.to_owned()),
            ("SERVER__TRUSTED_PROXIES", star.to_owned()),
            ("TURNSTILE__ALLOWED_HOSTS", format!("app.example.org,{star}")),
            ("TURNSTILE__VERIFY_URL", format!("https://{star}/siteverify")),
            ("MAIL__SMTP_URL", format!("smtps://{star}")),
            ("MAIL__FROM", format!("auth@{star}")),
        ] {
            let text = refusal_of(&format!("ARKLOOP_{key}"), &value);
            assert!(
                text.contains("is not acceptable") && text.contains("it must be"),
                "{key} {value}: {text}"
            );
        }
    }
}

#[test]
fn turnstile_is_on_with_both_of_its_keys() {
    assert!(load("").turnstile.secret_key.is_none());
    let file = "[turnstile]\nsite_key = \"0x4AAA\"\nsecret_key = \"0x4AAB\"\nallowed_hosts = [\"App.Example.org\"]\n\
                protect_check = true\nverify_url = \"http://127.0.0.1:9/verify\"";
    let turnstile = load(file).turnstile;
    assert_eq!(turnstile.secret_key.expect("it is set").expose_secret(), "0x4AAB");
    assert_eq!(
        (turnstile.site_key.as_str(), turnstile.verify_url.as_str()),
        ("0x4AAA", "http://127.0.0.1:9/verify")
    );
    assert_eq!(
        (turnstile.allowed_hosts, turnstile.protect_check),
        (vec!["app.example.org".to_owned()], true)
    );
    assert_snapshot!(refusal("[turnstile]\nsecret_key = \"0x4AAB\""), @"turnstile.secret_key needs turnstile.site_key (<dir>/arkloop.toml, line 2); set both to switch Turnstile on, or neither");
    assert_snapshot!(refusal_of("ARKLOOP_TURNSTILE__SITE_KEY", "0x4AAA"), @"turnstile.site_key needs turnstile.secret_key (variable ARKLOOP_TURNSTILE__SITE_KEY); set both to switch Turnstile on, or neither");
    assert_snapshot!(refusal("turnstile.allowed_hosts = [\"https://app.example.org\"]"), @r#"the value of turnstile.allowed_hosts is not acceptable (<dir>/arkloop.toml, line 1); it must be a list (separated by commas in a variable) of host names such as "app.example.org", without scheme, port or star"#);
    assert_snapshot!(refusal("turnstile.verify_url = \"http://proxy.example.org/siteverify\""), @"the value of turnstile.verify_url is not acceptable (<dir>/arkloop.toml, line 1); it must be an https address of one host, without user, fragment or star; http is accepted to this machine only");
}

#[test]
fn test_keys_of_turnstile_protect_no_public_server() {
    let keys = format!("[turnstile]\nsite_key = \"1x00000000000000000000AA\"\nsecret_key = \"{DUMMY}\"\n");
    let text = refusal(&format!("{HTTPS}{keys}"));
    assert!(!text.contains(DUMMY));
    assert_snapshot!(text, @"turnstile.secret_key is one of Cloudflare's published test keys, which protect nothing, and server.public_url is https (<dir>/arkloop.toml, line 5); take the keys of a widget of your own from the Cloudflare dashboard");
    for digit in ["2", "3"] {
        let other = keys.replace(DUMMY, &format!("{digit}{}", &DUMMY[1..]));
        assert!(refusal(&format!("{HTTPS}{other}")).contains("test keys"));
    }
    let file = "[turnstile]\nsite_key = \"1x00000000000000000000AA\"\nsecret_key_file = \"secret\"";
    let place = Place::new(&format!("{HTTPS}{file}")).write("secret", DUMMY);
    assert!(place.refusal().contains("line 5"), "{}", place.refusal());
    load(&keys);
    load(&format!(
        "{}{keys}",
        HTTPS.replace("auth.example.org", "localhost")
    ));
    load(&format!("{}{keys}", HTTPS.replace("https:", "http:")));
}

#[test]
fn a_secret_can_stand_in_a_file_but_not_in_two_places() {
    let place = |name: &str| {
        Place::new(&format!(
            "[turnstile]\nsite_key = \"0x4AAA\"\nsecret_key_file = \"{name}\""
        ))
    };
    let secret = place("secret")
        .write("secret", "0x4AAB\n")
        .load()
        .turnstile
        .secret_key;
    assert_eq!(secret.expect("it is set").expose_secret(), "0x4AAB");
    assert_snapshot!(place("secret").refusal(), @"cannot read turnstile.secret_key_file <dir>/secret: No such file or directory (os error 2) (<dir>/arkloop.toml, line 3); it must be a readable file with the secret as its only line, in UTF-8");
    assert_snapshot!(place("secret").write("secret", "\n0x4AAB").refusal(), @"cannot read turnstile.secret_key_file <dir>/secret: it has several lines (<dir>/arkloop.toml, line 3); it must be a readable file with the secret as its only line, in UTF-8");
    let both = place("secret")
        .write("secret", "0x4AAB")
        .with(&[("ARKLOOP_TURNSTILE__SECRET_KEY", "0x4AAC")]);
    assert_snapshot!(both.refusal(), @"turnstile.secret_key (variable ARKLOOP_TURNSTILE__SECRET_KEY) and turnstile.secret_key_file are both given; keep one of them");
}

#[test]
fn what_would_have_no_effect_is_warned_of() {
    let forgotten =
        format!("{HTTPS}[mail]\nsmtp_url = \"smtp://mail.example.org\"\n[turnstile]\nprotect_check = true");
    assert_snapshot!(load(&forgotten).warnings().join("\n"), @r#"
    mail.smtp_url is set and mail.transport is not: nothing is sent there until it is "smtp"
    [turnstile] has no secret_key, so that it is off and its other keys have no effect
    "#);
    let senderless = "[mail]\ntransport = \"smtp\"\nsmtp_url = \"smtp://mail.example.org\"";
    assert_snapshot!(load(senderless).warnings().join("\n"), @"mail.from is not set: mail comes from no-reply@localhost, which most servers refuse");
    let unread = format!("{HTTPS}mail.transport = \"file\"\nturnstile.allowed_hosts = [\"a.example\"]");
    assert_snapshot!(load(&unread).warnings().join("\n"), @r#"
    mail.transport is "file": mail stays in data_dir/outbox, where only the operator reads it
    [turnstile] has no secret_key, so that it is off and its other keys have no effect
    "#);
}

#[test]
fn what_could_match_nothing_is_refused_or_read_as_what_is_meant() {
    for host in ["a.example.", ".a.example", "a..b"] {
        let text = refusal_of("ARKLOOP_TURNSTILE__ALLOWED_HOSTS", host);
        assert!(text.contains("turnstile.allowed_hosts"), "{host}: {text}");
    }
    for network in ["::ffff:10.0.0.0/8", "::ffff:10.0.0.0/95"] {
        let text = refusal_of("ARKLOOP_SERVER__TRUSTED_PROXIES", network);
        assert!(text.contains("server.trusted_proxies"), "{network}: {text}");
    }
    let config = load("server.trusted_proxies = [\"::ffff:127.0.0.1\", \"::ffff:10.1.2.3/104\", \"::/0\"]");
    let proxies = config.server.trusted_proxies.expect("they are set");
    let networks: Vec<String> = proxies.networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.1/32", "10.0.0.0/8", "::/0"]);
}

#[test]
fn a_variable_that_kept_the_quotes_of_its_file_is_refused() {
    for (name, value) in [
        ("ARKLOOP_DATA_DIR", "\"/srv/auth\""),
        ("ARKLOOP_KEY_FILE", "'/srv/key'"),
        ("ARKLOOP_CONFIG", "\"arkloop.toml\""),
        ("ARKLOOP_MAIL__SMTP_PASSWORD", "\"hunter2\""),
        ("ARKLOOP_MAIL__SMTP_USER", "\"\""),
        (
            "ARKLOOP_SERVER__ALLOWED_ORIGINS",
            "\"https://a.example\",\"https://b.example\"",
        ),
    ] {
        let said = refusal_of(name, value);
        assert!(said.contains("begins and ends with a quote"), "{name}: {said}");
        assert!(
            said.contains(&format!("variable {name}")) && !said.contains("hunter2"),
            "{said}"
        );
    }
    // A secret that really begins and ends with quotes can be given in the file.
    let place = Place::new("[mail]\nsmtp_user = \"ann\"\nsmtp_password = '\"hunter2\"'");
    let password = place.load().mail.smtp_password.expect("it is set");
    assert_eq!(password.expose_secret(), "\"hunter2\"");
}

#[test]
fn a_file_with_a_secret_has_one_line_and_what_editors_add_is_no_part_of_it() {
    let file = "[mail]\nsmtp_user = \"ann\"\nsmtp_password_file = \"password\"";
    for text in [
        "hunter2",
        "hunter2\n",
        "hunter2\r\n",
        "\u{feff}hunter2\n",
        "hunter2\n\n",
    ] {
        let password = Place::new(file).write("password", text).load().mail.smtp_password;
        assert_eq!(
            password.expect("it is set").expose_secret(),
            "hunter2",
            "{text:?}"
        );
    }
    for (text, reason) in [
        ("", "it is empty"),
        ("\u{feff}\r\n", "it is empty"),
        ("hunter2\nhunter3\n", "it has several lines"),
        ("\nhunter2", "it has several lines"),
        ("hunter\u{0}2\n", "there is a NUL byte in it"),
        ("hunter\t2\n", "there is a control character in it"),
        ("\"hunter2\"\n", "it begins and ends with a quote"),
        ("'hunter2'", "it begins and ends with a quote"),
    ] {
        let place = Place::new(file).write("password", text);
        let said = place.refusal();
        assert!(
            said.contains(reason) && said.contains("smtp_password_file"),
            "{text:?}: {said}"
        );
        assert!(!said.contains("hunter"), "{said}");
    }
    let said = refusal("[turnstile]\nsite_key = \"a\"\nsecret_key = \"hunter\\u00002\"");
    assert!(
        said.contains("turnstile.secret_key") && !said.contains("hunter"),
        "{said}"
    );
}
