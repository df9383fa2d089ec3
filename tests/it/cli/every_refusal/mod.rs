//! `explain` and every refusal of sign-ins, refreshes, codes, invites and limits: the code that the visitor got, and the text that the operator gets for
//! the same trace id.

mod stories;

use std::collections::BTreeSet;
use std::sync::Mutex;

use insta::assert_snapshot;
use serde_json::{Value, json};

use stories::{
    captchas, ends_of_sessions, limits, locked_codes, mailed_codes, refreshes, registrations, sign_ins,
    wrong_passwords,
};

use crate::support::{Answer, TestApp, documented, registration};

/// The five operations that these tests are about, by their names in the document.
const OPERATIONS: [&str; 5] = ["login", "refresh", "send_code", "sign_in_by_code", "register"];
/// Refusals that `explain` does not list: the answer itself names the cause, or the log has the cause of a fault under the trace id.
const SPEAK_FOR_THEMSELVES: [&str; 9] = [
    "http.not_found",
    "internal.error",
    "mail.unavailable",
    "request.malformed",
    "request.origin_forbidden",
    "request.too_large",
    "request.unsupported_media_type",
    "service.unavailable",
    "validation.error",
];

/// A server, and the explanations of its refusals.
struct Story {
    app: TestApp,
    told: Mutex<Vec<String>>,
}

impl Story {
    fn of(app: TestApp) -> Self {
        Self {
            app,
            told: Mutex::default(),
        }
    }

    /// Finds the one line of `explain subject` that has the time and the trace id of a refusal.
    async fn explain(&self, subject: &str, refusal: &Answer) {
        let service = self.app.service();
        service.flush_audit().await.expect("it is written");
        let document = self.app.workspace().json(&["explain", subject]);
        let lines = document["timeline"]
            .as_array()
            .expect("the value is a list")
            .iter();
        let same = lines.filter(|line| line["trace_id"] == refusal.json()["trace_id"]);
        let lines: Vec<&Value> = same.collect();
        assert_eq!(lines.len(), 1, "{refusal:?} in {document:#}");
        assert_eq!(lines[0]["at"], service.system().now().to_string());
        let text = lines[0]["text"].as_str().expect("the value is a text");
        let told = format!("{}: {text}", refusal.code());
        self.told.lock().expect("the lock is not poisoned").push(told);
    }

    /// Returns all explanations, one per line, and adds their codes to `codes`.
    fn end(self, codes: &mut BTreeSet<String>) -> String {
        let told = self.told.into_inner().expect("the lock is not poisoned");
        codes.extend(
            told.iter()
                .filter_map(|line| Some(line.split_once(": ")?.0.to_owned())),
        );
        told.join("\n")
    }

    async fn register(&self, login: &str, invite_code: Option<&str>) -> Answer {
        let mut body = registration(login);
        body["invite_code"] = json!(invite_code);
        self.app.post("/v1/auth/register").json(&body).send().await
    }
}

