//! What a process uses, as the kernel counts it.

use std::{fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

/// CPU time a process has used since it started, threads that have ended included.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
    Duration::from_secs_f64(ticks(&stat) as f64 / ticks_per_second as f64)
}

/// User and system time in `/proc/<pid>/stat`. They are counted after the name, which is in parentheses and may hold anything.
fn ticks(stat: &str) -> u64 {
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Memory a process holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// Now, in MB.
    pub resident_mb: f64,
    /// At most so far, in MB.
    pub peak_mb: f64,
}

/// Memory a process holds.
pub fn memory(pid: u32) -> Memory {
    memory_while_it_runs(pid).unwrap()
}

/// Memory a process holds; `None` once it has ended.
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
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0";
        assert_eq!(ticks(stat), 42);
    }

    #[test]
    fn this_process_uses_memory() {
        let memory = memory(std::process::id());
        assert!(memory.resident_mb > 0.0 && memory.resident_mb <= memory.peak_mb);
    }
}
