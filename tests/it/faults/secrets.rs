//! Secrets of people and operators are neither stored nor logged: they are searched for in the bytes of the database, of its write-ahead log and of the log
//! of the real executable at its most verbose, after everything that handles secrets has run.
//!
//! `support/secrets` does the same for every test. Here nothing is left out: short secrets are chosen so that they can be searched for, and passwords
//! are typed where names belong.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::Served;
use crate::support::secrets::{Haystack, Secrets};
use crate::support::smtp::{Fault, SmtpServer, Stage};
use crate::support::{Answer, Behaviour, Engine, Request, SECRET_KEY, Siteverify, Workspace};

const SMTP_PASSWORD: &str = "sentinel smtp password ?>ü";
const REGISTERED: &str = "sentinel registered password ?>ü";
const CHANGED: &str = "sentinel changed password ?>ü";
const RESET: &str = "sentinel reset password ?>ü";
const OPERATORS: &str = "sentinel password by the operator ?>ü";
const WRONG: &str = "sentinel wrong password ?>ü";
const TYPED_AS_A_NAME: &str = "sentinel password typed as a name ?>ü";
const TOO_LONG: &str = "sentinel password that is much too long ";
const FOREIGN_BEARER: &str = "sentinel-foreign-bearer-token";
const FOREIGN_TOKEN: &str = "sentinel-foreign-link-token";
const WRONG_CODE: &str = "73519264";

/// The real executable at its most verbose, and a client of it.
struct Talkative {
    workspace: Workspace,
    server: Served,
    address: SocketAddr,
}

