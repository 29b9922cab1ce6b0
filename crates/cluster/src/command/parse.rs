//! From the words of CLUSTER to a typed request, with upstream's errors (cluster-bus 8, 11.3, 12.1). Subcommands that
//! the data plane answers (KEYSLOT, COUNTKEYSINSLOT, MYID and the like) are none of this crate's.

use crate::command::{ClusterCommand, FailoverMode, SetSlot};
use crate::topology::Audience;
use baton_base::num::{parse_i64, parse_u64};
use baton_base::{Epoch, Slot};

type Parsed = Result<ClusterCommand, String>;

const BAD_SLOT: &str = "ERR Invalid or out of range slot";
const SYNTAX: &str = "ERR syntax error";
const BAD_SETSLOT: &str = "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP";

impl ClusterCommand {
    /// Reads the words after CLUSTER. Gives nothing for a subcommand that is not the cluster machine's. SETSLOT's
    /// TIMEOUT is checked and left to whoever replicates the command first.
    pub fn parse(words: &[&[u8]], audience: Audience) -> Result<Option<ClusterCommand>, String> {
        let Some((sub, args)) = words.split_first() else { return Ok(None) };
        let sub = String::from_utf8_lossy(sub).to_ascii_lowercase();
        let parsed = match (sub.as_str(), args) {
            ("meet", [ip, port, rest @ ..]) if rest.len() < 2 => meet(ip, port, rest.first().copied()),
            ("forget", [id]) => Ok(ClusterCommand::Forget(text(id))),
            ("replicate", [no, one]) if word_is(no, "no") && word_is(one, "one") => Ok(ClusterCommand::ReplicateNoOne),
            ("replicate", [id]) => Ok(ClusterCommand::Replicate(text(id))),
            ("addslots", [_, ..]) => slots(args).map(ClusterCommand::AddSlots),
            ("delslots", [_, ..]) => slots(args).map(ClusterCommand::DelSlots),
            ("addslotsrange", [_, _, ..]) if args.len() % 2 == 0 => ranges(args).map(ClusterCommand::AddSlots),
            ("delslotsrange", [_, _, ..]) if args.len() % 2 == 0 => ranges(args).map(ClusterCommand::DelSlots),
            ("flushslots", []) => Ok(ClusterCommand::FlushSlots),
            ("setslot", [slot, action, rest @ ..]) => set_slot(slot, action, rest),
            ("set-config-epoch", [n]) => config_epoch(n),
            ("bumpepoch", []) => Ok(ClusterCommand::BumpEpoch),
            ("reset", []) => Ok(ClusterCommand::Reset { hard: false }),
            ("reset", [word]) => reset(word),
            ("failover", options) => failover(options),
            ("saveconfig", []) => Ok(ClusterCommand::SaveConfig),
            ("count-failure-reports", [id]) => Ok(ClusterCommand::CountFailureReports(text(id))),
            ("nodes", []) => Ok(ClusterCommand::Nodes(audience)),
            ("info", []) => Ok(ClusterCommand::Info),
            ("slots", []) => Ok(ClusterCommand::Slots),
            ("shards", []) => Ok(ClusterCommand::Shards),
            ("replicas" | "slaves", [id]) => Ok(ClusterCommand::Replicas(text(id), audience)),
            ("links", []) => Ok(ClusterCommand::Links),
            (known, _) if OURS.contains(&known) => {
                Err(format!("ERR wrong number of arguments for 'cluster|{known}' command"))
            }
            _ => return Ok(None),
        };
        parsed.map(Some)
    }
}

const OURS: [&str; 22] = [
    "meet",
    "forget",
    "replicate",
    "addslots",
    "delslots",
    "addslotsrange",
    "delslotsrange",
    "flushslots",
    "setslot",
    "set-config-epoch",
    "bumpepoch",
    "reset",
    "saveconfig",
    "count-failure-reports",
    "nodes",
    "info",
    "slots",
    "shards",
    "replicas",
    "slaves",
    "links",
    "failover",
];

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

fn word_is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn meet(ip: &[u8], port: &[u8], bus_port: Option<&[u8]>) -> Parsed {
    let base = parse_i64(port).ok_or_else(|| format!("ERR Invalid base port specified: {}", text(port)))?;
    let bus = match bus_port {
        Some(word) => parse_i64(word).ok_or_else(|| format!("ERR Invalid bus port specified: {}", text(word)))?,
        None => base.saturating_add(10_000),
    };
    let port = u16::try_from(base).map_err(|_| "ERR Port number is out of range".to_owned())?;
    let bus_port = u16::try_from(bus).map_err(|_| "ERR Cluster bus port number is out of range".to_owned())?;
    Ok(ClusterCommand::Meet { ip: text(ip), port, bus_port })
}

fn slot(word: &[u8]) -> Result<Slot, String> {
    let number = parse_i64(word).and_then(|n| u16::try_from(n).ok());
    number.and_then(Slot::new).ok_or_else(|| BAD_SLOT.to_owned())
}

fn slots(words: &[&[u8]]) -> Result<Vec<Slot>, String> {
    words.iter().map(|word| slot(word)).collect()
}

