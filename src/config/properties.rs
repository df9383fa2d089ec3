//! Properties of configurations, tried with random keys and values; `benches/fuzz` tries millions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::address::{Origin, is_link, parse_host, parse_secure_url, parse_sender};
use super::format::Given;
use super::keys::read_keys;
use super::reader::Reader;
use super::sources::{Sources, read_toml};
use super::{Config, ConfigError};
use crate::domain::properties::{almost, has_no_control, wild_text};
use crate::domain::{Listen, Rate, SmtpUrl, TrustedProxies, format_duration, parse_duration};

/// Values that some key accepts, as TOML.
const GOOD_VALUES: [&str; 38] = [
    "true",
    "false",
    "0",
    "1",
    "6",
    "8",
    "12",
    "19456",
    "\"\"",
    "\"15m\"",
    "\"30s\"",
    "\"14d\"",
    "\"90d\"",
    "\"0s\"",
    "\"open\"",
    "\"disabled\"",
    "\"none\"",
    "\"lax\"",
    "\"ES256\"",
    "\"smtp\"",
    "\"off\"",
    "\"json\"",
    "\"trace\"",
    "\"unix:/run/a.sock\"",
    "\"[::1]:8080\"",
    "\"https://auth.example.org\"",
    "\"http://localhost:3000\"",
    "[]",
    "[\"https://a.example\"]",
    "[\"10.0.0.0/8\", \"unix\"]",
    "[\"a.example\"]",
    "\"smtps://mail.example.org\"",
    "\"Ann <ann@a.example>\"",
    "\"{app_url}/x#{token}\"",
    "\"{app_url}/x?c={code}\"",
    "\"/srv/auth\"",
    "\"marked-secret\"",
    "\"a\\u007f\\u0000\\t\\\"b\"",
];

/// Every key that `config show` lists, one that it does not list, and one that does not exist.
fn keys() -> Vec<String> {
    let config = load("").expect("nothing is required");
    let shown = config.entries().into_iter().map(|(key, _)| key);
    shown
        .chain([
            "mail.smtp_password_file".to_owned(),
            "rate_limit.nothing".to_owned(),
        ])
        .collect()
}

fn load(toml: &str) -> Result<Config, ConfigError> {
    let mut given = BTreeMap::new();
    read_toml(Path::new("/etc/arkloop.toml"), toml, &mut given)?;
    checked(given)
}

fn checked(given: BTreeMap<String, Given>) -> Result<Config, ConfigError> {
    let sources = Sources {
        cwd: PathBuf::from("/srv"),
        ..Sources::default()
    };
    let config = read_keys(Reader::new(given), &sources)?;
    config.check_together()?;
    Ok(config)
}

