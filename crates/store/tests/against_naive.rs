//! Random sequences of everything a store can do, with scans and snapshots in between, against the naive twin.

mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use baton_base::{Rng, Slot, WallMs};
use baton_store::{
    DbIndex, Entry, Expire, Expiry, Missing, SnapshotWalker, Store, StoreSettings, Str, Value, View, WatchFlag,
};
use baton_values::{Limits, List};
use naive::{Item, Naive, Name};
use proptest::prelude::*;

const DBS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Set(Name, Vec<u8>, u8),
    SetMany(u32, u16, u16),
    RemoveMany(u32, u16, u16),
    SetInt(Name, i64),
    Append(Name, Vec<u8>),
    SetRange(Name, u16, Vec<u8>),
    Push(Name, u8, u16),
    Cut(Name, u16, u16),
    Remove(Name),
    SetExpire(Name, Option<u16>),
    Read(Name, bool),
    SetIdle(Name, u16),
    Transfer(Name, Name, bool),
    Wait(u16),
    Rule(u8),
    ExpireDue(u8, u8, bool),
    ClearSlot(u8),
    Flush(Option<u32>),
    Swap(u32, u32),
    Replace(u8),
    Scan(u8),
    Snapshot,
    Walk(u8),
    EndWalk,
    RandomKey(u32),
    /// Changes of keys of one slot that are taken back.
    Undone(Vec<Change>),
}

/// A change of a key of the first slot, by database and number.
#[derive(Clone, Debug)]
enum Change {
    Set(u32, u16, Vec<u8>, u8),
    Append(u32, u16, Vec<u8>),
    Push(u32, u16, u8, u16),
    Cut(u32, u16, u16, u16),
    Remove(u32, u16),
    SetExpire(u32, u16, Option<u16>),
    Transfer(u32, u16, u32, u16, bool),
}

/// A few slots, so that tables in them get large.
const TAGS: [&str; 3] = ["{a}", "{b}", ""];

fn key(n: u16) -> Vec<u8> {
    format!("{}{}{n}", TAGS[usize::from(n % 3)], "k".repeat(usize::from(n % 40))).into_bytes()
}

fn slot(n: u8) -> Slot {
    Slot::of_key(&key(u16::from(n)))
}

