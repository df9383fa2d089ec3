//! The password file of libpq: lines of `host:port:database:user:password`
//! (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

use secrecy::SecretString;

use crate::domain::{DatabaseHost, DatabasePlace};

/// The password of the first line for the host, the database and the user; `None` if there is no such line.
pub(super) fn find_password(
    text: &str,
    host: &DatabaseHost,
    database: &str,
    user: &str,
) -> Option<SecretString> {
    let port = host.port.to_string();
    let is_host = |field: &str| match &host.place {
        DatabasePlace::Network(name) => field == name,
        // libpq calls its own directory of sockets so, and each distribution has another one.
        DatabasePlace::Socket(path) => field == "localhost" || path.to_str() == Some(field),
    };
    let found = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let (fields, password) = split(line)?;
            let [of_host, of_port, of_database, of_user] = &fields;
            let is = |field: &str, wanted: &str| field == "*" || field == wanted;
            let is_wanted = (of_host == "*" || is_host(of_host))
                && is(of_port, &port)
                && is(of_database, database)
                && is(of_user, user);
            is_wanted.then_some(password)
        })?;
    Some(found.into())
}

/// The four fields before the password, and the password. A backslash takes the next character as it is.
fn split(line: &str) -> Option<([String; 4], String)> {
    let mut fields = [const { String::new() }; 5];
    let mut at = 0;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' if at < 4 => at += 1,
            '\\' => fields[at].push(characters.next()?),
            c => fields[at].push(c),
        }
    }
    let [host, port, database, user, password] = fields;
    (at == 4).then_some(([host, port, database, user], password))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn found(text: &str, place: DatabasePlace) -> Option<String> {
        let host = DatabaseHost { place, port: 5433 };
        let password = find_password(text, &host, "auth", "a:b")?;
        Some(password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db:5433:auth:a\\:b:comment\n\
            short:line\n\
            db:5432:auth:a\\:b:of another port\n\
            db:5433:other:a\\:b:of another database\n\
            db:5433:auth:ann:of another user\n\
            other:5433:auth:a\\:b:of another host\n\
            db:5433:*:a\\:b:p:a\\\\s\\:s\n\
            *:*:*:*:second\n";
        let network = |name: &str| DatabasePlace::Network(name.to_owned());
        assert_eq!(found(text, network("db")).as_deref(), Some("p:a\\s:s"));
        assert_eq!(found(text, network("third")).as_deref(), Some("second"));
        assert_eq!(found("db:5433:auth:a\\:b", network("db")), None);
        assert_eq!(found("localhost:5433:auth:a\\:b:x", network("db")), None);
        let socket = || DatabasePlace::Socket("/run/postgresql".into());
        assert_eq!(found("localhost:*:*:*:x", socket()).as_deref(), Some("x"));
        assert_eq!(found("/run/postgresql:*:*:*:y", socket()).as_deref(), Some("y"));
        assert_eq!(found("/run:*:*:*:y", socket()), None);
    }
}
