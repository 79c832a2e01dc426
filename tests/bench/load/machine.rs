//! What processes take of the machine, read from `/proc`, and what the machine is.

use std::{fs, process::Command};

use super::clients::Failure;

/// Ticks of `/proc/*/stat` in a second: the same on every Linux.
const TICKS: f64 = 100.0;

/// Whose time is counted.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// The servers.
    pub servers: Vec<u32>,
    /// The first process of PostgreSQL, whose children are counted with it.
    pub postmaster: Option<u32>,
}

/// Seconds of processors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Of the servers.
    pub server: f64,
    /// Of PostgreSQL.
    pub postgres: f64,
}

impl Spent {
    /// What was spent since an earlier reading.
    pub fn since(self, before: Self) -> Self {
        Self { server: self.server - before.server, postgres: self.postgres - before.postgres }
    }
}

/// The fields of `/proc/<pid>/stat` behind the name of the program, which may hold anything.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

fn ticks(fields: &[u64], which: std::ops::Range<usize>) -> f64 {
    let ticks: u64 = fields.get(which).into_iter().flatten().sum();
    u32::try_from(ticks).map_or(f64::MAX, f64::from)
}

impl Meters {
    /// What has been spent so far: by the servers, and by all processes of PostgreSQL, those that have ended included.
    pub fn read(&self) -> Result<Spent, Failure> {
        let mut spent = Spent::default();
        for pid in &self.servers {
            let fields = stat(*pid).ok_or("the server has ended")?;
            spent.server += ticks(&fields, 11..13) / TICKS;
        }
        let Some(postmaster) = self.postmaster else { return Ok(spent) };
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(fields) = stat(pid) else { continue };
            if pid == postmaster {
                spent.postgres += ticks(&fields, 11..15) / TICKS;
            } else if fields.get(1) == Some(&u64::from(postmaster)) {
                spent.postgres += ticks(&fields, 11..13) / TICKS;
            }
        }
        Ok(spent)
    }
}

/// How much memory a process has now, in MB.
pub fn resident(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(f64::from(kilobytes) / 1024.0)
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned()
}

/// What the machine is, one line each.
pub fn described(postgres: Option<&str>) -> Vec<String> {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = field("/proc/meminfo", "MemTotal");
    let memory = memory
        .trim_end_matches(" kB")
        .parse()
        .map_or(memory.clone(), |kilobytes: u32| format!("{:.0} GB", f64::from(kilobytes) / 1e6));
    let mut lines = vec![
        format!("{}, {cores} cores, {memory} of memory", field("/proc/cpuinfo", "model name")),
        first_line("uname", &["-srm"]),
        first_line("rustc", &["--version"]),
        format!("orgledger {}", first_line("git", &["log", "-1", "--format=of %cs, %h"])),
    ];
    lines.extend(postgres.map(str::to_owned));
    lines
}
