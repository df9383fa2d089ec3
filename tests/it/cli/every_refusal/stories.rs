//! The requests that cause each refusal.

use std::num::NonZeroU16;
use std::time::Duration;

use arkloop::domain::{Email, InviteCode, InviteUses, Username};
use arkloop::service::{InviteDraft, NewUser, UserRef};
use serde_json::json;

use super::Story;
use crate::support::smtp::SmtpServer;
use crate::support::{Behaviour, PASSWORD, SECRET_KEY, Siteverify, TestApp, registration};

const ADDRESS: &str = "127.0.0.1";
const WRONG: &str = "a wrong password";

pub(super) async fn sign_ins() -> Story {
    let story = Story::of(TestApp::open().await);
    let app = &story.app;
    app.register("alice").await;
    story.explain("alice", &app.login("alice", WRONG).await).await;
    let unknown = app.login("alicia", PASSWORD).await;
    story.explain(ADDRESS, &unknown).await;
    story.explain("alicia", &unknown).await;
    let bob = NewUser {
        username: Username::parse("bob").expect("it is a name"),
        email: Email::parse("bob@example.org").expect("it is an address"),
        is_verified: true,
        password: None,
        locale: None,
        no_mail: false,
    };
    app.service()
        .create_user(bob)
        .await
        .expect("the account is created");
    story.explain("bob", &app.login("bob", PASSWORD).await).await;
    let alice = UserRef::parse("alice");
    app.service().suspend(alice).await.expect("the account exists");
    story.explain("alice", &app.login("alice", PASSWORD).await).await;
    story
}

/// Refreshes without the token of a session that is alive, and with a token that was replaced.
pub(super) async fn refreshes() -> Story {
    let app = TestApp::builder().open();
    let story = Story::of(app.set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start().await);
    let app = &story.app;
    let cookie = app.register("alice").await.cookie();
    let missing = app.post("/v1/auth/refresh").send().await;
    story.explain(ADDRESS, &missing).await;
    let forged = format!("{}AAAA", &cookie[..cookie.len() - 4]);
    story.explain(ADDRESS, &app.refresh(&forged).await).await;
    let gone = app.register("bob").await.cookie();
    let bob = UserRef::parse("bob");
    app.service().delete_user(bob).await.expect("the account exists");
    story.explain(ADDRESS, &app.refresh(&gone).await).await;
    let current = app.refresh(&cookie).await.cookie();
    let elsewhere = app
        .post("/v1/auth/refresh")
        .cookie(&cookie)
        .header("x-forwarded-for", "198.51.100.66")
        .header("user-agent", "curl/8.14.1");
    story.explain("alice", &elsewhere.send().await).await;
    let carol = app.register("carol").await.cookie();
    let both = app.post("/v1/auth/refresh").cookie(&current).cookie(&carol);
    story.explain("alice", &both.send().await).await;
    app.advance(Duration::from_hours(24));
    story.explain("alice", &app.refresh(&cookie).await).await;
    story.explain("alice", &app.refresh(&cookie).await).await;
    let first = app.login("alice", PASSWORD).await.cookie();
    app.refresh(&app.refresh(&first).await.cookie()).await;
    app.advance(Duration::from_mins(1));
    story.explain("alice", &app.refresh(&first).await).await;
    // A token that is newer than the database, as after a return to an older copy of it.
    let ahead = app.login("alice", PASSWORD).await.cookie();
    let ahead = app.refresh(&ahead).await.cookie();
    app.change(
        "UPDATE sessions SET generation = 0, presented = NULL, rotations = x'' WHERE ended_at IS NULL AND generation = 1",
    );
    story.explain("alice", &app.refresh(&ahead).await).await;
    story
}

