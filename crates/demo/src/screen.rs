//! What people see: lines with the time in the margin, a progress line that is rewritten in place, colours where there is
//! a terminal. The only file that prints.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use baton_base::Mono;

use crate::error::Error;
use crate::patience::Clock;
use crate::text;

/// Where there is no terminal, progress is told again only after this long.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// What stands before lines without a time of their own.
const MARGIN: &str = "           ";

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    /// An act of the demonstration.
    Deed,
    Good,
    Bad,
}

/// The output.
pub(crate) struct Screen {
    out: Box<dyn Write>,
    clock: Clock,
    /// Rewrites the progress line.
    terminal: bool,
    colours: bool,
    /// A progress line stands unfinished.
    pending: bool,
    /// When progress was last told, and how.
    told: (Mono, String),
    /// The reader has gone: nothing more is written.
    gone: bool,
}

impl Screen {
    /// Standard output. Colours obey the variable `NO_COLOR`.
    pub(crate) fn on_stdout(clock: Clock) -> Screen {
        let terminal = io::stdout().is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Screen::new(Box::new(io::stdout()), clock, terminal, colours)
    }

    fn new(out: Box<dyn Write>, clock: Clock, terminal: bool, colours: bool) -> Screen {
        Screen { out, clock, terminal, colours, pending: false, told: (Mono::ZERO, String::new()), gone: false }
    }

    /// The start of a part.
    pub(crate) fn heading(&mut self, text: &str) {
        let bold = self.paint("1", text);
        self.put(&format!("\n{bold}\n"));
    }

    /// Something that happened now.
    pub(crate) fn line(&mut self, tone: Tone, text: &str) {
        self.line_at(self.clock.now(), tone, text);
    }

    /// Something that happened at a time.
    pub(crate) fn line_at(&mut self, at: Mono, tone: Tone, text: &str) {
        let stamp = self.paint("2", &text::stamp(at));
        let text = match tone {
            Tone::Plain => text.to_owned(),
            Tone::Deed => self.paint("1;36", text),
            Tone::Good => self.paint("32", text),
            Tone::Bad => self.paint("1;31", text),
        };
        self.put(&format!("{stamp}  {text}\n"));
    }

    /// Lines that belong to the one before.
    pub(crate) fn block(&mut self, lines: &[String]) {
        for line in lines {
            self.put(&format!("{MARGIN}{line}\n"));
        }
    }

    /// How far something is: rewritten in place on a terminal, else told now and then.
    pub(crate) fn progress(&mut self, text: &str) {
        let now = self.clock.now();
        if self.told.1 == text || (!self.terminal && now.since(self.told.0) < PROGRESS_EVERY) {
            return;
        }
        self.told = (now, text.to_owned());
        if self.terminal {
            let stamp = self.paint("2", &text::stamp(now));
            self.write(&format!("\r\x1b[K{stamp}  {text}"));
            self.pending = true;
        } else {
            self.line(Tone::Plain, text);
        }
    }

    /// Why it ends early, and what to do next.
    pub(crate) fn failure(&mut self, error: &Error) {
        self.put("\n");
        let told = self.paint("1;31", &format!("baton demo: {error}"));
        self.put(&format!("{told}\n"));
        if let Some(advice) = error.advice() {
            self.put(&format!("{advice}\n"));
        }
    }

    fn put(&mut self, text: &str) {
        if std::mem::take(&mut self.pending) {
            self.write("\r\x1b[K");
        }
        self.write(text);
    }

    fn write(&mut self, text: &str) {
        if !self.gone {
            self.gone = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err();
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(terminal: bool) -> String {
        let paper = Paper::default();
        let mut screen = Screen::new(Box::new(paper.clone()), Clock::start(), terminal, terminal);
        screen.heading("Part");
        screen.progress("half");
        screen.line_at(Mono::from_millis(1500), Tone::Good, "done");
        screen.block(&["more".to_owned()]);
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_log_file_gets_whole_lines_without_escapes() {
        assert_eq!(written(false), "\nPart\n    1.500  done\n           more\n");
    }

    #[test]
    fn a_terminal_gets_progress_that_the_next_line_replaces() {
        let text = written(true);
        let (progress, done) = (text.find("half").unwrap(), text.find("done").unwrap());
        assert!(text[progress..done].contains("\r\x1b[K"), "{text:?}");
        assert!(text.contains("\x1b[32mdone\x1b[0m"));
    }
}
