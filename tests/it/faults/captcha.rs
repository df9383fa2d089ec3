//! The captcha against a siteverify that refuses, breaks, lies and hangs: no refused token passes, and no request waits for it for long.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arkloop::captcha::{Captcha, CaptchaRefusal};
use arkloop::domain::{Timestamp, TurnstileSettings};
use arkloop::system::System;
use insta::{assert_debug_snapshot, assert_snapshot};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Behaviour, MovableClock, SECRET_KEY, Siteverify, seeded_system};

/// The maximum time that [`Captcha::verify`] may take.
const TOTAL: Duration = Duration::from_secs(5);
/// The time that a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);

fn system() -> System {
    let clock = MovableClock::new(Timestamp::from_millis(1_767_225_600_000));
    seeded_system(&Arc::new(clock), 1)
}

fn settings(verify_url: &str) -> TurnstileSettings {
    TurnstileSettings {
        site_key: "0x4AAAAAAAfake-site".to_owned(),
        secret_key: Some(SECRET_KEY.into()),
        allowed_hosts: Vec::new(),
        verify_url: verify_url.to_owned(),
        protect_check: false,
    }
}

/// A captcha, and the system with its clock and random numbers.
#[derive(Clone)]
struct Door {
    captcha: Captcha,
    system: System,
}

impl Door {
    fn new(settings: TurnstileSettings) -> Self {
        Self {
            captcha: Captcha::new(settings),
            system: system(),
        }
    }

    fn at(siteverify: &Siteverify) -> Self {
        Self::new(settings(&siteverify.url()))
    }

    async fn verify(&self, token: &str) -> Result<(), CaptchaRefusal> {
        let address: IpAddr = "::ffff:192.0.2.7".parse().expect("it is an address");
        self.captcha
            .verify(Some(token), Some(address), &self.system)
            .await
    }
}

