//! Progress of a run on standard error: lines that redraw themselves on a terminal, plain lines elsewhere.
//!
//! A thread of its own reads the counters, so that a busy run draws as smoothly as an idle one and drawing never holds
//! up work. [`Screen`] is the one way to standard error while it draws: it lifts the display, writes, and puts it back.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{ConnectionCounters, FlowCounters, Telemetry};

/// How often the display on a terminal changes.
const REDRAW: Duration = Duration::from_millis(120);
/// How often a plain line is written elsewhere.
const LINES: Duration = Duration::from_secs(5);

/// Standard error, shared by logs and the progress display.
#[derive(Clone, Debug)]
pub struct Screen {
    bars: MultiProgress,
    terminal: bool,
}

impl Screen {
    /// Standard error as it is: a terminal is drawn on, anything else gets plain lines.
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Screen {
            bars: MultiProgress::with_draw_target(target),
            terminal,
        }
    }

    /// Writes whole lines. Failures are ignored: a log that nobody reads any more must not end a run.
    pub fn write(&self, text: &[u8]) {
        let write = || {
            let _ = io::stderr().lock().write_all(text);
        };
        if self.terminal {
            self.bars.suspend(write);
        } else {
            write();
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Screen::new()
    }
}

/// The display of one run; it goes away when it is [finished](Progress::finish) or dropped.
#[derive(Debug)]
pub struct Progress {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts showing these counters.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(telemetry: Arc<Telemetry>, screen: Screen) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                if screen.terminal {
                    draw(&telemetry, &screen, &stopped);
                } else {
                    write_lines(&telemetry, &screen, &stopped);
                }
            })?;
        Ok(Progress {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Takes the display away; afterwards standard error belongs to the caller again.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn draw(telemetry: &Telemetry, screen: &Screen, stopped: &mpsc::Receiver<()>) {
    let mut lines: Vec<ProgressBar> = Vec::new();
    let mut rates = Rates::default();
    loop {
        for (index, text) in describe(telemetry, &mut rates).into_iter().enumerate() {
            if lines.len() <= index {
                let line = ProgressBar::new_spinner();
                line.set_style(
                    ProgressStyle::with_template("{spinner} {wide_msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                lines.push(screen.bars.add(line));
            }
            lines[index].set_message(text);
            lines[index].tick();
        }
        if let Ok(()) | Err(RecvTimeoutError::Disconnected) = stopped.recv_timeout(REDRAW) {
            break;
        }
    }
    for line in lines {
        line.finish_and_clear();
    }
    let _ = screen.bars.clear();
}

fn write_lines(telemetry: &Telemetry, screen: &Screen, stopped: &mpsc::Receiver<()>) {
    let mut rates = Rates::default();
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LINES) {
        let mut text = String::new();
        for line in describe(telemetry, &mut rates) {
            let _ = writeln!(text, "{:>5}s  {line}", telemetry.elapsed().as_secs());
        }
        screen.write(text.as_bytes());
    }
}

/// Requests per second, smoothed over a few seconds so that the number can be read.
#[derive(Debug, Default)]
struct Rates {
    last: Option<Instant>,
    requests: Vec<(u64, f64)>,
}

impl Rates {
    /// Seconds since the last call.
    fn step(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = self
            .last
            .map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        seconds
    }

    fn smooth(&mut self, index: usize, total: u64, seconds: f64) -> f64 {
        if self.requests.len() <= index {
            self.requests.resize(index + 1, (total, 0.0));
        }
        let (before, rate) = self.requests[index];
        if seconds > 0.0 {
            let current = total.saturating_sub(before) as f64 / seconds;
            let weight = (seconds / 3.0).min(1.0);
            self.requests[index] = (total, rate + (current - rate) * weight);
        }
        self.requests[index].1
    }
}

fn describe(telemetry: &Telemetry, rates: &mut Rates) -> Vec<String> {
    let seconds = rates.step();
    let flows = telemetry.flows();
    let connections = telemetry.connections();
    let width = flows
        .iter()
        .map(|(name, _)| name.chars().count())
        .chain(connections.iter().map(|(name, _)| name.chars().count()))
        .max()
        .unwrap_or(0);
    let mut lines = Vec::with_capacity(flows.len() + connections.len());
    for (name, flow) in &flows {
        lines.push(format!("{name:width$}  {}", describe_flow(flow)));
    }
    for (index, (name, connection)) in connections.iter().enumerate() {
        let rate = rates.smooth(index, connection.requests.get(), seconds);
        lines.push(format!(
            "{name:width$}  {}",
            describe_connection(connection, rate)
        ));
    }
    lines
}

fn describe_flow(flow: &FlowCounters) -> String {
    let mut text = format!(
        "{} read, {} mapped, {} done, {} written",
        grouped(flow.extract.records.get()),
        grouped(flow.transform.records.get()),
        grouped(flow.load.records.get()),
        grouped(flow.writes.get()),
    );
    for (count, word) in [
        (flow.rejected.get(), "rejected"),
        (flow.held.get(), "held"),
        (flow.waiting.get(), "waiting"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {word}", grouped(count));
        }
    }
    text
}

fn describe_connection(connection: &ConnectionCounters, rate: f64) -> String {
    let mut text = format!("{} requests, {rate:.1}/s", grouped(connection.requests.get()));
    if connection.pages.get() > 0 {
        let _ = write!(text, ", {} pages", grouped(connection.pages.get()));
    }
    if connection.retries.get() > 0 {
        let _ = write!(text, ", {} retries", grouped(connection.retries.get()));
    }
    for (limit, quota) in connection.quotas() {
        let _ = write!(text, ", {limit} {} left", grouped(quota.remaining));
        if let Some(allowed) = quota.allowed {
            let _ = write!(text, " of {}", grouped(allowed));
        }
        if let Some(paused) = quota.paused.filter(|paused| !paused.is_zero()) {
            let _ = write!(text, " (paused {}s)", paused.as_secs_f64().ceil());
        }
    }
    text
}

/// A number with its thousands apart: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Quota;
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }

    #[test]
    fn lines_tell_records_requests_and_quota() {
        let telemetry = Telemetry::default();
        let flow = telemetry.flow("cases");
        flow.extract.records.add(1200);
        flow.writes.add(7);
        flow.rejected.add(2);
        let connection = telemetry.connection("helpdesk");
        connection.requests.add(12);
        connection.pages.add(3);
        connection.set_quota(
            "exports",
            Quota {
                remaining: 4,
                allowed: Some(10),
                paused: Some(Duration::from_secs(6)),
            },
        );
        assert_eq!(
            describe(&telemetry, &mut Rates::default()),
            [
                "cases     1,200 read, 0 mapped, 0 done, 7 written, 2 rejected",
                "helpdesk  12 requests, 0.0/s, 3 pages, exports 4 left of 10 (paused 6s)",
            ]
        );
    }

    #[test]
    fn a_steady_rate_is_reached_and_held() {
        let mut rates = Rates::default();
        for step in 0..200 {
            rates.smooth(0, step * 5, 0.5);
        }
        let rate = rates.smooth(0, 1000, 0.5);
        assert!((rate - 10.0).abs() < 0.1, "{rate}");
    }

    #[test]
    fn the_display_ends_when_it_is_finished() {
        let progress = Progress::start(Arc::new(Telemetry::default()), Screen::new()).unwrap();
        let started = Instant::now();
        progress.finish();
        assert!(started.elapsed() < LINES);
    }
}
