//! What is wrong with the URL of a database.

/// What the URL must look like.
const FORM: &str =
    "\"postgres://user@host/database\", or \"postgres://user@/database?host=/run/postgresql\" for a socket";

/// Why a text is not the URL of a database. The texts complete a sentence that begins with what the value must be, and repeat no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error("{}", FORM)]
    Form,
    #[error(
        "a URL whose user and password have their characters other than letters and digits percent-encoded (@ is %40, / is %2F, ? is %3F)"
    )]
    Encoding,
    #[error("a URL with a user: \"postgres://user@host/database\"")]
    NoUser,
    #[error("a URL without parameters that are not known here, such as {0}; known are {KNOWN}")]
    UnknownParameter(String),
    #[error("a URL that names {0} once")]
    Repeated(&'static str),
    #[error("a URL in which {0} is {1}")]
    Value(&'static str, &'static str),
    #[error(
        "a URL with sslmode=verify-full: {0} would talk to any server, whatever its certificate says; name the authority of the server with sslrootcert=FILE \
         if it is not a well-known one"
    )]
    Unverified(&'static str),
    #[error(
        "a URL with sslrootcert=FILE beside sslmode=verify-ca, because anyone has a certificate of a well-known authority"
    )]
    AnyHost,
    #[error("a URL in which {0} stands beside {1}")]
    Alone(&'static str, &'static str),
    #[error("a URL without {0}, because no connection of it uses TLS")]
    NoTls(&'static str),
}

/// The parameters, for error texts.
const KNOWN: &str = "host, port, user, password, passfile, sslmode, sslrootcert, sslcert, sslkey, channel_binding, connect_timeout, target_session_attrs, \
                     application_name and options";
