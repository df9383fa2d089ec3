//! The built-in pages, under a strict policy: loading one changes nothing.

use std::collections::BTreeSet;
use std::fs;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::mailed::Mailed;
use crate::support::{Answer, TestApp};

const PAGES: [&str; 5] = ["/", "/register", "/verify", "/reset", "/account"];

/// Asks as browsers do: `/` is there for them only.
async fn open(app: &TestApp, path: &str) -> Answer {
    app.get(path).header("accept", "text/html").send().await
}

/// Headers without the digest of the style sheet.
fn with_any_style(headers: &str) -> String {
    let (before, rest) = headers.split_once("'sha256-").expect("a style sheet is allowed");
    let (_, after) = rest.split_once('\'').expect("the source ends");
    format!("{before}'[style sheet]'{after}")
}

#[tokio::test]
async fn a_page_runs_nothing_but_its_own_scripts() {
    let app = TestApp::start().await;
    let mut shown = BTreeSet::new();
    for path in PAGES {
        let mut answer = open(&app, path).await;
        let page = std::mem::take(&mut answer.body);
        shown.insert(with_any_style(&answer.shown_with_headers()));
        // Every file that the page names is served.
        let mut files = 0;
        for piece in page.split("\"/pages/").skip(1) {
            let file = piece.split('"').next().unwrap_or_default();
            let answer = app.get(&format!("/pages/{file}")).send().await;
            assert_eq!(answer.status, 200, "{file}");
            let kind = match file.rsplit('.').next() {
                Some("js") => "text/javascript; charset=utf-8",
                _ => "image/svg+xml",
            };
            assert_eq!(answer.header("content-type"), Some(kind), "{file}");
            files += 1;
        }
        assert!(files >= 2, "{path} names {files} files");
    }
    assert_snapshot!(shown.into_iter().collect::<Vec<_>>().join("\n\n"), @r"
    200
    content-security-policy: default-src 'none'; script-src 'self'; style-src '[style sheet]'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    cross-origin-opener-policy: same-origin
    etag: [digest]
    vary: Accept, Accept-Encoding, Accept-Language

    200
    content-security-policy: default-src 'none'; script-src 'self'; style-src '[style sheet]'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    cross-origin-opener-policy: same-origin
    etag: [digest]
    vary: Accept-Encoding, Accept-Language
    ");
}

#[tokio::test]
async fn a_page_is_in_the_language_that_the_browser_prefers() {
    let app = TestApp::start().await;
    for path in PAGES {
        let english = open(&app, path).await;
        let asked = |language: &str| {
            let request = app.get(path).header("accept", "text/html");
            request.header("accept-language", language)
        };
        let chinese = asked("zh-CN,zh;q=0.9,en;q=0.8").send().await;
        for (answer, lang, texts) in [(&english, "en", "en"), (&chinese, "zh-Hans", "zh")] {
            assert!(
                answer.body.contains(&format!("<html lang=\"{lang}\"")),
                "{path}: {}",
                answer.body
            );
            let texts = format!("/pages/{texts}-common.js");
            assert!(answer.body.contains(&texts), "{path}: {}", answer.body);
        }
        // The other language is not loaded, and a copy that a browser keeps in one language does not pass for the other.
        assert!(!chinese.body.contains("/pages/en-"), "{path}: {}", chinese.body);
        assert_ne!(english.header("etag"), chinese.header("etag"), "{path}");
        let tag = english.header("etag").unwrap_or_default();
        let switched = asked("zh").header("if-none-match", tag);
        assert_eq!(switched.send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn with_a_captcha_the_policy_lets_its_host_in_where_it_is_asked_for() {
    let app = TestApp::builder()
        .set("TURNSTILE__SITE_KEY", "0x4AAAAAAAsite")
        .set("TURNSTILE__SECRET_KEY", "0x4AAAAAAAsecret")
        .start()
        .await;
    for (path, has_captcha) in [
        ("/", true),
        ("/register", true),
        ("/verify", false),
        ("/reset", true),
        ("/account", false),
    ] {
        let answer = open(&app, path).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert_eq!(
            policy.contains("https://challenges.cloudflare.com"),
            has_captcha,
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn looking_at_a_page_uses_no_link_up() {
    let mailed = Mailed::start().await;
    let (_, token) = mailed.register("alice").await;
    for method in ["GET", "HEAD"] {
        for path in PAGES {
            for path in [path.to_owned(), format!("{path}?token={token}")] {
                let request = mailed.app.request(method, &path);
                let answer = request.header("accept", "text/html").send().await;
                assert_eq!(answer.status, 200, "{method} {path}");
            }
        }
    }
    let post = mailed.app.post("/verify").send().await;
    assert_eq!(post.brief(), "405 http.method_not_allowed");
    assert_eq!(
        mailed.verify("preview", &token).await.json()["email_verified"],
        false
    );
    assert_eq!(mailed.verify("confirm", &token).await.brief(), "200 -");
}

#[tokio::test]
async fn no_file_but_those_of_the_pages_is_served() {
    let app = TestApp::start().await;
    for path in [
        "/pages/",
        "/pages/nothing.js",
        "/pages/register.html",
        "/register%20en",
        "/pages/register%20en",
        "/pages/mod.rs",
        "/pages/../mod.rs",
        "/pages/..%2fmod.rs",
        "/register/",
        "/register.html",
    ] {
        assert_eq!(app.get(path).send().await.brief(), "404 http.not_found", "{path}");
    }
}

#[tokio::test]
async fn the_operator_may_turn_the_pages_off() {
    let app = TestApp::builder().set("SERVER__PAGES", "false").start().await;
    for path in PAGES[1..].iter().chain(&["/pages/page.js"]) {
        assert_eq!(open(&app, path).await.brief(), "404 http.not_found", "{path}");
    }
    let root = open(&app, "/").await;
    assert!(!root.body.contains("<script"), "{}", root.body);
}

#[tokio::test]
async fn the_pages_offer_the_ways_that_there_are() {
    for (key, value, has_codes, has_resets) in [
        ("MAIL__TRANSPORT", "file", true, true),
        ("OTP__ENABLED", "false", false, true),
        ("MAIL__TRANSPORT", "off", false, false),
    ] {
        let builder = TestApp::builder().set("MAIL__TRANSPORT", "file");
        let app = builder.set(key, value).start().await;
        for (path, piece, is_there) in [
            ("/", "id=\"by-code\"", has_codes),
            ("/", "href=\"/reset\"", has_resets),
            ("/register", "href=\"/reset\"", has_resets),
            ("/account", "<meta name=\"mail\" content=\"on\">", has_resets),
        ] {
            let page = open(&app, path).await.body;
            let what = format!("{path} {piece}, {key} = {value}");
            assert_eq!(page.contains(piece), is_there, "{what}: {page}");
        }
    }
}

/// Without waiting for a script: what a browser paints first is right.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_follow_the_registration_mode_at_once() {
    let app = TestApp::builder().machine_clock().start().await;
    for (mode, needs_invite, is_open) in [
        ("open", false, true),
        ("invite_only", true, true),
        ("disabled", false, false),
    ] {
        app.workspace().json(&["registration", "set", mode]);
        let page = open(&app, "/register").await.body;
        for (piece, is_there) in [
            ("<section id=\"ask\">", is_open),
            ("<section id=\"closed\">", !is_open),
            ("<div id=\"invite\" class=\"field\">", needs_invite),
            ("<section id=\"loading\" hidden>", true),
            ("data-text=\"register.title\" data-after", is_open),
        ] {
            assert_eq!(page.contains(piece), is_there, "{mode} {piece}: {page}");
        }
        let home = open(&app, "/").await.body;
        assert_eq!(home.contains("href=\"/register\""), is_open, "{mode}: {home}");
    }
}

/// Otherwise a browser would put the password into the address.
#[tokio::test]
async fn no_form_can_be_sent_before_its_script_is_there() {
    let app = TestApp::start().await;
    for path in PAGES {
        let page = open(&app, path).await.body;
        let tags = page.split("<button").skip(1);
        let tags = tags.filter_map(|button| button.split('>').next());
        // A button without a type sends its form, too.
        for tag in tags.filter(|tag| !tag.contains("type=\"button\"")) {
            assert!(tag.contains(" disabled"), "{path}: {tag}");
        }
    }
}

#[tokio::test]
async fn the_pages_list_where_people_may_go_back_to() {
    let app = TestApp::builder()
        .set("SERVER__APP_URL", "https://app.example.org")
        .set(
            "SERVER__ALLOWED_ORIGINS",
            "http://localhost:5173,http://intranet.example.org,https://other.example.com:8443,myapp://signed-in",
        )
        .start()
        .await;
    for path in ["/", "/register"] {
        let page = open(&app, path).await.body;
        let (_, rest) = page
            .split_once("<meta name=\"return-to\" content=\"")
            .expect("it has a list");
        let listed = rest.split('"').next().unwrap_or_default().replace("&#x2f;", "/");
        assert_eq!(
            listed,
            "https://app.example.org http://localhost:5173 https://other.example.com:8443 myapp://signed-in"
        );
    }
    // The server redirects to no address. The pages are rendered at the start; if they were rendered for each request, what it asks for must not be in them.
    for asked in [
        "https://app.example.org/",
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
    ] {
        let answer = open(&app, &format!("/?return_to={asked}")).await;
        assert_eq!((answer.status, answer.header("location")), (200, None), "{asked}");
        assert!(
            !answer.body.contains("evil") && !answer.body.contains("alert(1)"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn the_logo_stands_on_every_page() {
    const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"/>";
    let directory = TempDir::new().expect("there is room");
    let file = directory.path().join("logo.svg");
    fs::write(&file, LOGO).expect("it is written");
    let app = TestApp::builder().set("SERVER__LOGO_FILE", &file.to_string_lossy());
    let app = app.start().await;
    for path in PAGES {
        let page = open(&app, path).await.body;
        assert_eq!(page.matches("\"/pages/logo.svg\"").count(), 2, "{path}: {page}");
        assert!(!page.contains("icon.svg"), "{path}: {page}");
    }
    let mut logo = app.get("/pages/logo.svg").send().await;
    assert_eq!(std::mem::take(&mut logo.body), LOGO);
    // A browser that opens the file by itself runs nothing in it, and shows it with the styles that it brings.
    assert_snapshot!(logo.shown_with_headers(), @r"
    200
    cache-control: no-cache
    content-security-policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; sandbox
    content-type: image/svg+xml; charset=utf-8
    etag: [digest]
    vary: Accept-Encoding
    ");
    assert_eq!(app.get("/pages/logo.png").send().await.status, 404);
}
