//! Reads the text of nodes.conf (cluster-bus 12.3) into plain data. It must never panic, whatever the text; a wrong
//! file is an error, because starting with a guess about epochs or slots could break the cluster.

use crate::node::{Address, Labels};
use crate::record::Victory;
use crate::voters::Voters;
use baton_base::{Epoch, NodeId, ShardId, Slot, SlotBitmap};
use baton_wire::{IpText, NodeFlags};
use std::collections::{BTreeMap, BTreeSet};

/// One node line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoredNode {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub address: Address,
    /// What it announced.
    pub labels: Labels,
    /// Its shard, if the file names it.
    pub shard: Option<ShardId>,
    /// Its flags.
    pub flags: NodeFlags,
    /// The primary of a replica.
    pub primary: Option<NodeId>,
    /// A ping was outstanding when the file was written.
    pub ping_outstanding: bool,
    /// A PONG had been received.
    pub pong_seen: bool,
    /// Its configuration epoch; 0 for a replica, whose line carries its primary's.
    pub config_epoch: Epoch,
    /// The slots it owns.
    pub slots: SlotBitmap,
}

/// The whole file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Which node is this one.
    pub me: NodeId,
    /// All nodes in the order of the file.
    pub nodes: Vec<RestoredNode>,
    /// Open slots of this node that leave.
    pub migrating: BTreeMap<Slot, NodeId>,
    /// Open slots of this node that come.
    pub importing: BTreeMap<Slot, NodeId>,
    /// currentEpoch, never below any configuration epoch.
    pub current_epoch: Epoch,
    /// lastVoteEpoch.
    pub last_vote_epoch: Epoch,
    /// The victory of the record that was merged ([`Restored::merge`]); the file itself has none.
    pub victory: Option<Victory>,
    /// Who decides; upstream's rule if the file says nothing.
    pub voters: Voters,
    /// What was repaired or skipped, for the log.
    pub notices: Vec<String>,
}

impl Restored {
    /// Whether this node holds nothing by the file, so that it may begin to be a witness.
    pub fn can_be_witness(&self) -> bool {
        self.nodes
            .iter()
            .find(|n| n.id == self.me)
            .is_some_and(|n| n.slots.is_empty() && !n.flags.contains(NodeFlags::REPLICA))
    }
}

/// Why the text is no configuration; each is fatal at start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfError {
    /// Fewer than eight fields, a bad number, address, flag, attribute or slot.
    #[error("line {0} is malformed")]
    Malformed(usize),
    /// Two lines for one id.
    #[error("line {0} repeats a node")]
    Duplicate(usize),
    /// No line says `myself`, or two do.
    #[error("exactly one line must be this node's own")]
    Myself,
    /// There is no node at all: the file is empty, to be treated as missing.
    #[error("the file is empty")]
    Empty,
}

