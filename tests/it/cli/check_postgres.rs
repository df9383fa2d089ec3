//! `check` of a database of PostgreSQL. These tests run if there is a server for them (`support::postgres`).

use regex::Regex;

use super::check::install;
use crate::support::Workspace;
use crate::support::postgres::TestDatabase;

/// A workspace whose database is at `url`, and made.
fn made_at(url: &str) -> Workspace {
    let (mut workspace, _) = install();
    workspace.set("ARKLOOP_DATABASE__URL", url);
    let made = workspace.output(&["init"], "");
    assert!(made.status.success(), "{made:?}");
    workspace
}

/// The lines of `check` about the database, with the numbers replaced.
fn told(workspace: &Workspace) -> String {
    let output = workspace.run(&["check"]);
    let is_about = |line: &&str| {
        let subject = line.split_whitespace().nth(1).unwrap_or_default();
        [
            "postgresql",
            "database",
            "clock",
            "replication",
            "connections",
            "backup",
        ]
        .contains(&subject)
    };
    let lines: Vec<&str> = output.lines().filter(is_about).collect();
    let numbers = Regex::new("arkloop_test_[0-9_]+|[0-9]+[.0-9]*").expect("it is a pattern");
    let text = lines.join("\n");
    let text = numbers.replace_all(&text, "<n>");
    Regex::new("PostgreSQL <n> [(][^)]*[)]")
        .expect("it is a pattern")
        .replace_all(&text, "PostgreSQL <n>")
        .into_owned()
}

/// A role of this test alone. It is removed with what it may do.
struct Role<'a> {
    database: &'a TestDatabase,
    name: String,
}

impl<'a> Role<'a> {
    fn new(database: &'a TestDatabase) -> Self {
        let url = database.url();
        let name = url.split('?').next().and_then(|url| url.rsplit('/').next());
        let name = format!("{}_role", name.expect("the URL names a database"));
        let role = Self { database, name };
        role.run("CREATE ROLE {role} LOGIN");
        role
    }

    fn run(&self, sql: &str) {
        let sql = sql.replace("{role}", &self.name);
        self.database
            .with(|client| client.batch_execute(&sql).expect("a superuser may do this"));
    }

    fn url(&self) -> String {
        self.database
            .url()
            .replace("postgres@", &format!("{}@", self.name))
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.run("REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}");
    }
}

#[test]
fn a_role_that_owns_the_database_is_told_of_it() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let role = Role::new(&database);
    role.run("GRANT CREATE ON SCHEMA public TO {role}; ALTER SCHEMA public OWNER TO {role}");
    insta::assert_snapshot!(told(&made_at(&role.url())), @"
    ok       postgresql     PostgreSQL <n> at postgres:///<n>, no TLS, as it does not leave this machine; <n> MiB, and of the schema that this version knows
    ok       replication    no standby is connected
    ok       connections    <n> of the <n> of PostgreSQL are in use; servers of arkloop: <n>
    ok       clock          <time>
    ok       backup         PostgreSQL's own, which is not seen from here: see that pg_dump or snapshots run, and try one out
    warning  postgresql     fsync = off: a loss of power can lose what was acknowledged, or the whole database; turn it on in postgresql.conf
    ");
}

#[test]
fn a_superuser_and_a_role_with_too_little_are_found() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = made_at(&database.url());
    let found = told(&workspace);
    assert!(found.contains("is a superuser"), "{found}");
    let role = Role::new(&database);
    role.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}");
    workspace.set("ARKLOOP_DATABASE__URL", &role.url());
    let found = told(&workspace);
    assert!(
        found.contains("may not read and write <n> of the tables"),
        "{found}"
    );
    assert!(found.contains("may make no tables"), "{found}");
    role.run("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM {role}");
    let found = told(&workspace);
    assert!(found.contains("permission denied"), "{found}");
}

#[test]
fn a_database_that_takes_no_writes_is_found() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = made_at(&database.url());
    database.with(|client| {
        let sql = "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END$$";
        client.batch_execute(sql).expect("a superuser may do this");
    });
    let found = told(&workspace);
    assert!(
        found.contains("it takes no writes: it is a standby, or"),
        "{found}"
    );
    let url = format!("{}&target_session_attrs=any", database.url());
    workspace.set("ARKLOOP_DATABASE__URL", &url);
    let found = told(&workspace);
    assert!(
        found.contains("it takes no writes: default_transaction_read_only is on"),
        "{found}"
    );
}
