//! Sessions of version 0.1 across the change of the schema: their cookies go on working, and reuse remains reuse.

use arkloop::crypto::read_key_file;
use arkloop::domain::{
    Client, Generation, Rotation, Session, SessionId, SessionNonce, SignInMethod, Timestamp, UserId,
};
use rusqlite::{Connection, params};
use secrecy::ExposeSecret as _;

use crate::support::{Answer, TestApp, old_database};

/// 2026-01-01T00:00:00Z, where the clock of a test begins and the accounts of an old database were made.
const START: i64 = 1_767_225_600_000;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const AGENT: &str = "Phone/17.4";

/// A session of version 0.1: its generation, and how many seconds ago the last ones were replaced, newest first.
struct Old {
    number: u8,
    generation: u32,
    replaced: &'static [i64],
}

impl Old {
    fn id(&self) -> [u8; 16] {
        [self.number; 16]
    }

    fn insert(&self, database: &Connection) {
        let moment = |ago: i64| START - ago * 1000;
        let rotations: Vec<u8> = self
            .replaced
            .iter()
            .flat_map(|ago| moment(*ago).to_be_bytes())
            .collect();
        let last_used_at = moment(self.replaced.first().copied().unwrap_or(HOUR));
        database
            .execute(
                "INSERT INTO sessions (id, user_id, generation, nonce, rotations, method, created_at, last_used_at, expires_at,
                                       address, user_agent)
                 SELECT ?1, id, ?2, ?1, ?3, 'pwd', ?4, ?5, ?6, '192.0.2.7', ?7 FROM users ORDER BY id LIMIT 1",
                params![self.id(), self.generation, rotations, moment(24 * HOUR), last_used_at, START + 86_400_000, AGENT],
            )
            .expect("the row is of the schema");
    }

    /// The refresh token that version 0.1 minted for a generation of it.
    fn token(&self, app: &TestApp, generation: u32) -> String {
        let now = Timestamp::from_millis(START);
        let session = Session {
            id: SessionId::from_bytes(self.id()),
            user_id: UserId::from_bytes([0; 16]),
            nonce: SessionNonce(self.id()),
            rotation: Rotation {
                generation: Generation(generation),
                ..Rotation::first(now, Client::LOCAL)
            },
            method: SignInMethod::Password,
            created_at: now,
            last_used_at: now,
            expires_at: now,
            ended: None,
            client: Client::default(),
        };
        let keys = read_key_file(&app.data_dir().join("arkloop.key")).expect("it is there");
        keys.refresh_tokens().current(&session).expose_secret().to_owned()
    }

    async fn refresh(&self, app: &TestApp, generation: u32) -> Answer {
        let request = app.post("/v1/auth/refresh").header("user-agent", AGENT);
        request.cookie(&self.token(app, generation)).send().await
    }
}

/// Rows of version 0.1 in other tables.
const OTHER_ROWS: &str = "
    INSERT INTO mail_budgets VALUES (randomblob(32), 'verify', x'0000019b7654000000000190b7654000', 1767225600000);
    INSERT INTO one_time_codes (address_digest, code_mac, created_at, expires_at)
        VALUES (randomblob(32), randomblob(32), 1767225600000, 1767226200000);
    INSERT INTO audit_events (at, event, user_id, username, session_id, address)
        SELECT 1767225600000, 'register', id, username, randomblob(16), '192.0.2.7' FROM users;
    INSERT INTO audit_events (at, event, refused_because, address, times, window_at)
        VALUES (1767225600000, 'throttled', 'address_limit', '192.0.2.7', 7, 1767225600000);
    -- The second counted without shares and goes.
    INSERT INTO password_failures VALUES (1, 1, randomblob(16), randomblob(16), 3, 1767225600000);
    INSERT INTO password_failures VALUES (1, 2, randomblob(16), x'', 3, 1767225600000)";

/// A server that has brought a database of version 0.1 with these sessions up to date.
async fn upgraded(sessions: &[&Old]) -> TestApp {
    let mut app = TestApp::builder().of_sqlite().open().start().await;
    app.stop().await;
    old_database::put(app.workspace(), old_database::BEFORE_LOST_ANSWERS, 3);
    let database = Connection::open(app.data_dir().join("arkloop.db")).expect("it opens");
    for old in sessions {
        old.insert(&database);
    }
    database
        .execute_batch(OTHER_ROWS)
        .expect("they are of the schema");
    drop(database);
    app.start_again().await;
    app
}

#[tokio::test]
async fn refresh_cookies_of_the_version_before_go_on_working() {
    const IDLE: Old = Old {
        number: 1,
        generation: 3,
        replaced: &[HOUR, 2 * HOUR, 3 * HOUR],
    };
    const FRESH: Old = Old {
        number: 2,
        generation: 3,
        replaced: &[5, 10, MINUTE],
    };
    const LOST: Old = Old {
        number: 3,
        generation: 1,
        replaced: &[HOUR],
    };
    const NEW: Old = Old {
        number: 4,
        generation: 0,
        replaced: &[],
    };
    const COPIED: Old = Old {
        number: 5,
        generation: 12,
        replaced: &[HOUR, HOUR, HOUR, HOUR, HOUR, HOUR, HOUR, HOUR],
    };
    let app = upgraded(&[&IDLE, &FRESH, &LOST, &NEW, &COPIED]).await;
    // The current token of each session is accepted.
    for (old, generation) in [(&IDLE, 3), (&NEW, 0)] {
        let answer = old.refresh(&app, generation).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", old.number);
        assert_eq!(answer.cookie(), old.token(&app, generation + 1));
    }
    // Each token that was replaced within the grace is accepted, and the one from before it is not.
    for generation in [2, 1] {
        let repeated = FRESH.refresh(&app, generation).await;
        assert_eq!(repeated.cookie(), FRESH.token(&app, 3), "{generation}");
    }
    // There is no sign that the successor was seen, so the answer may have been lost before the change.
    assert_eq!(LOST.refresh(&app, 0).await.cookie(), LOST.token(&app, 2));
    for (old, generation) in [(&FRESH, 0), (&COPIED, 10)] {
        assert_eq!(old.refresh(&app, generation).await.status, 401);
        let token = old.token(&app, generation);
        assert_eq!(app.ended_because(&token).await.as_deref(), Some("refresh_reused"));
    }
    for (table, rows) in [
        ("users", 3),
        ("sessions", 8),
        ("mail_budgets", 1),
        ("one_time_codes", 1),
        ("password_failures", 1),
        ("audit_events WHERE event IN ('register', 'throttled')", 4),
    ] {
        assert_eq!(
            app.count(&format!("SELECT count(*) FROM {table}")),
            rows,
            "{table}"
        );
    }
    assert_eq!(app.count("SELECT max(times) FROM audit_events"), 7);
}
