//! What happens with one received packet, in the order of cluster-bus 1.8. Each step's meaning is in its own file.

use crate::capabilities::Capabilities;
use crate::cluster::{Cluster, Turn};
use crate::effect::{Effect, LogLevel};
use crate::link::LinkId;
use crate::manual::Manual;
use baton_base::NodeId;
use baton_wire::{Body, Header, Kind, LightBody, Message, MsgFlags, NodeFlags, Packet, PingBody, Reject};

impl Cluster {
    /// Takes one framed packet. A link that is gone or not open has no say.
    pub(crate) fn on_received(&mut self, turn: &Turn<'_>, link: LinkId, bytes: &[u8]) {
        if !self.links.get(&link).is_some_and(|l| l.open) {
            return;
        }
        let kind = Kind::of_packet(bytes);
        self.stats.received.count(kind, bytes.len());
        if self.debug.drops(kind.number()) {
            if self.debug.close_on_drop {
                self.close_link(turn.now, link);
            }
            return;
        }
        match baton_wire::decode(bytes) {
            Ok(Packet::Full(message)) => self.on_full(turn, link, message),
            Ok(Packet::Light(body)) => self.on_light(turn, link, body),
            Err(reject) => self.on_reject(turn, link, &reject),
        }
    }

    fn on_reject(&mut self, turn: &Turn<'_>, link: LinkId, reject: &Reject) {
        match reject {
            Reject::CloseLink(_) => {
                self.log(LogLevel::Warning, reject.to_string());
                self.close_link(turn.now, link);
            }
            Reject::Silent(_) => {}
            Reject::Notice(_) => self.complain(turn.now, LogLevel::Notice, reject.to_string()),
            Reject::Warn(_) => self.complain(turn.now, LogLevel::Warning, reject.to_string()),
        }
    }

    /// Light packets refresh nothing but the time of the last data.
    fn on_light(&mut self, turn: &Turn<'_>, link: LinkId, body: LightBody) {
        let id = self.links.get(&link).and_then(|l| l.node);
        let Some(node) = id.and_then(|id| self.nodes.get_mut(&id)).filter(|n| !n.in_handshake()) else {
            self.close_link(turn.now, link);
            return;
        };
        node.data_received = Some(turn.now);
        let id = node.id;
        match body {
            LightBody::Publish(publish) => self.deliver(publish),
            LightBody::Module(module) => self.on_module(turn, link, id, &module),
        }
    }

    fn deliver(&mut self, publish: baton_wire::Publish) {
        let baton_wire::Publish { channel, message, sharded } = publish;
        self.emit(Effect::DeliverPublish { channel, message, sharded });
    }

    fn on_full(&mut self, turn: &Turn<'_>, link: LinkId, message: Message) {
        let Message { header, body } = message;
        if header.sender == self.me {
            self.on_own_packet(turn, link, &body);
            return;
        }
        let Ok(mut sender) = self.resolve_sender(turn, link, &header) else { return };
        if let Some(id) = sender.filter(|id| self.is_outdated(id, &header)) {
            self.on_outdated(turn, link, id, &header, &body);
            return;
        }
        self.note_capabilities(turn, link, sender, &header);
        if let Some(id) = sender {
            self.follow_up_frozen(turn, &id);
            self.absorb_epochs(turn, id, &header);
        }
        let kind = body.kind();
        match body {
            Body::Ping(body) | Body::Meet(body) => {
                self.answer(turn, link, sender, &header, kind, &body);
                self.learn(turn, link, &mut sender, &header, kind, &body);
            }
            Body::Pong(body) => self.learn(turn, link, &mut sender, &header, kind, &body),
            Body::Fail { id } => self.on_fail_message(turn, sender, &header, id),
            other => {
                if let Some(sender) = sender {
                    self.on_one_way(turn, link, sender, &header, other);
                }
            }
        }
    }

    /// Whether a header was written before its sender made the newest claim that is known of it: a node's epoch is never
    /// below that of its own claim. It may have been on the way for long, be said again by somebody else, or come from a
    /// process with an older file than it once had.
    fn is_outdated(&self, sender: &NodeId, header: &Header) -> bool {
        header.current_epoch < self.nodes[sender].config_epoch
    }

