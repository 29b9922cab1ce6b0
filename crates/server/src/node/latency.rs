//! The LATENCY commands: what delayed the server, and how long commands took.

use baton_commands::{CommandId, NodeCommand as N, docs};
use baton_config::Id;
use baton_resp::{Args, Out};

use super::Outcome;
use crate::latency;
use crate::shared::Shared;
use crate::stats::Times;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// LATENCY subcommands.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    let (shared, out) = (cx.shared, &mut client.out);
    let now = shared.clock.wall();
    match command {
        N::LatencyLatest => {
            let all = shared.latencies.all();
            out.array(all.len());
            for (event, series) in all {
                let last = series.samples.back().copied().unwrap_or(latency::Sample { at_secs: 0, millis: 0 });
                out.array(6);
                out.bulk(event.name().as_bytes());
                for n in [last.at_secs, last.millis, series.millis_max, series.millis_sum, series.count] {
                    out.int(n as i64);
                }
            }
        }
        N::LatencyHistory => {
            let samples = shared.latencies.named(args.at(2)).map(|(_, series)| series.samples).unwrap_or_default();
            out.array(samples.len());
            for sample in samples {
                out.array(2);
                out.int(sample.at_secs as i64);
                out.int(sample.millis as i64);
            }
        }
        N::LatencyGraph => {
            let Some((event, series)) = shared.latencies.named(args.at(2)) else {
                let name = String::from_utf8_lossy(args.at(2)).into_owned();
                return Err(format!("ERR No samples available for event '{name}'").into());
            };
            out.verbatim(b"txt", latency::graph(event, &series, now).as_bytes());
        }
        N::LatencyDoctor => {
            let threshold = cx.world.settings.uint(Id::LatencyMonitorThreshold);
            out.verbatim(b"txt", latency::report(&shared.latencies.all(), threshold).as_bytes());
        }
        N::LatencyReset => {
            let names: Vec<&[u8]> = args.skip(2).iter().collect();
            out.int(shared.latencies.reset(&names) as i64);
        }
        _ => write_histograms(shared, out, args.skip(2)),
    }
    Ok(Flow::Next)
}

/// LATENCY HISTOGRAM: of these commands and their subcommands, or of all that ran.
fn write_histograms(shared: &Shared, out: &mut Out, names: Args<'_>) {
    let ids: Vec<CommandId> = if names.is_empty() {
        (0..baton_commands::count()).map(|n| CommandId(n as u16)).collect()
    } else {
        let found = names.iter().filter_map(docs::by_full_name);
        found.flat_map(|spec| std::iter::once(spec.id()).chain(spec.subcommands.iter().map(|s| s.id()))).collect()
    };
    let counted: Vec<(&str, Vec<(u64, u64)>)> = ids
        .into_iter()
        .filter_map(|id| {
            let times: Vec<&Times> =
                shared.stats.lanes.iter().filter_map(|l| l.by_command[id.index()].times_if_any()).collect();
            let buckets = Times::doubling(&times);
            (!buckets.is_empty()).then(|| (baton_commands::by_id(id).name, buckets))
        })
        .collect();
    out.map(counted.len());
    for (name, buckets) in counted {
        out.bulk(name.as_bytes());
        out.map(2);
        out.bulk(b"calls");
        out.int(buckets.last().map_or(0, |(_, calls)| *calls) as i64);
        out.bulk(b"histogram_usec");
        out.map(buckets.len());
        for (micros, calls) in buckets {
            out.int(micros as i64);
            out.int(calls as i64);
        }
    }
}
