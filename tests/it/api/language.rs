//! The language that a client gives for its user: a hint, so that no value of it is refused.

use serde_json::{Value, json};

use super::mailed::{Mailed, address};
use crate::support::{TestApp, registration};

/// Hints of devices and clients, each with the language that the account then has. The default is "zh" here.
const HINTS: [(&str, &str); 44] = [
    ("en_US", "en-US"),
    ("zh_CN.UTF-8", "zh-CN"),
    ("sr_Latn_RS", "sr-Latn-RS"),
    ("pt_BR.ISO8859-1", "pt-BR"),
    ("sr_RS@latin", "sr-Latn-RS"),
    ("uz_UZ.UTF-8@cyrillic", "uz-Cyrl-UZ"),
    ("ca_ES@euro", "ca-ES"),
    ("de_DE@collation=phonebook;currency=EUR", "de-DE"),
    (" en ", "en"),
    ("\u{feff}en-GB\u{200b}", "en-GB"),
    ("zh_TW_#Hant", "zh-Hant-TW"),
    ("sr__#Latn", "sr-Latn"),
    ("en_US_POSIX", "en-US-posix"),
    ("en-", "en"),
    ("\u{ff45}\u{ff4e}\u{ff3f}\u{ff35}\u{ff33}", "en-US"),
    ("\u{ff5a}\u{ff48}\u{ff0d}\u{ff34}\u{ff37}", "zh-TW"),
    ("en\u{2011}GB", "en-GB"),
    ("de\u{2013}AT", "de-AT"),
    ("sr\u{2212}Latn\u{2014}RS", "sr-Latn-RS"),
    ("zh CN", "zh-CN"),
    ("pt -\u{3000}BR", "pt-BR"),
    ("z\u{ad}h-\u{200e}CN", "zh-CN"),
    ("Zh-tw", "zh-TW"),
    ("ZH_HANT_hk", "zh-Hant-HK"),
    ("SL-Rozaj-1994-it-U-CO-PHONEBK", "sl-rozaj-1994-IT-u-co-phonebk"),
    ("en-X-Latn-US", "en-x-latn-us"),
    ("C", "zh"),
    ("C.UTF-8", "zh"),
    ("POSIX", "zh"),
    ("root", "zh"),
    ("und", "zh"),
    ("*", "zh"),
    ("x-klingon", "zh"),
    ("i-klingon", "zh"),
    ("en-x-pirate", "en-x-pirate"),
    ("en-GB-oed", "en-GB-oed"),
    ("zh-min-nan", "zh-min-nan"),
    ("art-lojban", "art-lojban"),
    ("en-US-u-hc-h23-mu-celsius", "en-US-u-hc-h23-mu-celsius"),
    (
        "zh-Hans-CN-u-ca-chinese-fw-mon-nu-hanidec",
        "zh-Hans-CN-u-ca-chinese-fw-mon-nu",
    ),
    ("English_United States.1252", "zh"),
    ("../etc/passwd", "zh"),
    ("\u{4e2d}\u{6587}", "zh"),
    ("\u{200b}", "zh"),
];

#[tokio::test]
async fn a_language_is_taken_as_devices_say_it_and_refuses_nothing() {
    let app = TestApp::builder().open().set("MAIL__LOCALE", "zh").start().await;
    let register = async |name: String, locale: &str| {
        let mut body = registration(&name);
        body["locale"] = json!(locale);
        app.post("/v1/auth/register").json(&body).send().await
    };
    for (number, (hint, kept)) in HINTS.into_iter().enumerate() {
        let answer = register(format!("user-{number}"), hint).await;
        assert_eq!(answer.brief(), "201 -", "{hint:?}");
        let token = answer.access_token();
        assert_eq!(app.me(&token).await.json()["locale"], kept, "{hint:?}");
        for (said, expected) in [("de", "de"), (hint, kept)] {
            let change = json!({ "locale": said });
            let changed = app.patch("/v1/me").bearer(&token).json(&change).send().await;
            assert_eq!(changed.json()["locale"], expected, "{hint:?}");
        }
    }
    let long = register("long".to_owned(), &"en-".repeat(40)).await;
    let field = &long.json()["details"]["fields"]["locale"];
    assert_eq!((&field["code"], &field["max"]), (&json!("too_long"), &json!(100)));
}

#[tokio::test]
async fn mails_are_in_the_language_that_is_nearest_to_what_the_device_said() {
    let mailed = Mailed::start().await;
    for (number, (hint, begins)) in [
        ("zh_CN.UTF-8", "【localhost】"),
        ("zh_TW_#Hant", "【localhost】"),
        ("yue-Hant-HK", "【localhost】"),
        ("zho", "【localhost】"),
        ("eng_US", "localhost: "),
        ("sr_RS@latin", "localhost: "),
        ("C", "localhost: "),
    ]
    .into_iter()
    .enumerate()
    {
        let login = format!("user-{number}");
        let mut body = registration(&login);
        body["locale"] = json!(hint);
        assert_eq!(
            mailed.post("/v1/auth/register", body).await.brief(),
            "201 -",
            "{hint}"
        );
        let mail = mailed.smtp.mail_to(&address(&login)).await;
        let subject = mail.message().subject().unwrap_or_default().to_owned();
        assert!(subject.starts_with(begins), "{hint}: {subject}");
    }
}

#[tokio::test]
async fn the_first_page_is_in_the_language_that_the_browser_says_however_it_spells_it() {
    let app = TestApp::start().await;
    for (said, lang) in [
        ("zh_CN", "zh-Hans"),
        ("yue-HK, en;q=0.5", "zh-Hans"),
        ("*, C", "en"),
        ("en_US, zh", "en"),
    ] {
        let request = app
            .get("/")
            .header("accept", "text/html")
            .header("accept-language", said);
        let page = request.send().await;
        assert!(
            page.body.contains(&format!("<html lang=\"{lang}\"")),
            "{said}: {}",
            page.body
        );
    }
}

#[test]
fn the_document_closes_no_list_and_no_form_of_languages() {
    let document: Value =
        serde_json::from_str(include_str!("../../../openapi/arkloop.json")).expect("it is JSON");
    for body in ["RegisterRequest", "UpdateMeRequest"] {
        let locale = &document["components"]["schemas"][body]["properties"]["locale"];
        assert_eq!(locale["type"], "string");
        assert!(
            locale.get("pattern").is_none() && locale.get("enum").is_none(),
            "{locale}"
        );
    }
}
