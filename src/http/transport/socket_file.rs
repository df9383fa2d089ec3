//! The file of a unix socket: created at the configured path, and removed at the end if it is still the same file.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, openat};
use tokio::net::UnixListener;

use crate::files::{Directory, Flaw, runner};

/// The user that runs the server, and the group of its proxy, may connect to the socket.
const SOCKET_MODE: u32 = 0o660;

/// The file of a socket that this process listens on. Dropping it removes the file.
pub(super) struct SocketFile {
    directory: Directory,
    name: OsString,
    /// The status of the file when it was created: device and inode identify it.
    created: Stat,
}

/// Listens on a socket at `path`. Replaces a socket that a killed server of the same user left there.
pub(crate) fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let (directory, name) = Directory::of(path)?;
    if let Some(found) = directory.find(&name)? {
        judge(&directory, &name, &found)?;
        if std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        {
            directory.remove(&name)?;
        }
    }
    let listener = UnixListener::bind(path)?;
    // `NOFOLLOW`: if a symbolic link has replaced the socket meanwhile, the mode of its target must not change.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = openat(&directory, &name, flags, Mode::empty())?;
    let created = fstat(&entry)?;
    judge(&directory, &name, &created)?;
    let entry = format!("/proc/self/fd/{}", entry.as_raw_fd());
    std::fs::set_permissions(entry, Permissions::from_mode(SOCKET_MODE))?;
    let file = SocketFile {
        directory,
        name,
        created,
    };
    Ok((listener, file))
}

/// Refuses a file that is not a socket, or that does not belong to the user that runs the server.
fn judge(directory: &Directory, name: &OsString, found: &Stat) -> io::Result<()> {
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(directory.untrusted(name, Flaw::Not("socket")));
    }
    if found.st_uid != runner() {
        return Err(directory.untrusted(name, Flaw::Owner(found.st_uid)));
    }
    Ok(())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let created = (self.created.st_dev, self.created.st_ino);
        let is_same = |found: Stat| (found.st_dev, found.st_ino) == created;
        if self
            .directory
            .find(&self.name)
            .is_ok_and(|found| found.is_some_and(is_same))
        {
            let _ = self.directory.remove(&self.name);
        }
    }
}
