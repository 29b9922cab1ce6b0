//! Lines about bus connections that this side ended, so few of them that whoever causes them can't fill the log.

use std::time::Duration;

use baton_base::Mono;

use super::bus::Shed;

/// At most one line about each reason in this time.
const PERIOD: Duration = Duration::from_secs(1);
const REASONS: usize = 3;

/// What was said lately.
#[derive(Default)]
pub(super) struct ShedLog {
    said_at: [Option<Mono>; REASONS],
    unsaid: [u64; REASONS],
}

impl ShedLog {
    /// The line about one connection; none if there was one a moment ago. The next one then tells how many had none.
    pub(super) fn line(&mut self, now: Mono, why: Shed, peer: &str) -> Option<String> {
        let (reason, text) = match why {
            Shed::BadFrame => (0, format!("Bad message length or signature received on the Cluster bus from {peer}")),
            Shed::Strangers => {
                let what = "connections of unknown nodes are too many or hold too much";
                (1, format!("Closing the cluster bus connection from {peer}: {what}."))
            }
            Shed::Deaf => {
                (2, format!("Closing the cluster bus connection from {peer}: it asks and does not read the answers."))
            }
        };
        if self.said_at[reason].is_some_and(|at| now.since(at) < PERIOD) {
            self.unsaid[reason] += 1;
            return None;
        }
        self.said_at[reason] = Some(now);
        match std::mem::take(&mut self.unsaid[reason]) {
            0 => Some(text),
            more => Some(format!("{text} ({more} more like it since)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second() {
        let mut log = ShedLog::default();
        let at = Mono::from_millis;
        let bad = |log: &mut ShedLog, ms| log.line(at(ms), Shed::BadFrame, "1.2.3.4:5");
        let line = "Bad message length or signature received on the Cluster bus from 1.2.3.4:5";
        assert_eq!(bad(&mut log, 0).as_deref(), Some(line));
        assert_eq!(bad(&mut log, 1), None);
        assert!(log.line(at(2), Shed::Deaf, "1.2.3.4:5").is_some(), "each reason for itself");
        assert_eq!(bad(&mut log, 999), None);
        assert_eq!(bad(&mut log, 1000), Some(format!("{line} (2 more like it since)")));
    }
}
