//! Prompts for passwords, which are never arguments, and for consent before a destructive action.

use std::io::{self, BufRead, IsTerminal, Read};

use secrecy::SecretString;

use super::error::Refusal;
use super::output;

/// The maximum number of bytes read for one line of standard input: far more than a password needs, far less than a file that was given by mistake.
const MAX_LINE_BYTES: u64 = 64 * 1024;

#[derive(clap::Args, Debug)]
pub(super) struct PasswordArguments {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// Reads a new password from standard input, or twice from the terminal.
    pub(super) fn read(&self) -> Result<SecretString, Refusal> {
        if self.password_stdin {
            return read_from_stdin();
        }
        if !io::stdin().is_terminal() {
            return Err(Refusal::new(
                "nobody can be asked for the new password",
                "give the password on standard input with --password-stdin",
            ));
        }
        let prompt = |question| rpassword::prompt_password(question).map_err(|cause| unreadable(&cause));
        let first = prompt("New password: ")?;
        if first != prompt("The same again: ")? {
            return Err(Refusal::new("the two passwords differ", "run the command again"));
        }
        Ok(first.into())
    }
}

/// Reads a password from the first line of standard input, without its line end.
pub(super) fn read_from_stdin() -> Result<SecretString, Refusal> {
    let mut bytes = Vec::new();
    Read::take(io::stdin().lock(), MAX_LINE_BYTES)
        .read_until(b'\n', &mut bytes)
        .map_err(|cause| unreadable(&cause))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Some editors write a byte order mark.
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let refuse = |what: &str| {
        Refusal::new(
            format!("the password on standard input {what}"),
            "give it as one line of UTF-8 text",
        )
    };
    if line.contains(&0) {
        return Err(refuse("has a NUL byte in it"));
    }
    let text = String::from_utf8(line.to_vec()).map_err(|_| refuse("is not UTF-8"))?;
    Ok(text.into())
}

fn unreadable(cause: &io::Error) -> Refusal {
    Refusal::new(
        format!("cannot read the password: {cause}"),
        "give it on standard input with --password-stdin",
    )
}

#[derive(clap::Args, Debug)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Consent {
    /// Asks for consent to an `action` that cannot be undone, such as `delete ann`, unless `--yes` was given.
    pub(super) fn to(&self, action: &str) -> Result<(), Refusal> {
        self.to_consequence(action, "This cannot be undone.")
    }

    /// Like [`Self::to`], with another sentence about the consequence.
    pub(super) fn to_consequence(&self, action: &str, consequence: &str) -> Result<(), Refusal> {
        if self.yes {
            return Ok(());
        }
        let refuse = |problem: String| Err(Refusal::new(problem, "add --yes if you are sure"));
        if !self.is_possible() {
            return refuse(format!("nobody can be asked whether to {action}"));
        }
        output::question(&format!("Really {action}? {consequence} [y/N]"));
        let mut answer = String::new();
        if let Err(cause) = io::stdin().lock().read_line(&mut answer) {
            return refuse(format!("cannot read the answer: {cause}"));
        }
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Refusal::new(
                "nothing was done",
                "answer y, or add --yes, to go on",
            )),
        }
    }

    /// Whether the operator has given consent or can be asked for it.
    pub(super) fn is_possible(&self) -> bool {
        self.yes || io::stdin().is_terminal()
    }
}
