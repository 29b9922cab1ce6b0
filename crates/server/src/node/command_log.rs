//! COMMANDLOG, and SLOWLOG, which is its log of slow commands under the older name.

use baton_base::num::parse_i64;
use baton_commands::NodeCommand as N;
use baton_resp::Args;

use super::Outcome;
use crate::command_log::{Kind, Logged};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// Entries of SLOWLOG GET without a count.
const COUNT_DEFAULT: i64 = 10;

const BAD_COUNT: &str = "ERR count should be greater than or equal to -1";
const BAD_KIND: &str = "ERR type should be one of the following: slow, large-request, large-reply";

/// COMMANDLOG and SLOWLOG subcommands.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    let kind_at = match command {
        N::CommandlogGet => Some(3),
        N::CommandlogLen | N::CommandlogReset => Some(2),
        _ => None,
    };
    let kind = kind_at.map_or(Some(Kind::Slow), |at| Kind::of_word(args.at(at)));
    if matches!(command, N::CommandlogGet | N::SlowlogGet) {
        let count = match args.get(2) {
            None => COUNT_DEFAULT,
            Some(text) => parse_i64(text).ok_or(BAD_COUNT)?,
        };
        let count = match count {
            -1 => usize::MAX,
            n => usize::try_from(n).map_err(|_| BAD_COUNT)?,
        };
        write_entries(client, &cx.shared.command_logs.of(kind.ok_or(BAD_KIND)?).newest(count));
        return Ok(Flow::Next);
    }
    let log = cx.shared.command_logs.of(kind.ok_or(BAD_KIND)?);
    if matches!(command, N::CommandlogLen | N::SlowlogLen) {
        client.out.int(log.len() as i64);
    } else {
        log.reset();
        client.out.ok();
    }
    Ok(Flow::Next)
}

fn write_entries(client: &mut Client, entries: &[Logged]) {
    let out = &mut client.out;
    out.array(entries.len());
    for entry in entries {
        out.array(6);
        out.int(entry.id as i64);
        out.int(entry.at_secs as i64);
        out.int(entry.value as i64);
        out.array(entry.args.len());
        entry.args.iter().for_each(|a| out.bulk(a));
        out.bulk(entry.addr.as_bytes());
        out.bulk(entry.name.as_bytes());
    }
}
