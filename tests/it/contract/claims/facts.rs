//! Facts that the guides restate, and the source of each value. `numbers.rs` compares this list with the guides and the program.

use super::numbers::{body_kib, guesses_a_day, jwks_seconds, link_bits, logo_kib};

/// Where a value comes from.
#[derive(Clone, Copy)]
pub enum Value {
    /// The default of a key; for a rate, the number before the slash.
    Key(&'static str),
    /// The time after the slash in the default of a key that is a rate.
    Per(&'static str),
    /// A constant in a file of `src`.
    Constant(&'static str, &'static str),
    /// A value that is computed from others.
    Computed(fn() -> u64),
    /// A value that the program does not decide; a comment names its source.
    Elsewhere(u64),
}

use Value::{Computed, Constant, Elsewhere, Key, Per};

pub const CODES: &str = "domain/one_time_code.rs";
const MAILS: &str = "domain/mail_budget.rs";
pub const LINKS: &str = "domain/link_token.rs";
pub const ACCOUNT: &str = "rate_limit.wrong_passwords_per_account";
const ADDRESS: &str = "rate_limit.wrong_passwords_per_address";

/// Pieces of sentences, with backticks and stars left out.
pub const FACTS: &[(&str, Value)] = &[
    ("An access token lives {}", Key("tokens.access_ttl")),
    ("Bearer …. It lives {}", Key("tokens.access_ttl")),
    ("until it expires, {} by default", Key("tokens.access_ttl")),
    (
        "access token is past its {} (tokens.access_ttl)",
        Key("tokens.access_ttl"),
    ),
    (
        "works once, within {}, and does not verify the address",
        Constant(LINKS, "Self::SetPassword"),
    ),
    ("for {} (verify)", Constant(LINKS, "Self::VerifyEmail")),
    ("Its link works for {}", Constant(LINKS, "Self::VerifyEmail")),
    ("{} (reset) or", Constant(LINKS, "Self::ResetPassword")),
    ("or {} (first password)", Constant(LINKS, "Self::SetPassword")),
    ("({} to verify", Constant(LINKS, "Self::VerifyEmail")),
    ("{} to reset)", Constant(LINKS, "Self::ResetPassword")),
    (
        "to change the address works for {}",
        Constant(LINKS, "Self::ChangeEmail | Self::ResetPassword"),
    ),
    (
        "undo such a change works for {}",
        Constant(LINKS, "Self::UndoChange"),
    ),
    ("the account back for {}", Constant(LINKS, "Self::UndoChange")),
    ("the account back within {}", Constant(LINKS, "Self::UndoChange")),
    (
        "is older than {}, was replaced by a newer mail",
        Constant(LINKS, "Self::ChangeEmail | Self::ResetPassword"),
    ),
    (
        "used or is older than {}. If",
        Constant(LINKS, "Self::UndoChange"),
    ),
    (
        "has been the account's for {}",
        Constant("domain/email_change.rs", "MIN_HELD"),
    ),
    ("A code works for {}", Constant(CODES, "CODE_TTL")),
    (
        "and {} tries. At most one mail",
        Constant(CODES, "MAX_CODE_ATTEMPTS"),
    ),
    ("The code works for {}", Constant(CODES, "CODE_TTL")),
    ("compared {} times at most", Constant(CODES, "MAX_CODE_ATTEMPTS")),
    ("only the newest works, for {}", Constant(CODES, "CODE_TTL")),
    ("The code is wrong, older than {}", Constant(CODES, "CODE_TTL")),
    ("or {} codes were tried", Constant(CODES, "MAX_CODE_ATTEMPTS")),
    (
        "or its {} tries are used up",
        Constant(CODES, "MAX_CODE_ATTEMPTS"),
    ),
    ("the flow_token is older than {}", Constant(CODES, "CODE_TTL")),
    // The client.
    ("that the server is down, for {} seconds", Elsewhere(12)),
    (
        "After {} failures in a row for an address",
        Constant(CODES, "MAX_CODE_FAILURES"),
    ),
    (
        "With {} wrong codes, over more than",
        Constant(CODES, "MAX_CODE_FAILURES"),
    ),
    (
        "{} wrong codes in a row were tried for the address",
        Constant(CODES, "MAX_CODE_FAILURES"),
    ),
    (
        "more than {} codes were wrong within an hour",
        Key("otp.spray_threshold"),
    ),
    ("it is {} codes an hour", Constant(MAILS, "PER_HOUR_BRAKED")),
    (
        "while codes of many accounts are guessed) and {} a day",
        Constant(MAILS, "PER_DAY"),
    ),
    (
        "may set one within {} of signing in",
        Constant("service/presence.rs", "RECENT_SIGN_IN"),
    ),
    (
        "exported or deleted within {} of signing in",
        Constant("service/presence.rs", "RECENT_SIGN_IN"),
    ),
    (
        "needs a sign-in of the last {}",
        Constant("service/presence.rs", "RECENT_SIGN_IN"),
    ),
    (
        "its last sign-in was more than {} ago",
        Constant("service/presence.rs", "RECENT_SIGN_IN"),
    ),
    (
        "signs {} later",
        Constant("service/operator/signing_key.rs", "ANNOUNCED"),
    ),
    ("may be cached for {}", Computed(jwks_seconds)),
    (
        "which is {} on a terminal",
        Constant("cli/arguments.rs", "ROWS_ON_A_TERMINAL"),
    ),
    (
        "The rows are counted up to {}",
        Constant("domain/page.rs", "MOST_COUNTED"),
    ),
    // `cooldownDuration` of jose, `cooldown_duration` of PyJWT.
    ("PyJWT do so at most every {} seconds", Elsewhere(30)),
    // `cacheMaxAge` of jose, `lifespan` of PyJWT; `cacheMaxAge` of jwks-rsa.
    ("That is {} minutes in jose", Elsewhere(10)),
    ("but keeps each key for {} minutes", Elsewhere(10)),
    ("After {} wrong passwords in a row", Key(ADDRESS)),
    ("after {} from everywhere", Key(ACCOUNT)),
    ("the account takes none for {}", Per(ACCOUNT)),
    ("{} for each 100 guesses", Per(ACCOUNT)),
    ("for each {} guesses (a code", Key(ACCOUNT)),
    (
        "during the last {}",
        Constant("domain/password_failures/mod.rs", "ACQUAINTED_FOR"),
    ),
    ("get through {} guesses a day", Computed(guesses_a_day)),
    ("may try {} passwords a minute", Key("rate_limit.login")),
    ("{} times an hour for each account", Key("rate_limit.rename")),
    (
        "limit of {} an hour for each account",
        Key("rate_limit.own_account"),
    ),
    ("The body is larger than {} KiB", Computed(body_kib)),
    ("PNG or SVG, at most {} KiB", Computed(logo_kib)),
    (
        "Fewest characters of a new password: {} to 64",
        Key("password.min_length"),
    ),
    (
        "one line of at most {} characters in any script",
        Constant("domain/service_name.rs", "MAX_CHARS"),
    ),
    ("{} without a refresh", Key("tokens.refresh_idle_ttl")),
    ("{} in all", Key("tokens.refresh_absolute_ttl")),
    ("tokens.refresh_grace ({})", Key("tokens.refresh_grace")),
    // RFC 6177: the site of a customer
    ("an IPv6 network of {} bits", Elsewhere(48)),
    // RFC 4291: a network
    ("a network of {} bits", Elsewhere(64)),
    ("has {} random bits", Computed(link_bits)),
    // git
    ("in fewer than {} characters", Elsewhere(72)),
    // measured with cargo build --release
    ("three to {} minutes on two cores", Elsewhere(5)),
    // The heading of the tour.
    ("{} minutes with it", Elsewhere(5)),
    ("it works for {}", Constant(LINKS, "Self::VerifyEmail")),
    ("older than {}, replaced", Constant(LINKS, "Self::VerifyEmail")),
    ("The link works for {}", Constant(LINKS, "Self::ResetPassword")),
    // The table of mails.
    (
        "asks once more | the address of the account | {}",
        Constant(LINKS, "Self::VerifyEmail"),
    ),
    (
        "asks for a code | the address of the account | {}",
        Constant(CODES, "CODE_TTL"),
    ),
    (
        "link to set a password | the address of the account | {}",
        Constant(LINKS, "Self::ResetPassword"),
    ),
    (
        "or user link | the address of the account | {}",
        Constant(LINKS, "Self::SetPassword"),
    ),
    (
        "without owning it | the address of the account | {}, if",
        Constant(LINKS, "Self::SetPassword"),
    ),
    (
        "was asked for | the new address | {}",
        Constant(LINKS, "Self::ChangeEmail | Self::ResetPassword"),
    ),
    ("had until then | {}, if", Constant(LINKS, "Self::UndoChange")),
    (
        "taken back | that address | {}",
        Constant(LINKS, "Self::ResetPassword"),
    ),
    (
        "2 to {} characters: letters",
        Constant("domain/user.rs", "MAX_CHARS"),
    ),
    // RFC 4648: 32 bytes, and the end of the line.
    ("printed as base64 is {} characters", Elsewhere(45)),
];
