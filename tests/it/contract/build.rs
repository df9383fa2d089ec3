//! Tests what the settings of the build lead to.

use insta::assert_snapshot;
use rusqlite::Connection;

/// `.cargo/config.toml` says which parts SQLite has. That it calls fdatasync is no option which SQLite lists, so `.ci/run` looks at the executable.
#[test]
fn sqlite_has_these_parts() {
    let connection = Connection::open_in_memory().expect("a database opens in memory");
    let mut options = connection
        .prepare("PRAGMA compile_options")
        .expect("it is a statement");
    let options = options.query_map([], |row| row.get::<_, String>(0));
    let options: Result<Vec<_>, _> = options.expect("SQLite lists them").collect();
    let mut parts = options.expect("they are text");
    parts.retain(|option| {
        ["ENABLE_", "OMIT_", "SOUNDEX"]
            .iter()
            .any(|kind| option.starts_with(kind))
    });
    assert_snapshot!(parts.join("\n"), @r"
    ENABLE_API_ARMOR
    ENABLE_COLUMN_METADATA
    OMIT_JSON
    OMIT_LOAD_EXTENSION
    ");
}
