//! SLOWLOG GET, LEN, RESET, and the LATENCY commands, which report honestly that nothing is monitored.

use baton_base::num::parse_i64;
use baton_commands::NodeCommand as N;
use baton_resp::Args;

use super::Outcome;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// Entries of SLOWLOG GET without a count.
const COUNT_DEFAULT: i64 = 10;

const BAD_COUNT: &str = "ERR count should be greater than or equal to -1";

/// SLOWLOG and LATENCY subcommands.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    let log = &cx.shared.slow_log;
    match command {
        N::SlowlogLen => client.out.int(log.len() as i64),
        N::SlowlogReset => {
            log.reset();
            client.out.ok();
        }
        N::SlowlogGet => {
            let count = match args.get(2) {
                None => COUNT_DEFAULT,
                Some(text) => parse_i64(text).ok_or(BAD_COUNT)?,
            };
            let count = match count {
                -1 => usize::MAX,
                n => usize::try_from(n).map_err(|_| BAD_COUNT)?,
            };
            write_entries(client, &log.newest(count));
        }
        // No event is ever sampled: there is nothing to show and nothing to forget.
        N::LatencyReset => client.out.int(0),
        _ => client.out.array(0),
    }
    Ok(Flow::Next)
}

fn write_entries(client: &mut Client, entries: &[crate::slow_log::Slow]) {
    let out = &mut client.out;
    out.array(entries.len());
    for entry in entries {
        out.array(6);
        out.int(entry.id as i64);
        out.int(entry.at_secs as i64);
        out.int(entry.micros as i64);
        out.array(entry.args.len());
        entry.args.iter().for_each(|a| out.bulk(a));
        out.bulk(entry.addr.as_bytes());
        out.bulk(entry.name.as_bytes());
    }
}