fn names() -> impl Strategy<Value = Name> {
    (prop_oneof![4 => Just(0), 1 => 0..DBS], (0u16..60).prop_map(key))
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<i16>().prop_map(|n| n.to_string().into_bytes()),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(|n| n.to_string().into_bytes()),
        4 => (0usize..130, any::<u8>()).prop_map(|(len, b)| vec![b; len]),
        2 => (900usize..6000, any::<u8>()).prop_map(|(len, b)| vec![b; len]),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let walk = prop_oneof![
        4 => any::<u8>().prop_map(Step::Walk),
        2 => Just(Step::Snapshot),
        1 => Just(Step::EndWalk),
        4 => any::<u8>().prop_map(Step::Scan),
    ];
    let whole = prop_oneof![
        2 => any::<u8>().prop_map(Step::ClearSlot),
        1 => prop::option::of(0..DBS).prop_map(Step::Flush),
        1 => (0..DBS, 0..DBS).prop_map(|(a, b)| Step::Swap(a, b)),
        1 => any::<u8>().prop_map(Step::Replace),
    ];
    let single = prop_oneof![
        6 => (names(), texts(), any::<u8>()).prop_map(|(n, t, e)| Step::Set(n, t, e)),
        2 => (names(), any::<i64>()).prop_map(|(n, v)| Step::SetInt(n, v)),
        3 => (names(), texts()).prop_map(|(n, t)| Step::Append(n, t)),
        2 => (names(), 0u16..3000, texts()).prop_map(|(n, o, t)| Step::SetRange(n, o, t)),
        4 => (names(), any::<u8>(), 1u16..900).prop_map(|(n, t, times)| Step::Push(n, t, 1 + times % (4 + 200 * (times % 4)))),
        2 => (names(), 0u16..20, 1u16..2000).prop_map(|(n, from, count)| Step::Cut(n, from, count)),
        3 => names().prop_map(Step::Remove),
        3 => (names(), prop::option::of(0u16..5000)).prop_map(|(n, e)| Step::SetExpire(n, e)),
        4 => (names(), any::<bool>()).prop_map(|(n, t)| Step::Read(n, t)),
        1 => (names(), any::<u16>()).prop_map(|(n, i)| Step::SetIdle(n, i)),
        3 => (names(), names(), any::<bool>()).prop_map(|(a, b, m)| Step::Transfer(a, b, m)),
        1 => (0..DBS).prop_map(Step::RandomKey),
    ];
    prop_oneof![
        20 => single,
        3 => (0..DBS, 0u16..900, 1u16..700).prop_map(|(db, from, n)| Step::SetMany(db, from, n)),
        3 => (0..DBS, 0u16..900, 1u16..900).prop_map(|(db, from, n)| Step::RemoveMany(db, from, n)),
        2 => (0u16..4000).prop_map(Step::Wait),
        2 => (0u8..5).prop_map(Step::Rule),
        4 => (any::<u8>(), 1u8..40, any::<bool>()).prop_map(|(s, max, all)| Step::ExpireDue(s, max, all)),
        2 => whole,
        9 => walk,
        3 => prop::collection::vec(changes(), 1..25).prop_map(Step::Undone),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let name = || (prop_oneof![4 => Just(0), 1 => 0..DBS], (0u16..20).prop_map(|n| 3 * n));
    prop_oneof![
        4 => (name(), texts(), any::<u8>()).prop_map(|((d, n), t, e)| Change::Set(d, n, t, e)),
        2 => (name(), texts()).prop_map(|((d, n), t)| Change::Append(d, n, t)),
        4 => (name(), any::<u8>(), 1u16..300).prop_map(|((d, n), t, times)| Change::Push(d, n, t, times)),
        2 => (name(), 0u16..20, 1u16..2000).prop_map(|((d, n), from, count)| Change::Cut(d, n, from, count)),
        2 => name().prop_map(|(d, n)| Change::Remove(d, n)),
        2 => (name(), prop::option::of(1u16..5000)).prop_map(|((d, n), e)| Change::SetExpire(d, n, e)),
        2 => (name(), name(), any::<bool>()).prop_map(|((d, n), (e, m), r)| Change::Transfer(d, n, e, m, r)),
    ]
}

/// A scan under way.
#[derive(Default)]
struct ScanCheck {
    cursor: u64,
    must: BTreeSet<Vec<u8>>,
    may: BTreeSet<Vec<u8>>,
    seen: BTreeSet<Vec<u8>>,
}

/// A snapshot under way: what it has to give, and what it gave.
struct WalkCheck {
    walker: SnapshotWalker,
    cut: BTreeMap<Name, Item>,
    given: BTreeMap<Name, (Vec<u8>, Option<WallMs>)>,
}

struct Bench {
    store: Arc<Store>,
    naive: Naive,
    rule: Expiry,
    scan: ScanCheck,
    walk: Option<WalkCheck>,
    rng: Rng,
}

fn text_of(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Str(text) => text.to_vec(),
        Value::List(list) => list.iter_from(0).flat_map(|text| [&text.to_vec()[..], b"\n"].concat()).collect(),
        _ => panic!("only strings and lists were written"),
    }
}

fn item_of(entry: &Entry<'_>, now: WallMs) -> Item {
    Item {
        text: text_of(entry.value),
        int: matches!(entry.value, Value::Str(Str::Int(_))),
        list: matches!(entry.value, Value::List(_)),
        raw: entry.encoding == "raw",
        expire_at: entry.expire_at,
        access_secs: now.as_secs() - entry.idle_secs,
    }
}

/// The twin knows only of strings that were changed in place; long ones are called raw too.
fn shown(name: &Name, item: &Item) -> Item {
    let headers = if name.1.len() < 32 { 15 } else { 17 };
    let long = name.1.len() + item.text.len() + 8 * usize::from(item.expire_at.is_some()) + headers > 128;
    Item { raw: !item.list && !item.int && (item.raw || long), ..item.clone() }
}

