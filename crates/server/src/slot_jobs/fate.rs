//! What became of slots that a target was told it may take, when it did not say so in time: read from what it answers when it
//! is asked. Pure.

use baton_base::{NodeId, Slot};
use baton_resp::Reply;

/// Whether slots are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The target has not taken them, and never will by this job.
    Ours,
    /// It has taken them, or still may.
    Undecided,
}

/// The fate of a job's slots by the target's replies to CLUSTER GETSLOTMIGRATIONS and CLUSTER SLOTS, asked for in this order:
/// a job that was over before, with slots that were not taken afterwards, takes none any more. A target that does not
/// know the job has forgotten it over a restart, and keeps what it had taken: that is durable before it is said.
pub(super) fn fate(jobs: &Reply, slots: &Reply, name: &str, slot: Slot, target: NodeId) -> Fate {
    let (Some(jobs), Some(slots)) = (jobs.items(), slots.items()) else { return Fate::Undecided };
    let job = jobs.iter().find(|job| field(job, b"name") == Some(name.as_bytes()));
    let over = match job {
        Some(job) => matches!(field(job, b"state"), Some(b"failed" | b"cancelled")),
        None => true,
    };
    if over && owner(slots, slot) != Some(target) { Fate::Ours } else { Fate::Undecided }
}

fn field<'a>(job: &'a Reply, name: &[u8]) -> Option<&'a [u8]> {
    let words = job.items()?;
    words.chunks_exact(2).find(|pair| pair[0].text() == Some(name))?[1].text()
}

/// Who has a slot, by CLUSTER SLOTS: ranges of slots, each with its primary first.
fn owner(ranges: &[Reply], slot: Slot) -> Option<NodeId> {
    let number = i64::from(slot.number());
    ranges.iter().find_map(|range| match range.items()? {
        [Reply::Int(first), Reply::Int(last), primary, ..] if (*first..=*last).contains(&number) => {
            NodeId::parse(primary.items()?.get(2)?.text()?).ok()
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "0123456789012345678901234567890123456789";

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    fn job(name: &str, state: &str) -> Reply {
        Reply::Array(vec![bulk("name"), bulk(name), bulk("create_time"), Reply::Int(1), bulk("state"), bulk(state)])
    }

    fn told(jobs: Vec<Reply>, owner: char) -> Fate {
        let id = |c: char| c.to_string().repeat(40);
        let primary = Reply::Array(vec![bulk("127.0.0.1"), Reply::Int(7), bulk(&id(owner)), Reply::Array(vec![])]);
        let slots = Reply::Array(vec![Reply::Array(vec![Reply::Int(5), Reply::Int(9), primary])]);
        let target = NodeId::parse(id('a').as_bytes()).expect("forty digits");
        fate(&Reply::Array(jobs), &slots, NAME, Slot::new(7).expect("a slot"), target)
    }

    #[test]
    fn only_a_job_that_is_over_without_the_slots_gives_them_back() {
        for running in ["waiting-for-paused", "failover-requested", "failover-granted", "cleaning-up", "success"] {
            assert_eq!(told(vec![job(NAME, running)], 'b'), Fate::Undecided, "{running}");
        }
        assert_eq!(told(vec![job("another", "success"), job(NAME, "failed")], 'b'), Fate::Ours);
        assert_eq!(told(vec![job(NAME, "failed")], 'a'), Fate::Undecided);
        assert_eq!(told(vec![], 'b'), Fate::Ours);
        assert_eq!(told(vec![], 'a'), Fate::Undecided);
    }

    #[test]
    fn what_is_no_answer_decides_nothing() {
        let none = Reply::Array(vec![]);
        let target = NodeId::parse("a".repeat(40).as_bytes()).expect("forty digits");
        for odd in [Reply::Error(b"NOPERM".to_vec()), Reply::Null, bulk("x")] {
            assert_eq!(fate(&odd, &none, NAME, Slot::default(), target), Fate::Undecided);
            assert_eq!(fate(&none, &odd, NAME, Slot::default(), target), Fate::Undecided);
        }
    }
}
