//! How PostgreSQL finds the rows of statements.

use std::collections::BTreeSet;

use postgres::{Client, SimpleQueryMessage};
use regex::Regex;
use serde_json::Value;

use super::postgres::TestDatabase;
use super::statements::{has_plan, may_scan, one_line};

/// Statements that may read a whole table on PostgreSQL alone: a part of the text, and why.
const MAY_SCAN: &[(&str, &str)] = &[
    ("to_regclass('migrations')", "there is a row for each migration"),
    ("FROM migrations", "there is a row for each migration"),
    (" FROM pg_stat_", "there is a row for each connection or database"),
    ("ltrim(username_key", "the operator checks usernames"),
];

/// Many rows in the tables of which an index has only a part of the rows: PostgreSQL reads the whole of such an index if the table is empty.
const ROWS: &str = "
    INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
        SELECT decode(lpad(to_hex(i), 32, '0'), 'hex'), 'u' || i, 'u' || i, i || '@example.org', i || '@example.org', 'active', 'en', 0
        FROM generate_series(1, 2000) AS i;
    INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at, ended_at, ended_because)
        SELECT uuid_send(gen_random_uuid()), decode(lpad(to_hex(i % 2000 + 1), 32, '0'), 'hex'), uuid_send(gen_random_uuid()), 'pwd', 0, 0, i,
            CASE WHEN i % 2 = 0 THEN i END, CASE WHEN i % 2 = 0 THEN 'revoked' END
        FROM generate_series(1, 20000) AS i;
    INSERT INTO outbox (id, kind, sealed_mail, message_id, created_at, expires_at, next_attempt_at, is_urgent)
        SELECT uuid_send(gen_random_uuid()), 'verify_email', '', '', 0, i + 1000, i, i % 2 FROM generate_series(1, 20000) AS i;
    INSERT INTO audit_events (at, event, user_id)
        SELECT i, 'sign_out', decode(lpad(to_hex(i % 2000 + 1), 32, '0'), 'hex') FROM generate_series(1, 20000) AS i;
    ANALYZE users, sessions, outbox, audit_events";

/// Those of the `statements`, which ran on PostgreSQL, that read a whole table or index although they may not, each with its plan. Tables are planned as if a
/// scan cost a fortune, so that only a statement without a fitting index has one; and for any values, as for a prepared statement that runs often.
pub fn scans_on_postgres(statements: &BTreeSet<String>) -> Vec<String> {
    let Some(database) = TestDatabase::migrated() else {
        return Vec::new();
    };
    let is_free = |sql: &str| may_scan(sql) || MAY_SCAN.iter().any(|(part, _)| sql.contains(part));
    let planned = statements
        .iter()
        .filter(|sql| has_plan(sql) && !is_free(&one_line(sql)));
    database.with(|client| {
        let set_up = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
        client.batch_execute(ROWS).expect("the rows are of the schema");
        client.batch_execute(set_up).expect("these are settings");
        let scanning = planned.filter_map(|sql| {
            let plan = plan(client, sql);
            let is_scan = reads_all(&plan[0]["Plan"], false);
            is_scan.then(|| format!("{}: {plan:#}", one_line(sql)))
        });
        scanning.collect()
    })
}

fn plan(client: &mut Client, sql: &str) -> Value {
    let hint = Regex::new(r" INDEXED BY \w+").expect("it is an expression");
    let text = hint.replace_all(sql, "").replace('?', "$");
    let parameters = (1..20).take_while(|number| text.contains(&format!("${number}")));
    let nulls = vec!["NULL"; parameters.count()].join(", ");
    let values = if nulls.is_empty() {
        nulls
    } else {
        format!("({nulls})")
    };
    let explain = format!(
        "PREPARE planned AS {text}; EXPLAIN (FORMAT JSON, COSTS OFF) EXECUTE planned{values}; DEALLOCATE planned"
    );
    let told = client
        .simple_query(&explain)
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let rows = told.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str(&rows.collect::<String>()).expect("a plan is JSON")
}

/// Whether a node of a plan, or one below it, reads a whole table or a whole index. One that stops after a few rows does not.
fn reads_all(node: &Value, stops: bool) -> bool {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let stops = stops || kind == "Limit";
    let is_whole = match kind {
        "Seq Scan" => true,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => !stops && node["Index Cond"].is_null(),
        _ => false,
    };
    let below = node["Plans"].as_array().into_iter().flatten();
    is_whole || below.into_iter().any(|node| reads_all(node, stops))
}
