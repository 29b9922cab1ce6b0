//! Drives one machine by verbs, one a line, and prints what comes out. Nodes are single letters, times are
//! milliseconds.

use baton_base::{Epoch, Mono, NodeId, Offset};
use baton_handover::{
    Effect, Handover, Input, Kind, Limits, Outcome, Promotion, Replica, ReplicaState, Request, Token,
};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

pub(crate) struct Rig {
    pub(crate) machine: Handover,
    pub(crate) now: Mono,
    /// Votes are there as soon as they are asked for.
    prompt_votes: bool,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig { machine: Handover::new(Limits::default()), now: Mono::ZERO, prompt_votes: true }
    }

    /// Carries out one verb; gives the effects, one a line, and where the machine is then.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "at" => {
                self.now = millis(rest);
                return String::new();
            }
            "slow-votes" => {
                self.prompt_votes = false;
                return String::new();
            }
            "wait" => {
                assert_ne!(self.machine.next_wake(), Mono::NEVER, "nothing is waited for");
                self.now = self.machine.next_wake();
                self.machine.handle(self.now, Input::Tick);
            }
            _ => self.machine.handle(self.now, self.input(verb, rest)),
        }
        self.machine.validate();
        self.trace()
    }

    fn trace(&mut self) -> String {
        let mut out = String::new();
        while let Some(effect) = self.machine.poll_effect() {
            writeln!(out, "  {}", effect_text(&effect)).unwrap();
            if let Effect::Canvass { target } = effect
                && self.prompt_votes
            {
                self.machine.handle(self.now, Input::Canvassed { target });
            }
        }
        let wake = self.machine.next_wake();
        assert!(wake > self.now, "the machine waits for a time that has come");
        writeln!(out, "  = {}, until {}", self.machine.phase().token(), time_text(wake)).unwrap();
        out
    }

    fn input(&self, verb: &str, rest: &str) -> Input {
        let mut words = rest.split_whitespace();
        match verb {
            "request" => Input::Request(request(rest)),
            "replicas" => Input::Replicas(words.map(|word| self.replica(word)).collect()),
            "offset" => Input::Offset(Offset(number(rest))),
            "fenced" => Input::Fenced { offset: Offset(number(rest)) },
            "claim" => {
                Input::SuccessorSeen { node: node(words.next().unwrap()), epoch: Epoch(number(words.next().unwrap())) }
            }
            "withdrawn" => Input::Withdrawn { target: node(rest) },
            "canvassed" => Input::Canvassed { target: node(rest) },
            "gone" => Input::Gone { target: node(rest) },
            "asked" => Input::Asked { target: node(rest) },
            "redirected" => Input::Redirected,
            "clients" => Input::ClientsLeft(number(rest) as usize),
            "saved" => Input::Saved { ok: rest == "ok" },
            "expected" => Input::Expected(rest == "back"),
            "quorum" => Input::Quorum(rest == "back"),
            "abort" => Input::Abort,
            "stood" => Input::Stood,
            "tick" => Input::Tick,
            _ => panic!("unknown verb {verb}"),
        }
    }

    /// Reads `a=100`, with options after commas: when it acknowledged (`at=`), `sync`, `incomplete`, `nameless`,
    /// `v=7`, `prio=`, `far`.
    fn replica(&self, word: &str) -> Replica {
        let mut parts = word.split(',');
        let (name, acked) = parts.next().unwrap().split_once('=').unwrap();
        let mut replica = replica(name, number(acked), self.now);
        for option in parts {
            match option.split_once('=').unwrap_or((option, "")) {
                ("at", ms) => replica.acked_at = millis(ms),
                ("sync", _) => replica.state = ReplicaState::SendBulk,
                ("incomplete", _) => replica.complete = false,
                ("nameless", _) => replica.id = None,
                ("v", major) => replica.version = (number(major) as u32) << 16,
                ("prio", priority) => replica.priority = number(priority) as u32,
                ("far", _) => replica.same_zone = false,
                _ => panic!("unknown option {option}"),
            }
        }
        replica
    }
}

