//! SAVE, BGSAVE, LASTSAVE and BGREWRITEAOF.

use std::sync::atomic::Ordering;

use baton_commands::NodeCommand;
use baton_resp::Args;

use super::{Outcome, Refusal, SYNTAX};
use crate::aof::rewrite;
use crate::persist::save::{self, Busy, Job};
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const SAVING: &str = "ERR Background save already in progress";
const OTHER_CHILD: &str = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in \
order to schedule a BGSAVE whenever possible.";
const NOTHING_TO_CANCEL: &str = "ERR Background saving is currently not in progress or scheduled";

/// SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF.
pub fn run(cx: &mut Context<'_>, client: &mut Client, command: NodeCommand, args: Args<'_>) -> Outcome {
    match command {
        NodeCommand::Save => save(cx, client)?,
        NodeCommand::Bgsave => background(cx, client, args)?,
        NodeCommand::Bgrewriteaof => client.out.simple(rewrite::ask(cx.shared, cx.in_transaction)?),
        _ => client.out.int(cx.shared.persist.last_save_secs.load(Ordering::Relaxed) as i64),
    }
    Ok(Flow::Next)
}

fn save(cx: &mut Context<'_>, client: &mut Client) -> Result<(), Refusal> {
    let written = cx.step_outside(|shared| {
        let written = save::save_now(shared);
        if written.is_ok() {
            shared.persist.saves.fetch_add(1, Ordering::Relaxed);
        }
        written
    });
    match written {
        Ok(Ok(())) => client.out.ok(),
        Ok(Err(_)) => return Err("ERR".into()),
        Err(Busy::Saving | Busy::Synchronising) => return Err(SAVING.into()),
    }
    Ok(())
}

fn background(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let is = |word: &[u8]| args.len() == 2 && args.at(1).eq_ignore_ascii_case(word);
    if is(b"cancel") {
        return cancel(cx, client);
    }
    let schedule = is(b"schedule");
    if args.len() > 1 && !schedule {
        return Err(SYNTAX.into());
    }
    let persist = &cx.shared.persist;
    if persist.saving.load(Ordering::SeqCst) {
        return Err(SAVING.into());
    }
    if cx.in_transaction {
        persist.scheduled.store(true, Ordering::Relaxed);
        cx.shared.log.notice("Background saving scheduled to run after transaction execution");
        client.out.simple("Background saving scheduled");
        return Ok(());
    }
    match cx.stop_world(|cx| Job::cut(cx.shared))? {
        Ok(job) => {
            job.write_in_background(cx.shared);
            client.out.simple("Background saving started");
        }
        Err(Busy::Synchronising) if schedule => {
            cx.shared.persist.scheduled.store(true, Ordering::Relaxed);
            client.out.simple("Background saving scheduled");
        }
        Err(Busy::Synchronising) => return Err(OTHER_CHILD.into()),
        Err(Busy::Saving) => return Err(SAVING.into()),
    }
    Ok(())
}

fn cancel(cx: &Context<'_>, client: &mut Client) -> Result<(), Refusal> {
    if save::cancel(cx.shared) {
        cx.shared.log.notice("Background saving will be aborted due to user request");
        client.out.simple("Background saving cancelled");
    } else if cx.shared.persist.scheduled.swap(false, Ordering::SeqCst) {
        client.out.simple("Scheduled background saving cancelled");
    } else {
        return Err(NOTHING_TO_CANCEL.into());
    }
    Ok(())
}
