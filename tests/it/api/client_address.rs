//! The address that a session shows: that of the peer, or the one that a trusted proxy names.

use crate::support::{Answer, TestApp, registration};

/// The address of a session that begins with a request with these headers.
async fn address_of(app: &TestApp, login: &str, headers: &[(&str, &str)]) -> String {
    let mut request = app.post("/v1/auth/register").json(&registration(login));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    shown(app, &request.send().await).await
}

/// The address of the session as its owner sees it.
async fn shown(app: &TestApp, caller: &Answer) -> String {
    let list = app
        .get("/v1/auth/sessions")
        .bearer(&caller.access_token())
        .send()
        .await;
    let sessions = list.json();
    sessions["sessions"][0]["ip"]
        .as_str()
        .expect("it is a text")
        .to_owned()
}

async fn behind(proxies: &str) -> TestApp {
    TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", proxies)
        .start()
        .await
}

#[tokio::test]
async fn a_stranger_cannot_name_another_address() {
    for app in [TestApp::open().await, behind("10.0.0.0/8").await] {
        let forged = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-real-ip", "198.51.100.2"),
            ("forwarded", "for=198.51.100.3"),
            ("cf-connecting-ip", "198.51.100.4"),
            ("true-client-ip", "198.51.100.5"),
        ];
        assert_eq!(address_of(&app, "alice", &forged).await, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_right_most_hop_that_is_no_proxy_counts() {
    let app = behind("127.0.0.0/8,10.0.0.0/8,2001:db8:1::/48").await;
    let cases: [(&[&str], &str); 10] = [
        (&[], "127.0.0.1"),
        (&["198.51.100.1"], "198.51.100.1"),
        // The client wrote the entries further left.
        (&["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (&["6.6.6.6, 198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        (&["6.6.6.6", "198.51.100.1,10.0.0.7"], "198.51.100.1"),
        (&["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        (&["2001:db8::9, 2001:db8:1::1"], "2001:db8::9"),
        (&["::ffff:198.51.100.1"], "198.51.100.1"),
        (&["198.51.100.9, ::ffff:10.0.0.7"], "198.51.100.9"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
    ];
    for (number, (lines, expected)) in cases.into_iter().enumerate() {
        let headers: Vec<(&str, &str)> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let address = address_of(&app, &format!("user-{number}"), &headers).await;
        assert_eq!(address, expected, "{lines:?}");
    }
}

#[tokio::test]
async fn nothing_is_believed_of_an_unreadable_hop() {
    let app = behind("127.0.0.0/8").await;
    for (number, (line, expected)) in [
        ("198.51.100.1, unknown", "127.0.0.1"),
        ("198.51.100.1, x, 127.0.0.2", "127.0.0.2"),
        ("198.51.100.1,", "127.0.0.1"),
        ("999.1.1.1", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let headers = [("x-forwarded-for", line)];
        let address = address_of(&app, &format!("user-{number}"), &headers).await;
        assert_eq!(address, expected, "{line}");
    }
}

#[tokio::test]
async fn a_byte_that_is_no_text_hides_no_client_that_the_proxy_named() {
    let app = behind("127.0.0.0/8").await;
    let long = [&[0xff; 5_000], &b", 198.51.100.8"[..]].concat();
    let cases: [(&[&[u8]], &str); 9] = [
        (&[b"\xff, 198.51.100.1"], "198.51.100.1"),
        (&[b"\xff,198.51.100.2,127.0.0.2"], "198.51.100.2"),
        (&[b"6.6.6.6\x80 , 198.51.100.3"], "198.51.100.3"),
        (&[b"\xe9", b"198.51.100.4"], "198.51.100.4"),
        (
            &[b"198.51.100.1", b"\xc3\xa9", b"198.51.100.5, 127.0.0.3"],
            "198.51.100.5",
        ),
        (&[&long], "198.51.100.8"),
        // A hop that cannot be read is not trusted, nor are those left of it.
        (&[b"198.51.100.1, \xff"], "127.0.0.1"),
        (&[b"198.51.100.1, 6.6.6.6\xa0, 127.0.0.2"], "127.0.0.2"),
        (&[b"198.51.100.1", b"\x80", b"127.0.0.9"], "127.0.0.9"),
    ];
    for (number, (lines, expected)) in cases.into_iter().enumerate() {
        let mut request = app
            .post("/v1/auth/register")
            .json(&registration(&format!("user-{number}")));
        for line in lines {
            request = request.header_of_bytes("x-forwarded-for", line);
        }
        let address = shown(&app, &request.send().await).await;
        assert_eq!(address, expected, "case {number}");
    }
}

#[tokio::test]
async fn no_other_header_counts_even_from_a_proxy() {
    let app = behind("127.0.0.0/8").await;
    let headers = [("x-real-ip", "198.51.100.2"), ("forwarded", "for=198.51.100.3")];
    assert_eq!(address_of(&app, "alice", &headers).await, "127.0.0.1");
}

#[tokio::test]
async fn the_list_shows_where_a_session_began_and_not_where_it_was_refreshed() {
    let app = behind("127.0.0.0/8").await;
    let alice = app.register("alice").await;
    assert_eq!(shown(&app, &alice).await, "127.0.0.1");
    let moved = app
        .post("/v1/auth/refresh")
        .cookie(&alice.cookie())
        .header("x-forwarded-for", "198.51.100.1")
        .header("user-agent", "elsewhere")
        .send()
        .await;
    assert_eq!(shown(&app, &moved).await, "127.0.0.1");
}
