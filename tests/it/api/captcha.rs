//! What a client must know to show a captcha.

use insta::assert_snapshot;

use crate::support::TestApp;

#[tokio::test]
async fn the_captcha_is_off() {
    let app = TestApp::start().await;
    let answer = app.get("/v1/auth/captcha-config").send().await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    200

    {
      "enabled": false,
      "site_key": ""
    }
    "#);
}
