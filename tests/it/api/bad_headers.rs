//! Bad values in the headers, the path and the query of every operation.

use std::time::Duration;

use super::bad_fields::checked;
use super::operations::{Operation, operations, operations_with};
use crate::support::{Answer, RawConnection, Request, TestApp};

/// Values that suit no header. NUL, CR and LF are not among them, because hyper refuses these; see `headers.rs`.
const VALUES: [&[u8]; 11] = [
    b"",
    b" ",
    b"z.7.",
    b"z.7.\xff\xfe\x80",
    b"z.7.\xe2\x80\xae\xd0\xb0",
    b"z.7., z.7.; z.7.=\"",
    b"../../z.7.%00%0d%0aset-cookie: z.7.=1",
    b"<script>z.7.</script>' OR 1=1 --",
    b"${jndi:ldap://z.7.}%s%n{{z.7.}}",
    b"-1",
    b"99999999999999999999999999999",
];

/// Headers that have no effect here, whatever clients and proxies put into them.
const WITHOUT_EFFECT: [&str; 20] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cf-connecting-ip",
    "forwarded",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "range",
    "referer",
    "traceparent",
    "user-agent",
    "x-client-app",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-original-url",
    "x-trace-id",
];

async fn app() -> TestApp {
    TestApp::builder()
        .open()
        .set("RATE_LIMIT__ENABLED", "false")
        .start()
        .await
}

/// Sends a request whose only flaw is what `spoil` adds.
async fn send(app: &TestApp, operation: &Operation, spoil: impl FnOnce(Request) -> Request) -> Answer {
    let (request, body) = operation.fresh(app).await;
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    checked(spoil(request).send().await, operation)
}

#[tokio::test]
async fn no_header_but_a_few_decides_anything() {
    let app = app().await;
    for operation in operations() {
        let usual = send(&app, &operation, |request| request).await.brief();
        for value in VALUES {
            // All of them are sent at once: if one had an effect, it would show.
            let answer = send(&app, &operation, |request| {
                WITHOUT_EFFECT
                    .iter()
                    .fold(request, |request, name| request.header_of_bytes(name, value))
            });
            let shown = String::from_utf8_lossy(value);
            assert_eq!(answer.await.brief(), usual, "{} {shown}", operation.id);
        }
    }
}

#[tokio::test]
async fn a_bad_authorization_is_told_from_a_bad_token() {
    let app = app().await;
    for operation in operations_with(401, "auth.missing_token") {
        for value in VALUES {
            for (prefix, expected) in [("", "auth.invalid_authorization"), ("Bearer ", "auth.")] {
                let value = [prefix.as_bytes(), value].concat();
                let mut request = operation.bare(&app).header_of_bytes("authorization", &value);
                if let Some(body) = operation.body() {
                    request = request.json(&body);
                }
                let answer = checked(request.send().await, &operation);
                let shown = String::from_utf8_lossy(&value).into_owned();
                assert_eq!(answer.status, 401, "{} {shown}", operation.id);
                assert!(
                    answer.code().starts_with(expected),
                    "{} {shown}: {answer:?}",
                    operation.id
                );
                assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_bad_cookie_is_no_refresh_token_and_disturbs_nothing_else() {
    let app = app().await;
    for operation in operations() {
        let usual = send(&app, &operation, |request| request).await.brief();
        for value in VALUES {
            for name in ["", "arkloop_refresh_token="] {
                let cookie = [name.as_bytes(), value].concat();
                let answer = send(&app, &operation, |request| {
                    request.header_of_bytes("cookie", &cookie)
                })
                .await;
                let expected = match (operation.id.as_str(), name) {
                    // Only a value under the name of the cookie counts as presented.
                    ("refresh", "arkloop_refresh_token=") => "401 auth.invalid_token",
                    _ => &usual,
                };
                let shown = String::from_utf8_lossy(&cookie);
                assert_eq!(answer.brief(), expected, "{} {shown}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn a_bad_origin_is_a_foreign_one() {
    let app = app().await;
    for operation in operations() {
        let usual = send(&app, &operation, |request| request).await.brief();
        let expected = if operation.is_unsafe() {
            "403 request.origin_forbidden"
        } else {
            &usual
        };
        for value in VALUES {
            for name in ["origin", "sec-fetch-site"] {
                let answer = send(&app, &operation, |request| request.header_of_bytes(name, value)).await;
                let shown = String::from_utf8_lossy(value);
                assert_eq!(answer.brief(), expected, "{} {name}: {shown}", operation.id);
                assert!(
                    answer.header("access-control-allow-credentials").is_none(),
                    "{answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_query_decides_nothing_whatever_stands_in_it() {
    let app = app().await;
    for operation in operations() {
        let usual = send(&app, &operation, |request| request).await.brief();
        for query in [
            "?",
            "?z.7.",
            "?%",
            "?%00%ff%zz",
            "?access_token=z.7.",
            "?a[]=z.7.&a[]=z.7.&&=",
            "?'OR+1=1--z.7.",
        ] {
            let answer = send(&app, &operation, |request| request.query(query)).await;
            assert_eq!(answer.brief(), usual, "{} {query}", operation.id);
        }
        let long = format!("?{}", "z.7.".repeat(2_000));
        let answer = send(&app, &operation, |request| request.query(&long)).await;
        assert_eq!(answer.brief(), usual, "{} with 8 000 characters", operation.id);
    }
}

#[tokio::test]
async fn what_is_no_id_in_a_path_is_not_found() {
    let app = app().await;
    let mut operations = operations_with(404, "session.not_found");
    operations.retain(|operation| operation.path.contains("/sessions/"));
    assert_eq!(operations.len(), 1);
    for operation in operations {
        let caller = app.register("alice").await;
        let (collection, _) = operation.path.rsplit_once('/').expect("it has segments");
        for id in [
            "z.7.",
            "%00",
            "%ff",
            "%zq",
            "..",
            ".",
            "%2e%2e",
            "%2e%2e%2fz.7.",
            "%0d%0az.7.",
            "'%20OR%201=1--",
            "*",
            "~",
            "0",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "%7bz.7.%7d",
            "z.7.;z.7.",
            "%e2%80%ae%d0%b0",
            "-1",
            &"z.7.".repeat(1_000),
        ] {
            let request = app.request(&operation.method, &format!("{collection}/{id}"));
            let answer = request.bearer(&caller.access_token()).send().await;
            let brief = checked(answer, &operation).brief();
            assert_eq!(brief, "404 session.not_found", "{id}");
        }
    }
}

#[tokio::test]
async fn what_is_no_request_closes_the_connection_and_repeats_nothing() {
    let app = app().await;
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nz.7.: {}\r\n\r\n",
        "z.7.".repeat(50_000)
    );
    for bytes in [
        b"z.7.\r\n\r\n".as_slice(),
        b"GET z.7. HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /z.7.\xff\0 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nhost: z.7.\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nz.7.\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nz.7.: a\0b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nz.7. z.7.: a\r\n\r\n",
        b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: z.7.\r\n\r\n",
        b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfcz.7.",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long.as_bytes(),
    ] {
        let mut connection = RawConnection::open(app.address()).await;
        connection.write(bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let answer = connection.read_to_end(Duration::from_secs(20)).await;
        let answer = answer.unwrap_or_else(|| panic!("it stays open after {shown:?}"));
        let is_refused =
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(is_refused && !answer.contains("z.7."), "{shown:?}: {answer}");
    }
    assert_eq!(app.get("/healthz").send().await.status, 200);
}
