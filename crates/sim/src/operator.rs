//! What an operator does after a node came back without its disk: it is another node now, so it is introduced and told
//! to follow the primary of its shard, and the node that it was is forgotten. Only that one: to forget a node that is
//! merely down, or that somebody still believes to serve slots, would be a fault, since one node's FORGET reaches all.

use crate::boot;
use crate::event::Event;
use crate::process::core::Core;
use crate::world::World;
use baton_base::{NodeId, Slot};
use baton_cluster::ClusterCommand;

/// Does the next thing that is to be done, everywhere.
pub fn repair(world: &mut World) {
    if !world.procs.iter().any(|p| p.wiped) {
        return;
    }
    let mut commands = Vec::new();
    let cores: Vec<&Core> = world.procs.iter().filter_map(|p| p.core.as_deref()).collect();
    let ids: Vec<NodeId> = cores.iter().map(|c| c.id()).collect();
    for process in world.procs.iter().filter(|p| p.wiped) {
        let Some(core) = &process.core else { continue };
        let shard = boot::shard_of(&world.io.plan, process.no);
        let Some(old) = cores.iter().find(|c| !world.procs[c.place()].wiped) else { continue };
        if core.topology.nodes.len() <= 1 {
            commands.push((old.place(), meet(process.no)));
        } else if !world.io.plan.is_witness(process.no)
            && core.topology.myself().is_primary
            && let slot = Slot::new(boot::slots(&world.io.plan, shard).0).expect("a slot of the plan")
            && let Some(owner) = core.topology.owner(slot)
            && ids.contains(&owner.id)
            && owner.id != core.id()
        {
            commands.push((process.no, ClusterCommand::Replicate(owner.id.to_string())));
        }
    }
    for core in &cores {
        for node in core.topology.nodes.iter().filter(|n| !world.is_someone(n.id)) {
            if !cores.iter().any(|c| depends_on(c, node.id)) {
                commands.push((core.place(), ClusterCommand::Forget(node.id.to_string())));
            }
        }
    }
    for (proc, command) in commands {
        world.io.queue.push(world.io.now, Event::Command { proc, command: Box::new(command) });
    }
}

/// Whether a process follows a node or believes it to serve slots.
fn depends_on(core: &Core, id: NodeId) -> bool {
    let serves = |slot| core.topology.owner(slot).is_some_and(|owner| owner.id == id);
    core.topology.myself().primary == Some(id) || Slot::all().any(serves)
}

fn meet(proc: usize) -> ClusterCommand {
    ClusterCommand::Meet { ip: boot::ip(proc), port: boot::PORT, bus_port: boot::BUS_PORT }
}
