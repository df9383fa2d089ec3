//! The settings of Cloudflare Turnstile.

use secrecy::SecretString;

#[derive(Clone, Debug)]
pub struct TurnstileSettings {
    /// The public half of the key pair, for the widget; empty for none.
    pub site_key: String,
    /// The secret half; setting it switches Turnstile on.
    pub secret_key: Option<SecretString>,
    /// The hosts, in lower case, for which a token may be issued; empty for any host.
    pub allowed_hosts: Vec<String>,
    /// Where tokens are verified: https, or http to this machine.
    pub verify_url: String,
    /// Whether `/v1/auth/check` also requires a Turnstile token.
    pub protect_check: bool,
}
