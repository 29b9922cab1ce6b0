//! When all is well: everybody runs and agrees, every slot is served and none is left migrating, every replica is attached
//! to its primary and has what it has. The director demands it within a bound, after the faults and between operations
//! (architecture 8: after the faults stop, every slot is served within a bound, every replica is attached, nothing is left
//! migrating).

use crate::process::State;
use crate::process::core::Core;
use crate::world::World;
use baton_base::NodeId;

/// Whether all is well; else what is not. `equal` demands that replicas have every byte, which only holds while nobody
/// writes.
pub fn check(world: &World, equal: bool) -> Result<(), String> {
    let mut cores = Vec::new();
    for process in &world.procs {
        match (&process.core, process.state) {
            (Some(core), State::Running) => cores.push(&**core),
            (_, state) => return Err(format!("n{} is {state:?}", process.no)),
        }
    }
    for core in &cores {
        if !core.is_at_rest() {
            return Err(format!("n{} is in {:?}", core.place(), core.node.phase()));
        }
        is_attached(&cores, core, equal)?;
    }
    // The costly comparison comes last.
    cores.iter().try_for_each(|core| agrees(cores[0], core))
}

/// Whether nobody was told to take over who hasn't done so: a forced failover may still depose a primary that is well,
/// and cost what that one acknowledged.
pub fn is_unforced(world: &World) -> Result<(), String> {
    let mut cores = world.procs.iter().filter_map(|p| p.core.as_deref());
    match cores.find(|core| core.node.cluster().expect("in cluster mode").is_in_manual_failover()) {
        Some(core) => Err(format!("n{} is in a manual failover", core.place())),
        None => Ok(()),
    }
}

/// Whether nobody doubts anybody: suspicions outlive their cause for a while, and may still depose somebody.
pub fn is_calm(world: &World) -> Result<(), String> {
    for core in world.procs.iter().filter_map(|p| p.core.as_deref()) {
        let doubted = core.node.cluster().expect("in cluster mode").doubted();
        if doubted > 0 {
            return Err(format!("n{} doubts {doubted} nodes", core.place()));
        }
    }
    Ok(())
}

fn agrees(first: &Core, core: &Core) -> Result<(), String> {
    let (a, b) = (&first.topology, &core.topology);
    let no = core.place();
    if !b.migrating.is_empty() || !b.importing.is_empty() {
        return Err(format!("n{no} has slots that are half migrated"));
    }
    if !b.health.is_ok() {
        return Err(format!("n{no} says {:?}", b.health));
    }
    if a.nodes.len() != b.nodes.len() {
        return Err(format!("n{} knows {} nodes, n{no} {}", first.place(), a.nodes.len(), b.nodes.len()));
    }
    for (x, y) in a.nodes.iter().zip(&b.nodes) {
        if (x.id, x.is_primary, x.primary, x.shard) != (y.id, y.is_primary, y.primary, y.shard) {
            return Err(format!("n{} and n{no} disagree about {} and {}", first.place(), x.id, y.id));
        }
        if y.failed {
            return Err(format!("n{no} thinks that {} failed", y.id));
        }
    }
    let voters = |core: &Core| core.node.cluster().and_then(|c| c.electorate()).cloned();
    if voters(core).is_none() || voters(core) != voters(first) {
        return Err(format!("n{} and n{no} go by different voters", first.place()));
    }
    if !std::sync::Arc::ptr_eq(a, b) && a.owners != b.owners {
        return Err(format!("n{} and n{no} disagree about slots", first.place()));
    }
    Ok(())
}

fn is_attached(cores: &[&Core], core: &Core, equal: bool) -> Result<(), String> {
    let no = core.place();
    let me = core.topology.myself();
    if me.is_primary == core.is_replica {
        return Err(format!("n{no} publishes one role and has the other"));
    }
    let Some(primary) = me.primary else { return Ok(()) };
    let by_id = |id: NodeId| cores.iter().find(|c| c.id() == id);
    let Some(primary) = by_id(primary) else { return Err(format!("n{no} follows {primary}, which doesn't run")) };
    if !core.is_linked() || !core.complete {
        return Err(format!("n{no} is not attached to n{}", primary.place()));
    }
    if core.history.replid != primary.history.replid {
        return Err(format!("n{no} and its primary n{} are of different histories", primary.place()));
    }
    if equal && (core.position() != primary.position() || core.data.keys() != primary.data.keys()) {
        let (a, b) = (core.position(), primary.position());
        return Err(format!("n{no} at {a:?} and its primary n{} at {b:?} differ", primary.place()));
    }
    Ok(())
}

/// Whether some slot can't be served because nobody has its data any more: its owner is gone for good, and no replica of
/// it is whole. An operator has to decide then.
pub fn is_hopeless(world: &World) -> bool {
    let cores: Vec<&Core> = world.procs.iter().filter_map(|p| p.core.as_deref()).collect();
    let ids: Vec<NodeId> = cores.iter().map(|c| c.id()).collect();
    crate::boot::slots_used(&world.io.plan).into_iter().any(|slot| {
        let slot = baton_base::Slot::new(slot).expect("slots that are used exist");
        cores.iter().any(|core| {
            let Some(owner) = core.topology.owner(slot) else { return true };
            // Data of unknown age, as that of one that has not followed anybody since it was started, stands for nobody.
            let may_stand = |c: &Core| c.complete && c.has_followed();
            let heir = |c: &&Core| c.topology.myself().primary == Some(owner.id) && may_stand(c);
            !ids.contains(&owner.id) && !cores.iter().any(heir)
        })
    })
}