/// Makes a change; gives the name that was looked up, and one that was replaced whatever was there.
fn undone_change(view: &mut View<'_>, change: &Change) -> (Name, Option<Name>) {
    let name = |db: &u32, n: &u16| (*db, key(*n));
    let selected = |view: &mut View<'_>, name: &Name| view.select(DbIndex(name.0));
    match change {
        Change::Set(db, n, text, e) => {
            let name = name(db, n);
            selected(view, &name);
            let at = WallMs(view.now().0 + 1 + u64::from(*e));
            let expire = [Expire::Keep, Expire::Never, Expire::At(at)][usize::from(e % 3)];
            view.set_str(&view.key(&name.1), text, expire);
            (name, None)
        }
        Change::Append(db, n, tail) => {
            let name = name(db, n);
            selected(view, &name);
            let key = view.key(&name.1);
            let is_text = view.peek(&key).is_none_or(|entry| matches!(entry.value, Value::Str(_)));
            if is_text {
                view.append(&key, tail);
            }
            (name, None)
        }
        Change::Push(db, n, text, times) => {
            let name = name(db, n);
            selected(view, &name);
            let text = vec![*text; usize::from(*text)];
            let _ = view.edit(&view.key(&name.1), Missing::Create, |list: &mut List| {
                list.expect(usize::from(*times), usize::from(*times) * text.len(), &Limits::default());
                (0..*times).for_each(|_| list.push_back(&text));
                (u64::from(*times), ())
            });
            (name, None)
        }
        Change::Cut(db, n, from, count) => {
            let name = name(db, n);
            selected(view, &name);
            let _ = view.edit(&view.key(&name.1), Missing::Skip, |list: &mut List| {
                let before = list.len();
                list.remove(u64::from(*from)..u64::from(from + count), &Limits::default());
                (before - list.len(), ())
            });
            (name, None)
        }
        Change::Remove(db, n) => {
            let name = name(db, n);
            selected(view, &name);
            view.remove(&view.key(&name.1));
            (name, None)
        }
        Change::SetExpire(db, n, after) => {
            let name = name(db, n);
            selected(view, &name);
            let at = after.map(|ms| WallMs(view.now().0 + u64::from(ms)));
            view.set_expire(&view.key(&name.1), at);
            (name, None)
        }
        Change::Transfer(db, n, to_db, to_n, remove) => {
            let (from, to) = (name(db, n), name(to_db, to_n));
            selected(view, &to);
            let (f, t) = (view.key(&from.1), view.key(&to.1));
            let db = DbIndex(from.0);
            let is_done = if *remove { view.move_from(db, &f, &t) } else { view.copy_from(db, &f, &t) };
            (from, is_done.then_some(to))
        }
    }
}

impl Bench {
    fn new() -> Bench {
        Bench {
            store: Arc::new(Store::new(StoreSettings { databases: DBS, seed: 7 })),
            naive: Naive { now: WallMs(1_000_000_000_000), ..Naive::default() },
            rule: Expiry::Delete,
            scan: ScanCheck::default(),
            walk: None,
            rng: Rng::new(3),
        }
    }

