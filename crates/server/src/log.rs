//! The server's log: upstream's line form, which tools and test suites wait for, or one JSON object a line. To standard
//! output, to a file that is reopened for each line (so that rotation needs no signal), and to syslog not at all.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// How important a line is. The configured level hides everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug = 0,
    /// Much, little of it useful in production.
    Verbose = 1,
    /// What an operator wants to know.
    Notice = 2,
    /// What an operator must know.
    Warning = 3,
    /// Nothing at all (only as a configured level).
    Nothing = 4,
}

impl Level {
    /// The level with this configuration word.
    pub fn parse(word: &str) -> Option<Level> {
        Some(match word {
            "debug" => Level::Debug,
            "verbose" => Level::Verbose,
            "notice" => Level::Notice,
            "warning" => Level::Warning,
            "nothing" => Level::Nothing,
            _ => return None,
        })
    }

    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning | Level::Nothing => '#',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Verbose => "verbose",
            Level::Notice => "notice",
            Level::Warning | Level::Nothing => "warning",
        }
    }
}

/// Where and how lines are written.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// The file; standard output if none.
    pub file: Option<PathBuf>,
    /// One JSON object a line instead of upstream's text form.
    pub json: bool,
}

/// The log of one server.
pub struct Log {
    level: AtomicU8,
    /// `M` for a primary, `S` for a replica, `X` before the role is known: the letter after the process id.
    role: AtomicU8,
    settings: Mutex<LogSettings>,
}

impl Log {
    /// A log with this level and place.
    pub fn new(level: Level, settings: LogSettings) -> Log {
        Log { level: AtomicU8::new(level as u8), role: AtomicU8::new(b'M'), settings: Mutex::new(settings) }
    }

    /// Changes the level from now on.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Changes the form of lines from now on.
    pub fn set_json(&self, on: bool) {
        self.settings.lock().json = on;
    }

    /// Changes the letter that stands for the role.
    pub fn set_role(&self, letter: u8) {
        self.role.store(letter, Ordering::Relaxed);
    }

    /// Whether lines of this level are written.
    pub fn shows(&self, level: Level) -> bool {
        level as u8 >= self.level.load(Ordering::Relaxed)
    }

    /// Writes one line. A line that can't be written is lost: there is nowhere to say so.
    pub fn write(&self, level: Level, text: &str) {
        if !self.shows(level) {
            return;
        }
        let role = char::from(self.role.load(Ordering::Relaxed));
        let settings = self.settings.lock();
        let line = if settings.json { json_line(level, role, text) } else { text_line(level, role, text) };
        put(&settings, &line);
    }

    /// Writes text as it is, without time and level.
    pub fn plain(&self, text: &str) {
        put(&self.settings.lock(), text);
    }

    /// A line for developers.
    pub fn debug(&self, text: &str) {
        self.write(Level::Debug, text);
    }

    /// A line for the curious.
    pub fn verbose(&self, text: &str) {
        self.write(Level::Verbose, text);
    }

    /// A line for operators.
    pub fn notice(&self, text: &str) {
        self.write(Level::Notice, text);
    }

    /// A line that operators must see.
    pub fn warning(&self, text: &str) {
        self.write(Level::Warning, text);
    }
}

fn put(settings: &LogSettings, text: &str) {
    match &settings.file {
        Some(path) => {
            if let Ok(mut f) = OpenOptions::new().create(true).append(true).open(path) {
                let _ = f.write_all(text.as_bytes());
            }
        }
        None => {
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        }
    }
}

fn text_line(level: Level, role: char, text: &str) -> String {
    format!("{}:{role} {} {} {text}\n", std::process::id(), local_time(), level.mark())
}

fn json_line(level: Level, role: char, text: &str) -> String {
    let role = match role {
        'M' => "master",
        'S' => "slave",
        'C' => "child",
        _ => "sentinel",
    };
    let value = serde_json::json!({
        "timestamp": local_time(), "pid": std::process::id(), "role": role, "level": level.name(), "message": text,
    });
    format!("{value}\n")
}

/// `21 Nov 2026 00:05:27.123` in the machine's time zone.
fn local_time() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let t = crate::os::local_time(now.as_secs());
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[usize::from(t.month0) % 12];
    format!("{:02} {month} {} {:02}:{:02}:{:02}.{:03}", t.day, t.year, t.hour, t.minute, t.second, now.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_upstreams_form() {
        let line = text_line(Level::Notice, 'M', "Ready to accept connections tcp");
        let mut parts = line.split(' ');
        assert_eq!(parts.next().unwrap(), format!("{}:M", std::process::id()));
        assert_eq!(parts.clone().count(), 10);
        assert!(line.ends_with(" * Ready to accept connections tcp\n"));
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line = json_line(Level::Warning, 'S', "a \"b\"\n");
        let v: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (v["level"].as_str(), v["role"].as_str(), v["message"].as_str()),
            (Some("warning"), Some("slave"), Some("a \"b\"\n"))
        );
    }
}
