//! Over PostgreSQL, changes take turns by advisory locks, and sessions move on beside each other.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use arkloop::domain::{DatabaseUrl, SessionId};
use arkloop::store::{Access, OpenError, OpenOptions, Setting, Store, StoreError};

use super::postgres::{AT, open};
use crate::support::postgres::TestDatabase;

/// How long anything may take that does not wait for another change.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn sessions_move_on_beside_each_other_and_not_beside_another_change() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = Arc::new(open(&database, Access::Serve));
    let move_on = |number: u8, work: Box<dyn FnOnce() + Send>| {
        let (store, id) = (Arc::clone(&store), SessionId::from_bytes([number; 16]));
        tokio::spawn(async move {
            let moved = store.write_session(id, |_| {
                work();
                Ok::<_, StoreError>(())
            });
            moved.await
        })
    };
    let (begun, has_begun) = mpsc::channel();
    let (end, is_to_end) = mpsc::channel::<()>();
    let first = move_on(
        0,
        Box::new(move || {
            begun.send(()).expect("the test waits for it");
            is_to_end.recv().expect("the test says when");
        }),
    );
    has_begun
        .recv_timeout(PATIENCE)
        .expect("the first session moves on");
    let second = tokio::time::timeout(PATIENCE, move_on(1, Box::new(|| ())));
    second
        .await
        .expect("it does not wait")
        .expect("it ran")
        .expect("it is written");
    let other = store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    let mut other = pin!(other);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut other);
    early.await.expect_err("another change waits for the session");
    end.send(()).expect("the first session waits for it");
    other.await.expect("it is written");
    first.await.expect("it ran").expect("it is written");
}

#[tokio::test]
async fn a_database_whose_locks_keep_nobody_out_is_refused() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    // As in databases that only look like PostgreSQL.
    database.with(|client| {
        let sql = "CREATE FUNCTION public.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'";
        client.batch_execute(sql).expect("a superuser may do this");
    });
    let shadowed = format!("{}&options=-csearch_path%3Dpublic,pg_catalog", database.url());
    let options = OpenOptions {
        url: Some(DatabaseUrl::parse(&shadowed).expect("it is the URL of a database")),
        ..OpenOptions::new("/nonexistent".into(), Access::Serve, AT, Some(String::new()))
    };
    let refused = Store::open(&options).err().expect("it is refused").to_string();
    assert!(refused.contains("do not keep other connections out"), "{refused}");
}

#[tokio::test]
async fn a_server_of_a_newer_version_waits_until_the_older_ones_have_ended() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let _older = open(&database, Access::Serve);
    database.with(|client| {
        let sql = "UPDATE migrations SET version = version - 1";
        client.batch_execute(sql).expect("a superuser may do this");
    });
    for access in [Access::Serve, Access::Init, Access::Use] {
        let options = OpenOptions {
            url: Some(database.parsed_url()),
            ..OpenOptions::new("/nonexistent".into(), access, AT, Some(String::new()))
        };
        let refused = Store::open(&options).err();
        assert!(
            matches!(refused, Some(OpenError::Older { is_served: true, .. })),
            "{access:?}: {refused:?}"
        );
    }
}
