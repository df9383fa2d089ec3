//! The time zone of an account, and what a change of the account clears, keeps and records.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

async fn update(app: &TestApp, caller: &Answer, change: &Value) -> Answer {
    let request = app.patch("/v1/me").bearer(&caller.access_token());
    request.json(change).send().await
}

#[tokio::test]
async fn a_zone_of_the_iana_database_is_taken_also_by_an_old_name() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for zone in [
        "UTC",
        "Etc/UTC",
        "Etc/GMT+12",
        "Etc/GMT-14",
        "GMT0",
        "Zulu",
        "EST5EDT",
        "US/Pacific",
        "Asia/Calcutta",
        "Europe/Kiev",
        "Europe/Kyiv",
        "Asia/Shanghai",
        "PRC",
        "America/Argentina/ComodRivadavia",
        "America/Port-au-Prince",
        "Antarctica/DumontDUrville",
    ] {
        let answer = update(&app, &alice, &json!({ "timezone": zone })).await;
        assert_eq!(answer.json()["timezone"], zone);
        // No two names differ only in case, so a name is accepted in any case.
        for spelling in [zone.to_lowercase(), zone.to_uppercase()] {
            let answer = update(&app, &alice, &json!({ "timezone": spelling })).await;
            assert_eq!(answer.json()["timezone"], zone, "{spelling}");
        }
    }
    assert_eq!(
        app.me(&alice.access_token()).await.json()["timezone"],
        "Antarctica/DumontDUrville"
    );
}

#[tokio::test]
async fn what_is_no_zone_of_the_iana_database_is_refused_and_changes_nothing() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    update(&app, &alice, &json!({"timezone": "Asia/Tokyo"})).await;
    let before = app.rows().await;
    for no_zone in [
        "Mars/Olympus_Mons",
        "Europe/Atlantis",
        "Europe",
        "Berlin",
        "UTC+2",
        "GMT+14",
        "+02:00",
        "CEST",
        "posixrules",
        "localtime",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        " Europe/Berlin",
        "Europe/Berlin ",
        "Europe/Berlin\0",
        "Europe//Berlin",
        "Europe\\Berlin",
        "W. Europe Standard Time",
        "zone.tab",
        "Factory",
        "factory",
        " ",
    ] {
        let answer = update(&app, &alice, &json!({"timezone": no_zone, "locale": "zh"})).await;
        assert_eq!(answer.brief(), "422 validation.error", "{no_zone:?}");
        let fields = &answer.json()["details"]["fields"];
        assert_eq!(fields["timezone"]["code"], "invalid", "{no_zone:?}");
        assert!(answer.json()["details"]["fields"].get("locale").is_none());
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn null_and_an_empty_text_clear_the_time_zone_and_nothing_else() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for nothing in [json!(null), json!("")] {
        let change = json!({"username": "Alice", "locale": "zh", "timezone": "Asia/Shanghai"});
        let before = update(&app, &alice, &change).await;
        assert_eq!(before.status, 200);
        let cleared = json!({"username": nothing, "locale": nothing, "timezone": nothing});
        let answer = update(&app, &alice, &cleared).await;
        let mut expected = before.json();
        expected["timezone"] = Value::Null;
        assert_eq!(
            (answer.status, answer.json()),
            (200, expected.clone()),
            "{nothing}"
        );
        assert_eq!(app.me(&alice.access_token()).await.json(), expected);
    }
    let events = app.audit().await;
    let changes = events.iter().filter(|row| row.starts_with("profile.changed"));
    assert_eq!(changes.count(), 4, "{events:?}");
}

#[tokio::test]
async fn a_change_of_nothing_is_answered_and_leaves_no_trace() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let rows = |audit: &[String]| audit.iter().filter(|row| row.starts_with("profile")).count();
    for (told, zone) in [(0, Value::Null), (1, json!("Asia/Tokyo"))] {
        if zone != Value::Null {
            update(&app, &alice, &json!({ "timezone": zone })).await;
        }
        let (me, stored) = (app.me(&alice.access_token()).await.json(), app.rows().await);
        let same = json!({"username": "alice", "locale": me["locale"], "timezone": zone});
        for nothing in [
            json!({}),
            json!({"username": null, "locale": null}),
            json!({"username": "", "locale": ""}),
            json!({ "timezone": zone }),
            same,
        ] {
            let answer = update(&app, &alice, &nothing).await;
            assert_eq!((answer.status, answer.json()), (200, me.clone()), "{nothing}");
        }
        assert_eq!(app.rows().await, stored);
        assert_eq!(rows(&app.audit().await), told);
    }
}
