//! The journal against its naive twin: one `Vec` of all bytes ever appended. Readers, trimming, resizing and changes of
//! history must never show a byte the twin has not at that offset.

use baton_base::Offset;
use baton_journal::{BACKLOG_BYTES_MIN, Detached, Journal, NotInBacklog, Reader, Settings, Unit};
use proptest::prelude::*;
use std::sync::Arc;

fn frame(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for a in args {
        out.extend(format!("${}\r\n", a.len()).into_bytes());
        out.extend_from_slice(a);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[derive(Clone, Debug)]
enum Step {
    Unit(Vec<(u32, usize)>),
    Bare(Vec<(u32, usize)>),
    Op(u32, usize),
    Ping,
    Raw(usize),
    SelectReset,
    Resize(u64),
    Trim,
    Open(u64),
    Read(usize, usize),
    Close(usize),
    Free,
    Activate,
    Jump(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ops = || prop::collection::vec((0..3u32, 0..30_000usize), 0..5);
    prop_oneof![
        8 => ops().prop_map(Step::Unit),
        2 => ops().prop_map(Step::Bare),
        4 => (0..3u32, 0..100usize).prop_map(|(db, n)| Step::Op(db, n)),
        2 => Just(Step::Ping),
        2 => (0..100_000usize).prop_map(Step::Raw),
        1 => Just(Step::SelectReset),
        2 => (0..300_000u64).prop_map(Step::Resize),
        1 => Just(Step::Trim),
        5 => (0..200_000u64).prop_map(Step::Open),
        12 => (0..8usize, 0..200_000usize).prop_map(|(i, n)| Step::Read(i, n)),
        2 => (0..8usize).prop_map(Step::Close),
        1 => Just(Step::Free),
        2 => Just(Step::Activate),
        1 => (0..1_000_000u64).prop_map(Step::Jump),
    ]
}

/// What the journal has to do, without blocks.
struct Twin {
    bytes: Vec<u8>,
    /// Offset of `bytes[0]`.
    base: u64,
    active: bool,
    db: Option<u32>,
    size: u64,
    /// Bytes that must be retained at least: the smallest size that was ever configured, and what came since.
    floor: u64,
    generation: u32,
}

impl Twin {
    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.active {
            self.bytes.extend_from_slice(bytes);
            self.floor = self.size.min(self.floor + bytes.len() as u64);
        }
    }

    fn select(&mut self, db: u32) {
        if self.active && self.db.replace(db) != Some(db) {
            self.put(&frame(&[b"SELECT", db.to_string().as_bytes()]));
        }
    }

    fn unit(&mut self, ops: &[(u32, usize)], wrapped: bool) {
        if wrapped && ops.len() > 1 {
            self.put(&frame(&[b"MULTI"]));
        }
        for (db, n) in ops {
            self.select(*db);
            self.put(&frame(&[b"SET", b"k", &value(*n)]));
        }
        if wrapped && ops.len() > 1 {
            self.put(&frame(&[b"EXEC"]));
        }
    }

    fn jump(&mut self, to: u64) {
        self.bytes.clear();
        self.base = to;
        self.floor = 0;
        self.db = None;
        self.generation += 1;
    }
}

fn value(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + n) as u8).collect()
}

fn unit_of(ops: &[(u32, usize)]) -> Unit {
    let mut unit = Unit::new();
    for (db, n) in ops {
        unit.push(*db, &[&b"SET"[..], b"k", &value(*n)]);
    }
    unit
}

struct World {
    journal: Arc<Journal>,
    twin: Twin,
    readers: Vec<(Reader, u32)>,
}

