//! The CPU time and memory of a process, read from `/proc`.

use std::fs;
use std::io;

/// Ticks a second in `/proc/<pid>/stat` on every architecture that arkloop is built for (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: f64 = 100.0;
/// By how much a difference between two results of [`cpu_ms`] can be wrong: user time and system time are each rounded down to a whole tick.
pub(crate) const CPU_PRECISION_MS: f64 = 2.0 * 1000.0 / TICKS_PER_SECOND;

/// User and system time of all threads of a process since it began, in milliseconds.
pub(crate) fn cpu_ms(pid: u32) -> io::Result<f64> {
    let stat = read(pid, "stat")?;
    // The name in the second field may have spaces and brackets, so the fields are counted from the end of the name: the next field is the third.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields.split_whitespace().skip(14 - 3);
    let mut ticks = || times.next().and_then(|field| field.parse::<f64>().ok());
    let (Some(user), Some(system)) = (ticks(), ticks()) else {
        return Err(io::Error::other(format!("/proc/{pid}/stat has no times")));
    };
    Ok((user + system) * 1000.0 / TICKS_PER_SECOND)
}

/// A line of `/proc/<pid>/status` that counts kilobytes, such as `VmRSS`, in MiB.
pub(crate) fn memory_mib(pid: u32, name: &str) -> io::Result<f64> {
    let status = read(pid, "status")?;
    let kib = status.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    kib.map(|kib| kib / 1024.0)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no {name}")))
}

fn read(pid: u32, file: &str) -> io::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|cause| io::Error::new(cause.kind(), format!("{path}: {cause}")))
}
