//! What a client must know to show a captcha.

use std::future::ready;

use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::payload::Json;

use crate::http::pipeline::{Exchange, Operation, Success, Tag};

/// Whether and which captcha a client must show.
#[derive(Object)]
struct CaptchaConfig {
    /// Whether a Turnstile token is asked for.
    enabled: bool,
    /// The site key of the widget; empty while the captcha is off.
    site_key: String,
}

pub(super) const CAPTCHA_CONFIG: Operation = Operation {
    id: "captcha_config",
    path: "/v1/auth/captcha-config",
    tag: Some(Tag::Registration),
    summary: "Tell how to show the captcha",
    description: "While the captcha is on, registering, signing in with a password, `resolve`, and requests for a code or for a link to set a password need a \
                  `cf_turnstile_token`. `check` needs one if the operator has set `turnstile.protect_check`.",
    success: Success::json::<CaptchaConfig>("", r#"{ "enabled": false, "site_key": "" }"#),
    ..Operation::open(|exchange| Box::pin(ready(Ok(captcha_config(&exchange)))))
};

fn captcha_config(exchange: &Exchange) -> Response {
    let site_key = exchange.shared.service.captcha_site_key().to_owned();
    let config = CaptchaConfig {
        enabled: !site_key.is_empty(),
        site_key,
    };
    Json(config).into_response()
}