    /// A sign of life that says nothing. Whoever asks is answered, since by that a process with an old file catches up.
    fn on_outdated(&mut self, turn: &Turn<'_>, link: LinkId, sender: NodeId, header: &Header, body: &Body) {
        let text = format!(
            "Ignore stale message from {}, it is of epoch {} and its sender claimed epoch {} since",
            self.named(&sender),
            header.current_epoch,
            self.nodes[&sender].config_epoch
        );
        self.complain(turn.now, LogLevel::Verbose, text);
        let Some(node) = self.nodes.get_mut(&sender) else { return };
        node.data_received = Some(turn.now);
        match body {
            Body::Ping(_) | Body::Meet(_) => self.send_ping(turn, link, Kind::Pong),
            Body::Pong(_) if !link.is_inbound() => self.on_pong(turn, &sender),
            _ => {}
        }
    }

    /// Messages that need a known sender and no answer on the link.
    fn on_one_way(&mut self, turn: &Turn<'_>, link: LinkId, sender: NodeId, header: &Header, body: Body) {
        match body {
            Body::Publish(publish) => self.deliver(publish),
            Body::AuthRequest => self.on_vote_request(turn, sender, header),
            Body::AuthAck => self.on_vote(sender, header),
            Body::Update(update) => self.on_update(turn, sender, &update),
            Body::MfStart => self.on_mfstart(turn, link, sender),
            Body::Unknown(number) => {
                self.complain(turn.now, LogLevel::Warning, format!("Received unknown packet type: {number}"));
            }
            Body::Module(_) | Body::Ping(_) | Body::Pong(_) | Body::Meet(_) | Body::Fail { .. } => {}
        }
    }