/// Keys with their values as a TOML file, sorted into sections.
fn written(pairs: &BTreeMap<String, String>) -> String {
    let (mut top, mut sections) = (String::new(), BTreeMap::<&str, String>::new());
    for (key, value) in pairs {
        match key.split_once('.') {
            None => top = format!("{top}{key} = {value}\n"),
            Some((section, key)) => {
                let lines = sections.entry(section).or_default();
                *lines = format!("{lines}{key} = {value}\n");
            }
        }
    }
    sections.iter().fold(top, |text, (section, lines)| {
        format!("{text}[{section}]\n{lines}")
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(GOOD_VALUES.to_vec()).prop_map(str::to_owned),
        1 => wild_text().prop_map(|text| Value::from(text).to_string()),
    ]
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(prop::sample::select(keys()), value(), 0..6)
}

proptest! {
    #[test]
    fn what_is_shown_is_the_same_configuration(pairs in pairs()) {
        let Ok(config) = load(&written(&pairs)) else { return Ok(()) };
        let shown = config.to_toml();
        let is_public = |key: &str| !key.contains("secret_key") && !key.contains("password");
        let may_show = pairs.iter().any(|(key, value)| is_public(key) && value.contains("marked-secret"));
        prop_assert!(may_show || !shown.contains("marked-secret"), "{shown}");
        let again = load(&shown).map_err(|error| TestCaseError::fail(format!("{error:?} in {shown}")))?;
        prop_assert_eq!(again.entries(), config.entries());
    }

    #[test]
    fn any_text_is_a_configuration_or_is_refused_in_one_line(text in prop_oneof![
        wild_text(),
        almost(pairs().prop_map(|pairs| written(&pairs))),
        almost(Just(include_str!("../../arkloop.toml.example").to_owned())),
    ]) {
        if let Err(error) = load(&text) {
            prop_assert!(has_no_control(&error.to_string()), "{error}");
        }
    }

    #[test]
    fn any_variables_are_a_configuration_or_are_refused_in_one_line(
        names in prop::collection::vec("ARKLOOP_[A-Z_]{0,20}", 0..2), pairs in pairs(), wild in wild_text(),
    ) {
        let variable = |key: &str| format!("ARKLOOP_{}", key.replace('.', "__").to_uppercase());
        let mut env: BTreeMap<String, String> =
            pairs.iter().map(|(key, value)| (variable(key), value.trim_matches('"').to_owned())).collect();
        env.extend(names.into_iter().map(|name| (name, wild.clone())));
        let mut given = BTreeMap::new();
        let sources = Sources { env, cwd: PathBuf::from("/srv"), ..Sources::default() };
        sources.read_variables(&mut given);
        if let Err(error) = checked(given) {
            prop_assert!(has_no_control(&error.to_string()), "{error}");
        }
    }

    #[test]
    fn a_duration_is_read_back(seconds in prop_oneof![0..100_000_u64, any::<u64>()]) {
        let duration = std::time::Duration::from_secs(seconds);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
    }

    #[test]
    fn a_duration_is_digits_and_one_unit(text in prop_oneof![wild_text(), almost("[0-9]{1,21}[smhd]")]) {
        let digits = text.strip_suffix(['s', 'm', 'h', 'd']).unwrap_or_default();
        let is_form = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let unit = match text.chars().next_back() {
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            _ => 1,
        };
        let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let expected = seconds.filter(|_| is_form).map(std::time::Duration::from_secs);
        prop_assert_eq!(parse_duration(&text), expected);
    }

    #[test]
    fn a_rate_has_its_bounds_and_is_read_back(text in prop_oneof![wild_text(), almost("[0-9]{1,8}/[0-9]{1,6}[smhd]")]) {
        let Some(rate) = Rate::parse(&text) else { return Ok(()) };
        prop_assert!((1..=1_000_000).contains(&rate.requests().get()), "{text}");
        prop_assert!((1..=86_400).contains(&rate.per().as_secs()), "{text}");
        prop_assert_eq!(Rate::parse(&rate.to_string()), Some(rate));
    }

    #[test]
    fn an_origin_is_plain_and_stays_itself(text in prop_oneof![
        wild_text(), almost("https?://[a-z0-9.-]{1,30}(:[0-9]{1,5})?/?"),
    ]) {
        let Some(origin) = Origin::parse(&text) else { return Ok(()) };
        prop_assert!(origin.as_str().is_ascii() && has_no_control(origin.as_str()));
        prop_assert!(!origin.as_str().contains(['@', '?', '#', ' ']), "{origin}");
        prop_assert_eq!(origin.as_str().matches('/').count(), 2);
        prop_assert_eq!(Origin::parse(origin.as_str()), Some(origin));
    }

    #[test]
    fn a_listed_origin_is_plain_and_stays_itself(text in prop_oneof![
        wild_text(), almost("(https?|app|file|[a-z.+-]{1,9})://[a-zA-Z0-9.*-]{1,30}(:[0-9]{1,5})?/?"),
    ]) {
        let Some(origin) = Origin::parse_listed(&text) else { return Ok(()) };
        prop_assert!(origin.as_str().is_ascii() && has_no_control(origin.as_str()));
        prop_assert!(!origin.as_str().contains(['@', '?', '#', ' ', '*', '%', ',']), "{origin}");
        prop_assert_eq!(origin.as_str().matches('/').count(), 2);
        prop_assert!(!origin.as_str().starts_with("file:"));
        prop_assert_eq!(Origin::parse_listed(origin.as_str()), Some(origin));
    }

    #[test]
    fn where_secrets_go_is_a_plain_address_that_stays_itself(text in prop_oneof![
        wild_text(), almost("https?://[a-z0-9.-]{1,30}(:[0-9]{1,5})?/[a-z?=]{0,9}"),
    ]) {
        let Some(url) = parse_secure_url(&text) else { return Ok(()) };
        prop_assert!(url.is_ascii() && has_no_control(&url) && !url.contains(['#', ' ']), "{url}");
        prop_assert_eq!(parse_secure_url(&url), Some(url));
    }

    #[test]
    fn a_host_stays_itself(text in prop_oneof![wild_text(), almost("[a-zA-Z0-9.-]{1,30}")]) {
        let Some(host) = parse_host(&text) else { return Ok(()) };
        prop_assert!(host.is_ascii() && !host.contains(['/', '@', '*', ' ']), "{host}");
        prop_assert_eq!(parse_host(&host), Some(host));
    }

    #[test]
    fn a_mail_server_is_plain(text in prop_oneof![wild_text(), almost("smtps?://[a-z0-9.-]{1,30}(:[0-9]{1,5})?")]) {
        let Some(url) = SmtpUrl::parse(&text) else { return Ok(()) };
        let url = url.to_string();
        prop_assert!(has_no_control(&url) && !url.contains(['@', '?', '#']), "{url:?}");
    }

    #[test]
    fn a_sender_is_one_mailbox_that_stays_itself(text in prop_oneof![
        wild_text(),
        almost("[A-Za-z ]{0,12}<[a-z]{1,9}@[a-z]{1,9}\\.[a-z]{2,9}>"),
        almost("\"[A-Za-z,. ]{0,12}\" <[a-z]{1,9}@[a-z]{1,9}\\.[a-z]{2,9}>"),
    ]) {
        let Some(sender) = parse_sender(&text) else { return Ok(()) };
        prop_assert!(has_no_control(&sender), "{sender:?}");
        prop_assert_eq!(parse_sender(&sender), Some(sender));
    }

    #[test]
    fn a_link_has_its_place_and_no_other(text in prop_oneof![
        wild_text(), almost("(\\{app_url\\}|https://a\\.example)/[a-z]{0,9}#\\{token\\}"),
    ]) {
        if is_link(&text, "{token}") {
            let link = text.replace("{app_url}", "https://a.example");
            let link = link.replace("{public_url}", "https://b.example").replace("{token}", "x");
            let is_one_word = has_no_control(&link) && !link.contains(['{', '}', ' ']);
            prop_assert!(url::Url::parse(&link).is_ok() && is_one_word, "{text:?}");
        }
    }

    #[test]
    fn where_a_server_listens_is_read_back(text in prop_oneof![
        wild_text(),
        any::<std::net::SocketAddr>().prop_map(|address| address.to_string()),
        almost("unix:/[a-z/]{0,20}"),
    ]) {
        let Some(listen) = Listen::parse(&text) else { return Ok(()) };
        prop_assert_eq!(Listen::parse(&listen.to_string()), Some(listen));
    }

    #[test]
    fn proxies_are_read_back(items in prop::collection::vec(prop_oneof![
        wild_text(),
        any::<std::net::IpAddr>().prop_map(|address| address.to_string()),
        (any::<std::net::IpAddr>(), 0..=128_u8).prop_map(|(address, bits)| format!("{address}/{bits}")),
        Just("unix".to_owned()),
    ], 0..4)) {
        let accepted: Vec<&str> =
            items.iter().map(String::as_str).filter(|item| TrustedProxies::parse(&[*item]).is_some()).collect();
        let proxies = TrustedProxies::parse(&accepted).expect("each is accepted");
        let shown = proxies.items();
        let again = TrustedProxies::parse(&shown.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(again, Some(proxies));
    }
}