/// The codes of all refusals of these operations.
fn listed() -> BTreeSet<String> {
    let of_these = |operation: &String| OPERATIONS.contains(&operation.as_str());
    let documented = documented().into_iter();
    documented
        .filter(|(operation, status, _)| of_these(operation) && *status >= 400)
        .map(|(_, _, code)| code)
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "the test is one list of all refusals")]
async fn every_refusal_is_explained_under_its_trace_id() {
    let mut codes = BTreeSet::new();
    assert_snapshot!(sign_ins().await.end(&mut codes), @"
    auth.invalid_credentials: A sign-in by password was refused: the password was wrong; from 127.0.0.1.
    auth.invalid_credentials: A sign-in by password was refused: no account has the name or address that was typed; from 127.0.0.1.
    auth.invalid_credentials: A sign-in by password was refused: no account has the name or address that was typed; from 127.0.0.1.
    auth.invalid_credentials: A sign-in by password was refused: the account has no password; its owner signs in by a mailed code or sets one by a reset; from 127.0.0.1.
    auth.user_suspended: A sign-in by password was refused: the account is suspended, although everything else was right; from 127.0.0.1.
    ");
    assert_snapshot!(refreshes().await.end(&mut codes), @"
    auth.refresh_token_missing: A sign-in could not be continued: the browser sent no sign-in cookie: nobody was signed in there, or the cookie had run out or been deleted; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: the sign-in cookie was not made by this server: it was cut, altered or made up, or the key file was replaced; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: this server knows no session of the sign-in cookie: the account was deleted, the session ended more than 30 days ago, an older backup was restored, or the cookie was made up; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: its cookie had just been replaced by another browser in another network, so somebody may have a copy of it; the session goes on; from 198.51.100.66.
    auth.invalid_token: A sign-in could not be continued: the browser sent the cookies of two accounts at once; deleting the cookies of this site in it and signing in again helps; from 127.0.0.1.
    auth.invalid_token: A session ended, because an old sign-in cookie came back that a newer one had replaced: somebody may have a copy of it; its successor was never used; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: the session had been ended at 2026-01-02T00:00:00Z: an old sign-in cookie came back that a newer one had replaced, so somebody may have a copy of it; from 127.0.0.1.
    auth.invalid_token: A session ended, because an old sign-in cookie came back that a newer one had replaced: somebody may have a copy of it; its successor was used; from 127.0.0.1.
    auth.invalid_token: A session ended, because its sign-in cookie is newer than the database: an older backup was restored; from 127.0.0.1.
    ");
    assert_snapshot!(ends_of_sessions().await.end(&mut codes), @"
    auth.invalid_token: A sign-in could not be continued: the session had been ended at 2026-01-01T00:00:00Z: its owner signed out; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: the session had been ended at 2026-01-01T00:01:00Z: the operator ended it; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: the session had been ended at 2026-01-01T00:01:00Z: the operator ended it; from 127.0.0.1; as alice.
    auth.invalid_token: A sign-in could not be continued: the session had ended because nobody had used it for long; from 127.0.0.1.
    auth.invalid_token: A sign-in could not be continued: the session had reached the longest age that one may have; signing in again begins a new one; from 127.0.0.1.
    auth.user_suspended: A sign-in could not be continued: the account is suspended, although everything else was right; from 127.0.0.1.
    ");
    assert_snapshot!(mailed_codes().await.end(&mut codes), @"
    auth.otp_invalid: A sign-in by a mailed code was refused: no code had been asked for, or not lately; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: no account has the name or address that was typed; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: no account has the name or address that was typed; from 127.0.0.1.
    auth.otp_rate_limited: No code was mailed: mail was asked for too often: allowed are 5 in an hour, 10 in a day, and 1 minute between two; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: the code was from an older mail; only the one in the newest mail works; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: the code was wrong; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: the code had been used before; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: the code was older than 10 minutes; from 127.0.0.1.
    auth.otp_invalid: A sign-in by a mailed code was refused: 5 wrong codes had been tried, so this code is void even if it was right; a new one helps; from 127.0.0.1.
    auth.user_suspended: A sign-in by a mailed code was refused: the account is suspended, although everything else was right; from 127.0.0.1.
    ");
    assert_snapshot!(locked_codes().await.end(&mut codes), @"
    auth.otp_locked: A sign-in by a mailed code was refused: 100 wrong codes in a row were tried, so that none counts for 1 day or until another sign-in; from 127.0.0.1.
    auth.otp_locked: No code was mailed: 100 wrong codes in a row were tried, so that none counts for 1 day or until another sign-in; from 127.0.0.1.
    ");
    assert_snapshot!(registrations().await.end(&mut codes), @"
    auth.invite_code_required: A registration was refused: an invite is needed, and none was given; from 127.0.0.1.
    auth.invite_code_invalid: A registration was refused: there is no such invite; its code may have been mistyped; from 127.0.0.1.
    auth.invite_code_invalid: A registration was refused: there is no such invite; its code may have been mistyped; from 127.0.0.1.
    auth.invite_code_invalid: A registration was refused: the invite had been used as often as it may be; from 127.0.0.1.
    auth.invite_code_invalid: A registration was refused: the operator had taken the invite back; from 127.0.0.1.
    auth.invite_code_invalid: A registration was refused: the invite was too old; from 127.0.0.1.
    auth.login_exists: A registration was refused: another account has the username; from 127.0.0.1.
    auth.email_exists: A registration was refused: another account has the address; from 127.0.0.1.
    auth.registration_disabled: A registration was refused: nobody may register now; from 127.0.0.1.
    ");
    assert_snapshot!(wrong_passwords().await.end(&mut codes), @"
    rate_limit.exceeded: Requests were refused: too many wrong passwords had come from the same address: after 5 in a row the next try has to wait, 1 minute at most; from 127.0.0.1.
    rate_limit.exceeded: Requests were refused: too many wrong passwords had come from the same address: after 5 in a row the next try has to wait, 1 minute at most; from 127.0.0.1.
    rate_limit.exceeded: Requests were refused: 100 wrong passwords in a row had been tried on the account, so that it took none for 15 minutes, except from where it was signed in during the last 30 days; a mailed code helps at once; from 10.1.0.1.
    ");
    assert_snapshot!(captchas().await.end(&mut codes), @"
    auth.captcha_invalid: A captcha was not solved: the captcha was missing, not solved, or used twice; from 127.0.0.1.
    auth.captcha_unavailable: A captcha was not solved: the captcha could not be checked, because its service did not answer as it should; from 127.0.0.1.
    ");
    assert_snapshot!(limits().await.end(&mut codes), @"
    rate_limit.exceeded: Requests were refused: too many requests came from this address in a short time; from 127.0.0.1.
    rate_limit.exceeded: Requests were refused: too many requests came from one session in a short time; from 127.0.0.1.
    ");
    codes.extend(SPEAK_FOR_THEMSELVES.map(str::to_owned));
    assert_eq!(
        codes,
        listed(),
        "a refusal that the document lists is not explained"
    );
}
