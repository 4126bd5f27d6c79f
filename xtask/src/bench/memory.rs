//! Memory of a process, sampled while it runs. Linux tells how much of it is anonymous: what the process allocated, as
//! against pages of files, which the system may take back at any time.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

/// Largest sizes seen, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peak {
    /// Memory that belongs to no file.
    pub(super) anonymous: u64,
    /// All memory, pages of mapped files included.
    pub(super) resident: u64,
}

/// Time between two samples: short against any phase that holds much memory for long enough to matter.
const INTERVAL: Duration = Duration::from_micros(500);

/// Runs a command that must succeed and watches it.
pub(super) fn peak(command: &mut Command) -> anyhow::Result<Peak> {
    let child = command.spawn().with_context(|| format!("running {command:?}"))?;
    watch(command, child)
}

/// As [`peak`], with what its standard input holds.
pub(super) fn peak_fed(command: &mut Command, input: &[u8]) -> anyhow::Result<Peak> {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("running {command:?}"))?;
    child.stdin.take().context("no input")?.write_all(input)?;
    watch(command, child)
}

fn watch(command: &Command, mut child: Child) -> anyhow::Result<Peak> {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak = Peak::default();
    let mut samples = 0u32;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // Gone between the two calls, or ended and not yet waited for: then there are no sizes.
        if let Some(now) = std::fs::read_to_string(&status_file).ok().as_deref().and_then(sizes) {
            peak.anonymous = peak.anonymous.max(now.anonymous);
            peak.resident = peak.resident.max(now.resident);
            samples += 1;
        }
        std::thread::sleep(INTERVAL);
    };
    ensure!(status.success(), "{command:?} failed");
    ensure!(samples > 0, "this system does not tell a process's memory in {status_file}");
    Ok(peak)
}

/// The sizes in a status file: `RssAnon` is that of the moment, `VmHWM` already the largest so far.
fn sizes(status: &str) -> Option<Peak> {
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.strip_prefix(':')?.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Peak { anonymous: of("RssAnon")?, resident: of("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_bytes() {
        let status =
            "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\nRssAnon:\t      12 kB\nRssFile:\t 7 kB\n";
        assert_eq!(sizes(status), Some(Peak { anonymous: 12 * 1024, resident: 2048 * 1024 }));
        assert_eq!(sizes("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
