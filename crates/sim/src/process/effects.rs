//! What the node wants done, done. This is the shell of the simulated process; the server has another one around the same
//! node.

use crate::boot;
use crate::data::Op;
use crate::disk::{Disk, Write};
use crate::event::{Event, Later, Payload};
use crate::invariant::epochs::Standing;
use crate::io::{Io, Sabotage};
use crate::net::{ConnNo, Purpose, Side};
use crate::process::core::Core;
use baton_base::{Epoch, Mono, ReplId};
use baton_node::{Effect, Input, LinkId};
use baton_wire::{Kind, Packet};

impl Core {
    /// Does one thing.
    pub(super) fn carry_out(&mut self, io: &mut Io, disk: &mut Disk, effect: Effect) {
        match effect {
            Effect::Connect { link, ip, .. } => self.connect_bus(io, link, &ip),
            Effect::Close { link } => {
                if let Some(conn) = self.bus.conn(link) {
                    self.drop_bus(io, conn, side_of(link));
                }
            }
            Effect::Send { link, bytes } => self.send_bus(io, link, bytes),
            Effect::SaveConfig { text, sync } => self.write(io, disk, sync, Write::Config(text)),
            Effect::SaveEpochs(record) => self.write(io, disk, true, Write::Epochs(record)),
            Effect::PublishTopology(topology) => {
                self.topology = topology;
                self.note_topology(io);
                self.judge_held(io);
            }
            Effect::BecomeReplicaOf { host, port, full_sync, .. } => self.become_replica(io, host, port, full_sync),
            Effect::BecomePrimary => self.become_primary(io),
            Effect::Fence { until, .. } => self.close_gate(io, until),
            Effect::Lease { until } => self.set_lease(io, until),
            Effect::Unfence => self.open_gate(io),
            Effect::Redirect { .. } => {
                if io.sabotage == Some(Sabotage::LateWrites) {
                    self.execute_held(io);
                }
                self.open_gate(io);
                self.inputs.push_back(Input::Redirected);
                self.inputs.push_back(Input::ClientsLeft(io.rng.below(3) as usize));
            }
            Effect::AskAck => self.append(io, Op::AskAck),
            Effect::AppendOrder { target } => self.append(io, Op::Order(target)),
            Effect::DeleteKeysInSlots(slots) => {
                let with_keys: Vec<u16> = slots.iter().map(|s| s.number()).filter(|s| self.has_keys(*s)).collect();
                if !self.is_replica && !with_keys.is_empty() {
                    self.append(io, Op::Delete(with_keys));
                }
            }
            Effect::FlushAllData => self.data.flush(),
            Effect::FinalSave => self.final_save(io, disk),
            Effect::Exit => self.exited = true,
            Effect::Finished { outcome, .. } => {
                io.watch.outcomes.push((self.no, outcome));
                io.trace.note(io.now, 31, self.no as u64, 0, || format!("n{} request ends: {outcome:?}", self.no));
            }
            Effect::Log { text, .. } => io.trace.say(io.now, || format!("n{} log: {text}", self.no)),
            Effect::Timeline(record) => {
                let (phase, offset) = (record.phase.token(), record.offset);
                io.trace.note(io.now, 30, self.no as u64, offset.0, || format!("n{} -- {phase} at {offset}", self.no));
            }
            Effect::Reply { result, .. } => io.trace.say(io.now, || format!("n{} replies {result:?}", self.no)),
            // Only nodes outside of clusters ask for these.
            Effect::AskTakeover { .. } | Effect::ResumePrimary => {}
            Effect::UnsubscribeSlots(_) | Effect::DeliverPublish { .. } => {}
        }
    }

    fn note_topology(&self, io: &mut Io) {
        let (me, epoch) = (self.topology.myself(), self.topology.current_epoch);
        io.trace.note(io.now, 32, self.no as u64, epoch.0, || {
            let role = if me.is_primary { "primary" } else { "replica" };
            format!("n{} publishes: {role}, {:?}, epoch {epoch}", self.no, self.topology.health)
        });
    }

    fn has_keys(&self, slot: u16) -> bool {
        self.data.keys().range((slot, 0)..=(slot, u32::MAX)).next().is_some()
    }

    fn connect_bus(&mut self, io: &mut Io, link: LinkId, ip: &str) {
        let Some(target) = boot::proc_at(ip) else { return };
        let conn = io.net.connect(&mut io.queue, io.now, Purpose::Bus, (self.no, self.life), target);
        self.bus.insert(link, conn);
        io.net.conn_mut(conn).end_mut(Side::Caller).link = Some(link);
    }

