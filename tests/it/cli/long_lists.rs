//! Lists with more rows than are counted.

use insta::assert_snapshot;

use crate::support::Workspace;

const MANY: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10012)
    INSERT INTO users (id, username, username_key, email, email_key, status, locale, created_at)
    SELECT unhex(printf('%032x', i)), 'u' || i, 'u' || i, i || '@example.org', i || '@example.org', 'active', 'en', 0 FROM n;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10012)
    INSERT INTO audit_events (at, event) SELECT 0, 'sign_out' FROM n;";

#[test]
fn rows_after_a_page_are_counted_up_to_ten_thousand() {
    let workspace = Workspace::with_database();
    workspace.database().change(MANY);
    let rest = |arguments: &[&str]| {
        let output = workspace.output(arguments, "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let users = ["user", "list", "--limit"];
    assert_snapshot!(rest(&[&users[..], &["11"]].concat()), @"more than 10000 more; go on with --after 00000000-0000-0000-0000-00000000000b");
    assert_snapshot!(rest(&[&users[..], &["12"]].concat()), @"10000 more; go on with --after 00000000-0000-0000-0000-00000000000c");
    let json = ["--json", "user", "list", "--limit"];
    assert_snapshot!(rest(&[&json[..], &["11"]].concat()), @r#"{"more":10000,"at_least":true,"after":"00000000-0000-0000-0000-00000000000b"}"#);
    assert_snapshot!(rest(&[&json[..], &["12"]].concat()), @r#"{"more":10000,"at_least":false,"after":"00000000-0000-0000-0000-00000000000c"}"#);
    let last = [
        "user",
        "list",
        "--after",
        "00000000-0000-0000-0000-00000000271a",
        "--limit",
        "2",
    ];
    assert_snapshot!(rest(&last), @"");
    assert_snapshot!(rest(&["audit", "--limit", "11"]), @"more than 10000 more; go on with --before 10002");
    assert_snapshot!(rest(&["audit", "--limit", "12"]), @"10000 more; go on with --before 10001");
    assert_snapshot!(rest(&["--json", "audit", "--limit", "11", "--after", "0"]), @r#"{"more":10000,"at_least":true,"after":"11"}"#);
}
