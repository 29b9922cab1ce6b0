//! Requests of operators and of the data plane, typed. Words and replies on the client connection are the server's.

use crate::cluster::{Cluster, Turn};
use crate::input::Origin;
use crate::link::LinkId;
use crate::show::ClusterReply;
use crate::topology::Audience;
use baton_base::{Epoch, NodeId, Slot};

mod members;
mod slot_admin;

/// What CLUSTER FAILOVER was asked to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailoverMode {
    /// In agreement with the living primary.
    Default,
    /// Without the primary, by election.
    Force,
    /// Without the primary and without election.
    Takeover,
}

/// Which links DEBUG CLUSTERLINK KILL closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkSide {
    /// Mine to it.
    To,
    /// Its to me.
    From,
    /// Both.
    All,
}

/// A CLUSTER or DEBUG request. Ids that a client got wrong are given as text, so that errors can quote them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClusterCommand {
    /// CLUSTER MEET.
    Meet {
        /// Numeric address.
        ip: String,
        /// Client port.
        port: u16,
        /// Bus port.
        bus_port: u16,
    },
    /// CLUSTER FORGET.
    Forget(String),
    /// CLUSTER REPLICATE id.
    Replicate(String),
    /// CLUSTER REPLICATE NO ONE.
    ReplicateNoOne,
    /// CLUSTER ADDSLOTS and ADDSLOTSRANGE.
    AddSlots(Vec<Slot>),
    /// CLUSTER DELSLOTS and DELSLOTSRANGE.
    DelSlots(Vec<Slot>),
    /// CLUSTER FLUSHSLOTS.
    FlushSlots,
    /// CLUSTER SETSLOT.
    SetSlot {
        /// Which slot.
        slot: Slot,
        /// What becomes of it.
        action: SetSlot,
    },
    /// Slots whose keys are all here, with their owner's consent: the end of CLUSTER MIGRATESLOTS.
    ClaimSlots {
        /// Which.
        slots: Vec<Slot>,
        /// Who had them.
        from: NodeId,
    },
    /// Slots of mine that another node was told it may claim: until it has, or they are said to stay, I claim them no more. However
    /// my epoch grows meanwhile, nobody takes them for mine by it.
    CedeSlots(Vec<Slot>),
    /// The other node does not take them.
    KeepSlots(Vec<Slot>),
    /// CLUSTER SET-CONFIG-EPOCH.
    SetConfigEpoch(Epoch),
    /// CLUSTER BUMPEPOCH.
    BumpEpoch,
    /// CLUSTER RESET; hard if true.
    Reset {
        /// New node id and epochs from zero.
        hard: bool,
    },
    /// CLUSTER FAILOVER.
    Failover {
        /// How.
        mode: FailoverMode,
        /// REPLICAID: only this node is meant.
        replica_id: Option<String>,
    },
    /// CLUSTER SAVECONFIG.
    SaveConfig,
    /// CLUSTER COUNT-FAILURE-REPORTS.
    CountFailureReports(String),
    /// CLUSTER NODES.
    Nodes(Audience),
    /// CLUSTER INFO.
    Info,
    /// CLUSTER SLOTS.
    Slots,
    /// CLUSTER SHARDS.
    Shards,
    /// CLUSTER REPLICAS.
    Replicas(String, Audience),
    /// CLUSTER LINKS.
    Links,
    /// DEBUG DROP-CLUSTER-PACKET-FILTER: a type, −1 none, −2 all.
    DropPackets(i32),
    /// DEBUG CLOSE-CLUSTER-LINK-ON-PACKET-DROP.
    CloseLinkOnDrop(bool),
    /// DEBUG DISABLE-CLUSTER-RANDOM-PING.
    DisableRandomPing(bool),
    /// DEBUG DISABLE-CLUSTER-RECONNECTION.
    DisableReconnection(bool),
    /// DEBUG CLUSTERLINK KILL.
    KillLinks(LinkSide, String),
    /// Close one link, as the send-buffer limit demands.
    DropLink(LinkId),
}

/// What CLUSTER SETSLOT was asked to do, with node ids as the client wrote them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetSlot {
    /// IMPORTING id.
    Importing(String),
    /// MIGRATING id.
    Migrating(String),
    /// STABLE.
    Stable,
    /// NODE id.
    Node(String),
}

impl Cluster {
    /// Carries out a request.
    pub(crate) fn run_command(
        &mut self,
        turn: &Turn<'_>,
        origin: &Origin,
        command: ClusterCommand,
    ) -> Result<ClusterReply, String> {
        use ClusterCommand as C;
        match command {
            C::Meet { ip, port, bus_port } => self.meet(turn, &ip, port, bus_port),
            C::Forget(id) => self.forget(turn, &id),
            C::Replicate(id) => self.replicate_command(turn, &id),
            C::ReplicateNoOne => self.replicate_no_one(),
            C::AddSlots(slots) => self.add_slots(&slots),
            C::DelSlots(slots) => self.del_slots(&slots),
            C::ClaimSlots { slots, from } => self.claim_slots(&slots, from),
            C::CedeSlots(slots) => self.cede_slots(&slots),
            C::KeepSlots(slots) => self.keep_slots(&slots),
            C::FlushSlots => self.flush_slots(turn),
            C::SetSlot { slot, action } => self.set_slot(turn, origin, slot, &action),
            C::SetConfigEpoch(epoch) => self.set_config_epoch(epoch),
            C::BumpEpoch => self.bump_epoch_command(),
            C::Reset { hard } => self.reset(turn, hard),
            C::Failover { mode, replica_id } => self.failover(turn, origin, mode, replica_id.as_deref()),
            C::SaveConfig => {
                self.todo.save_durably();
                Ok(ClusterReply::Ok)
            }
            C::CountFailureReports(id) => {
                let id = self.find(&id)?;
                Ok(ClusterReply::Integer(self.report_count(turn.now, &id) as i64))
            }
            C::KillLinks(side, id) => self.kill_links(turn, side, &id),
            C::DropLink(link) => self.drop_link(turn, link),
            C::DropPackets(_) | C::CloseLinkOnDrop(_) | C::DisableRandomPing(_) | C::DisableReconnection(_) => {
                self.set_debug_hook(&command);
                Ok(ClusterReply::Ok)
            }
            C::Nodes(audience) => Ok(ClusterReply::Text(self.nodes_text(turn, audience))),
            C::Info => Ok(ClusterReply::Text(self.info_text())),
            C::Slots => Ok(ClusterReply::Slots(self.slot_ranges(turn))),
            C::Shards => Ok(ClusterReply::Shards(self.shards(turn))),
            C::Replicas(id, audience) => self.replica_lines(turn, &id, audience),
            C::Links => Ok(ClusterReply::Links(self.link_views())),
        }
    }

    fn set_debug_hook(&mut self, command: &ClusterCommand) {
        match command {
            ClusterCommand::DropPackets(number) => self.debug.drop_type = *number,
            ClusterCommand::CloseLinkOnDrop(on) => self.debug.close_on_drop = *on,
            ClusterCommand::DisableRandomPing(on) => self.debug.random_ping_off = *on,
            ClusterCommand::DisableReconnection(on) => self.debug.reconnection_off = *on,
            _ => {}
        }
    }
}
