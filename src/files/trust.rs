//! Which owners and modes are trusted.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Stat, StatVfsMountFlags, fgetxattr_query, fstatvfs};

use super::untrusted::Flaw;
use super::users::runner;

pub(super) const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
/// In a directory with this bit, only the owner of an entry can rename or remove it.
pub(super) const STICKY: u32 = 0o1000;

/// Whether files of this user are trusted: those of root, who can do everything anyway, and those of the running user.
pub fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == runner()
}

/// Why a file of this owner and mode is not a secret of `user`; `None` if it is. This is the rule for the key file, and the same as that of `PostgreSQL`.
///
/// A file of `user` may be used by `user` only. A file of root may also be readable by its group, which is how root shows it to one user; the mode of a file
/// with an access list looks the same. Its group must not be able to write to it, and other users must not be able to use it at all.
pub fn secret_flaw((owner, mode): (u32, u32), user: u32) -> Option<Flaw> {
    let forbidden = match owner {
        owner if owner == user => 0o077,
        0 => 0o027,
        owner => return Some(Flaw::Owner(owner)),
    };
    (mode & forbidden != 0).then_some(Flaw::Readable(mode))
}

/// Why users other than root and the running user can write to an entry; `None` if they cannot. `is_listed` is called only if its group can write to it.
pub(super) fn flaw_of(
    found: &Stat,
    is_listed: impl FnOnce() -> io::Result<bool>,
) -> io::Result<Option<Flaw>> {
    if !is_trusted(found.st_uid) {
        return Ok(Some(Flaw::Owner(found.st_uid)));
    }
    let is_own_group = found.st_gid == rustix::process::getegid().as_raw();
    let is_group_writable = found.st_mode & GROUP_WRITE != 0;
    let is_writable =
        found.st_mode & OTHERS_WRITE != 0 || is_group_writable && (!is_own_group || is_listed()?);
    Ok(is_writable.then(|| Flaw::Writable(bits(found))))
}

/// Whether the entry has an access list, which may name any user. The group's bits are then the mask of that list.
pub(super) fn is_listed(of: impl AsFd) -> bool {
    fgetxattr_query(of, "system.posix_acl_access").is_ok()
}

pub(super) fn bits(found: &Stat) -> u32 {
    found.st_mode & 0o7777
}

pub(super) fn is_read_only(of: impl AsFd) -> io::Result<bool> {
    Ok(fstatvfs(of)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}
