//! Loss of power: what a killed process wrote is kept by the system, but what was not synced is lost with the power.

mod disk;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use self::disk::Disk;
use crate::installation::{Installation, Ran};
use crate::random::{Random, length, seed};
use crate::run::{Kind, Report, Run, in_parts};

/// What is wrong with the disk, planted to see the harness find it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// It answers a sync without syncing.
    Lies,
    /// The end of the WAL is gone after each cut.
    CutsWal,
}

/// Compiles the layer and loads it into every process of the installation.
pub fn preload(installation: &mut Installation) {
    let layer = installation.path().join("layer.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/power/layer.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&layer)
        .args([source, "-ldl", "-lpthread"])
        .status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "a C compiler makes the layer"
    );
    let path = |name: &str| installation.path().join(name).display().to_string();
    let (root, layer) = (installation.path().display().to_string(), path("layer.so"));
    installation.set("LAYER_ROOT", &root);
    installation.set("LD_PRELOAD", &layer);
}

fn run(planted: Planted, name: &'static str, seed: u64, length: Duration) -> Report {
    let mut installation = Installation::new();
    preload(&mut installation);
    let root = installation.path().to_owned();
    let journal = root.join("journal");
    if planted == Planted::Lies {
        // The first start is honest: without a key there would be no server to ask.
        assert!(
            matches!(installation.run(&["init"], None), Ran::Done(_)),
            "it is made"
        );
    }
    installation.set("LAYER_JOURNAL", &journal.display().to_string());
    if planted == Planted::Lies {
        installation.set("LAYER_LIES", "1");
    }
    let mut disk = Some(Disk::new(&root, &journal));
    let mut crash = |_: &Installation, random: &mut Random| {
        if let Some(disk) = disk.take() {
            disk.cut_power(random);
        }
        if planted == Planted::CutsWal {
            cut_wal(root.join("data/arkloop.db-wal"), random);
        }
        disk = Some(Disk::new(&root, &journal));
    };
    let run = Run {
        name,
        seed,
        kind: Kind::PowerCut,
        installation: &installation,
        crash: &mut crash,
    };
    run.run(length)
}

fn cut_wal(path: PathBuf, random: &mut Random) {
    if let Ok(bytes) = fs::read(&path) {
        let kept = bytes.len() * (20 + random.below(70)) / 100;
        fs::write(path, &bytes[..kept]).expect("the directory is writable");
    }
}

/// Every directory of the path that a first start creates has to be on the disk, not only what is in them.
#[test]
fn a_first_start_is_on_the_disk_when_it_is_done() {
    let mut installation = Installation::new();
    preload(&mut installation);
    let root = installation.path().to_owned();
    let journal = root.join("journal");
    installation.set("LAYER_JOURNAL", &journal.display().to_string());
    let disk = Disk::new(&root, &journal);
    let invite = ["invite", "create", "--note", "the first"];
    assert!(
        matches!(installation.run(&["init"], None), Ran::Done(_)),
        "it is made"
    );
    assert!(
        matches!(installation.run(&invite, None), Ran::Done(_)),
        "it is made"
    );
    disk.lose_all_unsynced();
    match installation.run(&["invite", "list"], None) {
        Ran::Done(invites) => assert_eq!(invites[0]["note"], "the first"),
        other => panic!("the installation is lost: {other:?}"),
    }
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    in_parts("power", length(Duration::from_secs(8)), |seed, length| {
        run(Planted::Nothing, "power", seed, length)
    });
}

/// The run is over when the first loss is found.
fn assert_finds_losses(planted: Planted, name: &'static str) {
    let report = run(planted, name, seed(), Duration::from_secs(30));
    assert!(
        report
            .violations
            .iter()
            .any(|violation| violation.starts_with("lost")),
        "no loss was found: {:?}",
        report.violations
    );
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    assert_finds_losses(Planted::Lies, "planted: no syncs");
}

#[test]
fn a_wal_that_is_cut_is_found_out() {
    assert_finds_losses(Planted::CutsWal, "planted: a cut WAL");
}