    fn with_view<T>(&mut self, name: &Name, act: impl FnOnce(&mut View<'_>) -> T) -> T {
        let mut view = self.store.view(Slot::of_key(&name.1), DbIndex(name.0), self.naive.now, self.rule);
        let out = act(&mut view);
        let expired: Vec<Name> = view.outcome.expired.iter().map(|(db, key)| (db.0, key.to_vec())).collect();
        assert_eq!(expired, std::mem::take(&mut self.naive.expired));
        out
    }

    fn set(&mut self, name: &Name, text: &[u8], expire: Expire) {
        self.naive.set_str(name, self.rule, text, expire);
        self.with_view(name, |v| v.set_str(&v.key(&name.1), text, expire));
    }

    fn run(&mut self, step: &Step) {
        let rule = self.rule;
        match step {
            Step::Set(name, text, e) => {
                let at = self.naive.now.0 + u64::from(*e) * 20;
                let expire = [Expire::Keep, Expire::Never, Expire::At(WallMs(at))][usize::from(e % 3)];
                self.set(name, text, expire);
            }
            Step::SetMany(db, from, n) => {
                for i in *from..from + n {
                    self.set(&(*db, key(i)), i.to_string().as_bytes(), Expire::Never);
                }
            }
            Step::RemoveMany(db, from, n) => (*from..from + n).for_each(|i| self.remove(&(*db, key(i)))),
            Step::SetInt(name, n) => {
                self.naive.set_str(name, rule, n.to_string().as_bytes(), Expire::Keep);
                self.with_view(name, |v| v.set_int(&v.key(&name.1), *n));
            }
            Step::Push(name, text, times) => self.push(name, *text, usize::from(*times)),
            Step::Cut(name, from, count) => self.cut(name, usize::from(*from), usize::from(*count)),
            // Commands ask for the type first.
            Step::Append(name, _) | Step::SetRange(name, ..) if self.naive.is_list(name) => {}
            Step::Append(name, tail) => {
                let expected = self.naive.append(name, rule, tail);
                assert_eq!(self.with_view(name, |v| v.append(&v.key(&name.1), tail)), expected);
            }
            Step::SetRange(name, offset, part) => {
                let expected = self.naive.set_range(name, rule, usize::from(*offset), part);
                let got = self.with_view(name, |v| v.set_range(&v.key(&name.1), usize::from(*offset), part));
                assert_eq!(got, expected);
            }
            Step::Remove(name) => self.remove(name),
            Step::SetExpire(name, after) => {
                let at = after.map(|ms| WallMs(self.naive.now.0 + u64::from(ms)));
                let expected = self.naive.set_expire(name, rule, at);
                assert_eq!(self.with_view(name, |v| v.set_expire(&v.key(&name.1), at)), expected);
            }
            Step::Read(name, touch) => self.read(name, *touch),
            Step::SetIdle(name, idle) => {
                let secs = self.naive.now.as_secs() - u64::from(*idle);
                self.naive.map.entry(name.clone()).and_modify(|i| i.access_secs = secs);
                self.with_view(name, |v| v.set_idle(&v.key(&name.1), u64::from(*idle)));
            }
            Step::Transfer(from, to, remove) => self.transfer(from, to, *remove),
            Step::Wait(ms) => self.naive.now.0 += u64::from(*ms),
            Step::Rule(n) => self.rule = [Expiry::Delete, Expiry::Hide, Expiry::Ignore][usize::from(*n).min(4) % 3],
            Step::RandomKey(db) => self.random_key(*db),
            Step::Undone(changes) => self.undone(changes),
            _ => self.run_wholesale(step),
        }
    }

    /// Only what expired meanwhile is gone afterwards.
    fn undone(&mut self, changes: &[Change]) {
        let (now, rule, slot) = (self.naive.now, self.rule, slot(0));
        let mut view = self.store.view(slot, DbIndex(0), now, rule);
        view.begin_undo();
        let mut covered = BTreeSet::new();
        for change in changes {
            let (looked_up, replaced) = undone_change(&mut view, change);
            if !covered.contains(&looked_up) {
                self.naive.settle(&looked_up, rule);
            }
            covered.extend(replaced);
        }
        view.roll_back();
        assert_eq!(view.outcome.dirty, 0);
        let expired: BTreeSet<Name> = view.outcome.expired.iter().map(|(db, key)| (db.0, key.to_vec())).collect();
        assert_eq!(expired, std::mem::take(&mut self.naive.expired).into_iter().collect());
    }

    fn run_wholesale(&mut self, step: &Step) {
        match step {
            Step::ExpireDue(n, max, true) => self.expire_all_due(slot(*n), usize::from(*max)),
            Step::ExpireDue(n, max, false) => drop(self.expire_due(slot(*n), usize::from(*max))),
            Step::ClearSlot(n) => {
                let expected = self.naive.clear_slot(slot(*n));
                let mut view = self.store.view(slot(*n), DbIndex(0), self.naive.now, self.rule);
                assert_eq!(view.clear_slot(slot(*n)).0, expected);
            }
            Step::Flush(db) => {
                self.naive.flush(db.map(DbIndex));
                drop(self.store.flush(db.map(DbIndex)));
            }
            Step::Swap(a, b) => {
                self.naive.swap(DbIndex(*a), DbIndex(*b));
                self.store.swap_dbs(DbIndex(*a), DbIndex(*b), WallMs(0));
            }
            Step::Replace(n) => self.replace(*n),
            Step::Scan(count) => self.scan(usize::from(*count)),
            Step::Snapshot => self.begin_walk(),
            Step::Walk(count) => self.walk(usize::from(*count)),
            Step::EndWalk => self.walk = None,
            _ => unreachable!("the other half of `run`"),
        }
    }

    fn push(&mut self, name: &Name, text: u8, times: usize) {
        let text = vec![b'a' + text % 20; usize::from(text)];
        let expected = self.naive.push(name, self.rule, &text, times);
        let got = self.with_view(name, |v| {
            v.edit(&v.key(&name.1), Missing::Create, |list: &mut List| {
                list.expect(times, times * text.len(), &Limits::default());
                (0..times).for_each(|_| list.push_back(&text));
                (times as u64, text_of(list.as_ref().into()).len())
            })
        });
        assert_eq!(got.ok().flatten(), expected);
    }

    fn cut(&mut self, name: &Name, from: usize, count: usize) {
        let expected = self.naive.cut(name, self.rule, from, count);
        let got = self.with_view(name, |v| {
            v.edit(&v.key(&name.1), Missing::Skip, |list: &mut List| {
                let before = list.len();
                list.remove(from as u64..(from + count) as u64, &Limits::default());
                (before - list.len(), ())
            })
        });
        assert_eq!(matches!(got, Ok(Some(()))), expected);
    }

    fn remove(&mut self, name: &Name) {
        let expected = self.naive.remove(name, self.rule);
        assert_eq!(self.with_view(name, |v| v.remove(&v.key(&name.1))), expected);
    }

    fn read(&mut self, name: &Name, touch: bool) {
        let (now, rule) = (self.naive.now, self.rule);
        let expected = self.naive.read(name, rule, touch).map(|i| shown(name, &i));
        let got = self.with_view(name, |v| {
            let got = v.read(&v.key(&name.1), touch).map(|e| item_of(&e, now));
            let peeked = v.peek(&v.key(&name.1)).map(|e| item_of(&e, now));
            assert_eq!((&got, v.exists(&v.key(&name.1))), (&peeked, got.is_some()));
            got
        });
        assert_eq!(got, expected);
    }

    fn transfer(&mut self, from: &Name, to: &Name, remove: bool) {
        let expected = self.naive.transfer(from, to, self.rule, remove);
        let slots: BTreeSet<Slot> = [Slot::of_key(&from.1), Slot::of_key(&to.1)].into();
        let slots: Vec<Slot> = slots.into_iter().collect();
        let mut view = self.store.view_many(&slots, DbIndex(to.0), self.naive.now, self.rule);
        let (f, t) = (view.key(&from.1), view.key(&to.1));
        let db = DbIndex(from.0);
        let got = if remove { view.move_from(db, &f, &t) } else { view.copy_from(db, &f, &t) };
        assert_eq!(got, expected);
        self.naive.expired.clear();
    }

    /// One call, which may leave some; gives whether it says so.
    fn expire_due(&mut self, slot: Slot, max: usize) -> bool {
        let mut view = self.store.view(slot, DbIndex(0), self.naive.now, Expiry::Delete);
        let more = view.expire_due(slot, max).more;
        let expired = view.take_outcome().expired;
        assert!(expired.len() <= max);
        for (db, key) in expired {
            let name = (db.0, key.into_vec());
            assert!(!self.naive.settle(&name, Expiry::Delete), "{name:?} is not due");
            assert_eq!(self.naive.expired.pop(), Some(name), "it was there");
        }
        more
    }

    fn expire_all_due(&mut self, slot: Slot, max: usize) {
        let calls = (0..10_000).take_while(|_| self.expire_due(slot, max)).count();
        assert!(calls < 10_000, "a round comes to its end");
        assert_eq!(self.naive.expire_slot(slot), []);
    }

    fn random_key(&mut self, db: u32) {
        let now = self.naive.now;
        let live = |n: &Name, i: &Item| n.0 == db && i.expire_at.is_none_or(|at| at > now);
        let got = self.store.random_key(DbIndex(db), &mut self.rng, now).unwrap();
        let all_live = self.naive.map.iter().all(|(n, i)| n.0 != db || live(n, i));
        match got {
            Some(key) => assert!(self.naive.map.get(&(db, key.clone())).is_some_and(|i| live(&(db, key), i))),
            None => assert!(!all_live || self.naive.map.keys().all(|n| n.0 != db)),
        }
    }

    fn replace(&mut self, n: u8) {
        let other = self.store.sibling();
        self.naive.flush(None);
        for i in 0..u16::from(n) * 3 {
            let name = (u32::from(i) % DBS, key(i));
            let mut view = other.view(Slot::of_key(&name.1), DbIndex(name.0), self.naive.now, Expiry::Ignore);
            let expire = WallMs(self.naive.now.0 + u64::from(i));
            view.set_str(&view.key(&name.1), b"new", Expire::At(expire));
            self.naive.set_str(&name, Expiry::Ignore, b"new", Expire::At(expire));
        }
        drop(self.store.replace_contents(other));
    }

    /// One step of a scan of database 0. What was there all the time must be seen, what never was must not.
    fn scan(&mut self, count: usize) {
        let names: Vec<Vec<u8>> = self.naive.map.keys().filter(|n| n.0 == 0).map(|n| n.1.clone()).collect();
        if self.scan.cursor == 0 {
            self.scan = ScanCheck { must: names.iter().cloned().collect(), ..ScanCheck::default() };
            self.naive.removed.clear();
        }
        self.scan.may.extend(names);
        for (_, key) in self.naive.removed.iter().filter(|n| n.0 == 0) {
            self.scan.must.remove(key);
        }
        let now = self.naive.now;
        let due =
            |n: &Vec<u8>| self.naive.map.get(&(0, n.clone())).is_none_or(|i| i.expire_at.is_some_and(|at| at <= now));
        self.scan.must.retain(|n| !due(n));
        let mut seen = Vec::new();
        let scanned =
            self.store.scan(DbIndex(0), self.scan.cursor, count, now, &mut |key, _| seen.push(key.to_vec())).unwrap();
        self.scan.seen.extend(seen);
        self.scan.cursor = scanned.cursor;
        assert!(self.scan.seen.is_subset(&self.scan.may), "a scan gives only keys that were there");
        if scanned.cursor == 0 {
            let missed: Vec<_> = self.scan.must.difference(&self.scan.seen).collect();
            assert!(missed.is_empty(), "a scan misses {missed:?}");
        }
    }

    fn begin_walk(&mut self) {
        match self.store.snapshot() {
            None => assert!(self.walk.is_some()),
            Some(walker) => {
                assert!(self.walk.is_none());
                let cut = self.naive.map.clone();
                self.walk = Some(WalkCheck { walker, cut, given: BTreeMap::new() });
            }
        }
    }

    fn walk(&mut self, count: usize) {
        let now = self.naive.now;
        let Some(WalkCheck { walker, cut, given }) = &mut self.walk else { return };
        let more = walker.step(count, now, &mut |item| {
            assert_eq!(item.slot, Slot::of_key(item.key));
            let shown = (text_of(item.value), item.expire_at);
            let twice = given.insert((item.db.0, item.key.to_vec()), shown);
            assert!(twice.is_none(), "{item:?} was given twice");
        });
        if !more {
            let cut: BTreeMap<Name, _> = cut.iter().map(|(n, i)| (n.clone(), (i.text.clone(), i.expire_at))).collect();
            assert_eq!(*given, cut);
            self.walk = None;
        }
    }

    /// The whole contents and all counts.
    fn check(&mut self) {
        let now = self.naive.now;
        let mut got = BTreeMap::new();
        for db in 0..DBS {
            for slot in Slot::all() {
                let n = self.store.scan_slot(DbIndex(db), slot, WallMs(0), &mut |key, entry| {
                    // This time is before every expiry, so idle times mean nothing.
                    got.insert((db, key.to_vec()), Item { access_secs: 0, ..item_of(&entry, now) });
                });
                assert_eq!(self.store.slot_len(DbIndex(db), slot), n as u64);
            }
            let of_db = || self.naive.map.iter().filter(|(n, _)| n.0 == db);
            assert_eq!(self.store.len(DbIndex(db)), of_db().count() as u64);
            let expires = of_db().filter(|(_, i)| i.expire_at.is_some()).count();
            assert_eq!(self.store.expires_len(DbIndex(db)), expires as u64);
        }
        let shown = |(n, i): (&Name, &Item)| (n.clone(), Item { access_secs: 0, ..shown(n, i) });
        let expected: BTreeMap<Name, Item> = self.naive.map.iter().map(shown).collect();
        assert_eq!(got, expected);
        assert_eq!(self.store.is_empty(), expected.is_empty());
    }

    fn finish(mut self) {
        self.check();
        while self.walk.is_some() {
            self.walk(1000);
        }
        self.check();
        let empty = Store::new(StoreSettings { databases: DBS, seed: 7 }).memory_bytes(None);
        drop(self.store.flush(None));
        assert_eq!(self.store.memory_bytes(None), empty, "every byte that was counted in is counted out");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { ProptestConfig::default().cases },
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_is_its_naive_twin(steps in prop::collection::vec(steps(), 1..120)) {
        let mut bench = Bench::new();
        for step in &steps {
            bench.run(step);
        }
        bench.finish();
    }
}

#[test]
fn watched_keys_are_touched_by_what_changes_them() {
    let store = Arc::new(Store::new(StoreSettings { databases: 2, seed: 1 }));
    let now = WallMs(5000);
    let slot = Slot::of_key(b"k");
    let flagged = |act: &dyn Fn()| {
        let flag = WatchFlag::new();
        let watch = |v: &mut View<'_>| v.watch(&v.key(b"k"), &flag);
        watch(&mut store.view(slot, DbIndex(0), now, Expiry::Delete));
        act();
        let mut view = store.view(slot, DbIndex(0), now, Expiry::Delete);
        view.unwatch(&view.key(b"k"), &flag);
        flag.is_set()
    };
    let set = |db, key: &[u8]| {
        let mut view = store.view(Slot::of_key(key), DbIndex(db), now, Expiry::Delete);
        view.set_str(&view.key(key), b"v", Expire::Never);
    };
    assert!(flagged(&|| set(0, b"k")));
    assert!(!flagged(&|| set(1, b"k")), "another database");
    assert!(!flagged(&|| set(0, b"other")), "another key");
    assert!(flagged(&|| store.swap_dbs(DbIndex(0), DbIndex(1), WallMs(0))));
    assert!(flagged(&|| drop(store.replace_contents(store.sibling()))));
    assert!(!flagged(&|| drop(store.flush(None))), "nothing was there");
    set(0, b"k");
    assert!(!flagged(&|| drop(store.flush(Some(DbIndex(1))))));
    assert!(flagged(&|| drop(store.flush(None))));
    set(0, b"k");
    assert!(flagged(&|| drop(store.view(slot, DbIndex(0), now, Expiry::Delete).clear_slot(slot))));
    assert_eq!(store.dirty(), 6, "five keys set and one cleared");
}

#[test]
fn a_key_whose_time_has_come_is_swapped_unseen() {
    let store = Store::new(StoreSettings { databases: 2, seed: 7 });
    let (now, later) = (WallMs(1000), WallMs(2000));
    let slot = Slot::of_key(b"k");
    let mut view = store.view(slot, DbIndex(0), now, Expiry::Delete);
    view.set_str(&view.key(b"k"), b"v", Expire::At(WallMs(1500)));
    drop(view);
    let flag = WatchFlag::default();
    let mut view = store.view(slot, DbIndex(1), now, Expiry::Delete);
    view.watch(&view.key(b"k"), &flag);
    drop(view);
    store.swap_dbs(DbIndex(0), DbIndex(1), later);
    assert!(!flag.is_set(), "it was missing, and nobody sees what came");
    store.swap_dbs(DbIndex(0), DbIndex(1), now);
    assert!(flag.is_set(), "before its time it is a change");
}