/// The reason of an [`CaptchaRefusal::Unavailable`], which must not show the secret or the token.
fn unavailable(verified: &Result<(), CaptchaRefusal>) -> &str {
    match verified {
        Err(CaptchaRefusal::Unavailable(reason)) => {
            assert!(
                !reason.contains(SECRET_KEY) && !reason.contains("good"),
                "{reason}"
            );
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_captcha_nothing_is_looked_at() {
    let captcha = Captcha::new(TurnstileSettings {
        secret_key: None,
        ..settings("http://localhost/")
    });
    let endless = "x".repeat(5000);
    assert_eq!(captcha.verify(None, None, &system()).await, Ok(()));
    assert_eq!(captcha.verify(Some(&endless), None, &system()).await, Ok(()));
    assert_eq!(
        (captcha.is_on(), captcha.site_key(), captcha.protects_check()),
        (false, "", false)
    );
}

#[tokio::test]
async fn a_token_passes_once() {
    let siteverify = Siteverify::start().await;
    let door = Door::at(&siteverify);
    assert_eq!(door.verify("good &=%+ü").await, Ok(()));
    assert_eq!(door.verify("good &=%+ü").await, Err(CaptchaRefusal::Invalid));
    assert_eq!(door.verify("bad").await, Err(CaptchaRefusal::Invalid));
    let questions = siteverify.questions();
    assert_eq!(questions.len(), 3, "a refusal is not asked again");
    assert_eq!(
        (questions[0].target.as_str(), questions[0].content_type.as_str()),
        (
            "POST /turnstile/v0/siteverify",
            "application/x-www-form-urlencoded"
        )
    );
    assert_debug_snapshot!(questions[0].form, @r#"
    {
        "idempotency_key": "532deabf-8872-4cb4-b995-ab5a9cd49bf9",
        "remoteip": "192.0.2.7",
        "response": "good &=%+ü",
        "secret": "0x4AAAAAAAfake-secret",
    }
    "#);
    let verified = door.captcha.verify(Some("good 2"), None, &door.system).await;
    assert_eq!(verified, Ok(()));
    assert!(!siteverify.questions()[3].form.contains_key("remoteip"));
}

#[tokio::test]
async fn a_missing_or_endless_token_is_refused_without_asking() {
    let siteverify = Siteverify::start().await;
    let door = Door::at(&siteverify);
    let verified = door.captcha.verify(None, None, &door.system).await;
    assert_eq!(verified, Err(CaptchaRefusal::Invalid));
    assert_eq!(door.verify("").await, Err(CaptchaRefusal::Invalid));
    let longest = format!("good{}", "ü".repeat(2044));
    assert_eq!(
        door.verify(&format!("{longest}x")).await,
        Err(CaptchaRefusal::Invalid)
    );
    assert_eq!(siteverify.questions().len(), 0);
    assert_eq!(door.verify(&longest).await, Ok(()));
}

#[tokio::test]
async fn a_token_made_on_another_host_is_refused() {
    let siteverify = Siteverify::start().await;
    let door = Door::new(TurnstileSettings {
        allowed_hosts: vec!["app.example.org".to_owned(), "auth.example.org".to_owned()],
        ..settings(&siteverify.url())
    });
    assert_eq!(door.verify("good").await, Ok(()));
    for (host, verified) in [
        ("AUTH.example.org", Ok(())),
        ("evil.example", Err(CaptchaRefusal::Invalid)),
        ("auth.example.org.evil.example", Err(CaptchaRefusal::Invalid)),
        ("", Err(CaptchaRefusal::Invalid)),
    ] {
        siteverify.once(Behaviour::SuccessOn(host));
        assert_eq!(door.verify("good").await, verified, "{host}");
    }
    siteverify.once(Behaviour::Answer(200, r#"{"success":true}"#));
    assert_snapshot!(unavailable(&door.verify("good").await), @"the answer of siteverify (200) was not understood");
}

#[tokio::test]
async fn what_is_not_understood_lets_nobody_through() {
    let elsewhere = Siteverify::always(Behaviour::SuccessOn("auth.example.org")).await;
    let siteverify = Siteverify::start().await;
    let door = Door::at(&siteverify);
    let success = r#"{"success":true,"hostname":"auth.example.org"}"#;
    let mut reasons = Vec::new();
    for behaviour in [
        Behaviour::Answer(200, ""),
        Behaviour::Answer(200, "<html>just a moment</html>"),
        Behaviour::Answer(200, "true"),
        Behaviour::Answer(200, "{}"),
        Behaviour::Answer(200, r#"{"success":"true"}"#),
        Behaviour::Answer(200, r#"{"success":1}"#),
        Behaviour::Answer(200, r#"{"success":false,"success":true}"#),
        Behaviour::Answer(200, r#"{"success":true}{"success":true}"#),
        Behaviour::Answer(200, r#"{"success":false}"#),
        Behaviour::Answer(200, r#"{"success":false,"error-codes":["internal-error"]}"#),
        Behaviour::Answer(
            400,
            r#"{"success":false,"error-codes":["bad-request","0x4AAAAAAAfake-secret"]}"#,
        ),
        Behaviour::Answer(201, success),
        Behaviour::Answer(403, success),
        Behaviour::Answer(429, ""),
        Behaviour::Redirect(elsewhere.url()),
        Behaviour::TenMegabytes,
        Behaviour::Noise,
    ] {
        siteverify.once(behaviour.clone());
        let verified = door.verify("good").await;
        reasons.push(
            format!("{behaviour:?}: {}", unavailable(&verified)).replace(&elsewhere.url(), "elsewhere"),
        );
    }
    assert_eq!(siteverify.questions().len(), reasons.len(), "none is asked again");
    assert_eq!(elsewhere.questions().len(), 0, "a redirect is not followed");
    assert_snapshot!(reasons.join("\n"), @r#"
    Answer(200, ""): the answer of siteverify (200) was not understood
    Answer(200, "<html>just a moment</html>"): the answer of siteverify (200) was not understood
    Answer(200, "true"): the answer of siteverify (200) was not understood
    Answer(200, "{}"): the answer of siteverify (200) was not understood
    Answer(200, "{\"success\":\"true\"}"): the answer of siteverify (200) was not understood
    Answer(200, "{\"success\":1}"): the answer of siteverify (200) was not understood
    Answer(200, "{\"success\":false,\"success\":true}"): the answer of siteverify (200) was not understood
    Answer(200, "{\"success\":true}{\"success\":true}"): the answer of siteverify (200) was not understood
    Answer(200, "{\"success\":false}"): siteverify reports no known reason
    Answer(200, "{\"success\":false,\"error-codes\":[\"internal-error\"]}"): siteverify reports internal-error
    Answer(400, "{\"success\":false,\"error-codes\":[\"bad-request\",\"0x4AAAAAAAfake-secret\"]}"): siteverify reports bad-request
    Answer(201, "{\"success\":true,\"hostname\":\"auth.example.org\"}"): the answer of siteverify (201) was not understood
    Answer(403, "{\"success\":true,\"hostname\":\"auth.example.org\"}"): the answer of siteverify (403) was not understood
    Answer(429, ""): the answer of siteverify (429) was not understood
    Redirect("elsewhere"): siteverify answered 307
    TenMegabytes: the answer of siteverify is too large
    Noise: siteverify does not speak HTTP
    "#);
}

#[tokio::test]
async fn a_fault_and_a_lost_connection_are_tried_once_more() {
    let siteverify = Siteverify::start().await;
    let door = Door::at(&siteverify);
    for passing in [
        Behaviour::Answer(500, ""),
        Behaviour::Answer(503, r#"{"success":true}"#),
        Behaviour::HangUp,
    ] {
        let asked = siteverify.questions().len();
        siteverify.once(passing);
        assert_eq!(door.verify(&format!("good {asked}")).await, Ok(()));
        let questions = siteverify.questions();
        assert_eq!(questions.len(), asked + 2);
        assert_eq!(
            questions[asked].form,
            questions[asked + 1].form,
            "the key is the same, too"
        );
    }
    let asked = siteverify.questions().len();
    siteverify.usually(Behaviour::Answer(502, r#"{"success":true}"#));
    assert_snapshot!(unavailable(&door.verify("good").await), @"siteverify answered 502");
    assert_eq!(siteverify.questions().len(), asked + 2);
    let [last, before] = [1, 4].map(|back| siteverify.questions()[asked + 2 - back].clone());
    assert_ne!(last.idempotency_key(), before.idempotency_key());
}

#[tokio::test]
async fn a_refused_secret_is_not_the_visitors_fault() {
    let siteverify = Siteverify::start().await;
    let door = Door::new(TurnstileSettings {
        secret_key: Some("0x4AAAAAAAwrong".into()),
        ..settings(&siteverify.url())
    });
    for _ in 0..2 {
        assert_eq!(
            unavailable(&door.verify("good").await),
            "turnstile.secret_key is refused"
        );
    }
    let both = r#"{"success":false,"error-codes":["invalid-input-response","invalid-input-secret"]}"#;
    siteverify.once(Behaviour::Answer(400, both));
    unavailable(&door.verify("good").await);
    let refused = r#"{"success":false,"error-codes":["invalid-input-response"]}"#;
    siteverify.once(Behaviour::Answer(400, refused));
    assert_eq!(door.verify("good").await, Err(CaptchaRefusal::Invalid));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("there is a free port");
    let address = nobody.local_addr().expect("it listens");
    drop(nobody);
    let door = Door::new(settings(&format!("http://{address}/")));
    assert_snapshot!(unavailable(&door.verify("good").await), @"the connection to siteverify failed: Connection refused (os error 111)");
    let door = Door::new(settings("http://siteverify.invalid/"));
    unavailable(&door.verify("good").await);
}

#[tokio::test]
async fn tls_that_is_none_is_unavailable() {
    let siteverify = Siteverify::start().await;
    let door = Door::new(settings(&siteverify.url().replace("http:", "https:")));
    assert_snapshot!(unavailable(&door.verify("good").await), @"the connection to siteverify failed: unexpected end of file");
}

#[tokio::test]
async fn five_seconds_are_all_that_anybody_waits() {
    let hanging = Siteverify::always(Behaviour::Hang).await;
    let dripping = Siteverify::always(Behaviour::Drip).await;
    let slow = Siteverify::always(Behaviour::AnswerAfter(Duration::from_secs(4), 500, "")).await;
    let mut waiting = JoinSet::new();
    for siteverify in [&hanging, &dripping, &slow] {
        let door = Door::at(siteverify);
        waiting.spawn(async move { door.verify("good").await });
    }
    let started_at = Instant::now();
    while let Some(verified) = waiting.join_next().await {
        let verified = verified.expect("it did not panic");
        assert_eq!(unavailable(&verified), "siteverify did not answer in time");
        let waited = started_at.elapsed();
        assert!(
            waited > Duration::from_millis(4800) && waited < TOTAL + SLACK,
            "{waited:?}"
        );
    }
    let asked = [&hanging, &dripping, &slow].map(|siteverify| siteverify.questions().len());
    assert_eq!(asked, [1, 1, 2], "only a fault is asked again");
}

#[tokio::test]
async fn a_connection_is_waited_for_two_seconds_and_tried_once_more() {
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket
        .bind("127.0.0.1:0".parse().expect("it is an address"))
        .expect("there is a free port");
    // The listen queue has room for one connection, and none is accepted: the kernel drops all others.
    let full = socket.listen(0).expect("it listens");
    let address = full.local_addr().expect("it listens");
    let _first = TcpStream::connect(address).await.expect("there is room for one");
    let door = Door::new(settings(&format!("http://{address}/")));
    let started_at = Instant::now();
    let verified = door.verify("good").await;
    assert_snapshot!(unavailable(&verified), @"cannot connect to siteverify in time");
    let waited = started_at.elapsed();
    assert!(
        waited > Duration::from_millis(3900) && waited < Duration::from_secs(4) + SLACK,
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_hanging_siteverify_holds_32_threads_and_no_more() {
    let siteverify = Siteverify::always(Behaviour::Hang).await;
    let door = Door::at(&siteverify);
    let mut waiting = JoinSet::new();
    for number in 0..32 {
        let door = door.clone();
        waiting.spawn(async move { door.verify(&format!("good {number}")).await });
    }
    siteverify.wait_for_questions(32).await;
    let started_at = Instant::now();
    assert_snapshot!(unavailable(&door.verify("good").await), @"too many tokens are being verified");
    // A visitor who hangs up does not free the thread.
    waiting.abort_all();
    while waiting.join_next().await.is_some() {}
    unavailable(&door.verify("good").await);
    assert!(
        started_at.elapsed() < Duration::from_secs(1),
        "{:?}",
        started_at.elapsed()
    );
    assert_eq!(siteverify.questions().len(), 32);
    siteverify.usually(Behaviour::Judge);
    siteverify.release();
    while let Err(refusal) = door.verify("good").await {
        unavailable(&Err(refusal));
        assert!(started_at.elapsed() < TOTAL + SLACK);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
