//! The log that is open: where in the stream it is, what of that is to be written yet, and the file. Whoever has it locked
//! brings it up to the stream's end; it syncs nothing and decides nothing.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use baton_aof::Annotation;
use baton_base::{Offset, ReplId};
use baton_journal::Reader;

use super::sieve::Sieve;

/// Stream bytes that are taken at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Up to where the stream is to be written, and the name of its history: looked at in this order, so that the name is no
/// older than the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) end: Offset,
    pub(super) replid: ReplId,
    /// Another node has this stream, too.
    pub(super) is_shared: bool,
}

/// The next file, and where in the stream it begins: the instant of the snapshot that takes the place of what is before.
#[derive(Debug)]
pub(super) struct NextFile {
    pub(super) at: Offset,
    pub(super) file: File,
    /// The history's name then: the snapshot has it.
    pub(super) replid: ReplId,
    /// The stream's database then.
    pub(super) stream_db: Option<u32>,
}

/// Why not everything is written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file system refused.
    Write(io::Error),
    /// It took only a part: so many bytes of so many.
    Short(usize, usize),
    /// The stream is another one: this log is of the past.
    Detached,
}

/// The open log.
pub(super) struct OpenLog {
    file: Arc<File>,
    /// Bytes of the file that are whole commands.
    len: u64,
    reader: Reader,
    sieve: Sieve,
    /// Log bytes to be written.
    out: Vec<u8>,
    goal: Option<Goal>,
    /// The history that the log's offsets are of.
    noted: Option<ReplId>,
    /// Each batch ends with a line that says that it is of that history: once another node has the stream, a restart may
    /// have to go on where it ends. A server by itself leaves its log as upstream's is.
    marks: bool,
    unsynced: bool,
    /// Files of before that were not synced to their end.
    retired: Vec<Arc<File>>,
}

impl OpenLog {
    /// A file that begins where the stream is, or goes on there. `noted` is the history that its offsets are of so far.
    pub(super) fn new(file: File, len: u64, reader: Reader, sieve: Sieve, noted: Option<ReplId>) -> OpenLog {
        OpenLog {
            file: Arc::new(file),
            len,
            reader,
            sieve,
            out: Vec::new(),
            goal: None,
            noted,
            marks: false,
            unsynced: false,
            retired: Vec::new(),
        }
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that are to be written.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.out.len() as u64 + self.reader.lag_bytes()
    }

    /// Writes everything up to where `goal` says, again and again until it has nothing new; then gives the offset reached.
    /// `next` is asked for a file that begins at an offset.
    pub(super) fn catch_up(
        &mut self,
        goal: impl Fn(Offset) -> Option<Goal>,
        next: impl Fn(Offset) -> Option<NextFile>,
        stamp: Option<u64>,
    ) -> Result<Offset, Trouble> {
        self.put()?;
        loop {
            let position = self.reader.position();
            let aim = match self.goal {
                Some(aim) => aim,
                None => {
                    if let Some(next) = next(position) {
                        self.change_file(next);
                    }
                    match goal(position) {
                        Some(aim) => *self.goal.insert(aim),
                        None => return Ok(position),
                    }
                }
            };
            self.take(aim, stamp)?;
            if self.reader.position() == aim.end {
                self.goal = None;
            }
            self.put()?;
        }
    }