/// Reads a file. `tls_cluster` tells to which transport the port of a line without port attributes belongs.
pub fn parse(text: &[u8], tls_cluster: bool) -> Result<Restored, ConfError> {
    let mut reader = Reader { tls_cluster, ..Reader::default() };
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        reader.line(line, index + 1)?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    tls_cluster: bool,
    me: Option<NodeId>,
    nodes: Vec<RestoredNode>,
    seen: BTreeSet<NodeId>,
    migrating: BTreeMap<Slot, NodeId>,
    importing: BTreeMap<Slot, NodeId>,
    current_epoch: Epoch,
    last_vote_epoch: Epoch,
    voters: Voters,
    notices: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &[u8], number: usize) -> Result<(), ConfError> {
        let malformed = ConfError::Malformed(number);
        let line = std::str::from_utf8(line).map_err(|_| malformed.clone())?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => Ok(()),
            ["vars", pairs @ ..] => self.vars(pairs).ok_or(malformed),
            words if words.len() < 8 => Err(malformed),
            words => {
                let id = NodeId::parse(words[0].as_bytes()).map_err(|_| malformed.clone())?;
                if !self.seen.insert(id) {
                    return Err(ConfError::Duplicate(number));
                }
                self.node(id, words).ok_or(malformed)
            }
        }
    }

    fn vars(&mut self, pairs: &[&str]) -> Option<()> {
        for pair in pairs.chunks(2) {
            let [name, value] = pair else { return None };
            match *name {
                "currentEpoch" => self.current_epoch = self.current_epoch.max(Epoch(value.parse().ok()?)),
                "lastVoteEpoch" => self.last_vote_epoch = Epoch(value.parse().ok()?),
                "voters" => self.voters.read_list(value)?,
                "witnesses" => self.voters.read_witnesses(value)?,
                _ => self.notices.push(format!("Skipping unknown cluster config variable '{name}'")),
            }
        }
        Some(())
    }

    fn node(&mut self, id: NodeId, words: &[&str]) -> Option<()> {
        let (address, labels, shard) = self.place(words[1])?;
        let (flags, myself) = flags_from_text(words[2])?;
        if myself && self.me.replace(id).is_some() {
            return None;
        }
        let primary = match words[3] {
            "-" => None,
            text => Some(NodeId::parse(text.as_bytes()).ok()?),
        };
        let epoch = Epoch(words[6].parse().ok()?);
        self.current_epoch = self.current_epoch.max(epoch);
        let mut slots = SlotBitmap::new();
        for word in &words[8..] {
            if word.starts_with('[') {
                self.open_slot(word)?;
            } else {
                range_into(word, &mut slots)?;
            }
        }
        self.nodes.push(RestoredNode {
            id,
            address,
            labels,
            shard,
            flags,
            primary: if flags.contains(NodeFlags::REPLICA) { primary } else { None },
            ping_outstanding: words[4].parse::<u64>().ok()? > 0,
            pong_seen: words[5].parse::<u64>().ok()? > 0,
            config_epoch: if flags.contains(NodeFlags::REPLICA) { Epoch(0) } else { epoch },
            slots,
        });
        Some(())
    }

    /// Reads `ip:port[@cport][,hostname{,name=value}]`.
    fn place(&self, word: &str) -> Option<(Address, Labels, Option<ShardId>)> {
        let mut parts = word.split(',');
        let main = parts.next()?;
        let (ip, ports) = main.rsplit_once(':')?;
        let (port, bus_port) = match ports.split_once('@') {
            Some((port, bus)) => (port.parse::<u16>().ok()?, bus.parse::<u16>().ok()?),
            None => {
                let port: u16 = ports.parse().ok()?;
                (port, port.checked_add(10_000)?)
            }
        };
        let mut labels = Labels::default();
        if let Some(hostname) = parts.next() {
            labels.hostname = checked_aux(hostname)?;
        }
        let (mut tcp, mut tls, mut shard) = (None, None, None);
        for pair in parts {
            let (name, value) = pair.split_once('=')?;
            match name {
                "shard-id" => shard = Some(ShardId::parse(value.as_bytes()).ok()?),
                "nodename" => labels.nodename = checked_aux(value)?,
                "tcp-port" => tcp = Some(value.parse().ok()?),
                "tls-port" => tls = Some(value.parse().ok()?),
                "client-ipv4" => labels.client_ipv4 = value.parse::<std::net::Ipv4Addr>().ok()?.to_string(),
                "client-ipv6" => labels.client_ipv6 = value.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
                "client-tcp-port" => labels.client_port = value.parse().ok()?,
                "client-tls-port" => labels.client_tls_port = value.parse().ok()?,
                "availability-zone" => labels.availability_zone = checked_aux(value)?,
                _ => return None,
            }
        }
        let (tcp_port, tls_port) = match (tcp, tls) {
            // Files of older releases don't name a transport: the port is that of the cluster's own.
            (None, None) if self.tls_cluster => (0, port),
            (None, tls) => (port, tls.unwrap_or(0)),
            (Some(tcp), tls) => (tcp, tls.unwrap_or(port)),
        };
        Some((Address { ip: IpText::new(ip).ok()?, tcp_port, tls_port, bus_port }, labels, shard))
    }

    /// Reads `[slot->-id]` (leaves) or `[slot-<-id]` (comes).
    fn open_slot(&mut self, word: &str) -> Option<()> {
        let inner = word.strip_prefix('[')?.strip_suffix(']')?;
        if let Some((slot, id)) = inner.split_once("->-") {
            self.migrating.insert(slot_from_text(slot)?, NodeId::parse(id.as_bytes()).ok()?);
        } else {
            let (slot, id) = inner.split_once("-<-")?;
            self.importing.insert(slot_from_text(slot)?, NodeId::parse(id.as_bytes()).ok()?);
        }
        Some(())
    }

    fn finish(mut self) -> Result<Restored, ConfError> {
        if self.nodes.is_empty() {
            return Err(ConfError::Empty);
        }
        let me = self.me.ok_or(ConfError::Myself)?;
        self.agree_on_shards();
        let known = |id: &NodeId| self.seen.contains(id);
        self.migrating.retain(|_, id| known(id));
        self.importing.retain(|_, id| known(id));
        for node in &mut self.nodes {
            node.primary = node.primary.filter(|id| self.seen.contains(id));
        }
        Ok(Restored {
            me,
            nodes: self.nodes,
            migrating: self.migrating,
            importing: self.importing,
            current_epoch: self.current_epoch.max(self.last_vote_epoch),
            last_vote_epoch: self.last_vote_epoch,
            victory: None,
            voters: self.voters,
            notices: self.notices,
        })
    }

    /// A replica is of its primary's shard, whatever its line says (cluster-bus 6.7).
    fn agree_on_shards(&mut self) {
        let shards: BTreeMap<NodeId, Option<ShardId>> = self.nodes.iter().map(|n| (n.id, n.shard)).collect();
        for node in &mut self.nodes {
            let Some(Some(shard)) = node.primary.and_then(|p| shards.get(&p)) else { continue };
            if node.shard.is_some_and(|own| own != *shard) {
                self.notices.push(format!(
                    "Node {} has a different shard id ({}) than its primary's shard id. Updating it to {shard}.",
                    node.id,
                    node.shard.expect("just compared"),
                ));
            }
            node.shard = Some(*shard);
        }
    }
}

