//! No secret lies about, in the whole run.
//!
//! Every [`Workspace`](super::Workspace), and with it every server of a test, has a [`Vault`]. It gathers what goes through [`Request`](super::Request),
//! through the commands, their environment and their standard input, and through the mail server of the test: passwords, codes, tokens, cookies, keys of
//! other services, mails. It also gathers what is said: the log of this process at its most talkative, the log of the executable at the level at which the
//! test runs it, what commands write about themselves, and the body of each refusal. When the test ends, each secret is searched for in what was said, in
//! every file of the directory (database, write-ahead log, copies) and in a copy of the database as a backup makes it. What is found fails the test.
//!
//! **In which forms:** raw, hexadecimal, base64 and URL-encoded, tokens also as the bytes behind them; see [`forms`].
//!
//! **What is left out.** Six and seven digits occur by chance: such a code is searched for only in what was said, and only as a word. Texts of less than
//! twelve bytes, or made of less than six different ones, are no secrets anybody keeps, but the wrong inputs of tests. Mails that were written out are not
//! searched: that is what they are for. Neither is what a test sends on a bare connection, or what stands in a file that the test wrote.

mod forms;
mod haystack;
mod log;
mod vault;

pub use forms::Secrets;
pub use haystack::Haystack;
pub use vault::Vault;
