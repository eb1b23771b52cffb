//! The limits of this machine, which are needed to interpret results.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

/// The number of bytes written before each `fdatasync`.
const BLOCK: usize = 4096;

/// The machine and the speed of its disk.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    /// The folder of the stores.
    pub folder: PathBuf,
    pub filesystem: String,
    /// Appends of 4 kB with `fdatasync` per second, one after the other.
    pub fdatasync_per_second: f64,
    /// The load average of the last minute before the benchmark began: above 0, other processes were running.
    pub load_before: f64,
}

impl Machine {
    /// Examines this machine, which takes a second.
    pub fn read() -> Self {
        let folder = std::env::temp_dir();
        let load_before = first_number(&read("/proc/loadavg"));
        Self {
            processor: value_of(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: value_of(&read("/proc/meminfo"), "MemTotal").map_or(0.0, |text| first_number(&text)) as u64
                / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            filesystem: filesystem(&folder, &read("/proc/mounts")),
            fdatasync_per_second: fdatasync_rate(&folder, Duration::from_secs(1)),
            folder,
            load_before,
        }
    }

    /// A description, one fact per line.
    pub fn lines(&self) -> Vec<String> {
        let Self { processor, cores, memory_mib, kernel, folder, filesystem, fdatasync_per_second, load_before } = self;
        let mut lines = vec![
            format!(
                "machine    {cores} cores ({processor}), {memory_mib} MiB, Linux {kernel}; load before the run {load_before:.1}"
            ),
            format!(
                "disk       {} on {filesystem}: {fdatasync_per_second:.0} appends of 4 kB with fdatasync a second",
                folder.display()
            ),
            format!(
                "sharing    clients, service, ceilings and store all run on these {cores} cores; each rate is limited by the others; \
                 clients of the service and of the bare handler run as batch jobs"
            ),
        ];
        if filesystem == "tmpfs" {
            lines.push(
                "warning    the stores are in memory: write rates are meaningless; set TMPDIR to a folder on a disk"
                    .to_owned(),
            );
        }
        lines
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn value_of(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The type of the file system of a folder: that of the longest mount point above it.
fn filesystem(folder: &Path, mounts: &str) -> String {
    let fields = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = fields.filter(|(point, _)| folder.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn fdatasync_rate(folder: &Path, span: Duration) -> f64 {
    let path = folder.join(format!("kqueen-bench-{}", std::process::id()));
    let mut file = File::create(&path).unwrap();
    let (since, mut times) = (Instant::now(), 0_u32);
    while since.elapsed() < span {
        file.write_all(&[0x5a; BLOCK]).unwrap();
        file.sync_data().unwrap();
        times += 1;
    }
    let rate = f64::from(times) / since.elapsed().as_secs_f64();
    fs::remove_file(&path).unwrap();
    rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_is_used() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpfiles xfs rw 0 0\n";
        assert_eq!(filesystem(Path::new("/tmp/x"), mounts), "tmpfs");
        assert_eq!(filesystem(Path::new("/var"), mounts), "ext4");
    }
}