    fn send_bus(&mut self, io: &mut Io, link: LinkId, bytes: Vec<u8>) {
        let Some(conn) = self.bus.conn(link) else { return };
        let departs = io.now.max(self.synced_at);
        let side = side_of(link);
        self.show_packet(io, departs, conn, side, &bytes);
        if io.sabotage == Some(Sabotage::VoteTwice) && Kind::of_packet(&bytes) == Kind::AuthAck {
            self.vote_for_all(io, departs, &bytes);
        }
        io.net.send(&mut io.queue, io.now, departs, conn, side, Payload::Bytes(bytes));
    }

    fn vote_for_all(&mut self, io: &mut Io, departs: Mono, bytes: &[u8]) {
        let own: Vec<ConnNo> = self.bus.outbound().collect();
        for conn in own {
            self.show_packet(io, departs, conn, Side::Caller, bytes);
            io.net.send(&mut io.queue, io.now, departs, conn, Side::Caller, Payload::Bytes(bytes.to_vec()));
        }
    }

    /// Shows the invariants what a packet promises.
    fn show_packet(&self, io: &mut Io, departs: Mono, conn: ConnNo, side: Side, bytes: &[u8]) {
        let kind = Kind::of_packet(bytes);
        let cluster = self.node.cluster().expect("in cluster mode");
        let me = cluster.id();
        let claim = if cluster.is_primary() { cluster.config_epoch() } else { Epoch(0) };
        io.watch.epochs.promise(me, departs, Standing { claim, ..Standing::default() });
        if !matches!(kind, Kind::AuthAck | Kind::AuthRequest) {
            return;
        }
        let Ok(Packet::Full(message)) = baton_wire::decode(bytes) else { return };
        let epoch = message.header.current_epoch;
        let to = io.net.conn(conn).end(side.other()).proc;
        io.trace.note(io.now, 33, self.no as u64, epoch.0, || {
            format!("n{} {} to n{to}, epoch {epoch}", self.no, kind.token())
        });
        if kind == Kind::AuthAck {
            io.watch.epochs.promise(me, departs, Standing { vote: epoch, ..Standing::default() });
            let candidate = io.watch.names.get(&to).copied();
            if let Some(candidate) = candidate {
                let verdict = io.watch.votes.note(departs, me, epoch, candidate);
                io.watch.judge(io.now, verdict);
            }
        } else {
            io.watch.epochs.promise(me, departs, Standing { current: epoch, ..Standing::default() });
        }
    }

    fn write(&mut self, io: &mut Io, disk: &mut Disk, sync: bool, write: Write) {
        if io.sabotage == Some(Sabotage::ForgetfulDisk) && sync {
            return;
        }
        if sync {
            self.synced_at = io.now.max(self.synced_at) + io.up_to_us(io.plan.sync_max_us);
        }
        disk.write(io.now, io.now.max(self.synced_at), sync, write);
    }

    /// Saves the dataset, as far as there is a whole one.
    pub(super) fn save(&mut self, io: &mut Io, disk: &mut Disk) {
        if self.complete {
            let write = Write::Data(self.history.replid, Box::new(self.data.snapshot()));
            disk.write(io.now, io.now.max(self.synced_at), false, write);
        }
    }

    fn final_save(&mut self, io: &mut Io, disk: &mut Disk) {
        self.save(io, disk);
        let time = io.up_to_us(io.plan.snapshot_max_us);
        io.after(time, Event::Own { proc: self.no, life: self.life, what: Later::Saved });
    }

    fn become_replica(&mut self, io: &mut Io, host: String, port: u16, full_sync: bool) {
        let was_primary = !std::mem::replace(&mut self.is_replica, true);
        io.trace.note(io.now, 34, self.no as u64, u64::from(full_sync), || format!("n{} follows {host}", self.no));
        self.drop_replicas(io);
        self.break_unanswered(io);
        self.fail_held(io);
        if full_sync {
            self.complete = false;
        }
        self.follow(io, host, port, was_primary);
    }

    fn become_primary(&mut self, io: &mut Io) {
        io.trace.note(io.now, 35, self.no as u64, self.data.end().0, || {
            format!("n{} becomes primary at {}", self.no, self.data.end())
        });
        self.unfollow(io);
        self.drop_replicas(io);
        if std::mem::take(&mut self.is_replica) {
            let fresh = ReplId::random(&mut self.rng);
            self.history.promote(self.data.end(), fresh);
            self.holds.begin_anew(self.data.end());
        }
        // From now on its data is the data, whatever it is.
        self.complete = true;
    }
}

/// At which end of its connection the owner of a link is.
fn side_of(link: LinkId) -> Side {
    if link.is_inbound() { Side::Callee } else { Side::Caller }
}
