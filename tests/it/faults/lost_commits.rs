//! The connection to PostgreSQL is cut in a COMMIT, so that the server cannot know whether the change was carried out, or carries nothing any more. These
//! tests run if there is a server for them (`support::postgres`).

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arkloop::domain::{DatabaseUrl, Timestamp};
use arkloop::store::{Access, Duty, OpenOptions, Store, StoreError};
use serde_json::json;

use crate::support::postgres::TestDatabase;
use crate::support::{Answer, TestApp, registration};

/// The name of the socket of PostgreSQL in its directory.
const SOCKET: &str = ".s.PGSQL.5432";
/// The statement as the writer sends it.
const COMMIT: &[u8] = b"COMMIT\0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The COMMIT does not reach PostgreSQL.
    Before,
    /// The COMMIT is carried out, and its answer is lost.
    After,
}

/// Passes connections on to PostgreSQL, and cuts the one that sends the next COMMIT when it is told to.
struct CuttingProxy {
    directory: tempfile::TempDir,
    next: Arc<Mutex<Option<Cut>>>,
    is_silent: Arc<AtomicBool>,
}

impl CuttingProxy {
    fn before(database: &TestDatabase) -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("the directory is new");
        let (url, next, is_silent) = (database.url(), Arc::default(), Arc::default());
        let (_, socket) = url
            .split_once("host=")
            .expect("the server listens on a unix socket");
        let (socket, orders) = (Path::new(socket).join(SOCKET), Arc::clone(&next));
        let silence = Arc::clone(&is_silent);
        thread::spawn(move || accept(&listener, &socket, &orders, &silence));
        Self {
            directory,
            next,
            is_silent,
        }
    }

    /// The URL of the database through this proxy.
    fn url_of(&self, database: &TestDatabase) -> String {
        let url = database.url();
        let (before, _) = url
            .split_once("host=")
            .expect("the server listens on a unix socket");
        format!("{before}host={}", self.directory.path().display())
    }

    fn cut_next_commit(&self, cut: Cut) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// Passes nothing on any more, and leaves every connection open.
    fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    fn has_cut(&self) -> bool {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

fn accept(
    listener: &UnixListener,
    socket: &PathBuf,
    orders: &Arc<Mutex<Option<Cut>>>,
    silence: &Arc<AtomicBool>,
) {
    for client in listener.incoming() {
        let (Ok(client), Ok(server)) = (client, UnixStream::connect(socket)) else {
            return;
        };
        let twice = |stream: &UnixStream| stream.try_clone().expect("there are descriptors left");
        let (to_client, from_server) = (twice(&client), twice(&server));
        let (is_cut, orders) = (Arc::new(AtomicBool::new(false)), Arc::clone(orders));
        let (is_mute, silence) = (Arc::clone(&is_cut), Arc::clone(silence));
        thread::spawn(move || {
            pass(client, server, |part| {
                while silence.load(Ordering::SeqCst) {
                    thread::park();
                }
                // BEGIN has the word too, in the name of the isolation level.
                if !part.windows(COMMIT.len()).any(|word| word == COMMIT) {
                    return true;
                }
                let order = orders.lock().unwrap_or_else(PoisonError::into_inner).take();
                is_cut.store(order.is_some(), Ordering::SeqCst);
                order != Some(Cut::Before)
            });
        });
        thread::spawn(move || pass(from_server, to_client, |_| !is_mute.load(Ordering::SeqCst)));
    }
}

/// Passes on what `from` sends, until one end closes or `may_pass` is false.
fn pass(mut from: UnixStream, mut to: UnixStream, may_pass: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer)
        && may_pass(&buffer[..length])
        && to.write_all(&buffer[..length]).is_ok()
    {}
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

async fn start(database: &TestDatabase) -> (CuttingProxy, TestApp) {
    let proxy = CuttingProxy::before(database);
    let builder = TestApp::builder()
        .set("DATABASE__URL", &proxy.url_of(database))
        .set("MAIL__TRANSPORT", "off");
    (proxy, builder.start().await)
}

fn assert_unavailable(answer: &Answer, proxy: &CuttingProxy) {
    assert!(proxy.has_cut(), "no COMMIT was seen");
    assert_eq!(answer.brief(), "503 service.unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_may_have_been_lost_can_be_repeated_and_spends_one_use() {
    for (cut, uses, repeated) in [
        (Cut::Before, 1, "201 -"),
        (Cut::After, 1, "409 auth.login_exists"),
        (Cut::After, 2, "409 auth.login_exists"),
    ] {
        let Some(database) = TestDatabase::new() else {
            return;
        };
        let (proxy, app) = start(&database).await;
        let code = app.invite(uses).await;
        let register = async |name: &str| {
            let mut body = registration(name);
            body["invite_code"] = json!(code);
            app.post("/v1/auth/register").json(&body).send().await
        };
        proxy.cut_next_commit(cut);
        assert_unavailable(&register("alice").await, &proxy);
        assert_eq!(register("alice").await.brief(), repeated, "{cut:?}, {uses}");
        assert_eq!(app.uses_of(&code).await, 1, "{cut:?}, {uses}");
        // Another name is told nothing about the account.
        let other = if uses == 1 {
            "422 auth.invite_code_invalid"
        } else {
            "201 -"
        };
        assert_eq!(register("bob").await.brief(), other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_may_have_been_lost_gets_the_current_cookie_when_it_is_repeated() {
    for cut in [Cut::Before, Cut::After] {
        let Some(database) = TestDatabase::new() else {
            return;
        };
        let (proxy, app) = start(&database).await;
        let mut body = registration("alice");
        body["invite_code"] = json!(app.invite(1).await);
        let first = app.post("/v1/auth/register").json(&body).send().await.cookie();
        proxy.cut_next_commit(cut);
        assert_unavailable(&app.refresh(&first).await, &proxy);
        let again = app.refresh(&first).await;
        assert_eq!(again.brief(), "200 -", "{cut:?}");
        assert_eq!(app.refresh(&first).await.cookie(), again.cookie(), "{cut:?}");
        assert_eq!(app.generation_of(&first).await, 1, "{cut:?}");
        assert_eq!(app.refresh(&again.cookie()).await.brief(), "200 -", "{cut:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gets_no_answer_gives_up_its_duty() {
    let Some(database) = TestDatabase::migrated() else {
        return;
    };
    let proxy = CuttingProxy::before(&database);
    let url = DatabaseUrl::parse(&proxy.url_of(&database)).expect("it is the URL of a database");
    let options = OpenOptions {
        url: Some(url),
        ..OpenOptions::new(
            "/nonexistent".into(),
            Access::Serve,
            Timestamp::from_millis(0),
            Some(String::new()),
        )
    };
    let store = Store::open(&options).expect("the database opens");
    assert!(store.hold(Duty::Mail).await.expect("the database answers"));
    proxy.fall_silent();
    let held = store.hold(Duty::Mail).await;
    assert!(matches!(held, Err(StoreError::Unavailable(_))), "{held:?}");
    // Its threads wait for answers that never come.
    std::mem::forget(store);
}
