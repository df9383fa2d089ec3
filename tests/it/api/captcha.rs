//! What a client must know to show a captcha.

use insta::assert_snapshot;

use crate::support::TestApp;

#[tokio::test]
async fn the_captcha_is_off() {
    let app = TestApp::start().await;
    let answer = app.get("/v1/auth/captcha-config").send().await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200
    cache-control: no-store
    content-length: [length]
    content-security-policy: default-src 'none'; frame-ancestors 'none'
    content-type: application/json; charset=utf-8
    referrer-policy: no-referrer
    vary: Origin
    x-content-type-options: nosniff
    x-trace-id: [trace id]

    {
      "enabled": false,
      "site_key": ""
    }
    "#);
}
