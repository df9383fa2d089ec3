//! What a client must know to show a captcha.

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::openapi::Tag;

/// The operations of this noun.
pub(super) struct CaptchaApi;

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
    /// In this release the captcha is always off, and `cf_turnstile_token` is accepted everywhere and not looked at.
    #[oai(
        path = "/v1/auth/captcha-config",
        method = "get",
        operation_id = "captcha_config"
    )]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn captcha_config(&self) -> Json<CaptchaConfig> {
        Json(CaptchaConfig {
            enabled: false,
            site_key: String::new(),
        })
    }
}
