//! The audit log under abuse: it grows no faster than its budgets allow, stores no name without an account in plain text, and drops old rows.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use arkloop::domain::{
    AuditEvent, AuditReason, AuditRecord, AuditSubject, Client, NameDigest, TraceId, UserId,
};
use arkloop::service::{AuditQuery, UserRef};
use arkloop::store::{AuditKind, KindCount, StoreError};
use serde_json::json;
use strum::VariantArray;

use crate::support::{EVERYTHING, PASSWORD, SECRET_KEY, TestApp};

/// How many rows there are, and how many events they stand for.
async fn rows_and_times(app: &TestApp) -> (usize, u64) {
    let entries = app.audit_entries(EVERYTHING).await;
    (entries.len(), entries.iter().map(|entry| entry.times).sum())
}

/// A client at an address.
fn client_at(address: IpAddr) -> Client {
    Client::new(Some(address), Some("a test"), TraceId([0; 16]))
}

#[tokio::test]
async fn a_thousand_refused_captchas_of_one_address_are_one_row_a_minute() {
    let app = TestApp::builder()
        .set("TURNSTILE__SITE_KEY", "0x4AAAAAAAfake-site")
        .set("TURNSTILE__SECRET_KEY", SECRET_KEY)
        .start()
        .await;
    let body = json!({"login": "alice", "password": PASSWORD});
    for minute in 0..2 {
        for _ in 0..500 {
            let answer = app.post("/v1/auth/login").json(&body).send().await;
            assert_eq!(answer.brief(), "422 auth.captcha_invalid");
        }
        assert_eq!(
            rows_and_times(&app).await,
            (minute + 1, 500 * (minute as u64 + 1))
        );
        app.advance(Duration::from_mins(1));
    }
    assert_eq!(
        app.audit().await[0],
        "captcha.refused refused: captcha_invalid ×500"
    );
}

#[tokio::test]
async fn throttles_of_many_addresses_are_a_few_rows() {
    let app = TestApp::start().await;
    // Addresses of one /64 are one client.
    for host in 0..1000_u128 {
        let address = Ipv6Addr::from(0x2001_0db8_u128 << 96 | host);
        app.service()
            .note_throttled(&client_at(address.into()), AuditReason::AddressLimit);
    }
    assert_eq!(app.audit().await, ["throttled refused: address_limit ×1000"]);
    for network in 1..=10_000_u128 {
        let address = Ipv6Addr::from(0x2001_0db8_u128 << 96 | network << 64);
        app.service()
            .note_throttled(&client_at(address.into()), AuditReason::AddressLimit);
        if network % 1000 == 0 {
            app.service().flush_audit().await.expect("it is written");
        }
    }
    // All these addresses are in one /48, whose share is a third of the common budget: six rows with addresses, and one for the rest.
    assert_eq!(rows_and_times(&app).await, (7, 11_000));
    for site in 1..=100_u128 {
        let address = Ipv6Addr::from(0x2001_0db8_u128 << 96 | site << 80);
        app.service()
            .note_throttled(&client_at(address.into()), AuditReason::AddressLimit);
    }
    assert_eq!(rows_and_times(&app).await, (21, 11_100));
}

#[tokio::test]
async fn sign_ins_under_unknown_names_are_few_rows_and_all_counted() {
    let app = TestApp::open().await;
    app.register("alice").await;
    for number in 0..100 {
        app.login(&format!("stranger{number}"), PASSWORD).await;
    }
    // Twenty in the minute from one network, and one row for the rest of the hour.
    assert_eq!(rows_and_times(&app).await, (1 + 20 + 1, 1 + 100));
    // This does not hide the events of an account.
    app.login("alice", "a wrong password").await;
    app.login("alice", PASSWORD).await;
    assert_eq!(rows_and_times(&app).await, (22 + 2, 103));
    app.advance(Duration::from_mins(1));
    app.login("stranger", PASSWORD).await;
    assert_eq!(rows_and_times(&app).await, (22 + 3, 104));
}

#[tokio::test]
async fn refused_sign_ins_of_accounts_and_changes_of_profiles_have_an_end_too() {
    // Limits are off, since otherwise few of these sign-ins would be refused for their password.
    let unlimited = TestApp::builder().set("RATE_LIMIT__ENABLED", "false");
    let app = unlimited.open().start().await;
    let token = app.register("alice").await.access_token();
    for _ in 0..130 {
        app.login("alice", "a wrong password").await;
    }
    assert_eq!(rows_and_times(&app).await, (1 + 20 + 1, 131));
    for number in 0..70 {
        let body = json!({"username": format!("alice{number}")});
        app.patch("/v1/me").bearer(&token).json(&body).send().await;
    }
    assert_eq!(rows_and_times(&app).await, (22 + 10 + 1, 201));
}