impl World {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Unit(ops) => {
                self.journal.append(&unit_of(ops));
                self.twin.unit(ops, true);
            }
            Step::Bare(ops) => {
                self.journal.append_bare(&unit_of(ops));
                self.twin.unit(ops, false);
            }
            Step::Op(db, n) => {
                self.journal.append_op(*db, &[&b"SET"[..], b"k", &value(*n)]);
                self.twin.unit(&[(*db, *n)], true);
            }
            Step::Ping => {
                self.journal.append_unselected(&["PING"]);
                self.twin.put(b"*1\r\n$4\r\nPING\r\n");
            }
            Step::Raw(n) => {
                self.journal.append_raw(&value(*n));
                self.twin.put(&value(*n));
            }
            Step::SelectReset => {
                self.journal.select_reset();
                self.twin.db = None;
            }
            Step::Resize(size) => {
                self.journal.resize(*size);
                self.twin.size = (*size).max(BACKLOG_BYTES_MIN);
                self.twin.floor = self.twin.floor.min(self.twin.size);
            }
            Step::Trim => self.journal.trim(),
            Step::Open(back) => self.open(self.twin.end().saturating_sub(*back)),
            Step::Read(i, max) => self.read(*i, *max),
            Step::Close(i) => {
                if *i < self.readers.len() {
                    self.readers.swap_remove(*i);
                }
            }
            Step::Free => {
                self.journal.free();
                let end = self.twin.end();
                self.twin.jump(end);
                self.twin.active = false;
            }
            Step::Activate => {
                self.journal.activate();
                if !self.twin.active {
                    self.twin.active = true;
                    self.twin.db = None;
                }
            }
            Step::Jump(to) => {
                self.journal.set_position(Offset(*to));
                self.twin.jump(*to);
            }
        }
    }

    fn open(&mut self, at: u64) {
        let extent = self.journal.extent();
        let retained = extent.active && (extent.start.0..=extent.end.0).contains(&at);
        match self.journal.reader(Offset(at)) {
            Ok(reader) => {
                assert!(retained);
                self.readers.push((reader, self.twin.generation));
            }
            Err(NotInBacklog) => assert!(!retained),
        }
    }

    fn read(&mut self, i: usize, max: usize) {
        let end = self.twin.end();
        let Some((reader, generation)) = self.readers.get_mut(i) else { return };
        let at = reader.position().0;
        let mut out = Vec::new();
        if *generation != self.twin.generation {
            assert_eq!(reader.read_into(&mut out, max.max(1)), Err(Detached));
            return;
        }
        assert_eq!(reader.lag_bytes(), end - at);
        let expected = max.min((end - at) as usize);
        assert_eq!(reader.read_into(&mut out, max), Ok(expected));
        let from = (at - self.twin.base) as usize;
        assert!(out == self.twin.bytes[from..from + expected], "other bytes than were appended");
        assert_eq!(reader.position().0, at + expected as u64);
    }

    fn check(&self) {
        let extent = self.journal.extent();
        assert_eq!(extent.end.0, self.twin.end());
        assert_eq!(self.journal.end(), extent.end);
        assert_eq!(extent.active, self.twin.active);
        assert_eq!(self.journal.is_active(), self.twin.active);
        assert!(extent.histlen() <= self.twin.bytes.len() as u64);
        assert!(extent.histlen() >= self.twin.floor, "fell below its size");
        if self.twin.active {
            assert!(extent.mem_used as u64 >= extent.histlen());
        }
        for (reader, generation) in &self.readers {
            assert!(
                *generation != self.twin.generation || reader.position() >= extent.start,
                "an unread byte was dropped"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_is_its_twin(size in 0..300_000u64, steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World {
            journal: Journal::new(Settings { backlog_bytes: size }),
            twin: Twin { bytes: vec![], base: 0, active: false, db: None, size: size.max(BACKLOG_BYTES_MIN), floor: 0, generation: 0 },
            readers: vec![],
        };
        world.apply(&Step::Activate);
        for step in &steps {
            world.apply(step);
            world.check();
        }
    }
}

#[test]
fn without_readers_the_backlog_stays_near_its_size() {
    let size = 1 << 20;
    let journal = Journal::new(Settings { backlog_bytes: size });
    journal.activate();
    for _ in 0..10_000 {
        journal.append_op(0, &[&b"SET"[..], b"key", &[b'x'; 1000]]);
    }
    let extent = journal.extent();
    assert!(extent.histlen() > size && extent.histlen() <= size + size / 16, "{}", extent.histlen());
    assert!(extent.mem_used as u64 <= size + 3 * (size / 16), "{}", extent.mem_used);
    assert_eq!(extent.first_byte(), extent.end.0 - extent.histlen() + 1);
}

#[test]
fn a_smaller_backlog_is_small_soon() {
    let journal = Journal::new(Settings { backlog_bytes: 10 << 20 });
    journal.activate();
    journal.resize(100);
    for _ in 0..100 {
        journal.append(&unit_of(&[(0, 1000)]));
    }
    assert!(journal.extent().histlen() < 64 << 10, "{}", journal.extent().histlen());
}

#[test]
fn a_slow_reader_pins_and_its_departure_is_noticed() {
    let journal = Journal::new(Settings { backlog_bytes: 0 });
    journal.activate();
    let reader = journal.reader(Offset(0)).unwrap();
    let raw = vec![b'x'; 1 << 20];
    journal.append_raw(&raw);
    assert_eq!(journal.extent().histlen(), 1 << 20);
    assert_eq!(reader.lag_bytes(), 1 << 20);
    drop(reader);
    journal.trim();
    assert!(journal.extent().histlen() <= 2 * BACKLOG_BYTES_MIN, "{:?}", journal.extent());
    assert_eq!(journal.reader(Offset(0)).err(), Some(NotInBacklog));
    assert_eq!(journal.reader(Offset((1 << 20) + 1)).err(), Some(NotInBacklog));
}

#[test]
fn a_chunk_is_shown_again_until_it_is_consumed() {
    let journal = Journal::new(Settings::default());
    journal.activate();
    let mut reader = journal.reader(Offset(0)).unwrap();
    assert_eq!(reader.chunk().unwrap(), b"");
    journal.append_unselected(&["PING"]);
    assert_eq!(reader.chunk().unwrap(), b"*1\r\n$4\r\nPING\r\n");
    reader.consume(4);
    journal.append_raw(b"more");
    assert_eq!(reader.chunk().unwrap(), b"$4\r\nPING\r\n");
    reader.consume(10);
    assert_eq!(reader.chunk().unwrap(), b"more");
    reader.consume(4);
    assert_eq!(reader.chunk().unwrap(), b"");
    assert_eq!(reader.position(), journal.end());
}

#[test]
fn an_inactive_journal_records_nothing_and_keeps_its_offset() {
    let journal = Journal::new(Settings::default());
    journal.set_position(Offset(77));
    assert_eq!(journal.append_op(0, &["SET", "a", "b"]), Offset(77));
    assert_eq!(journal.extent().first_byte(), 0);
    journal.activate();
    assert_eq!(journal.extent().first_byte(), 78);
    assert_eq!(journal.append(&Unit::new()), Offset(77));
    assert_eq!(journal.append_raw(b"abc"), Offset(80));
    assert_eq!(journal.selected_db(), None);
    journal.append_op(5, &["DEL", "a"]);
    assert_eq!(journal.selected_db(), Some(5));
}
