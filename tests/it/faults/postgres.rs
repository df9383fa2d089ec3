//! PostgreSQL below the store: a change is kept or undone as a whole, and processes take turns. These tests run if there is a server for them
//! (`support::postgres`).

use std::num::NonZeroU32;
use std::sync::Arc;

use arkloop::domain::{
    Email, Invite, InviteDigest, InviteId, InviteUses, Language, Sealed, Timestamp, UserId, Username,
};
use arkloop::store::{Access, NewUserRow, OpenOptions, Setting, Store, StoreError};
use tokio::task::JoinSet;

use crate::support::postgres::TestDatabase;

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const RIVALS: usize = 200;
const DIGEST: InviteDigest = InviteDigest([7; 32]);

/// A server's store over the database.
fn open(database: &TestDatabase) -> Store {
    let options = OpenOptions {
        url: Some(database.parsed_url()),
        readers: NonZeroU32::MIN,
        ..OpenOptions::new("/nonexistent".into(), Access::Serve, AT, Some(String::new()))
    };
    Store::open(&options).expect("the database opens")
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
    let store = open(&database);
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
async fn one_of_two_hundred_on_two_nodes_spends_a_single_use() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let nodes = [Arc::new(open(&database)), Arc::new(open(&database))];
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
    // A node notices that the other one has written since its own last write.
    for (node, has_noticed) in [(0, None), (0, Some(false)), (1, None), (0, Some(true))] {
        let before = nodes[node].foreign_commits();
        let written = nodes[node].write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
        written.await.expect("it is written");
        if let Some(has_noticed) = has_noticed {
            assert_eq!(nodes[node].foreign_commits() > before, has_noticed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_are_replaced() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let store = open(&database);
    let write = || store.write(|tx| tx.put_time(Setting::WriteTriedAt, AT));
    write().await.expect("it is written");
    database.with(|client| {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.execute(sql, &[]).expect("a superuser may do this");
    });
    let lost = write().await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    assert!(store.trouble().is_some());
    write().await.expect("the writer has a new connection");
    assert_eq!(store.trouble(), None);
    let mut read = Err(StoreError::Failed(String::new()));
    // A reader whose connection was lost fails once.
    for _ in 0..20 {
        read = store.read(|reader| reader.find_time(Setting::WriteTriedAt)).await;
        if read.is_ok() {
            break;
        }
    }
    assert_eq!(read.expect("the readers have new connections"), Some(AT));
}

#[tokio::test]
async fn a_database_of_another_key_is_refused() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let options = OpenOptions {
        url: Some(database.parsed_url()),
        ..OpenOptions::new("/nonexistent".into(), Access::Use, AT, Some("another".to_owned()))
    };
    let refused = Store::open(&options).err().expect("it is refused");
    assert!(
        refused.to_string().ends_with("belongs to another key file"),
        "{refused}"
    );
    let empty = TestDatabase::new().expect("there is a server");
    let options = OpenOptions {
        url: Some(empty.parsed_url()),
        ..options
    };
    let refused = Store::open(&options).err().expect("it is refused");
    assert!(
        refused
            .to_string()
            .starts_with("there is no database at postgres://"),
        "{refused}"
    );
}
