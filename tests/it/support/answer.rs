//! An answer of the server, and its form in snapshots.

use std::fmt::Write as _;

use serde_json::Value;

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The body as received, which may be compressed.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The value of a header. Fails if the answer has the header twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(
            values.next().is_none(),
            "{name} occurs twice in {:?}",
            self.headers
        );
        value
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON ({error}): {} {:?}", self.status, self.body))
    }

    /// The code of a refusal; `-` if it is none.
    pub fn code(&self) -> String {
        let code = serde_json::from_str::<Value>(&self.body).ok();
        code.and_then(|body| Some(body.get("code")?.as_str()?.to_owned()))
            .unwrap_or_else(|| "-".to_owned())
    }

    /// The access token of a sign-in.
    pub fn access_token(&self) -> String {
        self.json()["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {self:?}"))
            .to_owned()
    }

    /// The value of the refresh cookie.
    pub fn cookie(&self) -> String {
        let cookie = self
            .header("set-cookie")
            .unwrap_or_else(|| panic!("no cookie: {self:?}"));
        let value = cookie
            .strip_prefix("arkloop_refresh_token=")
            .expect("it is the refresh cookie");
        value.split(';').next().unwrap_or_default().to_owned()
    }

    /// A form such as `401 auth.invalid_token`, for tests of many answers.
    pub fn brief(&self) -> String {
        format!("{} {}", self.status, self.code())
    }

    /// Status and body. A placeholder replaces each value that differs between runs.
    pub fn shown(&self) -> String {
        let mut text = self.status.to_string();
        if !self.body.is_empty() {
            let body = serde_json::from_str::<Value>(&self.body);
            let pretty = body.map(|body| serde_json::to_string_pretty(&redacted(body)).expect("it is JSON"));
            let _ = write!(text, "\n{}", pretty.unwrap_or_else(|_| self.body.clone()));
        }
        text
    }

    /// Status, headers and body. Headers of every answer are shown only if they differ from the usual; `api::headers` tests the rest.
    pub fn shown_with_headers(&self) -> String {
        let shown = self.headers.iter().filter(|(name, _)| name != "date");
        let mut lines: Vec<String> = shown
            .map(|(name, value)| format!("{name}: {}", redacted_header(name, value)))
            .filter(|line| !USUAL_HEADERS.contains(&line.as_str()))
            .collect();
        let missing = ALWAYS_SENT.iter().filter(|name| self.header(name).is_none());
        lines.extend(missing.map(|name| format!("{name} is missing")));
        lines.sort();
        let shown = self.shown();
        let (status, body) = shown.split_once('\n').unwrap_or((&shown, ""));
        let head = [&[status.to_owned()], &*lines].concat().join("\n");
        format!("{head}\n\n{body}").trim_end().to_owned()
    }
}

/// The headers of an ordinary answer.
const USUAL_HEADERS: [&str; 8] = [
    "cache-control: no-store",
    "content-length: [length]",
    "content-security-policy: default-src 'none'; frame-ancestors 'none'",
    "content-type: application/json; charset=utf-8",
    "referrer-policy: no-referrer",
    "vary: Origin",
    "x-content-type-options: nosniff",
    "x-trace-id: [trace id]",
];
/// The headers that no answer may lack.
const ALWAYS_SENT: [&str; 4] = [
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-trace-id",
];

fn redacted_header(name: &str, value: &str) -> String {
    match name {
        "x-trace-id" if is_hex(value, 32) => "[trace id]".to_owned(),
        "set-cookie" => match value.split_once(';') {
            Some((pair, attributes)) if pair.len() == "arkloop_refresh_token=".len() + 71 => {
                format!("arkloop_refresh_token=[refresh token];{attributes}")
            }
            _ => value.to_owned(),
        },
        "etag" => "[digest]".to_owned(),
        "content-length" => "[length]".to_owned(),
        _ => value.to_owned(),
    }
}

fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) if is_hex(&text, 32) => "[trace id]".into(),
        Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => "[uuid]".into(),
        Value::String(text) if text.starts_with("ey") && text.split('.').count() == 3 => "[jwt]".into(),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, redacted(value)))
            .collect(),
        other => other,
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
