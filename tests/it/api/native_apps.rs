//! Pages that belong to no web site: those of native apps, whose webviews have schemes of their own, and of browser extensions.

use super::origin::cors;
use crate::support::TestApp;

/// What webviews and browsers send as `Origin`.
const APPS: [&str; 11] = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://localhost",
    "app://.",
    "app://-",
    "com.example.notes+beta://localhost:8100",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://3c3f1f0e-8a5d-4f0b-9d0c-0f6f6d7e2b11",
    "safari-web-extension://E7D3D1B7-13A7-4B5F-8C52-5A3B1F0C9D2E",
];

async fn app() -> TestApp {
    TestApp::builder()
        .set("SERVER__PUBLIC_URL", "https://auth.example.org")
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("SERVER__ALLOWED_ORIGINS", &APPS.join(","))
        .start()
        .await
}

#[tokio::test]
async fn pages_of_listed_apps_and_extensions_act_and_read_the_answer() {
    let app = app().await;
    for origin in APPS {
        for site in [None, Some("cross-site")] {
            let mut request = app.post("/v1/auth/refresh").header("origin", origin);
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            let answer = request.send().await;
            assert_eq!(answer.brief(), "401 auth.refresh_token_missing", "{origin}");
            let expected = [
                "access-control-allow-credentials: true".to_owned(),
                format!("access-control-allow-origin: {origin}"),
                "access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate"
                    .to_owned(),
                "vary: Origin".to_owned(),
            ];
            assert_eq!(cors(&answer), expected);
        }
        let preflight = app
            .request("OPTIONS", "/v1/me")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH");
        let preflight = preflight.send().await;
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            preflight.header("access-control-allow-methods"),
            Some("GET, PATCH")
        );
    }
}

#[tokio::test]
async fn the_host_of_an_app_has_no_case() {
    let app = app().await;
    // WebKit has written the UUID of an extension in upper and in lower case.
    for origin in [
        "safari-web-extension://e7d3d1b7-13a7-4b5f-8c52-5a3b1f0c9d2e",
        "capacitor://LOCALHOST",
    ] {
        let answer = app.post("/v1/auth/refresh").header("origin", origin).send().await;
        assert_eq!(answer.brief(), "401 auth.refresh_token_missing", "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    }
}

#[tokio::test]
async fn another_app_is_a_foreign_page() {
    let app = app().await;
    for origin in [
        "null",
        "file://",
        "file:///android_asset/www/index.html",
        "capacitor://localhost/",
        "capacitor://localhost:8100",
        "capacitor://localhost.evil.example",
        "capacitor://evil.example",
        "http://localhost",
        "https://tauri.localhost",
        "ionic://127.0.0.1",
        "app://",
        "app://..",
        "app://x",
        "com.example.notes+beta://localhost",
        "com.example.notes://localhost:8100",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnoq",
        "chrome-extension://*",
        "moz-extension://",
        "localhost",
        "://localhost",
    ] {
        let answer = app.post("/v1/auth/refresh").header("origin", origin).send().await;
        assert_eq!(answer.brief(), "403 request.origin_forbidden", "{origin}");
        assert_eq!(cors(&answer), ["vary: Origin"], "{origin}");
        let answer = app.get("/healthz").header("origin", origin).send().await;
        assert_eq!(cors(&answer), ["vary: Origin"], "{origin}");
    }
}
