//! No secret lies about: what people and operators keep secret is searched for in the bytes of the database, of its write-ahead log and of the log at
//! its most talkative, after everything that handles secrets has run.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::command::Served;
use crate::support::smtp::{Fault, ReceivedMail, SmtpServer, Stage};
use crate::support::{Answer, Behaviour, Request, SECRET_KEY, Siteverify, Workspace};

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

/// What is kept secret, each with a name for the message of a failure.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: &str) {
        self.0.push((name.to_owned(), secret.as_bytes().to_owned()));
    }

    /// A token in base64url, and the bytes behind it.
    fn add_token(&mut self, name: &str, token: &str) {
        self.add(name, token);
        let bytes = URL_SAFE_NO_PAD.decode(token).expect("it is base64url");
        // The beginning of a refresh token is the id of its session, which is no secret.
        self.0
            .push((format!("bytes of {name}"), bytes[bytes.len() - 16..].to_owned()));
    }

    /// Both tokens of a sign-in.
    fn add_sign_in(&mut self, name: &str, answer: &Answer) {
        self.add(&format!("access token of {name}"), &answer.access_token());
        let signature = answer.access_token();
        let signature = signature.rsplit_once('.').expect("it is a JWT").1;
        self.add_token(&format!("signature of {name}"), signature);
        self.add_token(&format!("refresh token of {name}"), &answer.cookie());
    }

    /// Everything that a mail says.
    fn add_mail(&mut self, mail: &ReceivedMail) {
        for line in mail.text().lines().map(str::trim).filter(|line| line.len() >= 24) {
            self.add("a line of a mail", line);
        }
    }
}

/// Every form in which a secret may have been written: raw, hexadecimal, base64 at each of the three places it can have in a group of bytes, and
/// encoded for an address.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw", secret.to_owned())];
    let (mut lower, mut upper, mut percent, mut lower_percent) = Default::default();
    for byte in secret {
        for (text, shown) in [
            (&mut lower, format!("{byte:02x}")),
            (&mut upper, format!("{byte:02X}")),
            (&mut percent, format!("%{byte:02X}")),
            (&mut lower_percent, format!("%{byte:02x}")),
        ] {
            let text: &mut String = text;
            text.push_str(&shown);
        }
    }
    forms.extend([("hex", lower), ("hex", upper)].map(|(name, text)| (name, text.into_bytes())));
    forms.extend([percent, lower_percent].map(|text| ("every byte URL-encoded", text.into_bytes())));
    let encoded: String = url::form_urlencoded::byte_serialize(secret).collect();
    forms.push(("URL-encoded", encoded.replace('+', "%20").into_bytes()));
    forms.push(("URL-encoded", encoded.into_bytes()));
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for (before, foreign) in [(0, 0), (1, 2), (2, 3)] {
            let bytes = [&vec![0; before], secret].concat();
            let mut text = engine.encode(&bytes);
            // Characters that hold bits of what stands before or behind differ from case to case.
            if bytes.len() % 3 != 0 {
                text.pop();
            }
            forms.push(("base64", text.as_bytes()[foreign..].to_owned()));
        }
    }
    forms
}

/// Bytes as a text of as many characters, which the standard library searches fast.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// What is searched: every file of a data directory but the mails that were written out, and what the programs said.
struct Haystack(Vec<(String, String)>);

impl Haystack {
    fn read(directory: &Path, said: &[&str]) -> Self {
        let mut texts = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("it is listed") {
                let path = entry.expect("it is listed").path();
                if path.is_dir() {
                    directories.push(path);
                } else if path
                    .extension()
                    .is_none_or(|extension| extension != "eml" && extension != "part")
                {
                    let bytes = std::fs::read(&path).expect("it is read");
                    texts.push((path.display().to_string(), searchable(&bytes)));
                }
            }
        }
        texts.extend(
            said.iter()
                .map(|said| ("log".to_owned(), searchable(said.as_bytes()))),
        );
        Self(texts)
    }

    /// Where the secrets are found, and in which form.
    fn find(&self, secrets: &Secrets) -> Vec<String> {
        let mut found = Vec::new();
        for (name, secret) in &secrets.0 {
            for (form, needle) in forms(secret) {
                let needle = searchable(&needle);
                for (place, text) in &self.0 {
                    if text.contains(&needle) {
                        found.push(format!("{name}, {form}, in {place}: {needle}"));
                    }
                }
            }
        }
        found
    }
}

/// The real executable at its most talkative, and a client of it.
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

