//! The smallest thing that runs requests the way a server does: one client, one store, a clock that stands still, and a
//! journal that is a list of lines.

use baton_base::quote::split_words;
use baton_base::{Rng, Slot, WallMs};
use baton_commands::{
    CommandSpec, Effects, Emptied, Env, Exec, Fail, LazyFree, Propagate, Run, StoreExec, Waits, WorldExec, db_index,
    find, key_positions,
};
use baton_resp::{Args, Out, OwnedArgs, Proto};
use baton_store::{DbIndex, Expiry, Key, Store, StoreSettings, ViewOutcome};

/// When transcripts begin.
const START: WallMs = WallMs(1_800_000_000_000);

pub(crate) struct Client {
    pub store: Store,
    pub(crate) env: Env,
    pub(crate) expiry: Expiry,
    pub(crate) touch: bool,
    db: DbIndex,
    pub(crate) now: WallMs,
    out: Out,
    rng: Rng,
}

impl Client {
    pub(crate) fn new() -> Client {
        Client {
            store: Store::new(StoreSettings { databases: 16, seed: 7 }),
            env: Env::default(),
            expiry: Expiry::Delete,
            touch: true,
            db: DbIndex(0),
            now: START,
            out: Out::default(),
            rng: Rng::new(1),
        }
    }

    /// Follows a `!` line.
    pub(crate) fn direct(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("sleep", ms)) => self.now.0 += ms.parse::<u64>().expect("milliseconds"),
            Some(("stream-node-max-entries", n)) => self.env.limits.stream_node_entries = n.parse().expect("a number"),
            _ if line == "resp3" => self.out.proto = Proto::V3,
            _ => panic!("unknown direction {line:?}"),
        }
    }

    /// Runs a request; gives the bytes of the reply.
    pub(crate) fn reply(&mut self, line: &str) -> Vec<u8> {
        self.run_line(line);
        self.out.buf.clone()
    }

    /// Runs a request; gives the reply and the effects in transcript form.
    pub(crate) fn run_line(&mut self, line: &str) -> Vec<String> {
        let words = split_words(line.as_bytes()).expect("balanced quotes");
        let request = OwnedArgs::from_slices(&words);
        let mut log = Vec::new();
        self.out.buf.clear();
        if let Err(fail) = self.run(request.as_args(), &mut log) {
            fail.write(&mut self.out);
        }
        let reply = escaped(&self.out.buf);
        std::iter::once(format!("< {reply}")).chain(log.into_iter().map(|l| format!("= {l}"))).collect()
    }

    fn run(&mut self, args: Args<'_>, log: &mut Vec<String>) -> Result<(), Fail> {
        if args.name().eq_ignore_ascii_case(b"SELECT") {
            self.db = db_index(&args[1], self.store.databases())?;
            self.out.ok();
            return Ok(());
        }
        let spec = find(args)?;
        let mut effects = Effects::new();
        match spec.run {
            Run::Keyspace(run) => self.on_keys(spec, run, args, &mut effects, log),
            Run::Store(run) => self.on_store(run, args, log),
            Run::World(run) => self.on_world(run, args, &mut effects, log),
            Run::Registry(run) => run(args, &mut self.out),
            Run::Node(_) | Run::Container => panic!("{spec:?} needs a server"),
        }
    }

    fn on_keys(
        &mut self,
        spec: &CommandSpec,
        run: fn(&mut Exec<'_, '_>) -> Result<(), Fail>,
        args: Args<'_>,
        effects: &mut Effects,
        log: &mut Vec<String>,
    ) -> Result<(), Fail> {
        let positions = key_positions(spec, args).unwrap_or_default();
        let keys: Vec<Key<'_>> = positions.iter().map(|p| self.store.key(args.at(p.index as usize))).collect();
        let mut slots: Vec<Slot> = keys.iter().map(|k| k.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut view = match spec.reaches_all(args) {
            true => self.store.view_all(self.db, self.now, self.expiry),
            false => self.store.view_many(&slots, self.db, self.now, self.expiry),
        };
        let (out, rng, env, touch) = (&mut self.out, &mut self.rng, &self.env, self.touch);
        let mut x = Exec {
            view: &mut view,
            args,
            keys: &keys,
            out,
            effects,
            rng,
            env,
            touch,
            waits: Waits::Never,
            in_script: false,
        };
        let result = run(&mut x);
        let outcome = view.take_outcome();
        self.log_expired(&outcome, log);
        log_effects(effects, outcome.dirty, args, self.now, log);
        result
    }

    fn on_store(
        &mut self,
        run: fn(&mut StoreExec<'_>) -> Result<(), Fail>,
        args: Args<'_>,
        log: &mut Vec<String>,
    ) -> Result<(), Fail> {
        let mut x = StoreExec {
            store: &self.store,
            db: self.db,
            now: self.now,
            args,
            out: &mut self.out,
            rng: &mut self.rng,
            env: &self.env,
            due: Vec::new(),
            waits: Waits::Never,
            left: None,
        };
        let result = run(&mut x);
        for name in std::mem::take(&mut x.due) {
            let key = self.store.key(&name);
            let mut view = self.store.view(key.slot, self.db, self.now, self.expiry);
            view.exists(&key);
            let outcome = view.take_outcome();
            self.log_expired(&outcome, log);
        }
        result
    }

    fn on_world(
        &mut self,
        run: fn(&mut WorldExec<'_>) -> Result<(), Fail>,
        args: Args<'_>,
        effects: &mut Effects,
        log: &mut Vec<String>,
    ) -> Result<(), Fail> {
        let mut x = WorldExec {
            store: &self.store,
            db: self.db,
            now: self.now,
            args,
            out: &mut self.out,
            effects,
            env: &self.env,
            dirty: 0,
            garbage: Vec::new(),
            free_now: false,
            emptied: Emptied::Nothing,
        };
        let result = run(&mut x);
        let dirty = x.dirty;
        log_effects(effects, dirty, args, self.now, log);
        result
    }

    fn log_expired(&self, outcome: &ViewOutcome, log: &mut Vec<String>) {
        for (_, key) in &outcome.expired {
            let name = String::from_utf8_lossy(LazyFree::delete_name(self.env.lazy.expire)).into_owned();
            log.push(format!("{name} {}", quoted(key)));
        }
    }
}

fn log_effects(effects: &Effects, dirty: u64, args: Args<'_>, now: WallMs, log: &mut Vec<String>) {
    match effects.propagate(dirty) {
        Propagate::Nothing => {}
        Propagate::Verbatim => log.push(shown(args, now)),
        Propagate::Ops => log.extend(effects.ops().map(|(_, op)| shown(op, now))),
    }
}

fn shown(args: Args<'_>, now: WallMs) -> String {
    args.iter().map(|word| relative(word, now).unwrap_or_else(|| quoted(word))).collect::<Vec<_>>().join(" ")
}

/// A time near the present one, as its distance.
fn relative(word: &[u8], now: WallMs) -> Option<String> {
    let at = baton_base::num::parse_u64(word)?;
    let ms = at.checked_sub(now.0).filter(|ms| *ms < 20_000_000_000)?;
    Some(format!("{{+{ms}}}"))
}

fn quoted(word: &[u8]) -> String {
    let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(b));
    if plain { String::from_utf8_lossy(word).into_owned() } else { baton_base::quote::quoted(word) }
}

fn escaped(bytes: &[u8]) -> String {
    let quoted = baton_base::quote::quoted(bytes).replace("\\\"", "\"");
    quoted[1..quoted.len() - 1].to_string()
}
