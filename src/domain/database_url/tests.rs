use std::path::Path;

use super::*;

fn parsed(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = DatabaseUrl::parse(text).expect_err(text);
    error.to_string()
}

fn network(name: &str, port: u16) -> DatabaseHost {
    let place = DatabasePlace::Network(name.to_owned());
    DatabaseHost { place, port }
}

#[test]
fn a_url_is_shown_without_its_secrets() {
    let url = parsed("postgres://ann:secret@db.example:5433/auth?sslcert=/a&sslkey=/hidden&passfile=/b");
    assert_eq!(url.shown(), "postgres://db.example:5433/auth");
    assert!(!format!("{url:?}").contains("secret"));
    assert_eq!(
        parsed("postgres://ann@/auth?host=/run/postgresql").shown(),
        "postgres:///auth"
    );
    assert_eq!(
        parsed("postgres:///auth?host=/run/postgresql&user=ann&password=secret").shown(),
        "postgres:///auth"
    );
}

#[test]
fn what_is_no_url_is_refused_without_its_value() {
    for bad in [
        "mysql://secret@host/auth",
        "secret",
        "postgres://secret@host",
        "postgres://secret@host/",
        "postgres://secret@host/a b",
        "postgres://secret@host/a/b",
        "postgres://ann:sec/secret@host/auth",
        "postgres://ann:sec?secret@host/auth",
        "postgres://ann:sec@secret@host/auth",
        "postgres://ann:sec#secret@host/auth",
        "postgres://ann:%ffsecret@host/auth",
        "postgres://ann:secret@host/auth?user=a@b",
        "postgres://ann:secret@host/auth?Secret=",
        "postgres://ann:secret@host:secret/auth",
        "postgres://ann:secret@host:0/auth",
        "postgres://ann:secret@[::1/auth",
        "postgres://ann:secret@a,,b/auth",
        "postgres://ann:secret@host/auth?password=secret",
        "postgres://ann:secret@host/auth?user=secret",
        "postgres://ann:secret@host/auth?host=secret",
        "postgres://ann:secret@host/auth?secret",
        "postgres://ann@host/auth?connect_timeout=0",
        "postgres://ann@host/auth?connect_timeout=secret",
        "postgres://ann@host/auth?sslmode=secret",
        "postgres://ann@host/auth?target_session_attrs=secret",
        "postgres://ann@host/auth?channel_binding=secret",
        "postgres://ann@a,b,c/auth?port=1,2",
        "",
    ] {
        let refusal = refused(bad);
        assert!(!refusal.to_lowercase().contains("secret"), "{refusal}");
    }
}

#[test]
fn a_parameter_that_is_not_known_is_refused_by_its_name() {
    let refusal = refused("postgres://ann@host/auth?sslmod=verify-full");
    assert!(
        refusal.contains("such as sslmod;") && refusal.contains("sslmode"),
        "{refusal}"
    );
    assert!(refused("postgres://ann@host/auth?sslrootcert=/a&sslrootcert=/b").contains("sslrootcert once"));
    assert!(refused("postgres://host/auth").contains("a user"));
}

#[test]
fn hosts_have_ports_and_are_kept_in_order() {
    let hosts = |text: &str| parsed(text).hosts;
    let both = [network("a.example", 5433), network("::1", 5432)];
    assert_eq!(hosts("postgres://ann@a.example:5433,[::1]/auth"), both);
    assert_eq!(
        hosts("postgres://ann@/auth?host=a.example,::1&port=5433,5432"),
        both
    );
    let same = [network("a", 7), network("b", 7)];
    assert_eq!(hosts("postgresql://ann@a,b/auth?port=7"), same);
    let socket = &hosts("postgres://ann@%2Frun%2Fpostgresql:1/auth")[0];
    assert_eq!(
        socket.place,
        DatabasePlace::Socket(Path::new("/run/postgresql").into())
    );
    assert_eq!(socket.port, 1);
}

#[test]
fn a_connection_that_leaves_this_machine_is_protected_unless_the_url_says_otherwise() {
    let tls = |text: &str| {
        let url = parsed(text);
        (url.tls_of(&url.hosts[0]), url.is_exposed())
    };
    assert_eq!(
        tls("postgres://ann@db.example/auth"),
        (DatabaseTls::VerifyHost, false)
    );
    assert_eq!(
        tls("postgres://ann@10.0.0.7/auth"),
        (DatabaseTls::VerifyHost, false)
    );
    assert_eq!(
        tls("postgres://ann@db.example/auth?sslmode=disable"),
        (DatabaseTls::Off, true)
    );
    for near in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "%2Frun"] {
        assert_eq!(
            tls(&format!("postgres://ann@{near}/auth")),
            (DatabaseTls::Off, false)
        );
    }
    assert_eq!(
        tls("postgres://ann@localhost/auth?sslmode=verify-full").0,
        DatabaseTls::VerifyHost
    );
    assert_eq!(
        tls("postgres://ann@/auth?host=/run&sslmode=verify-full").0,
        DatabaseTls::Off
    );
    let of_file = "postgres://ann@db.example/auth?sslmode=verify-ca&sslrootcert=/ca.pem";
    assert_eq!(tls(of_file).0, DatabaseTls::VerifyAuthority);
    assert!(refused("postgres://ann@db.example/auth?sslmode=verify-ca").contains("sslrootcert=FILE"));
    assert!(refused("postgres://ann@db.example/auth?sslmode=verify-ca&sslrootcert=system").contains("FILE"));
    for weak in ["require", "prefer", "allow"] {
        assert!(refused(&format!("postgres://ann@db.example/auth?sslmode={weak}")).contains(weak));
    }
    let first_is_near = parsed("postgres://ann@localhost,db.example/auth?sslmode=disable");
    assert!(first_is_near.is_exposed());
}

#[test]
fn what_has_no_effect_is_refused() {
    let at_home = |parameters: &str| refused(&format!("postgres://ann@localhost/auth?{parameters}"));
    assert!(at_home("sslrootcert=/ca.pem").contains("sslrootcert"));
    assert!(at_home("sslcert=/a.pem&sslkey=/a.key").contains("sslcert"));
    assert!(at_home("channel_binding=require").contains("channel_binding"));
    assert!(
        refused("postgres://ann@db.example/auth?sslcert=/a.pem").contains("sslkey stands beside sslcert")
    );
    assert!(refused("postgres://ann@db.example/auth?sslrootcert=ca.pem").contains("absolute"));
}

#[test]
fn values_are_percent_decoded() {
    use secrecy::ExposeSecret as _;
    let url = parsed(
        "postgres://a%40b:%2F%3F%40+@db.example/au%20th?options=-c%20search_path%3Dauth&application_name=x&connect_timeout=3",
    );
    assert_eq!(url.user, "a@b");
    let password = url.password.as_ref().map(|password| password.expose_secret());
    assert_eq!(password, Some("/?@+"));
    assert_eq!(url.database, "au th");
    assert_eq!(url.options.as_deref(), Some("-c search_path=auth"));
    assert_eq!(url.application_name.as_deref(), Some("x"));
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(3)));
}
