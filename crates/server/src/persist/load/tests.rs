//! A store written to a file and read back, and files that must be refused, in files of the system's temporary folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use baton_base::{Offset, ReplId};
use baton_store::{Expire, StoreSettings};

use super::*;
use crate::clock::Clock;
use crate::persist::file::{FileError, SnapshotFile};
use crate::persist::save::write_file;
use crate::persist::snapshot::{Plan, SaveError, Source, Watch};

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("baton-load-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("dump.rdb")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Default)]
struct Heard {
    point: Option<ReplicationPoint>,
    due: Vec<(u32, Vec<u8>)>,
    lines: Vec<String>,
}

impl Listener for Heard {
    fn begins(&mut self, point: Option<ReplicationPoint>) {
        self.point = point;
    }

    fn due(&mut self, db: u32, key: &[u8]) {
        self.due.push((db, key.to_vec()));
    }

    fn line(&mut self, text: &str) {
        self.lines.push(text.into());
    }
}

const NOW: WallMs = WallMs(1_000_000);
const KEEP: Rules = Rules { drop_due: false, replace: false };

fn store() -> Arc<Store> {
    Arc::new(Store::new(StoreSettings { databases: 16, seed: 7 }))
}

fn set(store: &Store, db: u32, name: &str, value: &str, expire: Expire) {
    let key = store.key(name.as_bytes());
    store.view(key.slot, DbIndex(db), NOW, Expiry::Ignore).set_str(&key, value.as_bytes(), expire);
}

/// Everything in a store, in the order of names.
fn contents(store: &Store) -> Vec<(u32, String, String, Option<WallMs>)> {
    let mut out = Vec::new();
    for db in 0..store.databases() {
        let mut cursor = 0;
        loop {
            cursor = store
                .scan(DbIndex(db), cursor, 100, WallMs(0), &mut |key, entry| {
                    let baton_store::Value::Str(text) = entry.value else { panic!("a string") };
                    let text = String::from_utf8_lossy(text.bytes(&mut itoa::Buffer::new())).into_owned();
                    out.push((db, String::from_utf8_lossy(key).into_owned(), text, entry.expire_at));
                })
                .unwrap()
                .cursor;
            if cursor == 0 {
                break;
            }
        }
    }
    out.sort();
    out
}

fn filled() -> Arc<Store> {
    let store = store();
    for i in 0..3000 {
        set(&store, 0, &format!("key:{i}"), &format!("{}", i * i), Expire::Never);
    }
    set(&store, 0, "text", &"long text that repeats itself, ".repeat(20), Expire::Never);
    set(&store, 0, "due", "gone", Expire::At(WallMs(NOW.0 - 1)));
    set(&store, 3, "later", "-7", Expire::At(WallMs(NOW.0 + 1)));
    set(&store, 15, "", "\0\r\n", Expire::Never);
    store
}

fn point() -> ReplicationPoint {
    ReplicationPoint { id: ReplId::new([b'a'; 40]).unwrap(), offset: Offset(77), stream_db: Some(3) }
}

fn save(store: &Arc<Store>, source: Source, path: &Path) -> Result<(), SaveError> {
    let settings = Arc::new(Settings::default());
    let plan = Plan::of(store, settings, Some(point()));
    let (clock, cancel, keys_done) = (Clock::start(), AtomicBool::new(false), AtomicU64::new(0));
    let written = write_file(
        &plan,
        source,
        path,
        &Watch { clock: &clock, cancel: &cancel, keys_done: &keys_done, key_delay: &AtomicI64::new(0) },
    );
    if written.is_ok() {
        assert_eq!(keys_done.into_inner(), plan.keys());
    }
    written
}

fn read(path: &Path, into: &Store, rules: Rules) -> (Result<Loaded, LoadError>, Heard) {
    let mut heard = Heard::default();
    let read = read_file(path, &Settings::default(), into, NOW, rules, &mut heard);
    (read, heard)
}

#[test]
fn what_is_saved_is_loaded_by_a_walk_and_from_a_world_that_stands_still() {
    let folder = Folder::new("round");
    let before = filled();
    for still in [false, true] {
        let source = if still { Source::Still(Arc::clone(&before)) } else { Source::Walk(before.snapshot().unwrap()) };
        save(&before, source, &folder.file()).unwrap();
        assert_eq!(folder.names(), ["dump.rdb"], "nothing else stays");
        let after = store();
        let (read, heard) = read(&folder.file(), &after, KEEP);
        assert_eq!(read.unwrap(), Loaded { keys: 3004, ..Loaded::default() });
        assert_eq!(heard.point, Some(point()));
        assert!(heard.lines[0].starts_with("Loading RDB produced by Valkey version "), "{:?}", heard.lines);
        assert!(contents(&before) == contents(&after), "the datasets differ");
    }
}

#[test]
fn a_primary_leaves_out_what_is_due_and_says_so() {
    let folder = Folder::new("due");
    let before = filled();
    save(&before, Source::Walk(before.snapshot().unwrap()), &folder.file()).unwrap();
    let after = store();
    let (read, heard) = read(&folder.file(), &after, Rules { drop_due: true, replace: false });
    assert_eq!(read.unwrap(), Loaded { keys: 3003, expired: 1, expired_hashes: 0 });
    assert_eq!(heard.due, [(0, b"due".to_vec())]);
    assert!(!contents(&after).iter().any(|(_, name, ..)| name == "due"));
}

#[test]
fn a_cut_is_what_was_there_whatever_is_written_meanwhile() {
    let folder = Folder::new("cut");
    let before = filled();
    let expected = contents(&before);
    let walker = before.snapshot().unwrap();
    for i in 0..3000 {
        set(&before, 0, &format!("key:{i}"), "changed", Expire::Never);
    }
    let plan_store = Arc::clone(&before);
    save(&plan_store, Source::Walk(walker), &folder.file()).unwrap();
    let after = store();
    read(&folder.file(), &after, KEEP).0.unwrap();
    assert!(contents(&after) == expected, "the snapshot is not of its instant");
}

#[test]
fn a_cancelled_save_leaves_the_old_file_and_nothing_else() {
    let folder = Folder::new("cancel");
    std::fs::write(folder.file(), b"old").unwrap();
    let before = filled();
    let plan = Plan::of(&before, Arc::new(Settings::default()), None);
    let (clock, cancel, keys_done) = (Clock::start(), AtomicBool::new(true), AtomicU64::new(0));
    let watch = Watch { clock: &clock, cancel: &cancel, keys_done: &keys_done, key_delay: &AtomicI64::new(0) };
    let written = write_file(&plan, Source::Walk(before.snapshot().unwrap()), &folder.file(), &watch);
    assert!(matches!(written, Err(SaveError::Cancelled)));
    assert_eq!((folder.names(), std::fs::read(folder.file()).unwrap()), (vec!["dump.rdb".into()], b"old".to_vec()));
    assert!(before.snapshot().is_some(), "the walk is over");
}

#[test]
fn what_the_file_system_refuses_is_said_in_upstreams_words() {
    let folder = Folder::new("refused");
    let missing = folder.0.join("no/dump.rdb");
    let Err(SaveError::File(e @ FileError::Open { .. })) = save(&store(), Source::Still(store()), &missing) else {
        panic!("there is no such folder")
    };
    let text = e.to_string();
    assert!(text.starts_with("Failed opening the temp RDB file ") && text.contains(" for saving: "), "{text}");
    std::fs::create_dir(folder.0.join("taken")).unwrap();
    let file = SnapshotFile::create(&folder.0.join("taken"), true).unwrap();
    let Err(e @ FileError::Rename { .. }) = file.finish(&folder.0.join("taken")) else {
        panic!("a folder has the name")
    };
    assert!(e.to_string().starts_with("Error moving temp DB file "), "{e}");
    assert_eq!(folder.names(), ["taken"]);
}

#[test]
fn a_file_without_bytes_is_an_empty_dataset() {
    let folder = Folder::new("empty");
    std::fs::write(folder.file(), b"").unwrap();
    let (read, heard) = read(&folder.file(), &store(), KEEP);
    assert_eq!(read.unwrap(), Loaded::default());
    assert_eq!(heard.lines.len(), 1);
}

/// A small file of known bytes: database 0 with `k`=`v`, `l`=`w`.
fn small() -> Vec<u8> {
    let mut bytes = b"VALKEY080\xfe\x00\xfb\x02\x00\x00\x01k\x01v\x00\x01l\x01w\xff".to_vec();
    let sum = baton_rdb::checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn damaged_files_are_refused_with_place_and_key() {
    let folder = Folder::new("damaged");
    let with = |at: usize, byte: u8| {
        let mut bytes = small();
        bytes[at] = byte;
        bytes
    };
    let doubled = [&small()[..14], b"\x00\x01k\x01v\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0"].concat();
    let table: [(&str, Vec<u8>, &[&str]); 8] = [
        (
            "cut off",
            small()[..22].to_vec(),
            &[
                "Short read or OOM loading DB. Unrecoverable error, aborting now.",
                "offset 22 of file ",
                "after key \"k\"",
            ],
        ),
        ("other magic", with(0, b'X'), &["Wrong signature trying to load DB from file: XALKEY080"]),
        ("newer", with(8, b'1'), &["Can't handle RDB format version 81"]),
        ("unknown type", with(19, 0x55), &["offset 19 of file ", "Unknown type or opcode when loading DB."]),
        ("an old module", with(19, 6), &["offset 19 of file ", "key \"l\"", "(MODULE_PRE_GA)"]),
        ("database 33", with(10, 33), &["to handle more than 16 databases"]),
        ("checksum", with(25, 0xEE), &["Wrong RDB checksum expected: (", "RDB CRC error"]),
        ("twice", doubled, &["RDB has duplicated key \"k\" in DB 0"]),
    ];
    for (what, bytes, texts) in table {
        std::fs::write(folder.file(), &bytes).unwrap();
        let (read, _) = read(&folder.file(), &store(), KEEP);
        let lines = read.expect_err(what).lines().join("\n");
        for text in texts {
            assert!(lines.contains(text), "{what}: {text:?} is not in {lines:?}");
        }
        assert_eq!(std::fs::read(folder.file()).unwrap(), bytes, "{what}: the file stays");
    }
    std::fs::write(folder.file(), small()).unwrap();
    assert_eq!(read(&folder.file(), &store(), KEEP).0.unwrap().keys, 2, "undamaged it is read");
}

#[test]
fn where_keys_are_replaced_a_second_reading_is_no_error() {
    let folder = Folder::new("merge");
    std::fs::write(folder.file(), small()).unwrap();
    let into = store();
    set(&into, 0, "k", "mine", Expire::Never);
    assert!(read(&folder.file(), &into, KEEP).0.is_err());
    read(&folder.file(), &into, Rules { replace: true, ..KEEP }).0.unwrap();
    assert_eq!(contents(&into)[0].2, "v");
}
