//! Log lines about what peers sent that can't be used. Whoever sends such things can do so as often as the network allows,
//! so only some lines a second are written, and how many were not.

use crate::cluster::Cluster;
use crate::effect::LogLevel;
use baton_base::Mono;
use std::time::Duration;

/// Lines in one period.
const LINES_MAX: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// What was said in the present period.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    since: Mono,
    lines: u32,
    unsaid: u64,
}

impl Cluster {
    /// Logs a line about a packet, unless there have been many lately.
    pub(crate) fn complain(&mut self, now: Mono, level: LogLevel, text: String) {
        let mut unsaid = 0;
        if now.since(self.complaints.since) >= PERIOD {
            unsaid = std::mem::take(&mut self.complaints).unsaid;
            self.complaints.since = now;
        }
        if unsaid > 0 {
            self.log(LogLevel::Warning, format!("{unsaid} more lines about packets that can't be used were left out."));
        }
        if self.complaints.lines >= LINES_MAX {
            self.complaints.unsaid += 1;
            return;
        }
        self.complaints.lines += 1;
        self.log(level, text);
    }
}
