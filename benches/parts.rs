//! The cost of each part of a request, measured through the public API of the library: `cargo bench --bench parts`.
//!
//! The results are wall times of one thread. `benches/load` measures whole requests from outside.

mod bare_hash;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arkloop::crypto::{
    AccessClaims, AccessTokenSettings, Keyring, Keys, PasswordHasher, PresentedRefreshToken, Priority,
    PublishedKey, SigningKey,
};
use arkloop::domain::{
    Argon2Cost, Client, Email, HashImplementation, Language, LimitClass, MIN_PASSWORD_CHARS, Password,
    PasswordHash, Rates, RefreshVerdict, Rotation, Session, SessionId, SessionNonce, SignInMethod,
    SignatureAlgorithm, Timestamp, UserId, Username,
};
use arkloop::limits::{Limits, Subject};
use arkloop::store::{Access, Creation, NewUserRow, OpenOptions, Store, StoreError, Tx};
use arkloop::system::System;
use criterion::{BatchSize, Criterion, Throughput};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use bare_hash::BareHash;

/// How many writes wait together for a group commit: as many as the default number of connections of `benches/load`.
const TOGETHER: usize = 64;

// Without `criterion_group!`, whose functions are public and have no docs.
fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    password_hash(&mut criterion);
    access_token(&mut criterion);
    refresh_token(&mut criterion);
    limits(&mut criterion);
    store(&mut criterion);
    criterion.final_summary();
}

fn runtime() -> Runtime {
    let built = Builder::new_current_thread().enable_all().build();
    built.expect("the system can start a runtime")
}

fn password_hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("password_hash");
    // A hash takes tens of milliseconds, with little variation, so twenty samples are as good as a hundred.
    group.sample_size(20);
    let mut bare = BareHash::new();
    group.bench_function("bare", |bencher| bencher.iter(|| bare.compute()));
    // The same hash by `argon2-rust`, whose default cost is the same.
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    let mut fast = argon2_rust::Argon2::new(algorithm, version, argon2_rust::Params::OWASP).hasher();
    group.bench_function("bare_fast", |bencher| {
        bencher.iter(|| {
            let mut output = [0; 32];
            let computed = fast.hash_into(b"correct horse", &[7; 16], &mut output);
            computed.expect("the password and the salt fit the cost");
            output
        });
    });
    // At normal priority: with the low priority that the server uses, the result would depend on the other load of the machine.
    let hasher = PasswordHasher::start(
        Argon2Cost::default(),
        HashImplementation::Auto,
        NonZeroUsize::MIN,
        u64::from(Argon2Cost::default().memory_kib),
        Priority::Normal,
        System::machine(),
    );
    let (hasher, runtime) = (hasher.expect("the hash thread starts"), runtime());
    let password = Password::parse("correct horse", MIN_PASSWORD_CHARS, &[]);
    let password = password.expect("it is long enough and not common");
    group.bench_function("hasher", |bencher| {
        bencher.iter(|| {
            let hash = runtime.block_on(hasher.hash(password.clone()));
            hash.expect("the queue of hashes has room")
        });
    });
    group.finish();
}

fn access_token(criterion: &mut Criterion) {
    let system = System::machine();
    let session = session(&system, system.new_id());
    let claims = AccessClaims {
        user_id: session.user_id,
        session_id: session.id,
        authenticated_at: session.created_at,
        method: session.method,
        is_email_verified: false,
    };
    for algorithm in [SignatureAlgorithm::Es256, SignatureAlgorithm::EdDsa] {
        signed_with(criterion, algorithm, &claims, &system);
    }
}

fn signed_with(
    criterion: &mut Criterion,
    algorithm: SignatureAlgorithm,
    claims: &AccessClaims,
    system: &System,
) {
    let (key, _) = SigningKey::generate(algorithm, system).expect("AWS-LC makes a key of any seed");
    let keyring = Keyring::new(
        vec![PublishedKey {
            key,
            active_at: system.now(),
            retired_at: None,
        }],
        AccessTokenSettings {
            issuer: "http://localhost:8080".to_owned(),
            audience: "arkloop".to_owned(),
            ttl: Duration::from_mins(15),
        },
    );
    let issue = || keyring.issue(claims, system).expect("the key signs");
    let now = system.now();
    let mut group = criterion.benchmark_group(format!("access_token/{}", algorithm.into_str()));
    group.bench_function("issue", |bencher| bencher.iter(issue));
    // A new token each time; remembering it is part of the cost.
    group.bench_function("verify_first", |bencher| {
        bencher.iter_batched(
            issue,
            |token| keyring.verify(token.expose_secret(), now),
            BatchSize::SmallInput,
        );
    });
    let token = issue();
    group.bench_function("verify_remembered", |bencher| {
        bencher.iter(|| keyring.verify(black_box(token.expose_secret()), now));
    });
    group.finish();
}

fn refresh_token(criterion: &mut Criterion) {
    let system = System::machine();
    let session = session(&system, system.new_id());
    let tokens = Keys::derive(&system.random()).refresh_tokens();
    let minted = tokens.current(&session);
    let mut group = criterion.benchmark_group("refresh_token");
    group.bench_function("mint", |bencher| {
        bencher.iter(|| tokens.current(black_box(&session)));
    });
    group.bench_function("check", |bencher| {
        bencher.iter(|| {
            let presented = PresentedRefreshToken::parse(black_box(minted.expose_secret()));
            presented.is_some_and(|presented| tokens.is_authentic(&presented, &session))
        });
    });
    group.finish();
}