/// The slots of all ranges, in the order given and with repetitions: whoever acts on them refuses those.
fn ranges(words: &[&[u8]]) -> Result<Vec<Slot>, String> {
    let mut out = Vec::new();
    for pair in words.chunks_exact(2) {
        let (start, end) = (slot(pair[0])?, slot(pair[1])?);
        if start > end {
            return Err(format!("ERR start slot number {start} is greater than end slot number {end}"));
        }
        // A repetition is refused anyway; without this bound many whole ranges would cost memory first.
        if out.len() <= Slot::COUNT {
            out.extend((start.number()..=end.number()).filter_map(Slot::new));
        }
    }
    Ok(out)
}

fn set_slot(slot_word: &[u8], action: &[u8], rest: &[&[u8]]) -> Parsed {
    let slot = slot(slot_word)?;
    let (action, rest) = match (text(action).to_ascii_lowercase().as_str(), rest) {
        ("stable", rest) => (SetSlot::Stable, rest),
        ("importing", [id, rest @ ..]) => (SetSlot::Importing(text(id)), rest),
        ("migrating", [id, rest @ ..]) => (SetSlot::Migrating(text(id)), rest),
        ("node", [id, rest @ ..]) => (SetSlot::Node(text(id)), rest),
        _ => return Err(BAD_SETSLOT.to_owned()),
    };
    match rest {
        [] => {}
        [word] if word_is(word, "timeout") => return Err("ERR Missing timeout value".to_owned()),
        [word, value] if word_is(word, "timeout") => {
            let value = parse_i64(value).ok_or("ERR timeout is not an integer or out of range")?;
            if value < 0 {
                return Err("ERR timeout is negative".to_owned());
            }
        }
        _ => return Err(BAD_SETSLOT.to_owned()),
    }
    Ok(ClusterCommand::SetSlot { slot, action })
}

fn config_epoch(word: &[u8]) -> Parsed {
    let epoch = parse_u64(word).filter(|n| i64::try_from(*n).is_ok());
    let epoch = epoch.ok_or_else(|| format!("ERR Invalid config epoch specified: {}", text(word)))?;
    Ok(ClusterCommand::SetConfigEpoch(Epoch(epoch)))
}

fn reset(word: &[u8]) -> Parsed {
    let hard = word_is(word, "hard");
    if hard || word_is(word, "soft") { Ok(ClusterCommand::Reset { hard }) } else { Err(SYNTAX.to_owned()) }
}

/// Options come in any order; TAKEOVER implies FORCE.
fn failover(options: &[&[u8]]) -> Parsed {
    let (mut mode, mut replica_id) = (FailoverMode::Default, None);
    let mut rest = options;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        if word_is(word, "takeover") {
            mode = FailoverMode::Takeover;
        } else if word_is(word, "force") {
            if mode == FailoverMode::Default {
                mode = FailoverMode::Force;
            }
        } else if let (true, Some((id, after))) = (word_is(word, "replicaid"), rest.split_first()) {
            replica_id = Some(text(id));
            rest = after;
        } else {
            return Err(SYNTAX.to_owned());
        }
    }
    Ok(ClusterCommand::Failover { mode, replica_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<ClusterCommand>, String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        ClusterCommand::parse(&words, Audience::default())
    }

    fn number(n: u16) -> Slot {
        Slot::new(n).unwrap()
    }

    #[test]
    fn words_become_requests() {
        let meet = ClusterCommand::Meet { ip: "1.2.3.4".to_owned(), port: 7000, bus_port: 17000 };
        assert_eq!(parse("MEET 1.2.3.4 7000"), Ok(Some(meet)));
        let slots = vec![number(1), number(2), number(3), number(9)];
        assert_eq!(parse("addslotsrange 1 3 9 9"), Ok(Some(ClusterCommand::AddSlots(slots))));
        assert_eq!(parse("replicate no one"), Ok(Some(ClusterCommand::ReplicateNoOne)));
        let stable = ClusterCommand::SetSlot { slot: number(5), action: SetSlot::Stable };
        assert_eq!(parse("setslot 5 stable timeout 10"), Ok(Some(stable)));
        let order = ClusterCommand::Failover { mode: FailoverMode::Takeover, replica_id: Some("x".to_owned()) };
        assert_eq!(parse("failover takeover replicaid x force"), Ok(Some(order)));
        assert_eq!(parse("keyslot a"), Ok(None), "the data plane's");
    }

    #[test]
    fn errors_are_upstreams() {
        for (line, error) in [
            ("meet ::1 x", "ERR Invalid base port specified: x"),
            ("meet ::1 1 x", "ERR Invalid bus port specified: x"),
            ("meet ::1 70000 1", "ERR Port number is out of range"),
            ("meet ::1 60000", "ERR Cluster bus port number is out of range"),
            ("meet ::1", "ERR wrong number of arguments for 'cluster|meet' command"),
            ("addslots 16384", BAD_SLOT),
            ("addslotsrange 5 4", "ERR start slot number 5 is greater than end slot number 4"),
            ("addslotsrange 5", "ERR wrong number of arguments for 'cluster|addslotsrange' command"),
            ("setslot 1 upwards", BAD_SETSLOT),
            ("setslot 1 stable timeout", "ERR Missing timeout value"),
            ("setslot 1 stable timeout x", "ERR timeout is not an integer or out of range"),
            ("setslot 1 stable timeout -1", "ERR timeout is negative"),
            ("set-config-epoch -1", "ERR Invalid config epoch specified: -1"),
            ("reset firmly", SYNTAX),
            ("failover now", SYNTAX),
            ("failover replicaid", SYNTAX),
        ] {
            assert_eq!(parse(line), Err(error.to_owned()), "{line}");
        }
    }
}
