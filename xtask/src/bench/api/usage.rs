//! What a running server holds and has used, as the kernel counts it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A process by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u32);

/// Memory of a process, in MB of 10^6 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) now: f64,
    /// The most since the start, or since [`Process::forget_peak`].
    pub(super) peak: f64,
}

impl Process {
    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    pub(super) fn memory(self) -> Result<Memory> {
        let text = fs::read_to_string(self.file("status")).context("reading a status")?;
        let field = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let kib: f64 = kib.with_context(|| format!("a status without {name}"))?.parse()?;
            Ok(kib * 1024.0 / 1e6)
        };
        Ok(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }

    /// Lets the peak begin anew, where the kernel allows it.
    pub(super) fn forget_peak(self) {
        // Without the right to, the peak is that since the start: worse, not wrong.
        drop(fs::write(self.file("clear_refs"), "5"));
    }

    /// Seconds of CPU so far, of all threads, in user and kernel mode.
    pub(super) fn cpu(self) -> Result<f64> {
        let text = fs::read_to_string(self.file("stat")).context("reading a stat")?;
        // The second field is the program's name, which may hold anything but ends with the last
        // parenthesis.
        let (_, rest) = text.rsplit_once(')').context("an odd stat")?;
        let ticks = |at: usize| -> Result<f64> {
            Ok(rest.split_whitespace().nth(at).context("a short stat")?.parse()?)
        };
        // Fields 14 and 15 of proc(5), in hundredths of a second on every Linux of this century.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_hold_memory_and_use_time() {
        let ourselves = Process(std::process::id());
        let memory = ourselves.memory().expect("our memory");
        assert!(memory.now > 0.5 && memory.peak >= memory.now * 0.9, "{memory:?}");
        assert!(ourselves.cpu().expect("our time") >= 0.0);
    }
}