#[tokio::test]
async fn refreshes_that_lead_nowhere_are_few_rows() {
    let app = TestApp::open().await;
    let registered = app.register("alice").await;
    let cookie = registered.cookie();
    let forged = format!("{}AAAA", &cookie[..cookie.len() - 4]);
    for _ in 0..50 {
        assert_eq!(app.post("/v1/auth/refresh").send().await.status, 401);
        assert_eq!(app.refresh(&forged).await.status, 401);
    }
    assert_eq!(rows_and_times(&app).await, (1 + 2, 101));
    let logout = app.post("/v1/auth/logout").bearer(&registered.access_token());
    assert_eq!(logout.send().await.status, 200);
    for _ in 0..50 {
        assert_eq!(app.refresh(&cookie).await.status, 401);
    }
    // Six of the account in the minute, and one row for the rest of the hour.
    assert_eq!(rows_and_times(&app).await, (4 + 6 + 1, 152));
    app.login("alice", "a wrong password").await;
    assert_eq!(rows_and_times(&app).await, (12, 153));
}

#[tokio::test]
async fn a_name_that_is_nobodys_is_nowhere_in_plain_and_still_found() {
    let mut app = TestApp::open().await;
    // People type their password into the wrong field.
    app.login("Tr0ub4dor-and-3", PASSWORD).await;
    app.send_code("someone.else@example.org").await;
    for name in ["tr0ub4dor-AND-3", "someone.else@example.org"] {
        let query = AuditQuery {
            user: Some(UserRef::parse(name)),
            ..EVERYTHING
        };
        assert_eq!(app.audit_entries(query).await.len(), 1, "{name}");
    }
    app.stop().await;
    for entry in fs::read_dir(app.data_dir()).expect("it is there") {
        let path = entry.expect("it is there").path();
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(
            !text.contains("tr0ub4dor") && !text.contains("someone.else"),
            "{}",
            path.display()
        );
    }
}

#[tokio::test]
async fn rows_are_kept_as_long_as_the_configuration_says() {
    let app = TestApp::builder().open().set("AUDIT__KEEP", "7d").start().await;
    app.register("alice").await;
    for number in 0..300 {
        app.login(&format!("stranger{number}"), PASSWORD).await;
        app.advance(Duration::from_secs(2));
    }
    app.advance(Duration::from_hours(7 * 24) - Duration::from_mins(15));
    app.login("alice", PASSWORD).await;
    app.service().sweep().await.expect("it sweeps");
    assert_eq!(rows_and_times(&app).await.1, 302);
    app.advance(Duration::from_mins(15));
    app.service().sweep().await.expect("it sweeps");
    assert_eq!(app.audit().await, ["sign_in.password @alice [session]"]);
}

/// The longest name of an event or a reason.
fn longest<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> T {
    let longest = all.iter().copied().max_by_key(|word| name(*word).len());
    longest.expect("there are some")
}

/// The bytes of the database for each of the `ROWS` rows that `write` adds.
async fn bytes_each(
    app: &TestApp,
    write: impl Fn(&arkloop::store::Tx<'_>, u32) -> Result<(), StoreError> + Send + 'static,
) -> i64 {
    const ROWS: u32 = 5_000;
    let size = || app.count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    let before = size();
    let store = app.service().store();
    let written = store.write(move |tx| (0..ROWS).try_for_each(|number| write(tx, number)));
    written.await.expect("they are written");
    (size() - before) / i64::from(ROWS)
}

/// Checks the sizes that the calculation in `service/rules/audit/budget.rs` assumes.
#[tokio::test]
async fn rows_and_counts_take_no_more_of_the_disk_than_the_sum_says() {
    let app = TestApp::builder().of_sqlite().start().await;
    let event = longest(AuditEvent::VARIANTS, |event| event.into_str());
    let reason = longest(AuditReason::VARIANTS, |reason| reason.into_str());
    let client = Client::new(
        Some(
            "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
                .parse()
                .expect("it is an address"),
        ),
        Some(&"\u{1f600}".repeat(200)),
        TraceId([255; 16]),
    );
    let subject = |number: u32| {
        let mut id = [255; 16];
        id[..4].copy_from_slice(&number.reverse_bits().to_be_bytes());
        AuditSubject {
            user_id: UserId::from_bytes(id),
            username: "m".repeat(32),
        }
    };
    let record = AuditRecord::by_client(event, &client)
        .about(subject(u32::MAX))
        .under(Some(NameDigest([255; 32])))
        .saying(format!("username {}", "m".repeat(32)))
        .refused(reason);
    let now = app.service().system().now();
    let row = bytes_each(&app, move |tx, _| tx.insert_audit(&record, now)).await;
    let count = KindCount {
        times: u64::MAX,
        first_at: now,
        last_at: now,
        network: client.address,
        is_listed: false,
    };
    let count = bytes_each(&app, move |tx, number| {
        let kind = AuditKind {
            event,
            reason: Some(reason),
            subject: Some(subject(number)),
            name: None,
        };
        tx.count_audit_kind(&kind, &count)
    });
    let count = count.await;
    println!("{row} bytes a row, {count} a count");
    assert!((500..=600).contains(&row), "{row}");
    assert!((300..=350).contains(&count), "{count}");
}
