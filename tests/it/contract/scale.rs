//! The sums of `docs/scale.md` are right.

const PAGE: &str = include_str!("../../../docs/scale.md");

/// What the page takes for granted; each text stands in it.
const ACTIVE: (&str, f64) = ("a fifth of the accounts is active on a day", 0.2);
const REFRESHES_A_DAY: (&str, f64) = ("refreshes 12 times", 12.0);
const SIGN_INS_A_MONTH: (&str, f64) = ("twice a month", 2.0);
const PEAK: (&str, f64) = ("5 times as many requests as on average", 5.0);
const HASH_MS: (&str, f64) = ("A hash takes 14 ms", 14.0);
const SQLITE: (&str, f64) = ("2 430 bytes in SQLite", 2430.0);
const POSTGRES: (&str, f64) = ("2 908 in PostgreSQL", 2908.0);
const INDEXES: (&str, f64) = ("695 are indexes", 695.0);
const ASKED_BY_SIGN_IN: (&str, f64) = ("a sign-in asks the database 12 times", 12.0);
const ASKED_BY_REFRESH: (&str, f64) = ("a refresh asks it twice", 2.0);
const SESSION_WRITERS: (&str, f64) = ("four transactions in each server", 4.0);
const DAY: f64 = 24.0 * 3600.0;

/// The cells of the row that begins with `head`, without the first.
fn row(head: &str) -> Vec<String> {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {head}")));
    let cells = row
        .unwrap_or_else(|| panic!("there is no row {head}"))
        .split('|')
        .skip(2);
    cells
        .map(|cell| cell.trim().to_owned())
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// The number of a cell, and half of the unit of its last digit.
fn number(cell: &str) -> (f64, f64) {
    let digits = cell.replace(' ', "");
    let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
    let decimals = i32::try_from(decimals).expect("a cell is short");
    (
        digits.parse().expect("it is a number"),
        0.5 * 10f64.powi(-decimals),
    )
}

fn assert_row(head: &str, sums: &[f64]) {
    let cells = row(head);
    assert_eq!(cells.len(), sums.len(), "{head}");
    for (cell, sum) in cells.iter().zip(sums) {
        let (number, rounding) = number(cell);
        // A sum with two digits may be rounded once more.
        assert!(
            (number - sum).abs() <= rounding * 1.001,
            "{head}: {cell} is {sum}"
        );
    }
}

#[test]
fn the_sums_are_right() {
    let flat = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for (text, _) in [
        ACTIVE,
        REFRESHES_A_DAY,
        SIGN_INS_A_MONTH,
        PEAK,
        HASH_MS,
        SQLITE,
        POSTGRES,
        INDEXES,
        ASKED_BY_SIGN_IN,
        ASKED_BY_REFRESH,
        SESSION_WRITERS,
    ] {
        assert!(flat.contains(text), "the page does not say: {text}");
    }
    let accounts = [1e6, 1e7, 1e8];
    let sign_ins = accounts.map(|accounts| accounts * SIGN_INS_A_MONTH.1 / (30.0 * DAY) * PEAK.1);
    let refreshes = accounts.map(|accounts| accounts * ACTIVE.1 * REFRESHES_A_DAY.1 / DAY * PEAK.1);
    assert_row("sign-ins a second", &sign_ins);
    assert_row("cores that hash", &sign_ins.map(|rate| rate * HASH_MS.1 / 1000.0));
    assert_row("refreshes a second", &refreshes);
    for (head, bytes) in [
        ("file of SQLite", SQLITE),
        ("PostgreSQL, GB", POSTGRES),
        ("of that indexes", INDEXES),
    ] {
        assert_row(head, &accounts.map(|accounts| accounts * bytes.1 / 1e9));
    }
    for (head, ms) in [("0.05 ms", 0.05), ("0.5 ms", 0.5), ("2 ms", 2.0)] {
        let refreshes = SESSION_WRITERS.1 * 1000.0 / (ASKED_BY_REFRESH.1 * ms);
        assert_row(head, &[1000.0 / (ASKED_BY_SIGN_IN.1 * ms), refreshes]);
    }
}
