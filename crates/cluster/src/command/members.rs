//! Commands about nodes: MEET, FORGET, REPLICATE, RESET, and the debugging hooks of links.

use crate::cluster::{Cluster, Turn};
use crate::command::LinkSide;
use crate::effect::LogLevel;
use crate::node::Address;
use crate::roles::Resync;
use crate::show::ClusterReply;
use crate::voters::Voters;
use baton_base::{Epoch, NodeId, ShardId};
use baton_wire::{IpText, NodeFlags};
use std::net::IpAddr;

type Answer = Result<ClusterReply, String>;

impl Cluster {
    /// The node that a client names, or upstream's error.
    pub(crate) fn find(&self, text: &str) -> Result<NodeId, String> {
        let id = NodeId::parse(text.as_bytes()).ok().filter(|id| self.nodes.contains_key(id));
        id.ok_or_else(|| format!("ERR Unknown node {text}"))
    }

    pub(crate) fn meet(&mut self, turn: &Turn<'_>, ip: &str, port: u16, bus_port: u16) -> Answer {
        let numeric: Option<IpText> = ip.parse::<IpAddr>().ok().and_then(|ip| IpText::new(&ip.to_string()).ok());
        let Some(ip_text) = numeric.filter(|_| port != 0 && bus_port != 0) else {
            return Err(format!("ERR Invalid node address specified: {ip}:{port}"));
        };
        let address = Address::from_wire(ip_text, port, 0, bus_port, self.settings.tls_cluster);
        if let Some(id) = self.start_handshake(turn, address, NodeFlags::MEET)
            && !self.debug.reconnection_off
        {
            self.connect(turn, id);
        }
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn forget(&mut self, turn: &Turn<'_>, text: &str) -> Answer {
        let id = match self.find(text) {
            Ok(id) => id,
            Err(error) => {
                let forgotten = NodeId::parse(text.as_bytes()).is_ok_and(|id| self.blacklist.contains(&id, turn.now));
                return if forgotten { Ok(ClusterReply::Ok) } else { Err(error) };
            }
        };
        if id == self.me {
            return Err("ERR I tried hard but I can't forget myself...".to_owned());
        }
        if self.myself().primary == Some(id) {
            return Err("ERR Can't forget my master!".to_owned());
        }
        self.log(LogLevel::Notice, format!("Cluster forget {} (user request)", self.named(&id)));
        self.blacklist.insert(id, self.settings.blacklist_until(turn.now));
        self.delete_node(turn, &id);
        // The word spreads with the next pings; announcing it at once keeps others from teaching it back to each other.
        self.todo.announce = true;
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn replicate_command(&mut self, turn: &Turn<'_>, text: &str) -> Answer {
        let id = self.find(text)?;
        if id == self.me {
            return Err("ERR Can't replicate myself".to_owned());
        }
        self.refuse_witness(&self.me)?;
        self.refuse_witness(&id)?;
        if !self.nodes[&id].is_primary() {
            return Err("ERR I can only replicate a master, not a replica.".to_owned());
        }
        if self.is_primary() && (self.slots.owns_any(&self.me) || !turn.facts.keys.is_empty()) {
            let text = "ERR To set a master the node must be empty and without assigned slots.";
            return Err(text.to_owned());
        }
        if self.myself().primary == Some(id) {
            return Ok(ClusterReply::Ok);
        }
        self.follow(id, Resync::Full);
        self.todo.save_durably();
        self.todo.announce = true;
        Ok(ClusterReply::Ok)
    }

    pub(crate) fn replicate_no_one(&mut self) -> Answer {
        if self.myself().is_replica() {
            self.become_primary();
            self.todo.flush_data = true;
            self.slots.close_all();
            self.election.reset();
            self.move_to_new_shard();
            self.todo.save_durably();
            self.todo.announce = true;
        }
        Ok(ClusterReply::Ok)
    }

    fn move_to_new_shard(&mut self) {
        let shard = ShardId::random(&mut self.rng);
        self.myself_mut().shard = shard;
        self.log(LogLevel::Notice, format!("Moving myself to a new shard {shard}."));
    }

    /// Forgets everything; a hard reset also the identity and all epochs.
    pub(crate) fn reset(&mut self, turn: &Turn<'_>, hard: bool) -> Answer {
        if self.is_primary() && !turn.facts.keys.is_empty() {
            return Err("ERR CLUSTER RESET can't be called with master nodes containing keys".to_owned());
        }
        let word = if hard { "hard" } else { "soft" };
        self.log(LogLevel::Notice, format!("Cluster reset ({word} reset)."));
        if self.myself().is_replica() {
            self.become_primary();
            self.todo.flush_data = true;
        }
        self.reset_manual();
        self.election.reset();
        self.slots.close_all();
        self.blacklist.clear();
        self.voters = Voters::default();
        let me = self.me;
        self.slots.unassign_all(&me);
        let others: Vec<NodeId> = self.nodes.keys().copied().filter(|id| *id != me).collect();
        for id in others {
            self.delete_node(turn, &id);
        }
        self.move_to_new_shard();
        if hard {
            self.take_new_identity();
        }
        self.forget_victory();
        self.unsubscribe_foreign();
        self.note_slots_changed();
        self.todo.save_durably();
        Ok(ClusterReply::Ok)
    }

    fn take_new_identity(&mut self) {
        let old = self.me;
        let id = NodeId::random(&mut self.rng);
        let mut myself = self.nodes.remove(&old).expect("this node is always in its own table");
        self.log(LogLevel::Notice, format!("Node hard reset, now I'm {id}"));
        myself.id = id;
        myself.config_epoch = Epoch(0);
        self.nodes.insert(id, myself);
        self.note_primary(&old);
        self.note_primary(&id);
        self.me = id;
        self.current_epoch = Epoch(0);
        self.last_vote_epoch = Epoch(0);
    }

    pub(crate) fn kill_links(&mut self, turn: &Turn<'_>, side: LinkSide, text: &str) -> Answer {
        let id = self.find(text)?;
        if side != LinkSide::From {
            self.close_outbound(turn.now, &id);
        }
        if side != LinkSide::To
            && let Some(link) = self.nodes[&id].inbound
        {
            self.close_link(turn.now, link);
        }
        Ok(ClusterReply::Ok)
    }

    /// Closes a link whose send buffer grew over the limit.
    pub(crate) fn drop_link(&mut self, turn: &Turn<'_>, link: crate::LinkId) -> Answer {
        if let Some(node) = self.links.get(&link).and_then(|l| l.node) {
            let way = if link.is_inbound() { "from" } else { "to" };
            let text = format!(
                "Freeing cluster link({way} node {}) due to exceeding send buffer memory limit.",
                self.named(&node)
            );
            self.log(LogLevel::Warning, text);
            self.stats.links_over_limit += 1;
        }
        self.close_link(turn.now, link);
        Ok(ClusterReply::Ok)
    }
}