fn limits(criterion: &mut Criterion) {
    let system = System::machine();
    let limits = Limits::new(&Rates::from_closure(LimitClass::default_rate), system.clone());
    let mut group = criterion.benchmark_group("limits");
    let known = Subject::Session(system.new_id());
    group.bench_function("check_known", |bencher| {
        bencher.iter(|| limits.check(LimitClass::Other, black_box(known)));
    });
    // Each address comes once. Soon there are as many buckets as may be kept, so that the cost includes freeing one.
    let mut number = 0_u32;
    group.bench_function("check_newcomer", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_add(1);
            let newcomer = Subject::of_address(Some(number.to_be_bytes().into()));
            limits.check(LimitClass::Login, newcomer)
        });
    });
    group.finish();
}

fn store(criterion: &mut Criterion) {
    let (database, runtime) = (Database::create(), runtime());
    let (store, first) = (&database.store, database.sessions[0]);
    let mut group = criterion.benchmark_group("store");
    group.bench_function("read_by_id", |bencher| {
        bencher.iter(|| runtime.block_on(store.read(move |reader| reader.find_session(first))));
    });
    group.bench_function("write_alone", |bencher| {
        bencher.iter(|| runtime.block_on(database.rotate(&[first])));
    });
    group.throughput(Throughput::Elements(TOGETHER as u64));
    group.bench_function("write_64_at_once", |bencher| {
        bencher.iter(|| runtime.block_on(database.rotate(&database.sessions)));
    });
    group.finish();
}

/// A database on disk with one account that has as many sessions as are written together.
struct Database {
    store: Arc<Store>,
    sessions: Vec<SessionId>,
    system: System,
    // Removed when the store is closed.
    _directory: TempDir,
}

impl Database {
    fn create() -> Self {
        let system = System::machine();
        // In the target directory, because the system's temporary directory may be in memory, where a commit costs nothing.
        let directory =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is ours");
        let creation = Creation::begin(directory.path()).expect("the directory is ours");
        let made = creation.expect("it is empty").create_database("", system.now());
        made.expect("the disk has room for a database");
        let store = Store::open(&OpenOptions::new(
            directory.path().to_owned(),
            Access::Serve,
            system.now(),
            Some(String::new()),
        ));
        let database = Self {
            store: Arc::new(store.expect("a new database opens")),
            sessions: Vec::new(),
            system,
            _directory: directory,
        };
        runtime().block_on(database.fill())
    }

    /// Adds the account and its sessions.
    async fn fill(self) -> Self {
        let user = user(&self.system);
        let sessions: Vec<Session> = (0..TOGETHER).map(|_| session(&self.system, user.id)).collect();
        let ids = sessions.iter().map(|session| session.id).collect();
        let filled = self.store.write(move |tx| {
            assert!(tx.insert_user(&user)?, "the name is free");
            sessions.iter().try_for_each(|session| tx.insert_session(session))
        });
        filled.await.expect("the database takes an account");
        Self {
            sessions: ids,
            ..self
        }
    }

    /// Moves each session to its next generation with a write of its own; all writes run at the same time.
    async fn rotate(&self, sessions: &[SessionId]) {
        let mut writes = JoinSet::new();
        for &id in sessions {
            let (store, now) = (Arc::clone(&self.store), self.system.now());
            writes.spawn(async move { store.write(move |tx| rotate(tx, id, now)).await });
        }
        while let Some(written) = writes.join_next().await {
            let is_rotated = written.expect("the task ends").expect("the write is committed");
            assert!(is_rotated, "the session is alive, and no other write moves it");
        }
    }
}

/// The statements of a refresh: the session with its user, then the conditional UPDATE.
fn rotate(tx: &Tx<'_>, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
    let Some((from, _)) = tx.find_session_with_user(id)? else {
        return Ok(false);
    };
    let token = from.rotation.generation;
    let next = from
        .rotation
        .after(RefreshVerdict::Rotate, token, &Client::LOCAL, now)
        .expect("the session moves on");
    let to = Session {
        rotation: next,
        last_used_at: now,
        ..from.clone()
    };
    tx.move_session(&from, &to)
}

fn user(system: &System) -> NewUserRow {
    NewUserRow {
        id: system.new_id(),
        username: Username::parse("bench").expect("it is a username"),
        email: Email::parse("bench@example.org").expect("it is an address"),
        email_verified_at: None,
        password_hash: Some(PasswordHash::new("nobody signs in".to_owned())),
        locale: Language::English.into(),
        invite_id: None,
        created_at: system.now(),
    }
}

fn session(system: &System, user_id: UserId) -> Session {
    let now = system.now();
    Session {
        id: system.new_id(),
        user_id,
        nonce: SessionNonce(system.random()),
        rotation: Rotation::first(now, Client::LOCAL),
        method: SignInMethod::Password,
        created_at: now,
        last_used_at: now,
        expires_at: now + Duration::from_hours(24),
        ended: None,
        client: Client::default(),
    }
}
