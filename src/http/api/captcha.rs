//! What a client must know to show a captcha.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::http::openapi::Tag;
use crate::http::pipeline::exchange::Shared;

/// The operations of this noun.
pub(crate) struct CaptchaApi(pub(crate) Arc<Shared>);

/// Whether and which captcha a client must show.
#[derive(Object)]
#[oai(example = true)]
struct CaptchaConfig {
    /// Whether a Turnstile token is asked for.
    enabled: bool,
    /// The site key of the widget; empty when it is off.
    site_key: String,
}

impl Example for CaptchaConfig {
    fn example() -> Self {
        Self {
            enabled: false,
            site_key: String::new(),
        }
    }
}

#[OpenApi(tag = "Tag::Registration")]
impl CaptchaApi {
    /// Tell how to show the captcha
    ///
    /// While it is on, registering, signing in with a password and asking for mail need a `cf_turnstile_token`, and `check` may.
    #[oai(
        path = "/v1/auth/captcha-config",
        method = "get",
        operation_id = "captcha_config"
    )]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn captcha_config(&self) -> Json<CaptchaConfig> {
        let site_key = self.0.service.captcha_site_key().to_owned();
        Json(CaptchaConfig {
            enabled: !site_key.is_empty(),
            site_key,
        })
    }
}
