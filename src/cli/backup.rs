//! `backup`: copies the database and checks the copy.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde_json::json;

use super::arguments::expecting;
use super::context::Context;
use super::error::Refusal;
use super::output;
use super::progress::with_progress;
use super::report::{Report, facts};
use crate::service::{BackupDestination, BackupStep, Copied};

/// Copy the database into a file while the server runs, and check the copy
///
/// The copy has everything that was committed before the command started. It is opened and checked, page by page, before it gets its name, and never
/// replaces a file. It does not include the key file: keep a copy of the key file elsewhere, because a backup cannot be restored without it. The copy is
/// first created in the data directory, which needs as much free space as the database takes. On a terminal, a line shows how far the work is.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: one file\n  arkloop backup /var/backups/arkloop.db\n\nExample: for a timer, the newest 14 in a separate directory\n  arkloop backup --keep 14 /var/backups/arkloop\n\nExample: encrypted, on another machine\n  arkloop backup - | age -R keys.txt | ssh backups 'cat >arkloop.db.age'"
)]
pub(super) struct Arguments {
    /// The file to create, in an existing directory; with --keep, the directory for it; - writes the copy, and nothing else, to standard output
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Name the file by date, and remove all but the newest N files with such names
    #[arg(long, value_name = "N", value_parser = expecting::<NonZeroUsize>("a number of files from 1 on", |text| text.parse().ok()))]
    keep: Option<NonZeroUsize>,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Report, Refusal> {
    let is_stream = arguments.path.as_os_str() == "-";
    let destination = match arguments.keep {
        Some(_) if is_stream => {
            return Err(Refusal::new(
                "--keep names files by date, and standard output is no file",
                "name a directory, or leave --keep out",
            ));
        }
        Some(keep) => BackupDestination::Dated(arguments.path, keep),
        None if is_stream => BackupDestination::Stream(Box::new(output::stream()?)),
        None => BackupDestination::File(arguments.path),
    };
    let backup = with_progress(context.output, |progress| {
        let on_step = move |step| progress.say(to_text(step));
        context.with_service(async |service| service.back_up(destination, on_step).await)
    })?;
    let key_file = context.config.key_path();
    let key_file = key_file.to_string_lossy();
    let removed: Vec<_> = backup.removed.iter().map(|path| path.to_string_lossy()).collect();
    let path = backup.path.as_ref().map(|path| path.to_string_lossy());
    let document = json!({
        "file": path,
        "taken_at": backup.taken_at,
        "bytes": backup.bytes,
        "users": backup.users,
        "schema": backup.schema,
        "key": backup.key.to_string(),
        "key_file": key_file,
        "contains_key": false,
        "removed": removed,
    });
    let mut lines = vec![
        (
            "backup",
            path.unwrap_or("written to standard output".into()).into_owned(),
        ),
        ("taken at", backup.taken_at.to_string()),
        ("size", format!("{} KiB", backup.bytes.div_ceil(1024))),
        ("users", backup.users.to_string()),
        ("schema", backup.schema.to_string()),
        ("needs key", format!("{} (not in it)", backup.key)),
    ];
    lines.extend(removed.into_iter().map(|path| ("removed", path.into_owned())));
    let report = Report::new(document, facts(&lines)).note(format!(
        "The key file {key_file} is not in the backup. Keep a copy of it elsewhere: without it the backup cannot be restored."
    ));
    Ok(Report {
        is_on_stderr: is_stream,
        ..report
    })
}

/// What a backup does now, for the line of progress.
fn to_text(step: BackupStep) -> String {
    let (doing, copied) = match step {
        BackupStep::Copying(copied) => ("copying the database", Some(copied)),
        BackupStep::Checking => ("checking the copy", None),
        BackupStep::Writing(copied) => ("writing the copy", Some(copied)),
    };
    match copied.and_then(Copied::percent) {
        Some(percent) => format!("{doing}, {percent} %"),
        None => doing.to_owned(),
    }
}