/// The operator's commands, one with each kind of secret; gives what they wrote about themselves.
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
    assert!(secrets.0.len() > 60, "{}", secrets.0.len());

    let data = arkloop.workspace.path().join("data");
    // Commands move the write-ahead log into the database.
    let beside = Haystack::read(&data, &[]);
    let wal = beside
        .0
        .iter()
        .find(|(place, _)| place.ends_with("arkloop.db-wal"));
    let wal = wal.map_or(0, |(_, bytes)| bytes.len());
    assert!(
        wal > 100_000,
        "the write-ahead log is there to be searched: {wal} bytes"
    );
    assert_eq!(beside.find(&secrets), [""; 0]);
    let said = operate(&arkloop, &smtp, &mut secrets).await;
    let log = arkloop.server.stop();
    assert!(
        log.contains("answered") && log.contains("mail was sent"),
        "the log is talkative"
    );
    let haystack = Haystack::read(&data, &[&log, &said]);
    assert_eq!(haystack.find(&secrets), [""; 0]);
    // What is no secret is found, so the search sees what people typed.
    let mut known = Secrets::default();
    known.add("address", "alice@example.org");
    assert!(!haystack.find(&known).is_empty());

    // And it sees one that is put there on purpose.
    let database = rusqlite::Connection::open(data.join("arkloop.db")).expect("it opens");
    let insert = "INSERT INTO settings (name, value, updated_at) VALUES ('planted', ?1, 0)";
    database
        .execute(insert, [STANDARD_NO_PAD.encode(RESET)])
        .expect("it is planted");
    assert!(!Haystack::read(&data, &[]).find(&secrets).is_empty());
}

#[test]
fn a_planted_secret_is_found_in_each_form() {
    let directory = tempfile::tempdir().expect("there is a directory");
    let path = directory.path().join("arkloop.db");
    let database = rusqlite::Connection::open(&path).expect("it opens");
    let journal = database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    assert_eq!(journal.expect("it is set"), "wal");
    database
        .execute("CREATE TABLE planted (value BLOB)", [])
        .expect("it is made");
    let planted = [
        ("raw", "…ünd sentinel? >ü…".to_owned()),
        ("hex", "c3bc6e642073656e74696e656c3f203ec3bc".to_owned()),
        ("hex", "C3BC6E642073656E74696E656C3F203EC3BC".to_owned()),
        // Of the secret alone, and with `x` or `xy` before it and `z` behind it.
        ("base64", "w7xuZCBzZW50aW5lbD8gPsO8".to_owned()),
        ("base64", "eMO8bmQgc2VudGluZWw/ID7DvHo=".to_owned()),
        ("base64", "eMO8bmQgc2VudGluZWw_ID7DvHo".to_owned()),
        ("base64", "eHnDvG5kIHNlbnRpbmVsPyA+w7x6".to_owned()),
        ("base64", "eHnDvG5kIHNlbnRpbmVsPyA-w7x6".to_owned()),
        ("URL-encoded", "%C3%BCnd%20sentinel%3F%20%3E%C3%BC".to_owned()),
        ("URL-encoded", "%C3%BCnd+sentinel%3F+%3E%C3%BC".to_owned()),
        (
            "every byte URL-encoded",
            "%c3%bc%6e%64%20%73%65%6e%74%69%6e%65%6c%3f%20%3e%c3%bc".to_owned(),
        ),
    ];
    let mut secrets = Secrets::default();
    secrets.add("planted", "ünd sentinel? >ü");
    let nothing = Haystack::read(directory.path(), &["ünd sentinel?"]);
    assert_eq!(nothing.find(&secrets), [""; 0]);
    for (form, text) in planted {
        let in_log = Haystack(vec![(
            "log".to_owned(),
            searchable(format!("a line {text} of a log").as_bytes()),
        )]);
        let found = in_log.find(&secrets);
        assert!(
            found
                .iter()
                .any(|found| found.starts_with(&format!("planted, {form}, in log"))),
            "{text}: {found:?}"
        );
        database
            .execute("INSERT INTO planted VALUES (?1)", [text.as_bytes()])
            .expect("it is planted");
        let found = Haystack::read(directory.path(), &[]).find(&secrets);
        let in_wal = |found: &String| found.contains(&format!("{form}, in ")) && found.contains("-wal");
        assert!(found.iter().any(in_wal), "{text}: {found:?}");
        database
            .execute("DELETE FROM planted", [])
            .expect("it is dug out");
        database
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .expect("it is cleaned");
        database.execute("VACUUM", []).expect("it is cleaned");
        database
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .expect("it is cleaned");
    }
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
    assert_eq!(Haystack::read(&data, &[]).find(&secrets), [""; 0]);
    let body = json!({"email": "alice@example.org", "otp": code});
    assert_eq!(arkloop.post("/v1/auth/email/otp/verify", body).await.status, 200);
    let log = arkloop.server.stop();
    assert_eq!(Haystack::read(&data, &[&log]).find(&secrets), [""; 0]);
}
