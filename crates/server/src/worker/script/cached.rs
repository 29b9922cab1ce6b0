//! SCRIPT: the cache of scripts.

use std::sync::Arc;

use baton_commands::NodeCommand as N;
use baton_resp::Args;
use baton_script::{Script, Sha};

use super::{err, refusal, take_machine};
use crate::node::{Outcome, Refusal, SYNTAX};
use crate::worker::WorkerMessage;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// The subcommands.
pub(super) fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    match command {
        N::ScriptLoad => load(cx, client, args.at(2))?,
        N::ScriptExists => {
            let cache = cx.shared.scripts.cache();
            client.out.array(args.len() - 2);
            for name in args.skip(2).iter() {
                let known = Sha::parse(name).is_some_and(|sha| cache.contains(sha));
                client.out.int(i64::from(known));
            }
        }
        N::ScriptFlush => {
            checked_mode(args, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")?;
            cx.shared.scripts.cache().flush();
            cx.shared.tell_workers(|| WorkerMessage::ScriptsForgotten);
            client.out.ok();
        }
        N::ScriptShow => {
            let script = cx.shared.scripts.of_sha(args.at(2)).ok_or("NOSCRIPT No matching script.")?;
            client.out.bulk(&script.source);
        }
        N::ScriptDebug => debug(client, args)?,
        _ => {
            cx.shared.running.kill(false, cx.server_name())?;
            client.out.ok();
        }
    }
    Ok(Flow::Next)
}

fn load(cx: &mut Context<'_>, client: &mut Client, text: &[u8]) -> Result<(), Refusal> {
    let (script, _) = cx.shared.scripts.of_text(text).map_err(|text| err(&text))?;
    compile(cx, &script)?;
    cx.shared.scripts.keep(&script, true);
    client.out.bulk(script.sha.to_string().as_bytes());
    Ok(())
}

fn compile(cx: &mut Context<'_>, script: &Arc<Script>) -> Result<(), Refusal> {
    let epoch = cx.shared.scripts.cache().epoch();
    let machine = take_machine(cx, epoch)?;
    let checked = machine.engine.check(script);
    cx.put_back_machine(machine);
    checked.map_err(|text| refusal(&text))
}

/// Checks SYNC or ASYNC at the end of a FLUSH. Texts are small: nothing is worth another thread.
fn checked_mode(args: Args<'_>, wrong: &'static str) -> Result<(), Refusal> {
    match args.get(2) {
        None => Ok(()),
        Some(mode) if args.len() == 3 && is_mode(mode) => Ok(()),
        Some(_) => Err(wrong.into()),
    }
}

fn is_mode(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"sync") || word.eq_ignore_ascii_case(b"async")
}

/// SCRIPT DEBUG. There is no debugger: its modes are known, and refused.
fn debug(client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    if args.len() > 4 {
        return Err(SYNTAX.into());
    }
    let is = |word: &[u8]| args.at(2).eq_ignore_ascii_case(word);
    if !(is(b"yes") || is(b"sync") || is(b"no")) {
        return Err("ERR Use SCRIPT DEBUG YES/SYNC/NO".into());
    }
    if let Some(name) = args.get(3).filter(|name| !name.eq_ignore_ascii_case(b"lua")) {
        let name = String::from_utf8_lossy(name);
        return Err(format!("ERR No scripting engine found with name '{name}' to enable debug").into());
    }
    if !is(b"no") {
        return Err("ERR The scripting engine 'lua' does not support interactive script debugging".into());
    }
    client.out.ok();
    Ok(())
}