pub(crate) fn replica(name: &str, acked: u64, acked_at: Mono) -> Replica {
    Replica {
        addr: name.to_owned(),
        id: Some(node(name)),
        state: ReplicaState::Online,
        complete: true,
        acked: Offset(acked),
        acked_at,
        version: 0x0009_0102,
        priority: 100,
        same_zone: true,
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new([name.as_bytes()[0]; 40]).unwrap()
}

/// Reads `sigterm 1 timeout=10000|patient target=a announce|nobody|takeover force regardless`.
fn request(text: &str) -> Request {
    let mut words = text.split_whitespace();
    let kind = match words.next().unwrap() {
        "sigterm" => Kind::Sigterm,
        "shutdown" => Kind::ShutdownFailover,
        "command" => Kind::Command,
        other => panic!("unknown kind {other}"),
    };
    let mut request = Request {
        kind,
        token: Token(number(words.next().unwrap())),
        target: None,
        promotion: Promotion::Order,
        timeout: Duration::from_secs(if kind.exits() { 10 } else { 5 }),
        force: false,
        regardless: false,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("timeout", ms) => request.timeout = Duration::from_millis(number(ms)),
            ("target", name) => request.target = Some(node(name)),
            ("announce", _) => request.promotion = Promotion::Announce,
            ("nobody", _) => request.promotion = Promotion::Nobody,
            ("takeover", _) => request.promotion = Promotion::Takeover,
            ("patient", _) => request.timeout = Duration::MAX,
            ("force", _) => request.force = true,
            ("regardless", _) => request.regardless = true,
            _ => panic!("unknown option {word}"),
        }
    }
    request
}

fn effect_text(effect: &Effect) -> String {
    let letter = |id: &NodeId| id.as_str()[..1].to_owned();
    match effect {
        Effect::Fence { until, ask } => {
            format!("fence{}, backstop {}", if *ask { " and ask" } else { "" }, time_text(*until))
        }
        Effect::AskTakeover { target } => format!("ask {} to take over", letter(target)),
        Effect::ResumePrimary => "be primary again".into(),
        Effect::Unfence => "unfence".into(),
        Effect::AskAck => "ask-ack".into(),
        Effect::Canvass { target } => format!("canvass {}", letter(target)),
        Effect::OrderPromotion { target, .. } => format!("order {}", letter(target)),
        Effect::AnnouncePaused { target, offset, .. } => format!("announce to {} at {offset}", letter(target)),
        Effect::WithdrawPromotion { target } => format!("withdraw {}", letter(target)),
        Effect::Redirect { successor, epoch } => format!("redirect to {} epoch {epoch}", letter(successor)),
        Effect::FinalSave => "final-save".into(),
        Effect::Exit => "exit".into(),
        Effect::Joined { token, with } => format!("{} joins {}", token.0, with.0),
        Effect::Finished { token, outcome } => {
            let outcome = match outcome {
                Outcome::HandedOver { successor, epoch } => format!("handed over to {} {epoch}", letter(successor)),
                other => format!("{other:?}"),
            };
            format!("finished {}: {outcome}", token.0)
        }
        Effect::Log { level, text } => {
            let text =
                ('a'..='z').fold(text.clone(), |text, c| text.replace(&c.to_string().repeat(40), &c.to_string()));
            format!("log {level:?}: {text}")
        }
        Effect::Timeline(record) => {
            format!("-- {} at {} offset {}", record.phase.token(), time_text(record.at), record.offset)
        }
    }
}

fn time_text(at: Mono) -> String {
    if at == Mono::NEVER {
        return "an input".into();
    }
    let (ms, us) = (at.as_micros() / 1000, at.as_micros() % 1000);
    if us == 0 { format!("{ms}") } else { format!("{ms}.{us:03}") }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn millis(text: &str) -> Mono {
    let (ms, fraction) = text.split_once('.').unwrap_or((text, "0"));
    Mono::from_micros(number(ms) * 1000 + number(&format!("{fraction:0<3}")))
}

/// Compares with the recorded file, or records.
pub(crate) fn check(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handover").join(file);
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    for (n, (old, new)) in recorded.lines().zip(found.lines()).enumerate() {
        assert_eq!(new, old, "line {} of {file}", n + 1);
    }
    assert_eq!(found.lines().count(), recorded.lines().count(), "length of {file}");
}
