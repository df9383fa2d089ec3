//! Whether the server lives, and whether it can serve.

use insta::assert_snapshot;

use crate::support::TestApp;

#[tokio::test]
async fn a_server_that_runs_lives_and_is_ready() {
    let app = TestApp::start().await;
    assert_snapshot!(app.get("/healthz").send().await.shown_with_headers(), @r#"
    200

    {
      "status": "ok"
    }
    "#);
    assert_snapshot!(app.get("/readyz").send().await.shown_with_headers(), @r#"
    200

    {
      "status": "ok"
    }
    "#);
}
