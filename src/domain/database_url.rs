//! The address of a PostgreSQL database.

use secrecy::{ExposeSecret as _, SecretString};

/// `postgres://user:password@host:port/database`, which may contain a password.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    text: SecretString,
    shown: String,
}

impl DatabaseUrl {
    /// What [`DatabaseUrl::parse`] accepts, for error texts.
    pub const FORM: &'static str = "\"postgres://user@host/database\", or \"postgres://user@/database?host=/run/postgresql\" for a socket";

    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '#') {
            return None;
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))?;
        // By hand, because a URL with a user and no host is none for the URL parser. The last @ ends what is secret, so it is not in a parameter.
        let (_, address) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (address, _) = address.split_once('?').unwrap_or((address, ""));
        let (host, database) = address.split_once('/')?;
        let is_whole = !database.is_empty() && !database.contains('/');
        is_whole.then(|| Self {
            text: text.into(),
            shown: format!("postgres://{host}/{database}"),
        })
    }

    /// The URL without user, password and parameters.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The whole URL, with the password.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        let url = DatabaseUrl::parse("postgres://ann:secret@db.example:5433/auth?sslkey=hidden")
            .expect("it is one");
        assert_eq!(url.shown(), "postgres://db.example:5433/auth");
        assert!(!format!("{url:?}").contains("secret") && !format!("{url:?}").contains("hidden"));
        assert_eq!(
            url.expose(),
            "postgres://ann:secret@db.example:5433/auth?sslkey=hidden"
        );
        let socket = DatabaseUrl::parse("postgres://ann@/auth?host=/run/postgresql");
        assert_eq!(socket.as_ref().map(DatabaseUrl::shown), Some("postgres:///auth"));
        for bad in [
            "mysql://host/auth",
            "auth",
            "postgres://host",
            "postgres://host/",
            "postgres://host/a b",
            "postgres://ann:sec/ret@host/auth?user=a@b",
            "",
        ] {
            assert!(DatabaseUrl::parse(bad).is_none(), "{bad}");
        }
    }
}