fn slot_from_text(text: &str) -> Option<Slot> {
    Slot::new(text.parse().ok()?)
}

fn range_into(word: &str, slots: &mut SlotBitmap) -> Option<()> {
    let (first, last) = match word.split_once('-') {
        Some((a, b)) => (slot_from_text(a)?, slot_from_text(b)?),
        None => (slot_from_text(word)?, slot_from_text(word)?),
    };
    for n in first.number()..=last.number() {
        slots.insert(Slot::new(n).expect("between two slots"));
    }
    Some(())
}

/// Whether a byte may stand in an announced name or an attribute of nodes.conf (cluster-bus 12.3).
pub fn is_aux_byte(byte: u8) -> bool {
    byte > 0x2C && byte != 0x7F && !b";<=>?@[]^{|}~\\".contains(&byte)
}

fn checked_aux(value: &str) -> Option<String> {
    value.bytes().all(is_aux_byte).then(|| value.to_owned())
}

/// The words of flags, in the order in which they are written.
pub(crate) const FLAG_WORDS: [(NodeFlags, &str); 8] = [
    (NodeFlags::MYSELF, "myself"),
    (NodeFlags::PRIMARY, "master"),
    (NodeFlags::REPLICA, "slave"),
    (NodeFlags::PFAIL, "fail?"),
    (NodeFlags::FAIL, "fail"),
    (NodeFlags::HANDSHAKE, "handshake"),
    (NodeFlags::NOADDR, "noaddr"),
    (NodeFlags::NOFAILOVER, "nofailover"),
];

/// Reads a list of flag words; the second value tells whether `myself` is among them. `noaddr` implies FAIL.
fn flags_from_text(text: &str) -> Option<(NodeFlags, bool)> {
    let mut flags = NodeFlags::empty();
    if text != "noflags" {
        for word in text.split(',') {
            flags |= match word {
                "primary" => NodeFlags::PRIMARY,
                "replica" => NodeFlags::REPLICA,
                _ => FLAG_WORDS.iter().find(|(_, w)| *w == word)?.0,
            };
        }
    }
    if flags.contains(NodeFlags::NOADDR) {
        flags.insert(NodeFlags::FAIL);
    }
    Some((flags, flags.contains(NodeFlags::MYSELF)))
}
