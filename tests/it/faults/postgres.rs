//! PostgreSQL below the store: a change is kept or undone as a whole, and processes take turns. These tests run if there is a server for them
//! (`support::postgres`).

use std::sync::Arc;
use std::time::Duration;

use arkloop::domain::{
    Email, Invite, InviteDigest, InviteId, InviteUses, Language, Sealed, SignatureAlgorithm, Timestamp,
    UserId, Username,
};
use arkloop::store::{Access, Duty, NewUserRow, OpenOptions, Setting, Store, StoreError, StoredSigningKey};
use tokio::task::JoinSet;

use super::refreshes::{common_cookie, refresh_at_once};
use crate::support::postgres::TestDatabase;
use crate::support::{PASSWORD, TestApp};

pub(super) const AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const RIVALS: usize = 200;
const DIGEST: InviteDigest = InviteDigest([7; 32]);

fn options(database: &TestDatabase, access: Access, key_check: &str) -> OpenOptions {
    OpenOptions {
        url: Some(database.parsed_url()),
        ..OpenOptions::new("/nonexistent".into(), access, AT, Some(key_check.to_owned()))
    }
}

pub(super) fn open(database: &TestDatabase, access: Access) -> Store {
    Store::open(&options(database, access, "")).expect("the database opens")
}

