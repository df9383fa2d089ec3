//! What the service is called, as people see it: in mails, on pages, and at `/`.

use insta::assert_snapshot;

use crate::support::TestApp;
use crate::support::smtp::SmtpServer;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn a_mail_says_in_from_subject_and_first_line_which_service_it_comes_from() {
    let smtp = SmtpServer::start();
    let name = "示例 \"A, B\" <c>";
    let app = TestApp::builder()
        .open()
        .smtp(&smtp)
        .set("SERVER__NAME", name)
        .set("MAIL__FROM", "no-reply@example.org")
        .set("MAIL__LOCALE", "zh")
        .start()
        .await;
    app.register("alice").await;
    let mail = smtp.mail_to("alice@example.org").await;
    let message = mail.message();
    let from = message.from().and_then(|from| from.first());
    assert_eq!(from.and_then(|from| from.name()), Some(name));
    assert_eq!(from.and_then(|from| from.address()), Some("no-reply@example.org"));
    // The account has no language of its own, so the mail is in the default one.
    assert_eq!(
        message.subject(),
        Some(format!("【{name}】请确认您的邮箱地址").as_str())
    );
    assert_eq!(mail.text().lines().next(), Some(name));
}

#[tokio::test]
async fn a_sender_with_a_name_of_its_own_keeps_it() {
    let smtp = SmtpServer::start();
    let app = TestApp::builder()
        .open()
        .smtp(&smtp)
        .set("SERVER__NAME", "Example")
        .set("MAIL__FROM", "Post room <post@example.org>")
        .start()
        .await;
    app.register("alice").await;
    let mail = smtp.mail_to("alice@example.org").await;
    let message = mail.message();
    let from = message.from().and_then(|from| from.first());
    assert_eq!(from.and_then(|from| from.name()), Some("Post room"));
}

#[tokio::test]
async fn the_title_of_every_page_names_the_service_as_text() {
    let app = TestApp::builder()
        .set("SERVER__NAME", "示例 <b>\"A\" & 'B'")
        .start()
        .await;
    let name = "示例 &lt;b&gt;&quot;A&quot; &amp; &#x27;B&#x27;";
    for path in ["/", "/register", "/verify", "/reset", "/account"] {
        let page = app.get(path).header("accept", BROWSER).send().await.body;
        assert!(page.contains(&format!(" · {name}</title>")), "{path}: {page}");
        assert!(
            page.contains(&format!("data-after=\" · {name}\"")),
            "{path}: {page}"
        );
        assert!(!page.contains("<b>") && !page.contains("{service}"), "{path}");
    }
}

#[tokio::test]
async fn with_pages_off_the_root_still_tells_what_this_is() {
    let app = TestApp::builder()
        .set("SERVER__NAME", "示例 <b>")
        .set("SERVER__PAGES", "false")
        .start()
        .await;
    let mut answer = app.get("/").header("accept", BROWSER).send().await;
    let page = std::mem::take(&mut answer.body);
    assert_snapshot!(answer.shown_with_headers(), @r"
    200
    content-security-policy: default-src 'none'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    cross-origin-opener-policy: same-origin
    vary: Accept, Accept-Language
    ");
    assert!(page.contains("<title>示例 &lt;b&gt;</title>"), "{page}");
    assert!(page.contains("href=\"/docs\"") && !page.contains("<b>"), "{page}");
    let head = app.request("HEAD", "/").header("accept", BROWSER).send().await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let chinese = app.get("/").header("accept", BROWSER);
    let chinese = chinese
        .header("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")
        .send()
        .await;
    assert!(chinese.body.contains("lang=\"zh-Hans\""), "{}", chinese.body);
    assert!(chinese.body.contains("登录"), "{}", chinese.body);
}

#[tokio::test]
async fn every_other_client_finds_nothing_at_the_root() {
    let app = TestApp::start().await;
    for accept in ["*/*", "application/json", "text/*", "text/html;q=0"] {
        let answer = app.get("/").header("accept", accept).send().await;
        assert_eq!(answer.brief(), "404 http.not_found", "{accept}");
    }
    let posted = app.post("/").header("accept", BROWSER).send().await;
    assert_eq!(posted.brief(), "404 http.not_found");
    let elsewhere = app.get("/nothing").header("accept", BROWSER).send().await;
    assert_eq!(elsewhere.brief(), "404 http.not_found");
}

#[tokio::test]
async fn the_page_at_the_root_leads_only_to_what_there_is() {
    let app = TestApp::builder()
        .set("SERVER__PAGES", "false")
        .set("SERVER__DOCS", "false")
        .set("SERVER__APP_URL", "https://app.example.org")
        .start()
        .await;
    let answer = app.get("/").header("accept", BROWSER).send().await;
    assert_eq!(answer.status, 200);
    let links: Vec<&str> = answer
        .body
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    // Slashes in attributes are written as character references.
    assert_eq!(links, ["https:&#x2f;&#x2f;app.example.org"]);
}