    /// A packet of my own: somebody was asked to meet this very node, or my address was given to another.
    fn on_own_packet(&mut self, turn: &Turn<'_>, link: LinkId, body: &Body) {
        match body {
            Body::Ping(_) | Body::Meet(_) => self.send_ping(turn, link, Kind::Pong),
            Body::Pong(_) if !link.is_inbound() => {
                let id = self.links.get(&link).and_then(|l| l.node);
                match id.and_then(|id| self.nodes.get(&id)).map(|n| (n.id, n.in_handshake())) {
                    Some((id, true)) => self.delete_node(turn, &id),
                    Some((id, false)) => self.on_id_mismatch(turn, &id, &{ self.me }),
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Finds the node that speaks: the link's if it is known, else the one the header names. An error means that the
    /// link and the header contradict each other and the packet is not to be used.
    fn resolve_sender(&mut self, turn: &Turn<'_>, link: LinkId, header: &Header) -> Result<Option<NodeId>, ()> {
        let bound = self.links.get(&link).and_then(|l| l.node);
        if let Some(node) = bound.and_then(|id| self.nodes.get(&id)).filter(|n| !n.in_handshake()) {
            let id = node.id;
            if id == header.sender {
                return Ok(Some(id));
            }
            if link.is_inbound() {
                // Upstream attributes the packet to the link's node without comparing (cluster-bus 15.3 S14).
                self.close_link(turn.now, link);
            } else {
                self.on_id_mismatch(turn, &id, &header.sender);
            }
            return Err(());
        }
        let known = self.nodes.get(&header.sender).filter(|n| !n.in_handshake()).map(|n| n.id);
        if let (Some(id), None, true) = (known, bound, link.is_inbound()) {
            self.bind_inbound(turn.now, link, id);
            self.doubt_consent(turn, id);
            // Whoever connects anew may have been started anew: then my link to it is dead, and a ping shows that at once
            // instead of when a vote is lost on it.
            if self.nodes[&id].ping_sent.is_none() {
                self.ping(turn, &id);
            }
        }
        Ok(known)
    }

    fn note_capabilities(&mut self, turn: &Turn<'_>, link: LinkId, sender: Option<NodeId>, header: &Header) {
        let mut extensions = header.mflags.contains(MsgFlags::EXT_DATA);
        if let Some(state) = self.links.get_mut(&link) {
            state.extensions_seen |= extensions;
            extensions = state.extensions_seen;
        }
        let Some(node) = sender.and_then(|id| self.nodes.get_mut(&id)) else { return };
        if extensions {
            node.flags.insert(NodeFlags::EXTENSIONS_SUPPORTED);
        }
        for copied in [NodeFlags::LIGHT_HDR_PUBLISH, NodeFlags::LIGHT_HDR_MODULE] {
            node.flags.set(copied, header.flags.contains(copied));
        }
        let since = node.primary_fail_said.unwrap_or(turn.now);
        node.primary_fail_said = header.flags.contains(NodeFlags::MY_PRIMARY_FAIL).then_some(since);
        node.capabilities = Capabilities::read(header.private);
        node.electorate = Some(Capabilities::electorate(header.private));
        let behind = node.capabilities.has(Capabilities::BEHIND);
        node.behind = match behind {
            true if !link.is_inbound() => Some(header.offset),
            true => node.behind,
            false => None,
        };
        let ask = behind && node.behind.is_none() && node.ping_sent.is_none();
        node.data_received = Some(turn.now);
        node.offset = header.offset;
        // A sibling's header can make me the best replica: a waiting election looks at once, not at the periodic run.
        let primary = node.primary;
        if primary.is_some() && primary == self.myself().primary && self.election.deadline().is_some() {
            self.todo.failover = true;
        }
        if behind && self.myself().primary == sender {
            self.todo.failover = true;
            // Whoever connects to me can say that in my primary's name. What is at its address answers for it.
            if let (true, Some(id)) = (ask, sender) {
                self.ping(turn, &id);
            }
        }
        if primary == Some(self.me) {
            self.homecoming.note_heard();
        }
    }

    /// Step 4: epochs only move forward; a higher claim ends my own election; a paused primary tells its final offset.
    fn absorb_epochs(&mut self, turn: &Turn<'_>, sender: NodeId, header: &Header) {
        self.current_epoch = self.current_epoch.max(header.current_epoch);
        let stored = self.nodes[&sender].config_epoch;
        if header.claims_primary() && header.config_epoch > stored {
            self.raise_config_epoch(sender, header.config_epoch);
            self.yield_to_claim(sender, header.config_epoch);
            self.clear_fail_of_claimant(sender);
        }
        let paused = header.mflags.contains(MsgFlags::PAUSED);
        if paused && self.myself().primary == Some(sender) && matches!(self.manual, Manual::Requested { .. }) {
            self.on_paused_offset(turn, header.offset);
        }
    }

    /// Step 5: PING and MEET teach me my own address, may begin a handshake, and are always answered.
    fn answer(
        &mut self,
        turn: &Turn<'_>,
        link: LinkId,
        sender: Option<NodeId>,
        header: &Header,
        kind: Kind,
        body: &PingBody,
    ) {
        self.learn_own_ip(link, kind);
        if kind == Kind::Meet {
            match sender {
                Some(id) => self.on_meet_from_known(turn, id),
                None => self.on_meet_from_stranger(turn, link, header, body),
            }
        }
        self.send_ping(turn, link, Kind::Pong);
    }

    /// Step 6: what the packet says about its sender and about others.
    fn learn(
        &mut self,
        turn: &Turn<'_>,
        link: LinkId,
        sender: &mut Option<NodeId>,
        header: &Header,
        kind: Kind,
        body: &PingBody,
    ) {
        if !link.is_inbound() {
            let stranger = sender.is_none();
            *sender = self.finish_handshake(turn, link, *sender, header);
            if let (true, Some(id)) = (stranger, *sender) {
                // Its slots are taken below; without its epoch they would be a claim that every voter knows to be old.
                self.absorb_epochs(turn, id, header);
            }
        }
        let Some(id) = *sender else { return };
        self.finish_meet(id, link, kind);
        self.note_nofailover(id, header);
        if kind == Kind::Ping {
            self.follow_address(turn, link, id, header);
        }
        if kind == Kind::Pong && !link.is_inbound() {
            self.on_pong(turn, &id);
            let state = self.links.get_mut(&link);
            if state.is_some_and(|link| !std::mem::replace(&mut link.confirmed, true)) {
                self.give_leave(turn, &id);
                self.repeat_recall(&id);
                self.repeat_vote(turn, &id);
                self.repeat_mfstart(turn, &id);
            }
        }
        self.take_shard_of_claimant(id, header, body);
        if !self.on_role(turn, id, header) {
            return;
        }
        self.on_slots(turn, id, header);
        self.settle_collision(id, header);
        self.on_gossip(turn, id, body);
        self.on_extensions(turn, id, body);
    }

    fn note_nofailover(&mut self, id: NodeId, header: &Header) {
        let no_failover = header.flags.contains(NodeFlags::NOFAILOVER);
        if let Some(node) = self.nodes.get_mut(&id) {
            node.flags.set(NodeFlags::NOFAILOVER, no_failover);
        }
    }
}
