//! What commands do about changes of addresses that wait, and about former addresses that can be taken back.

use insta::assert_snapshot;

use crate::support::Workspace;

/// In the year 2100.
const LATER: i64 = 4_102_444_800_000;
/// In the year 2001.
const BEFORE: i64 = 978_307_200_000;

fn count(workspace: &Workspace, table: &str) -> i64 {
    workspace
        .database()
        .count(&format!("SELECT count(*) FROM {table}"))
}

/// Stores a link with which `login` takes `address` back, as a confirmed change leaves it.
fn put_undo(workspace: &Workspace, login: &str, address: &str, expires_at: i64) {
    workspace.database().change(&format!(
        "INSERT INTO email_undos (digest, user_id, email, email_key, email_since, created_at, expires_at)
         SELECT randomblob(32), id, '{address}', lower('{address}'), created_at, created_at, {expires_at} FROM users WHERE username = '{login}'"
    ));
}

/// Stores a change to `address` that waits for its link.
fn put_change(workspace: &Workspace, login: &str, address: &str, expires_at: i64) {
    workspace.database().change(&format!(
        "INSERT INTO email_changes (user_id, digest, email, created_at, expires_at)
         SELECT id, randomblob(32), '{address}', created_at, {expires_at} FROM users WHERE username = '{login}'"
    ));
}

/// Stores a change of the address that waits, an undo and a former address of every account.
pub fn put_address_rows(workspace: &Workspace) {
    workspace.database().change(
        "INSERT INTO email_changes SELECT id, randomblob(32), 'new@example.org', created_at, created_at FROM users;
         INSERT INTO email_undos SELECT randomblob(32), id, 'old@example.org', 'old@example.org', created_at, created_at, created_at FROM users;
         INSERT INTO former_addresses SELECT id, 'former@example.org', created_at FROM users",
    );
}

#[test]
fn an_address_that_another_account_can_take_back_is_not_given_away() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    put_undo(&workspace, "ann", "Old@example.org", LATER);
    assert_snapshot!(workspace.run_in_both_forms(&["user", "set-email", "ben", "OLD@example.org"]), @r#"
    exit: 1
    stderr:
    error: the account ann had this address and can still take it back, until <time>; wait, or set another address for that account first: arkloop user set-email USER ADDRESS
    exit: 1
    stderr:
    {"error":"the account ann had this address and can still take it back, until <time>","hint":"wait, or set another address for that account first: arkloop user set-email USER ADDRESS"}
    "#);
    let create = ["user", "create", "cat", "--email", "old@example.org"];
    assert_snapshot!(workspace.run(&create), @"
    exit: 1
    stderr:
    error: the account ann had this address and can still take it back, until <time>; wait, or set another address for that account first: arkloop user set-email USER ADDRESS
    ");
    let own = workspace.json(&["user", "set-email", "ann", "old@example.org"]);
    assert_eq!(own["email"], "old@example.org");
    // The command ends what could be taken back, so the address is free as soon as the account has another one.
    assert_eq!(count(&workspace, "email_undos"), 0);
    workspace.json(&["user", "set-email", "ann", "ann@example.org"]);
    workspace.json(&create);
}

#[test]
fn an_address_whose_undo_has_expired_is_free() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    put_undo(&workspace, "ann", "old@example.org", BEFORE);
    let changed = workspace.json(&["user", "set-email", "ben", "old@example.org"]);
    assert_eq!(changed["email"], "old@example.org");
}

#[test]
fn set_email_voids_a_change_that_waits_and_every_undo() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    workspace.create_user("ben");
    for login in ["ann", "ben"] {
        put_change(&workspace, login, "new@example.org", LATER);
        put_undo(&workspace, login, &format!("{login}-1@example.org"), LATER);
        put_undo(&workspace, login, &format!("{login}-2@example.org"), LATER);
    }
    workspace.json(&["user", "set-email", "ann", "ANN@example.org"]);
    for (table, left) in [("email_changes", 1), ("email_undos", 2)] {
        let of_ann = format!("{table} JOIN users ON users.id = user_id WHERE username = 'ann'");
        assert_eq!(count(&workspace, &of_ann), 0, "{table}");
        assert_eq!(count(&workspace, table), left, "{table}");
    }
}

#[test]
fn set_email_remembers_a_verified_address_and_since_when_the_account_has_the_new_one() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let is_since_registration = "users WHERE email_since IS NULL OR email_since = created_at";
    workspace.json(&["user", "set-email", "ann", "ANN@example.org"]);
    assert_eq!(count(&workspace, is_since_registration), 1, "the same address");
    workspace.json(&["user", "set-email", "ann", "unverified@example.org"]);
    assert_eq!(count(&workspace, is_since_registration), 0);
    workspace.json(&["user", "set-email", "ann", "second@example.org"]);
    assert_eq!(count(&workspace, "former_addresses"), 0, "none was verified");
    workspace.json(&["user", "verify-email", "ann"]);
    workspace.json(&["user", "set-email", "ann", "SECOND@example.org"]);
    assert_eq!(count(&workspace, "former_addresses"), 0, "the same address");
    workspace.json(&["user", "verify-email", "ann"]);
    workspace.json(&["user", "set-email", "ann", "third@example.org"]);
    assert_eq!(count(&workspace, "former_addresses"), 1);
}

#[test]
fn explain_tells_of_a_change_that_waits_and_of_addresses_that_can_be_taken_back() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    put_change(&workspace, "ann", "new@example.org", LATER);
    put_undo(&workspace, "ann", "old@example.org", LATER);
    let state = || {
        let explained = workspace.json(&["explain", "ann"]);
        let now = explained["now"].as_array().expect("it is a list").iter();
        let now = now.map(|text| text.as_str().expect("it is a text").to_owned());
        now.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(state(), @"
    The address was never verified.
    A change of the address to new@example.org waits for its link until 2100-01-01T00:00:00Z.
    The former address old@example.org can be taken back until 2100-01-01T00:00:00Z by the link that was mailed to it; no other account can have it until then.
    The account is signed in nowhere.
    ");
    for table in ["email_changes", "email_undos"] {
        workspace
            .database()
            .change(&format!("UPDATE {table} SET expires_at = {BEFORE}"));
    }
    assert_snapshot!(state(), @"
    The address was never verified.
    The account is signed in nowhere.
    ");
}