    /// Takes the next piece of the stream.
    fn take(&mut self, aim: Goal, stamp: Option<u64>) -> Result<(), Trouble> {
        let position = self.reader.position();
        self.marks |= aim.is_shared;
        if self.noted != Some(aim.replid) && self.sieve.is_between_units() {
            self.note(aim.replid, position);
        }
        let left = usize::try_from(aim.end.since(position)).unwrap_or(usize::MAX);
        let read = self.reader.read_into(self.sieve.inlet(), left.min(PIECE_BYTES));
        read.map_err(|_| Trouble::Detached)?;
        self.sieve.sift(&mut self.out, stamp);
        if self.reader.position() == aim.end && self.sieve.is_between_units() {
            match self.sieve.differs() {
                true => self.note(aim.replid, aim.end),
                false if self.marks && !self.out.is_empty() => Annotation::Counted.write(&mut self.out),
                false => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, replid: ReplId, offset: Offset) {
        self.sieve.note(&mut self.out, replid, offset);
        self.noted = Some(replid);
    }

    /// Writes what waits.
    fn put(&mut self) -> Result<(), Trouble> {
        while !self.out.is_empty() {
            let wanted = self.out.len();
            match (&*self.file).write(&self.out) {
                Ok(n) if n == wanted => {
                    self.len += n as u64;
                    self.unsynced = true;
                    self.out.clear();
                    self.out.shrink_to(2 * PIECE_BYTES);
                }
                Ok(n) => {
                    // Half a command would be the end of the log to whoever reads it.
                    if self.file.set_len(self.len).is_err() {
                        self.len += n as u64;
                        self.unsynced = true;
                        self.out.drain(..n);
                    }
                    return Err(Trouble::Short(n, wanted));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::Write(e)),
            }
        }
        Ok(())
    }

    /// Goes on in another file.
    fn change_file(&mut self, next: NextFile) {
        debug_assert!(self.out.is_empty(), "a file is left when it has everything");
        let old = std::mem::replace(&mut self.file, Arc::new(next.file));
        if std::mem::replace(&mut self.unsynced, false) {
            self.retired.push(old);
        }
        self.len = 0;
        self.sieve.begin_file(next.stream_db);
        // Offsets are counted from the snapshot on, or, where there will be none, from the last note in the file before.
        self.noted = self.noted.filter(|noted| *noted == next.replid);
    }

    /// What has to be synced so that everything written is durable. It counts as synced from here on.
    pub(super) fn take_unsynced(&mut self) -> Vec<Arc<File>> {
        let mut files = std::mem::take(&mut self.retired);
        if std::mem::replace(&mut self.unsynced, false) {
            files.push(Arc::clone(&self.file));
        }
        files
    }

    /// These could not be synced.
    pub(super) fn put_back(&mut self, files: Vec<Arc<File>>) {
        for file in files {
            if Arc::ptr_eq(&file, &self.file) {
                self.unsynced = true;
            } else {
                self.retired.push(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_base::Rng;
    use baton_journal::{Journal, Settings, Unit};
    use std::cell::RefCell;
    use std::fs;
    use std::path::PathBuf;

    struct Bench {
        journal: Arc<Journal>,
        path: PathBuf,
        replid: RefCell<ReplId>,
        next: RefCell<Option<NextFile>>,
        is_shared: bool,
    }

    impl Bench {
        fn new(name: &str) -> Bench {
            let journal = Journal::new(Settings::default());
            journal.activate();
            let path = std::env::temp_dir().join(format!("baton-log-{name}-{}", std::process::id()));
            let _ = fs::remove_file(&path);
            let replid = RefCell::new(ReplId::random(&mut Rng::new(7)));
            Bench { journal, path, replid, next: RefCell::new(None), is_shared: false }
        }

        fn open(&self) -> OpenLog {
            let file = File::options().append(true).create(true).open(&self.path).unwrap();
            let reader = self.journal.reader(self.journal.end()).unwrap();
            OpenLog::new(file, 0, reader, Sieve::default(), Some(*self.replid.borrow()))
        }

        fn write(&self, words: &[&str]) {
            let mut unit = Unit::new();
            unit.push(0, words);
            self.journal.append(&unit);
        }

        fn catch_up(&self, log: &mut OpenLog) {
            let goal = |position| {
                let end = self.journal.end();
                let end = self.next.borrow().as_ref().map_or(end, |next| end.min(next.at));
                (end > position).then(|| Goal { end, replid: *self.replid.borrow(), is_shared: self.is_shared })
            };
            let next = |position| self.next.borrow_mut().take_if(|next| next.at == position);
            log.catch_up(goal, next, None).unwrap();
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.path).unwrap().replace("\r\n", " ")
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.path);
        }
    }

    #[test]
    fn a_log_of_nothing_but_writes_is_the_stream_itself() {
        let bench = Bench::new("plain");
        let mut log = bench.open();
        bench.write(&["SET", "a", "1"]);
        bench.catch_up(&mut log);
        bench.write(&["SET", "b", "2"]);
        bench.catch_up(&mut log);
        assert_eq!(bench.text(), "*2 $6 SELECT $1 0 *3 $3 SET $1 a $1 1 *3 $3 SET $1 b $1 2 ");
        assert_eq!(log.len(), bench.journal.end().0);
        assert_eq!(log.take_unsynced().len(), 1);
        assert!(log.take_unsynced().is_empty());
    }

    /// Whatever another server appends has no such line behind it, so it is not taken for the stream.
    #[test]
    fn batches_of_a_stream_that_others_have_say_whose_they_are() {
        let mut bench = Bench::new("marked");
        bench.is_shared = true;
        let mut log = bench.open();
        bench.write(&["SET", "a", "1"]);
        bench.write(&["SET", "b", "2"]);
        bench.catch_up(&mut log);
        bench.catch_up(&mut log);
        bench.write(&["SET", "c", "3"]);
        bench.catch_up(&mut log);
        let expected = "*2 $6 SELECT $1 0 *3 $3 SET $1 a $1 1 *3 $3 SET $1 b $1 2 #B *3 $3 SET $1 c $1 3 #B ";
        assert_eq!(bench.text(), expected);
    }

    #[test]
    fn a_history_of_another_name_is_noted_before_its_bytes() {
        let bench = Bench::new("renamed");
        let mut log = bench.open();
        bench.write(&["SET", "a", "1"]);
        bench.catch_up(&mut log);
        let end = bench.journal.end().0;
        *bench.replid.borrow_mut() = ReplId::random(&mut Rng::new(8));
        bench.write(&["SET", "b", "2"]);
        bench.catch_up(&mut log);
        let note = format!("#BATON:{}:{end}:0 *3 $3 SET $1 b", bench.replid.borrow());
        assert!(bench.text().contains(&note), "{}", bench.text());
    }

    #[test]
    fn what_is_left_out_is_noted_behind_the_batch() {
        let bench = Bench::new("noted");
        let mut log = bench.open();
        bench.journal.append_unselected(&["PING"]);
        bench.write(&["SET", "a", "1"]);
        bench.catch_up(&mut log);
        let end = bench.journal.end().0;
        let expected = format!("*2 $6 SELECT $1 0 *3 $3 SET $1 a $1 1 #BATON:{}:{end}:0 ", bench.replid.borrow());
        assert_eq!(bench.text(), expected);
    }

    #[test]
    fn the_file_changes_exactly_where_the_snapshot_is() {
        let bench = Bench::new("first");
        let mut log = bench.open();
        bench.write(&["SET", "a", "1"]);
        let (at, second) = (bench.journal.end(), Bench::new("second"));
        bench.journal.select_reset();
        bench.write(&["SET", "b", "2"]);
        let file = File::options().append(true).create(true).open(&second.path).unwrap();
        let next = NextFile { at, file, replid: *bench.replid.borrow(), stream_db: None };
        *bench.next.borrow_mut() = Some(next);
        bench.catch_up(&mut log);
        assert_eq!(bench.text(), "*2 $6 SELECT $1 0 *3 $3 SET $1 a $1 1 ");
        assert_eq!(second.text(), "*2 $6 SELECT $1 0 *3 $3 SET $1 b $1 2 ");
        assert_eq!(log.take_unsynced().len(), 2, "the old one is still to be synced to its end");
    }

    #[test]
    fn a_stream_that_was_replaced_ends_the_log() {
        let bench = Bench::new("detached");
        let mut log = bench.open();
        bench.write(&["SET", "a", "1"]);
        bench.journal.set_position(Offset(500));
        let goal = |_| Some(Goal { end: Offset(400), replid: *bench.replid.borrow(), is_shared: false });
        assert!(matches!(log.catch_up(goal, |_| None, None), Err(Trouble::Detached)));
    }
}