/// Refreshes of sessions that ended for each reason that has nothing to do with refresh tokens.
pub(super) async fn ends_of_sessions() -> Story {
    let story = Story::of(TestApp::open().await);
    let app = &story.app;
    let first = app.register("alice").await;
    let second = app.login("alice", PASSWORD).await;
    let logout = app.post("/v1/auth/logout").bearer(&first.access_token());
    assert_eq!(logout.send().await.status, 200);
    story.explain("alice", &app.refresh(&first.cookie()).await).await;
    let alice = || UserRef::parse("alice");
    app.advance(Duration::from_mins(1));
    app.service()
        .revoke_sessions_of(alice())
        .await
        .expect("the account exists");
    let revoked = app.refresh(&second.cookie()).await;
    story.explain("alice", &revoked).await;
    story.explain(ADDRESS, &revoked).await;
    let unused = app.login("alice", PASSWORD).await.cookie();
    app.advance(Duration::from_hours(14 * 24));
    story.explain("alice", &app.refresh(&unused).await).await;
    let mut old = app.login("alice", PASSWORD).await.cookie();
    for _ in 0..2 {
        app.advance(Duration::from_hours(13 * 24));
        old = app.refresh(&old).await.cookie();
    }
    app.advance(Duration::from_hours(4 * 24));
    story.explain("alice", &app.refresh(&old).await).await;
    let suspended = app.login("alice", PASSWORD).await.cookie();
    app.service().suspend(alice()).await.expect("the account exists");
    story.explain("alice", &app.refresh(&suspended).await).await;
    story
}

/// A six-digit code other than `code`.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

pub(super) async fn mailed_codes() -> Story {
    let smtp = SmtpServer::start();
    let story = Story::of(TestApp::builder().open().smtp(&smtp).start().await);
    let (app, alice) = (&story.app, "alice@example.org");
    app.register("alice").await;
    let _verification = smtp.mail_to(alice).await;
    let code = async || {
        app.advance(Duration::from_mins(1));
        assert_eq!(app.send_code(alice).await.status, 204);
        smtp.mail_to(alice).await.code()
    };
    story
        .explain(alice, &app.verify_code(alice, "000000").await)
        .await;
    app.send_code("nobody@example.org").await;
    let unknown = app.verify_code("nobody@example.org", "000000").await;
    story.explain(ADDRESS, &unknown).await;
    story.explain("nobody@example.org", &unknown).await;
    let older = code().await;
    story.explain(alice, &app.send_code(alice).await).await;
    let mut newer = code().await;
    while newer == older {
        newer = code().await;
    }
    story.explain(alice, &app.verify_code(alice, &older).await).await;
    story
        .explain(alice, &app.verify_code(alice, other_than(&newer)).await)
        .await;
    assert_eq!(app.verify_code(alice, &newer).await.status, 200);
    let _taken_back = smtp.mail_to(alice).await;
    story.explain(alice, &app.verify_code(alice, &newer).await).await;
    let expired = code().await;
    app.advance(Duration::from_mins(10));
    story
        .explain(alice, &app.verify_code(alice, &expired).await)
        .await;
    let void = code().await;
    for _ in 0..5 {
        app.verify_code(alice, other_than(&void)).await;
    }
    story.explain(alice, &app.verify_code(alice, &void).await).await;
    app.advance(Duration::from_hours(1));
    // The code is sent after the suspension, which would void an earlier one.
    let user = UserRef::parse("alice");
    app.service().suspend(user).await.expect("the account exists");
    let late = code().await;
    story.explain(alice, &app.verify_code(alice, &late).await).await;
    story
}

pub(super) async fn locked_codes() -> Story {
    let story = Story::of(TestApp::open().await);
    let (app, alice) = (&story.app, "alice@example.org");
    app.register("alice").await;
    for _ in 0..20 {
        app.advance(Duration::from_hours(3));
        assert_eq!(app.send_code(alice).await.status, 204);
        for _ in 0..5 {
            assert_eq!(app.verify_code(alice, "no code").await.status, 422);
        }
    }
    story
        .explain(alice, &app.verify_code(alice, "no code").await)
        .await;
    story.explain(alice, &app.send_code(alice).await).await;
    story
}

