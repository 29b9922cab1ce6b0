//! CLUSTER SLOT-STATS: what the slots of this shard hold and cost. Reads counters and writes the reply, nothing else.

use std::cmp::Reverse;

use baton_base::{Slot, num};
use baton_cluster::Topology;
use baton_resp::{Args, Out};
use baton_store::{DbIndex, HeldForLong, Store};

use super::super::{Refusal, SYNTAX};
use crate::slot_stats::{self, SlotCost};
use crate::worker::client::Client;
use crate::worker::context::Context;

/// Everything there is to say about a slot.
struct Row {
    slot: Slot,
    keys: u64,
    /// None where only keys are counted.
    cost: Option<SlotCost>,
}

/// Whether the rows are wanted by slot or by a figure.
enum Order {
    Range(Slot, Slot),
    By { metric: Metric, limit: usize, descending: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    KeyCount,
    CpuUsec,
    NetworkBytesIn,
    NetworkBytesOut,
}

impl Metric {
    /// In the order of the reply.
    const ALL: [Metric; 4] = [Metric::KeyCount, Metric::CpuUsec, Metric::NetworkBytesIn, Metric::NetworkBytesOut];

    fn name(self) -> &'static str {
        match self {
            Metric::KeyCount => "key-count",
            Metric::CpuUsec => "cpu-usec",
            Metric::NetworkBytesIn => "network-bytes-in",
            Metric::NetworkBytesOut => "network-bytes-out",
        }
    }

    /// The figure; none if it is not counted.
    fn of(self, row: &Row) -> Option<u64> {
        match self {
            Metric::KeyCount => Some(row.keys),
            Metric::CpuUsec => Some(row.cost?.nanos / 1000),
            Metric::NetworkBytesIn => Some(row.cost?.bytes_in),
            Metric::NetworkBytesOut => Some(row.cost?.bytes_out),
        }
    }
}

/// CLUSTER SLOT-STATS SLOTSRANGE start end | ORDERBY metric [LIMIT limit] [ASC | DESC].
pub(super) fn run(cx: &Context<'_>, client: &mut Client, topology: &Topology, args: Args<'_>) -> Result<(), Refusal> {
    let counted = cx.world.hot.slot_stats;
    let order = parse(args, counted)?;
    let served = slot_stats::served(topology);
    let row = |slot| {
        let keys = keys_in(&cx.shared.store, slot).map_err(|held| cx.busy(held))?;
        Ok::<Row, Refusal>(Row { slot, keys, cost: counted.then(|| slot_stats::cost(&cx.shared.stats, slot)) })
    };
    let rows: Vec<Row> = match order {
        Order::Range(first, last) => {
            served.iter().filter(|s| (first..=last).contains(s)).map(row).collect::<Result<_, _>>()?
        }
        Order::By { metric, limit, descending } => {
            let mut rows: Vec<Row> = served.iter().map(row).collect::<Result<_, _>>()?;
            // Slots with equal figures stay in ascending order either way.
            if descending {
                rows.sort_by_key(|row| Reverse(metric.of(row)));
            } else {
                rows.sort_by_key(|row| metric.of(row));
            }
            rows.truncate(limit);
            rows
        }
    };
    client.out.array(rows.len());
    rows.iter().for_each(|row| write(&mut client.out, row));
    Ok(())
}

/// Keys of a slot in all databases.
fn keys_in(store: &Store, slot: Slot) -> Result<u64, HeldForLong> {
    (0..store.databases()).map(|db| store.slot_len_or_give_up(DbIndex(db), slot)).sum()
}

fn write(out: &mut Out, row: &Row) {
    out.array(2);
    out.int(i64::from(row.slot.number()));
    let figures = || Metric::ALL.into_iter().filter_map(|metric| Some((metric, metric.of(row)?)));
    out.map(figures().count());
    for (metric, figure) in figures() {
        out.bulk(metric.name().as_bytes());
        out.int(i64::try_from(figure).unwrap_or(i64::MAX));
    }
}

fn parse(args: Args<'_>, counted: bool) -> Result<Order, Refusal> {
    let is = |at: usize, word: &[u8]| args.at(at).eq_ignore_ascii_case(word);
    if is(2, b"slotsrange") && args.len() == 5 {
        let (first, last) = (super::slot(args.at(3))?, super::slot(args.at(4))?);
        if first > last {
            return Err(format!("ERR Start slot number {first} is greater than end slot number {last}").into());
        }
        return Ok(Order::Range(first, last));
    }
    if is(2, b"orderby") { parse_order(args, counted) } else { Err(super::wrong_arguments(args)) }
}

fn parse_order(args: Args<'_>, counted: bool) -> Result<Order, Refusal> {
    let wanted = args.at(3);
    let mut known = Metric::ALL.into_iter().filter(|metric| counted || *metric == Metric::KeyCount);
    let metric = known.find(|metric| metric.name().as_bytes().eq_ignore_ascii_case(wanted));
    let metric = metric.ok_or("ERR Unrecognized sort metric for ORDERBY.")?;
    let (mut limit, mut descending) = (None, None);
    let mut i = 4;
    while let Some(word) = args.get(i) {
        let repeated = match (word.to_ascii_lowercase().as_slice(), args.get(i + 1)) {
            (b"limit", Some(number)) => {
                i += 1;
                limit.replace(parse_limit(number)?).is_some()
            }
            (b"asc", _) => descending.replace(false).is_some(),
            (b"desc", _) => descending.replace(true).is_some(),
            _ => return Err(SYNTAX.into()),
        };
        if repeated {
            return Err("ERR Multiple filters of the same type are disallowed.".into());
        }
        i += 1;
    }
    Ok(Order::By { metric, limit: limit.unwrap_or(Slot::COUNT), descending: descending.unwrap_or(true) })
}

fn parse_limit(number: &[u8]) -> Result<usize, Refusal> {
    let limit = num::parse_i64(number).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=Slot::COUNT).contains(n));
    limit.ok_or_else(|| "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).".into())
}