fn id(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

fn user(name: &str, number: u8) -> NewUserRow {
    NewUserRow {
        id: id(number),
        username: Username::parse(name).expect("it is a username"),
        email: Email::parse(&format!("{name}@example.org")).expect("it is an address"),
        email_verified_at: None,
        password_hash: None,
        locale: Language::English.into(),
        invite_id: None,
        created_at: AT,
    }
}

fn invite() -> Invite {
    Invite {
        id: InviteId::from_bytes([9; 16]),
        uses: 0,
        max_uses: InviteUses::new(1).expect("it is in range"),
        note: None,
        created_at: AT,
        expires_at: None,
        revoked_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_kept_or_undone_as_a_whole() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = open(&database, Access::Serve);
    let both = store.write(|tx| {
        Ok::<_, StoreError>([
            tx.insert_user(&user("alice", 1))?,
            tx.insert_user(&user("bob", 2))?,
        ])
    });
    assert_eq!(both.await.expect("it is written"), [true, true]);
    // What a unique index refuses leaves the rest of the change possible.
    let refused = store.write(|tx| {
        let is_new = tx.insert_user(&user("alice", 3))?;
        let is_free = tx.set_username(id(1), &Username::parse("bob").expect("it is a username"))?;
        tx.set_last_sign_in(id(1), AT)?;
        Ok::<_, StoreError>([is_new, is_free])
    });
    assert_eq!(refused.await.expect("it is written"), [false, false]);
    let undone = store.write(|tx| {
        tx.delete_user(id(1))?;
        Err::<(), _>(StoreError::Failed("a test asked for this".to_owned()))
    });
    undone.await.expect_err("it is refused");
    // A statement that fails is not passed over: COMMIT would roll back and say nothing.
    let swallowed = store.write(|tx| {
        tx.delete_user(id(1))?;
        let _ = tx.put_former_address(id(8), &user("carol", 8).email, AT);
        Ok::<_, StoreError>(())
    });
    swallowed.await.expect_err("a statement failed");
    let attempted = store.write(|tx| {
        let outcome = tx.attempt(|tx| {
            tx.delete_user(id(2))?;
            tx.put_former_address(id(8), &user("carol", 8).email, AT)
        })?;
        assert!(outcome.is_err(), "there is no such account");
        tx.set_last_sign_in(id(2), AT)
    });
    attempted.await.expect("the attempt alone is undone");
    let found =
        store.read(|reader| Ok::<_, StoreError>([reader.find_user(id(1))?, reader.find_user(id(2))?]));
    for user in found.await.expect("they are read") {
        assert_eq!(user.expect("the account is there").last_sign_in_at, Some(AT));
    }
    assert!(
        store
            .read(|reader| reader.list_audit_of_account(id(1), 5))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_hundred_in_two_processes_spends_a_single_use() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let nodes = [Access::Serve, Access::Use].map(|access| Arc::new(open(&database, access)));
    let made = nodes[0].write(|tx| tx.insert_invite(&invite(), DIGEST, &Sealed(vec![1])));
    made.await.expect("it is written");
    let mut rivals = JoinSet::new();
    for number in 0..RIVALS {
        let node = Arc::clone(&nodes[number % 2]);
        rivals.spawn(async move { node.write(|tx| tx.consume_invite(DIGEST, AT)).await });
    }
    let spent = rivals.join_all().await.into_iter();
    let spent = spent.filter(|spent| spent.as_ref().expect("it is written").is_some());
    assert_eq!(spent.count(), 1);
}

async fn touch(store: &Store) {
    let written = store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    written.await.expect("it is written");
}

/// A key that signs nothing.
fn signing_key(kid: &str) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.to_owned(),
        algorithm: SignatureAlgorithm::EdDsa,
        sealed_private: Sealed(vec![1]),
        created_at: AT,
        active_at: AT,
        retired_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_signing_keys_is_noticed_by_the_next_write_and_by_a_server_that_writes_nothing() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    // Only a server has a listener.
    let [server, command, other] =
        [Access::Serve, Access::Use, Access::Use].map(|access| open(&database, access));
    touch(&command).await;
    touch(&other).await;
    let before = [server.key_epoch(), command.key_epoch()];
    touch(&other).await;
    touch(&command).await;
    assert_eq!(
        command.key_epoch(),
        before[1],
        "another change is no change of the keys"
    );
    let added = other.write(|tx| tx.insert_signing_key(&signing_key("one")));
    added.await.expect("it is written");
    touch(&command).await;
    assert!(command.key_epoch() > before[1]);
    for _ in 0..100 {
        if server.key_epoch() > before[0] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the listener has heard of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_has_one_holder_and_goes_on_to_another() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let [one, other] = [Access::Serve, Access::Serve].map(|access| open(&database, access));
    let hold = async |store: &Store, duty| store.hold(duty).await.expect("the database answers");
    assert!(hold(&one, Duty::Mail).await);
    assert!(!hold(&other, Duty::Mail).await);
    // Duties are held apart, and a holder stays one.
    assert!(hold(&other, Duty::Sweep).await);
    assert!(!hold(&one, Duty::Sweep).await);
    assert!(hold(&one, Duty::Mail).await);
    one.release(Duty::Mail).await;
    assert!(hold(&other, Duty::Mail).await);
    assert!(!hold(&one, Duty::Mail).await);
    // Without its connection it has no duty any more, and learns so when it asks.
    end_connections(&database);
    assert!(hold(&one, Duty::Mail).await);
    assert!(!hold(&other, Duty::Mail).await);
    drop(one);
    for _ in 0..100 {
        if hold(&other, Duty::Mail).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a server that is gone keeps its duty");
}

/// Ends every connection to the database.
fn end_connections(database: &TestDatabase) {
    database.with(|client| {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.execute(sql, &[]).expect("a superuser may do this");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_are_replaced() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = Arc::new(open(&database, Access::Serve));
    let write = || store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    write().await.expect("it is written");
    end_connections(&database);
    // Nothing was done on the connections since they were lost, so nothing is lost with them.
    let mut readers = JoinSet::new();
    for _ in 0..20 {
        let store = Arc::clone(&store);
        readers.spawn(async move { store.read(|reader| reader.find_time(Setting::WriteTriedAt)).await });
    }
    for read in readers.join_all().await {
        assert_eq!(read.expect("the reader has a new connection"), Some(AT));
    }
    write().await.expect("the writer has a new connection");
    assert_eq!(store.trouble(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_in_a_write_does_not_hold_up_the_others() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let [hanging, other] = [Access::Serve, Access::Use].map(|access| Arc::new(open(&database, access)));
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (end, has_ended) = std::sync::mpsc::channel::<()>();
    let hangs = {
        let store = Arc::clone(&hanging);
        tokio::spawn(async move {
            let hang = store.write(move |tx| {
                tx.put_time(Setting::WriteTriedAt, Timestamp::from_millis(1))?;
                begun.send(()).expect("the test waits");
                has_ended.recv().expect("the test sends");
                Ok::<_, StoreError>(())
            });
            hang.await
        })
    };
    has_begun.await.expect("it has begun");
    // The hanging one ends only after this, so its lock must have been taken from it.
    let written = other.write(|tx| tx.put_time(Setting::LastBackupAt, AT)).await;
    written.expect("it waits for less long than a request does");
    end.send(()).expect("it waits");
    let lost = hangs.await.expect("it does not panic");
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    let found = other.read(|reader| reader.find_time(Setting::WriteTriedAt)).await;
    assert_eq!(found.expect("it is read"), None, "what was cut off is undone");
    let again = hanging.write(|tx| tx.put_time(Setting::WriteTriedAt, AT)).await;
    again.expect("it has a new connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_does_not_get_its_turn_is_refused() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = Arc::new(open(&database, Access::Serve));
    let write = || store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    let runtime = tokio::runtime::Handle::current();
    let refused = database.with(|client| {
        let mut other = client.transaction().expect("it begins");
        let lock = "SELECT pg_advisory_xact_lock(7020105236431466498)";
        other.execute(lock, &[]).expect("the lock is free");
        runtime.block_on(write())
    });
    let message = refused.expect_err("another one writes").to_string();
    assert!(message.contains("lock timeout (55P03)"), "{message}");
    write().await.expect("the other one has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_locks_does_not_write_with_a_key_that_was_replaced() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = open(&database, Access::Serve);
    let write = || store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    write().await.expect("it is written");
    let beside = Store::open(&options(&database, Access::Alone, ""));
    let refused = beside.err().expect("a server has its lock").to_string();
    assert!(refused.starts_with("another arkloop serves"), "{refused}");
    end_connections(&database);
    let alone = open(&database, Access::Alone);
    let entered = Store::open(&options(&database, Access::Use, ""));
    let refused = entered.err().expect("a process is alone").to_string();
    assert!(refused.starts_with("another arkloop command holds"), "{refused}");
    let replaced = alone.write(|tx| tx.put_setting(Setting::KeyCheck, Some("another"), AT));
    replaced.await.expect("it is written");
    drop(alone);
    // The first one notices that the connection is gone, and the second one has a new connection.
    for _ in 0..2 {
        write().await.expect_err("the key was replaced");
    }
    let trouble = store.trouble().unwrap_or_default();
    assert!(
        trouble.contains("the key file of the database was replaced"),
        "{trouble}"
    );
}

#[tokio::test]
async fn a_database_of_another_key_or_that_a_command_has_alone_is_refused() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let refused = |database: &TestDatabase, access, key_check: &str| {
        let opened = Store::open(&options(database, access, key_check));
        opened.err().expect("it is refused").to_string()
    };
    let message = refused(&database, Access::Use, "another");
    assert!(message.ends_with("belongs to another key file"), "{message}");
    let empty = TestDatabase::new().expect("there is a server");
    let message = refused(&empty, Access::Use, "");
    assert!(
        message.starts_with("there is no database at postgres://"),
        "{message}"
    );
    // Servers share a database, but not with a command that needs it alone.
    let servers = [Access::Serve, Access::Serve].map(|access| open(&database, access));
    drop(servers);
    database.with(|client| {
        let alone = client.execute("SELECT pg_advisory_lock(7020105236431466499)", &[]);
        alone.expect("it waits until the servers are gone");
        let message = refused(&database, Access::Serve, "");
        assert!(
            message.starts_with("another arkloop command holds postgres://"),
            "{message}"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tabs_at_once_move_a_session_on_once_on_postgresql() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let builder = TestApp::builder().open().set("DATABASE__URL", &database.url());
    let app = builder.start().await;
    let first = app.register("alice").await;
    let cookie = common_cookie(&refresh_at_once(&app, &first.cookie()).await);
    assert_ne!(cookie, first.cookie());
    assert_eq!(app.generation_of(&cookie).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_acts_on_the_next_request_of_a_server_on_postgresql() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let builder = TestApp::builder().open().set("DATABASE__URL", &database.url());
    let app = builder.start().await;
    let token = app.register("alice").await.access_token();
    assert_eq!(app.me(&token).await.status, 200);
    let suspended = app.workspace().output(&["user", "suspend", "alice"], "");
    assert!(suspended.status.success(), "{suspended:?}");
    assert_ne!(app.me(&token).await.status, 200);
    assert_ne!(app.login("alice", PASSWORD).await.status, 200);
    let refused = app.workspace().output(&["backup", "file.db"], "");
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(message.contains("the database is PostgreSQL"), "{message}");
}
