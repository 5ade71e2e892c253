//! The folder of a run: `config.json`, `metrics.csv`, `completions.jsonl`, curves, checkpoints.

use super::Metrics;
use super::events::Events;
use super::state::STATE;
use crate::checkpoint::{clear_leftovers, remove_folder, write_file};
use crate::error::{Error, Result};
use crate::plot::{Plot, Series};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A run's folder, and the columns of its table.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    columns: Vec<String>,
    events: Option<Events>,
    /// What is to be said of the folder, once.
    pub note: Option<String>,
}

impl RunDir {
    /// The folder `path`, or `runs/<name>-<time>` where none is named, for a run that begins
    /// after `step`.
    ///
    /// What a run left in the folder up to that step stays; what it left later is of another
    /// history and goes, so that a run started again in a named folder takes its place.
    pub fn create(path: Option<&Path>, name: &str, step: u64) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => fresh(name),
        };
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(Error::io(&path))?;
        let held = fs::read_dir(&checkpoints).map_err(Error::io(&path))?;
        let mut held = held
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let replaces = step == 0 && held.any(|name| is_step(&name));
        let note = replaces.then(|| {
            let folder = path.display();
            format!("warning: {folder} held an earlier run, which this one replaces; `run_dir` names another")
        });
        clear_leftovers(&checkpoints, is_step)?;
        clear_leftovers(&path, |name| FILES.contains(&name))?;
        let mut run = Self {
            path,
            columns: Vec::new(),
            events: None,
            note,
        };
        run.forget_after(step)?;
        tracing::info!(folder = %run.path.display(), "run");
        Ok(run)
    }

    fn forget_after(&mut self, step: u64) -> Result<()> {
        let table = self.path.join("metrics.csv");
        if let Ok(text) = fs::read_to_string(&table) {
            let columns = header(&text);
            let at = columns.iter().position(|name| name == "step");
            let kept = |line: &&str| {
                let number = line.split(',').nth(at.unwrap_or(0));
                number
                    .and_then(|n| n.parse::<u64>().ok())
                    .is_some_and(|n| n <= step)
            };
            let rows: Vec<&str> = text.lines().skip(1).filter(kept).collect();
            if rows.is_empty() {
                fs::remove_file(&table).map_err(Error::io(&table))?;
            } else {
                let text = format!("{}{}\n", record(&columns), rows.join("\n"));
                write_file(&table, text.as_bytes())?;
                self.columns = columns;
            }
        }
        let log = self.path.join("completions.jsonl");
        if let Ok(text) = fs::read_to_string(&log) {
            let step_of = |line: &str| serde_json::from_str::<Value>(line).ok()?["step"].as_u64();
            let kept = text
                .lines()
                .filter(|line| step_of(line).is_some_and(|n| n <= step));
            let text: String = kept.flat_map(|line| [line, "\n"]).collect();
            write_file(&log, text.as_bytes())?;
        }
        for (number, path) in checkpoints(&self.path)? {
            if number > step {
                remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Whether a folder is a run's.
    pub fn is_in(path: &Path) -> bool {
        path.join(CHECKPOINTS).is_dir()
    }

    /// The newest complete checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Option<PathBuf>> {
        Self::latest_in(&self.path)
    }

    /// The newest complete checkpoint in a run's folder; what a killed process left is put in order
    /// first.
    pub fn latest_in(path: &Path) -> Result<Option<PathBuf>> {
        clear_leftovers(&path.join(CHECKPOINTS), is_step)?;
        let found = checkpoints(path)?.into_iter().rev();
        let mut complete = found.filter(|(_, path)| path.join(STATE).is_file());
        Ok(complete.next().map(|(_, path)| path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the checkpoint after a step.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("step-{step:06}"))
    }

    /// Writes the settings of the run.
    pub fn write_config(&self, config: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(config).unwrap_or_default();
        write_file(&self.path.join("config.json"), text.as_bytes())
    }

    /// Writes event files for TensorBoard from here on.
    pub fn with_events(mut self) -> Result<Self> {
        self.events = Some(Events::create(&self.path)?);
        Ok(self)
    }

    /// Appends the numbers of a step to `metrics.csv` and flushes them.
    ///
    /// A name that was not there before becomes a new column; earlier rows have it empty.
    pub fn append_metrics(&mut self, metrics: &Metrics) -> Result<()> {
        let path = self.path.join("metrics.csv");
        let names = metrics.values.iter().map(|(name, _)| name);
        let new: Vec<String> = names
            .filter(|name| !self.columns.contains(name))
            .cloned()
            .collect();
        if !new.is_empty() {
            self.columns.extend(new);
            self.rewrite_header(&path)?;
        }
        let cells = self.columns.iter().map(|name| match metrics.get(name) {
            Some(value) if value.is_finite() => format!("{value}"),
            Some(value) if value.is_nan() => "nan".into(),
            Some(value) if value > 0.0 => "inf".into(),
            Some(_) => "-inf".into(),
            None => String::new(),
        });
        append(&path, record(&cells.collect::<Vec<_>>()).as_bytes())?;
        match &mut self.events {
            Some(events) => events.write(metrics),
            None => Ok(()),
        }
    }

    /// Writes the table again under more columns.
    fn rewrite_header(&self, path: &Path) -> Result<()> {
        let old = fs::read_to_string(path).unwrap_or_default();
        let missing = self.columns.len() - header(&old).len();
        let mut text = record(&self.columns);
        for line in old.lines().skip(1) {
            text.push_str(line);
            text.push_str(&",".repeat(missing));
            text.push('\n');
        }
        write_file(path, text.as_bytes())
    }

    /// Appends one JSON object to `completions.jsonl`.
    pub fn append_completions(&self, rows: &[Value]) -> Result<()> {
        let mut text = String::new();
        for row in rows {
            text.push_str(&row.to_string());
            text.push('\n');
        }
        append(&self.path.join("completions.jsonl"), text.as_bytes())
    }

    /// Draws a metric over the steps into `<file>.svg`.
    pub fn draw(&self, file: &str, name: &str, history: &[Metrics]) -> Result<()> {
        let points = history
            .iter()
            .filter_map(|m| Some((m.get("step")?, m.get(name)?)))
            .collect();
        let plot = Plot::line(vec![Series::named(name, points)])
            .titled(name)
            .labelled("step", name);
        write_file(&self.path.join(file), plot.to_svg().as_bytes())
    }

    /// Keeps a script's text under its hash, so that what scored a completion can be found.
    pub fn keep_script(&self, hash: &str, text: &str) -> Result<()> {
        let folder = self.path.join("scripts");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let path = folder.join(format!("{hash}.rhai"));
        if path.exists() {
            return Ok(());
        }
        write_file(&path, text.as_bytes())
    }

    /// Removes the oldest checkpoints beyond `keep` (0 keeps all).
    pub fn prune_checkpoints(&self, keep: usize) -> Result<()> {
        let found = checkpoints(&self.path)?;
        let excess = match keep {
            0 => 0,
            keep => found.len().saturating_sub(keep),
        };
        for (_, path) in &found[..excess] {
            remove_folder(path)?;
        }
        Ok(())
    }
}

const CHECKPOINTS: &str = "checkpoints";

/// The files that are written as a whole, without their endings.
const FILES: [&str; 5] = ["config", "metrics", "completions", "reward", "loss"];

fn is_step(name: &str) -> bool {
    name.starts_with("step-")
}

/// Steps and folders of the checkpoints of a run, the oldest first.
fn checkpoints(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = run.join(CHECKPOINTS);
    let entries = fs::read_dir(&folder).map_err(Error::io(&folder))?;
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.strip_prefix("step-")?;
            Some((number.parse().ok()?, path.clone()))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// A line of a table, with quotes where they are needed. A line stays one: a name's line breaks become
/// spaces.
fn record(cells: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let cells = cells.iter().map(|cell| cell.replace(['\n', '\r'], " "));
    // Memory takes whatever is written.
    let written = writer.write_record(cells).is_ok();
    match writer.into_inner() {
        Ok(line) if written => String::from_utf8_lossy(&line).into_owned(),
        _ => "\n".into(),
    }
}

fn header(text: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let first = reader.records().next().and_then(std::result::Result::ok);
    first.map_or_else(Vec::new, |cells| cells.iter().map(String::from).collect())
}

fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let open = OpenOptions::new().create(true).append(true).open(path);
    let write = |mut file: File| file.write_all(bytes).and_then(|()| file.flush());
    open.and_then(write).map_err(Error::io(path))
}

/// A folder name that nobody uses yet.
fn fresh(name: &str) -> PathBuf {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let stamp = timestamp(seconds);
    let base = PathBuf::from("runs");
    let mut path = base.join(format!("{name}-{stamp}"));
    let mut count = 1;
    while path.exists() {
        count += 1;
        path = base.join(format!("{name}-{stamp}-{count}"));
    }
    path
}

/// `YYYYMMDD-HHMMSS` in UTC (Howard Hinnant's `civil_from_days`).
fn timestamp(seconds: u64) -> String {
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_metric_becomes_a_new_column() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = RunDir::create(Some(dir.path()), "x", 0).unwrap();
        let mut metrics = Metrics::default();
        metrics.set("step", 1.0);
        metrics.set("loss", 0.5);
        run.append_metrics(&metrics).unwrap();
        metrics.set("step", 2.0);
        metrics.set("kl", f64::NAN);
        run.append_metrics(&metrics).unwrap();
        let table = fs::read_to_string(dir.path().join("metrics.csv")).unwrap();
        assert_eq!(table, "step,loss,kl\n1,0.5,\n2,0.5,nan\n");
        metrics.set("step", 3.0);
        metrics.set("rewards/a, b/mean", 1.0);
        run.append_metrics(&metrics).unwrap();
        metrics.set("step", 4.0);
        metrics.set("two\nlines", 2.0);
        run.append_metrics(&metrics).unwrap();
        let mut table = csv::Reader::from_path(dir.path().join("metrics.csv")).unwrap();
        let columns = table.headers().unwrap().clone();
        let names = ["step", "loss", "kl", "rewards/a, b/mean", "two lines"];
        assert_eq!(columns.iter().collect::<Vec<_>>(), names);
        assert_eq!(table.records().map(|row| row.unwrap().len()).max(), Some(5));
    }

    #[test]
    fn a_run_started_again_takes_the_place_of_what_came_later() {
        let dir = tempfile::tempdir().unwrap();
        let begin = |step| RunDir::create(Some(dir.path()), "x", step).unwrap();
        let mut run = begin(0);
        for step in 1..=3 {
            let mut metrics = Metrics::default();
            metrics.set("step", f64::from(step));
            run.append_metrics(&metrics).unwrap();
            fs::create_dir_all(run.checkpoint(step as u64)).unwrap();
        }
        let run = begin(2);
        let table = || fs::read_to_string(dir.path().join("metrics.csv"));
        assert_eq!(table().unwrap(), "step\n1\n2\n");
        assert!(run.checkpoint(2).exists() && !run.checkpoint(3).exists());
        begin(0);
        assert!(table().is_err() && !run.checkpoint(1).exists());
    }

    #[test]
    fn only_the_newest_checkpoints_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(dir.path()), "x", 0).unwrap();
        for step in [1, 2, 10] {
            fs::create_dir_all(run.checkpoint(step)).unwrap();
        }
        run.prune_checkpoints(2).unwrap();
        assert!(!run.checkpoint(1).exists());
        assert!(run.checkpoint(2).exists() && run.checkpoint(10).exists());
    }

    #[test]
    fn the_newest_checkpoint_is_a_complete_one() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(dir.path()), "x", 0).unwrap();
        assert_eq!(run.latest_checkpoint().unwrap(), None);
        let make = |name: &str, complete: bool| {
            let path = dir.path().join(CHECKPOINTS).join(name);
            fs::create_dir_all(&path).unwrap();
            if complete {
                fs::write(path.join(STATE), "{}").unwrap();
            }
        };
        make("step-000009", true);
        make("step-000010", true);
        make("step-000011", false);
        make("step-000012.4294967295.partial", true);
        let latest = run.latest_checkpoint().unwrap();
        assert_eq!(latest, Some(run.checkpoint(10)));
        assert!(
            !dir.path()
                .join("checkpoints/step-000012.4294967295.partial")
                .exists()
        );
        assert!(RunDir::is_in(dir.path()) && !RunDir::is_in(&run.checkpoint(9)));
    }

    #[test]
    fn times_are_calendar_dates() {
        assert_eq!(timestamp(951_827_696), "20000229-123456");
    }
}
