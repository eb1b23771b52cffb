//! CPU time and memory of a process, as the kernel counts them.

use std::{fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// The CPU time that a process has used since its start, including that of ended threads.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
    Duration::from_secs_f64(ticks(&stat) as f64 / ticks_per_second as f64)
}

/// User and system time in `/proc/<pid>/stat`. They follow the name, which is in parentheses and may contain any character.
fn ticks(stat: &str) -> u64 {
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The memory of a process.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// The current size, in MB.
    pub resident_mb: f64,
    /// The peak so far, in MB.
    pub peak_mb: f64,
}

/// The memory of a process.
pub fn memory(pid: u32) -> Memory {
    memory_while_it_runs(pid).unwrap()
}

/// The memory of a process; `None` once it has ended.
pub fn memory_while_it_runs(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let megabytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6)
    };
    Some(Memory { resident_mb: megabytes("VmRSS:")?, peak_mb: megabytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_after_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0";
        assert_eq!(ticks(stat), 42);
    }

    #[test]
    fn this_process_uses_memory() {
        let memory = memory(std::process::id());
        assert!(memory.resident_mb > 0.0 && memory.resident_mb <= memory.peak_mb);
    }
}