impl Talkative {
    fn start(mut workspace: Workspace) -> Self {
        workspace
            .set("ARKLOOP_REGISTRATION__MODE", "open")
            .set("ARKLOOP_OTP__DIGITS", "8")
            .set("ARKLOOP_RATE_LIMIT__ENABLED", "false")
            .set("ARKLOOP_LOG__LEVEL", "trace");
        let server = workspace.serve();
        let address = server.address().parse().expect("it is an address");
        Self {
            workspace,
            server,
            address,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        Request::new(self.address, "POST", path).json(&body).send().await
    }

    async fn post_as(&self, access_token: &str, path: &str, body: Value) -> Answer {
        let request = Request::new(self.address, "POST", path).bearer(access_token);
        request.json(&body).send().await
    }
}

fn captcha(body: Value, token: &str) -> Value {
    let mut body = body;
    body["cf_turnstile_token"] = json!(token);
    body
}

/// Registers, signs in in each way, refreshes, changes and resets, and does each wrongly too.
#[expect(clippy::too_many_lines, reason = "it is one story, in its order")]
async fn live(arkloop: &Talkative, smtp: &SmtpServer, siteverify: &Siteverify, secrets: &mut Secrets) {
    let alice = "alice@example.org";
    for (name, secret) in [
        ("smtp_password", SMTP_PASSWORD),
        ("turnstile secret", SECRET_KEY),
        ("registered password", REGISTERED),
        ("changed password", CHANGED),
        ("reset password", RESET),
        ("the operator's password", OPERATORS),
        ("wrong password", WRONG),
        ("password typed as a name", TYPED_AS_A_NAME),
        ("too long password", TOO_LONG),
        ("foreign bearer", FOREIGN_BEARER),
        ("foreign link token", FOREIGN_TOKEN),
        ("wrong code", WRONG_CODE),
    ] {
        secrets.add(name, secret);
    }
    for number in 0..9 {
        secrets.add("captcha token", &format!("good sentinel captcha token {number}"));
    }
    let token = |number: u32| format!("good sentinel captcha token {number}");

    // The first try of the first mail fails.
    smtp.once(Stage::Recipient, Fault::Answer("450 4.7.1 greylisted"));
    let body = json!({"login": "alice", "password": REGISTERED, "email": alice});
    let registered = arkloop
        .post("/v1/auth/register", captcha(body.clone(), &token(0)))
        .await;
    assert_eq!(registered.brief(), "201 -");
    secrets.add_sign_in("registration", &registered);
    assert_eq!(
        arkloop
            .post("/v1/auth/register", captcha(body, &token(1)))
            .await
            .status,
        409
    );
    let verification = smtp.mail_to(alice).await;
    secrets.add_mail(&verification);
    secrets.add_token("verification token", &verification.token());
    for (token, status) in [(FOREIGN_TOKEN, 422), (verification.token().as_str(), 200)] {
        let body = json!({ "token": token });
        assert_eq!(
            arkloop.post("/v1/auth/email/verify/confirm", body).await.status,
            status
        );
    }

    let login = |login: &str, password: &str, number| {
        captcha(json!({"login": login, "password": password}), &token(number))
    };
    let signed_in = arkloop
        .post("/v1/auth/login", login("alice", REGISTERED, 2))
        .await;
    assert_eq!(signed_in.status, 200);
    secrets.add_sign_in("sign-in", &signed_in);
    for (name, password, status) in [
        ("alice", WRONG, 401),
        (TYPED_AS_A_NAME, WRONG, 401),
        ("alice", &TOO_LONG.repeat(30), 422),
    ] {
        let number = if status == 401 && name == "alice" { 3 } else { 4 };
        assert_eq!(
            arkloop
                .post("/v1/auth/login", login(name, password, number))
                .await
                .status,
            status
        );
    }
    siteverify.once(Behaviour::Answer(403, r#"{"success":true}"#));
    assert_eq!(
        arkloop
            .post("/v1/auth/login", login("alice", REGISTERED, 5))
            .await
            .status,
        503
    );

    let refresh = Request::new(arkloop.address, "POST", "/v1/auth/refresh");
    let refreshed = refresh.cookie(&signed_in.cookie()).send().await;
    assert_eq!(refreshed.status, 200);
    secrets.add_sign_in("refresh", &refreshed);
    let me = |bearer: &str| {
        Request::new(arkloop.address, "GET", "/v1/me")
            .bearer(bearer)
            .send()
    };
    assert_eq!(me(&refreshed.access_token()).await.status, 200);
    assert_eq!(me(FOREIGN_BEARER).await.status, 401);

    let body = captcha(json!({ "email": alice }), &token(6));
    assert_eq!(arkloop.post("/v1/auth/email/otp/send", body).await.status, 204);
    let code = smtp.mail_to(alice).await;
    secrets.add_mail(&code);
    secrets.add("code", &code.code());
    for (otp, status) in [(WRONG_CODE, 422), (code.code().as_str(), 200)] {
        let body = json!({"email": alice, "otp": otp});
        let answer = arkloop.post("/v1/auth/email/otp/verify", body).await;
        assert_eq!(answer.status, status);
        if status == 200 {
            secrets.add_sign_in("code", &answer);
        }
    }

    let change = |current: &str| json!({"current_password": current, "new_password": CHANGED});
    for (current, status) in [(WRONG, 422), (REGISTERED, 204)] {
        let path = "/v1/auth/password/change";
        let answer = arkloop
            .post_as(&refreshed.access_token(), path, change(current))
            .await;
        assert_eq!(answer.status, status);
    }
    secrets.add_mail(&smtp.mail_to(alice).await);
    let body = captcha(json!({ "email": alice }), &token(7));
    assert_eq!(
        arkloop.post("/v1/auth/password/reset/send", body).await.status,
        204
    );
    let reset = smtp.mail_to(alice).await;
    secrets.add_mail(&reset);
    secrets.add_token("reset token", &reset.token());
    for (token, status) in [(FOREIGN_TOKEN, 422), (reset.token().as_str(), 204)] {
        let body = json!({"token": token, "new_password": RESET});
        assert_eq!(
            arkloop.post("/v1/auth/password/reset/confirm", body).await.status,
            status
        );
    }
    secrets.add_mail(&smtp.mail_to(alice).await);
    assert_eq!(
        arkloop
            .post("/v1/auth/login", login("alice", RESET, 8))
            .await
            .status,
        200
    );
}

/// Runs the operator's commands, one with each kind of secret; returns what they wrote about themselves.
async fn operate(arkloop: &Talkative, smtp: &SmtpServer, secrets: &mut Secrets) -> String {
    let bob = "bob@example.org";
    let mut said = String::new();
    for (arguments, input) in [
        (&["-vvv", "invite", "create", "--email", bob][..], String::new()),
        (
            &[
                "-vvv",
                "user",
                "create",
                "carol",
                "--email",
                "carol@example.org",
                "--password-stdin",
            ],
            format!("{OPERATORS}\n"),
        ),
        (&["-vvv", "mail", "test", "dora@example.org"], String::new()),
        (&["-vvv", "mail", "queue"], String::new()),
        (&["-vvv", "config", "show"], String::new()),
    ] {
        let output = arkloop.workspace.output(arguments, &input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        let _ = write!(said, "{stderr}");
        if arguments[1] == "config" {
            let _ = write!(said, "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    let invite = smtp.mail_to(bob).await;
    secrets.add_mail(&invite);
    secrets.add("invite code", &invite.code());
    secrets.add("invite code without dashes", &invite.code().replace('-', ""));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_database_or_log() {
    let (smtp, siteverify) = (SmtpServer::start(), Siteverify::start().await);
    let mut workspace = Workspace::new();
    workspace
        .set("ARKLOOP_MAIL__TRANSPORT", "smtp")
        .set("ARKLOOP_MAIL__SMTP_URL", &smtp.url())
        .set("ARKLOOP_MAIL__SMTP_USER", "arkloop")
        .set("ARKLOOP_MAIL__SMTP_PASSWORD", SMTP_PASSWORD)
        .set("ARKLOOP_TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("ARKLOOP_TURNSTILE__SECRET_KEY", SECRET_KEY)
        .set("ARKLOOP_TURNSTILE__VERIFY_URL", &siteverify.url());
    let arkloop = Talkative::start(workspace);
    let mut secrets = Secrets::default();
    live(&arkloop, &smtp, &siteverify, &mut secrets).await;

    let data = arkloop.workspace.path().join("data");
    // Commands move the write-ahead log into the database.
    let beside = Haystack::of_directory(&data);
    if arkloop.workspace.engine() == Engine::Sqlite {
        let wal = beside.len_of_file("arkloop.db-wal");
        assert!(
            wal > 100_000,
            "the write-ahead log is there to be searched: {wal} bytes"
        );
    }
    assert_none(&beside, &secrets);
    let said = operate(&arkloop, &smtp, &mut secrets).await;
    let log = arkloop.server.stop();
    assert!(
        log.contains("answered") && log.contains("mail was sent"),
        "the log is talkative"
    );
    let haystack = Haystack::of_directory(&data)
        .with_backup(&data.join("arkloop.db"))
        .with_content(Some(arkloop.workspace.database()))
        .with_said("the log", log)
        .with_said("what commands wrote", said);
    assert_none(&haystack, &secrets);
    // The address is not secret, and is found in the same places, so the search sees what people typed.
    let mut known = Secrets::default();
    known.add("address", "alice@example.org");
    let found = haystack.find(&known);
    let places = match arkloop.workspace.engine() {
        Engine::Sqlite => vec!["in a backup of", "arkloop.db: "],
        Engine::Postgres => vec!["in the tables of the database"],
    };
    for place in places {
        assert!(found.iter().any(|found| found.contains(place)), "{found:#?}");
    }
}

fn assert_none(haystack: &Haystack, secrets: &Secrets) {
    let found = haystack.find(secrets);
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_written_out_is_nowhere_else() {
    let arkloop = Talkative::start(Workspace::new());
    let body = json!({"login": "alice", "password": REGISTERED, "email": "alice@example.org"});
    assert_eq!(arkloop.post("/v1/auth/register", body).await.status, 201);
    let body = json!({ "email": "alice@example.org" });
    assert_eq!(arkloop.post("/v1/auth/email/otp/send", body).await.status, 204);
    let outbox = arkloop.workspace.path().join("data/outbox");
    let is_code = |line: &&str| line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = loop {
        let files = std::fs::read_dir(&outbox).into_iter().flatten().flatten();
        let mut texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let code = texts.find_map(|text| text.lines().map(str::trim).find(is_code).map(str::to_owned));
        if let Some(code) = code {
            break code;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let mut secrets = Secrets::default();
    secrets.add("password", REGISTERED);
    secrets.add("code", &code);
    let data = arkloop.workspace.path().join("data");
    assert_none(&Haystack::of_directory(&data), &secrets);
    let body = json!({"email": "alice@example.org", "otp": code});
    assert_eq!(arkloop.post("/v1/auth/email/otp/verify", body).await.status, 200);
    let log = arkloop.server.stop();
    assert_none(&Haystack::of_directory(&data).with_said("the log", log), &secrets);
}