pub(super) async fn registrations() -> Story {
    let story = Story::of(TestApp::start().await);
    let (app, carol) = (&story.app, "carol@example.org");
    story.explain(carol, &story.register("carol", None).await).await;
    for code in ["no code", "ABCD-EFGH-JKMN-PQRS"] {
        story
            .explain(carol, &story.register("carol", Some(code)).await)
            .await;
    }
    let used_up = app.invite(1).await;
    assert_eq!(story.register("alice", Some(&used_up)).await.status, 201);
    story
        .explain(carol, &story.register("carol", Some(&used_up)).await)
        .await;
    let revoked = app.invite(1).await;
    let code = InviteCode::parse(&revoked).expect("it is a code");
    app.service()
        .revoke_invite(&code)
        .await
        .expect("the invite exists");
    story
        .explain(carol, &story.register("carol", Some(&revoked)).await)
        .await;
    let draft = InviteDraft {
        max_uses: InviteUses::new(1).expect("it is a number of uses"),
        expires_in: Some(Duration::ZERO),
        note: None,
        mail_to: None,
        locale: None,
    };
    let expired = app.service().create_invites(&draft, NonZeroU16::MIN).await;
    let expired = expired.expect("the invite is created")[0].code.reveal();
    story
        .explain(carol, &story.register("carol", Some(&expired)).await)
        .await;
    let code = app.invite(9).await;
    let mut body = registration("alice");
    body["invite_code"] = json!(code);
    let taken = app.post("/v1/auth/register").json(&body).send().await;
    story.explain(ADDRESS, &taken).await;
    body["login"] = json!("alicia");
    let taken = app.post("/v1/auth/register").json(&body).send().await;
    story.explain("alice@example.org", &taken).await;
    let disabled = "disabled".parse().expect("it is a mode");
    app.service()
        .set_registration_mode(disabled)
        .await
        .expect("it is set");
    story
        .explain(carol, &story.register("carol", Some(&code)).await)
        .await;
    story
}

/// Wrong passwords from one address until the next try must wait, and from a hundred addresses until unknown addresses may not try at all.
pub(super) async fn wrong_passwords() -> Story {
    let app = TestApp::builder().open();
    let app = app.set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let story = Story::of(app);
    let app = &story.app;
    app.register("alice").await;
    for login in ["alice", "alicia"] {
        for _ in 0..5 {
            assert_eq!(app.login(login, WRONG).await.status, 401);
        }
        let delayed = app.login(login, PASSWORD).await;
        story.explain(login, &delayed).await;
        app.advance(Duration::from_mins(1));
    }
    let login_from = |address: String, password: &str| {
        let body = json!({"login": "alice", "password": password});
        let request = app.post("/v1/auth/login").header("x-forwarded-for", &address);
        request.json(&body).send()
    };
    for number in 5..100 {
        let answer = login_from(format!("10.1.0.{number}"), WRONG).await;
        assert_eq!(answer.status, 401);
    }
    let paused = login_from("10.1.0.1".to_owned(), PASSWORD).await;
    story.explain("alice", &paused).await;
    story
}

pub(super) async fn limits() -> Story {
    let app = TestApp::builder()
        .open()
        .limit("login", "1/1h")
        .limit("other", "1/1h");
    let story = Story::of(app.start().await);
    let app = &story.app;
    let token = app.register("alice").await.access_token();
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    story.explain(ADDRESS, &app.login("alice", PASSWORD).await).await;
    assert_eq!(app.me(&token).await.status, 200);
    story.explain("alice", &app.me(&token).await).await;
    story
}

pub(super) async fn captchas() -> Story {
    let siteverify = Siteverify::start().await;
    let app = TestApp::builder()
        .open()
        .set("TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("TURNSTILE__VERIFY_URL", &siteverify.url());
    let story = Story::of(app.start().await);
    let missing = story.app.login("alice", PASSWORD).await;
    story.explain(ADDRESS, &missing).await;
    siteverify.usually(Behaviour::HangUp);
    let body = json!({"login": "alice", "password": PASSWORD, "cf_turnstile_token": "good"});
    let unavailable = story.app.post("/v1/auth/login").json(&body).send().await;
    story.explain(ADDRESS, &unavailable).await;
    story
}
