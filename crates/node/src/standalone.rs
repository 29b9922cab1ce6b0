//! Handovers outside of clusters: replicas get names that the handover machine can tell them apart by, FAILOVER becomes a
//! request to it, and what the replication link hears becomes its inputs. Decides nothing that the machine decides.

use crate::effect::Effect;
use crate::glue::Moment;
use crate::node::Node;
use baton_base::{Epoch, NodeId, hex};
use baton_cluster::Token;
use baton_handover as handover;
use baton_handover::{Kind, Outcome, Promotion, Replica, Request};
use std::time::Duration;

/// Names replicas after their addresses: outside of clusters they have no names of their own. One without an address that
/// could be connected to stays nameless, so it can't take over.
pub(crate) fn name_all(replicas: &mut [Replica]) {
    for replica in replicas {
        replica.id = can_be_asked(replica).then(|| name_of(&replica.addr));
    }
}

/// Whether a replica said where it can be reached. Tools that only listen to the stream don't.
pub(crate) fn can_be_asked(replica: &Replica) -> bool {
    place_of(&replica.addr).is_some()
}

/// A name that follows from an address alone. Forty hexadecimal digits of a hash: only equal addresses share one.
fn name_of(addr: &str) -> NodeId {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut name = [0; 40];
    for (round, digits) in name.chunks_mut(16).enumerate() {
        let mut hash = FNV_OFFSET ^ round as u64;
        for byte in addr.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        for (n, digit) in digits.iter_mut().enumerate() {
            *digit = hex::DIGITS[(hash >> (4 * n)) as usize & 15];
        }
    }
    NodeId::new(name).expect("hexadecimal digits make a name")
}

/// Host and port of an address as replicas are named; none for one that announced no port.
fn place_of(addr: &str) -> Option<(String, u16)> {
    let (host, port) = addr.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

impl Node {
    /// FAILOVER.
    pub(crate) fn fail_over(
        &mut self,
        at: &Moment<'_>,
        token: Token,
        target: Option<String>,
        timeout: Option<Duration>,
        force: bool,
    ) {
        if self.cluster.is_some() {
            self.effects.push_back(Effect::Finished { token, outcome: Outcome::Refused });
            return;
        }
        self.wanted.clone_from(&target);
        self.witness_request(Kind::Command, true);
        let request = Request {
            kind: Kind::Command,
            token: handover::Token(token.0),
            target: target.as_deref().map(name_of),
            promotion: Promotion::Takeover,
            timeout: timeout.unwrap_or(Duration::MAX),
            force: false,
            regardless: force,
        };
        self.handover.handle(at.now, handover::Input::Request(request));
    }

    /// The machine wants this replica asked. One that FAILOVER FORCE names may have left already.
    pub(crate) fn ask_takeover(&mut self, at: &Moment<'_>, target: NodeId) {
        let attached = self.replicas.iter().map(|replica| &replica.addr);
        let addr = attached.chain(&self.wanted).find(|addr| name_of(addr) == target);
        match addr.and_then(|addr| place_of(addr)) {
            Some((host, port)) => {
                self.heir = Some(target);
                self.effects.push_back(Effect::AskTakeover { host, port });
            }
            None => self.handover.handle(at.now, handover::Input::Withdrawn { target }),
        }
    }

    /// The request is on its way.
    pub(crate) fn note_asked(&mut self, at: &Moment<'_>) {
        if let Some(target) = self.heir {
            self.handover.handle(at.now, handover::Input::Asked { target });
        }
    }

    /// The replica has ended.
    pub(crate) fn note_takeover_gone(&mut self, at: &Moment<'_>) {
        if let Some(target) = self.heir {
            self.handover.handle(at.now, handover::Input::Gone { target });
        }
    }

    /// The replica agreed, or refused. It may agree late, when the node has given up and is about to exit.
    pub(crate) fn note_takeover(&mut self, at: &Moment<'_>, accepted: bool) {
        let input = match (self.heir, accepted) {
            (None, _) => return,
            (Some(node), true) => handover::Input::SuccessorSeen { node, epoch: Epoch(0) },
            (Some(target), false) => handover::Input::Withdrawn { target },
        };
        self.handover.handle(at.now, input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_addresses() {
        assert_eq!(name_of("127.0.0.1:7001"), name_of("127.0.0.1:7001"));
        let mut names: Vec<_> = (0..10_000).map(|port| name_of(&format!("10.0.0.1:{port}"))).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 10_000);
    }

    #[test]
    fn places_are_read_as_replicas_are_named() {
        assert_eq!(place_of("10.0.0.1:7001"), Some(("10.0.0.1".into(), 7001)));
        assert_eq!(place_of("[::1]:7001"), Some(("::1".into(), 7001)));
        assert_eq!(place_of("db.example.org:7001"), Some(("db.example.org".into(), 7001)));
        for nowhere in ["10.0.0.1:<unknown-replica-port>", "client id #7", "10.0.0.1:0", "10.0.0.1:70000"] {
            assert_eq!(place_of(nowhere), None, "{nowhere}");
        }
    }
}
