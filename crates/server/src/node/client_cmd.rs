//! The CLIENT family: who is connected, under which name, and how it is treated.

use std::sync::Arc;

use baton_base::num::parse_i64;
use baton_resp::{Args, Proto};

use super::client_filter::Filter;
use super::{NOT_INTEGER, Outcome, Refusal, SYNTAX};
use crate::clients::{ClientFlags, ClientId, ClientMeta, UnblockHow};
use crate::worker::WorkerMessage;
use crate::worker::client::{Client, ReplyMode};
use crate::worker::context::{Context, Flow};
use crate::world::{HoldReason, HoldScope};

/// CLIENT HELP's lines.
const HELP: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CAPA <option> [options...]",
    "    The client claims its some capability options.",
    "CACHING (YES|NO)",
    "    Whether keys of the next command are remembered for invalidation.",
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "ID",
    "    Return the ID of the current connection.",
    "IMPORT-SOURCE (ON|OFF)",
    "    Mark this connection as an import source if import-mode is enabled.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port> | <option> <value> [...]",
    "    Close connections by address or by filters.",
    "LIST [options ...]",
    "    Return information about client connections.",
    "MAINT_NOTIFICATIONS (ON [MOVING-ENDPOINT-TYPE <type>]|OFF)",
    "    Tell this connection of changes of primaries by push messages.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "HELP",
    "    Print this help.",
];

/// CLIENT subcommand ...
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let sub = args.at(1).to_ascii_lowercase();
    match sub.as_slice() {
        b"id" => client.out.int(client.meta.id.0 as i64),
        b"getname" => {
            let name = client.meta.labels.lock().name.clone();
            if name.is_empty() { client.out.null() } else { client.out.bulk(name.as_bytes()) }
        }
        b"setname" => {
            let name = checked_name(args.at(2), "Client names")?;
            client.meta.labels.lock().name = name;
            client.out.ok();
        }
        b"setinfo" => set_info(client, args)?,
        b"info" => {
            client.publish_state();
            let line = client.meta.line(cx.shared.clock.mono()) + "\n";
            client.out.verbatim(b"txt", line.as_bytes());
        }
        b"list" => list(cx, client, args)?,
        b"kill" => return kill(cx, client, args),
        b"reply" => return reply_mode(client, args),
        b"no-evict" => {
            let on = on_off(args.at(2))?;
            client.meta.set_flags(ClientFlags::NO_EVICT, on);
            client.out.ok();
        }
        b"import-source" => {
            let on = on_off(args.at(2))?;
            if on && !cx.world.settings.bool(baton_config::Id::ImportMode) {
                return Err("ERR Server is not in import mode".into());
            }
            client.import_source = on;
            client.publish_state();
            client.out.ok();
        }
        b"no-touch" => {
            client.no_touch = on_off(args.at(2))?;
            client.publish_state();
            client.out.ok();
        }
        b"capa" => {
            client.capa_redirect |= args.skip(2).iter().any(|a| a.eq_ignore_ascii_case(b"redirect"));
            client.publish_state();
            client.out.ok();
        }
        b"maint_notifications" => return super::notices::listen(cx, client, args),
        b"pause" => pause(cx, client, args)?,
        b"unpause" => {
            cx.shared.change_world(|w| w.holds.remove(HoldReason::Client));
            client.out.ok();
        }
        b"unblock" => unblock(cx, client, args)?,
        _ => {
            client.out.array(HELP.len());
            HELP.iter().for_each(|l| client.out.simple(l));
        }
    }
    Ok(Flow::Next)
}

/// A name without blanks and control characters, as log lines and CLIENT LIST need it.
pub fn checked_name(name: &[u8], what: &str) -> Result<String, Refusal> {
    if name.iter().all(|b| (b'!'..=b'~').contains(b)) {
        return Ok(String::from_utf8_lossy(name).into_owned());
    }
    Err(format!("ERR {what} cannot contain spaces, newlines or special characters.").into())
}

fn on_off(word: &[u8]) -> Result<bool, Refusal> {
    match word.to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(SYNTAX.into()),
    }
}

fn set_info(client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let option = String::from_utf8_lossy(args.at(2)).to_ascii_lowercase();
    if option != "lib-name" && option != "lib-ver" {
        return Err(format!("ERR Unrecognized option '{}'", String::from_utf8_lossy(args.at(2))).into());
    }
    let value = checked_name(args.at(3), &option)?;
    let mut labels = client.meta.labels.lock();
    if option == "lib-name" {
        labels.lib_name = value;
    } else {
        labels.lib_ver = value;
    }
    drop(labels);
    client.out.ok();
    Ok(())
}

fn reply_mode(client: &mut Client, args: Args<'_>) -> Outcome {
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            client.reply_mode = ReplyMode::On;
            client.out.ok();
        }
        b"off" => client.reply_mode = ReplyMode::Off,
        b"skip" => {
            if client.reply_mode != ReplyMode::Off {
                client.reply_mode = ReplyMode::SkipNext;
            }
        }
        _ => return Err(SYNTAX.into()),
    }
    Ok(Flow::Next)
}

fn selected(cx: &Context<'_>, me: ClientId, filter: &Filter) -> Vec<Arc<ClientMeta>> {
    let now = cx.shared.clock.mono();
    let fits = |m: &Arc<ClientMeta>| filter.fits(m, me, now.since(m.connected).as_secs(), m.idle_secs(now));
    cx.shared.clients.list().into_iter().filter(fits).collect()
}

fn list(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let filter = Filter::parse(args.skip(2), false, cx.shared.store.databases(), &cx.world.users)?;
    client.publish_state();
    let now = cx.shared.clock.mono();
    let mut text = String::new();
    for meta in selected(cx, client.meta.id, &filter) {
        text.push_str(&meta.line(now));
        text.push('\n');
    }
    client.out.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn kill(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    let by_address = args.len() == 3;
    let filter = if by_address {
        Filter::of_address(args.at(2))
    } else {
        Filter::parse(args.skip(2), true, cx.shared.store.databases(), &cx.world.users)?
    };
    let doomed = selected(cx, client.meta.id, &filter);
    if by_address && doomed.is_empty() {
        return Err("ERR No such client".into());
    }
    if by_address {
        client.out.ok();
    } else {
        client.out.int(doomed.len() as i64);
    }
    let mut flow = Flow::Next;
    for meta in doomed {
        if meta.id == client.meta.id {
            client.closing = true;
            flow = Flow::Stop;
        } else if meta.flags().intersects(ClientFlags::REPLICA | ClientFlags::PRIMARY) {
            crate::repl::kill(cx.shared, &meta);
        } else {
            cx.shared.close_client(meta.id);
        }
    }
    Ok(flow)
}

fn pause(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let scope = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"all") => HoldScope::All,
        Some(b"write") => HoldScope::Writes,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let ms = parse_timeout_ms(args.at(2))?;
    let until = cx.shared.clock.mono() + std::time::Duration::from_millis(ms);
    cx.shared.change_world(|w| w.holds.add(HoldReason::Client, scope, until));
    cx.shared.threads().control.ring();
    client.out.ok();
    Ok(())
}

/// A timeout in milliseconds as blocking commands and CLIENT PAUSE accept it.
pub fn parse_timeout_ms(text: &[u8]) -> Result<u64, Refusal> {
    match parse_i64(text) {
        None => Err("ERR timeout is not an integer or out of range".into()),
        Some(n) if n < 0 => Err("ERR timeout is negative".into()),
        // A deadline must not overflow the clock.
        Some(n) if n > i64::MAX / 2000 => Err("ERR timeout is out of range".into()),
        Some(n) => Ok(n as u64),
    }
}

fn unblock(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let how = match args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"timeout") => UnblockHow::Timeout,
        Some(b"error") => UnblockHow::Error,
        Some(_) => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
    };
    let Some(id) = parse_i64(args.at(2)) else { return Err(NOT_INTEGER.into()) };
    let target = cx.shared.clients.find(ClientId(id as u64));
    let can = target
        .as_ref()
        .is_some_and(|m| m.flags().contains(ClientFlags::BLOCKED) && !m.flags().contains(ClientFlags::HELD));
    if let (Some(meta), true) = (target, can) {
        let worker = meta.worker.load(std::sync::atomic::Ordering::Relaxed) as usize;
        cx.shared.threads().workers[worker].send(WorkerMessage::Unblock { client: meta.id, how });
    }
    client.out.int(i64::from(can));
    Ok(())
}

/// Whether CLIENT REPLY hides the reply of the command that just ran; moves SKIP on.
pub fn hides_reply(client: &mut Client) -> bool {
    match client.reply_mode {
        ReplyMode::On => false,
        ReplyMode::Off => true,
        ReplyMode::SkipNext => {
            client.reply_mode = ReplyMode::Skip;
            true
        }
        ReplyMode::Skip => {
            client.reply_mode = ReplyMode::On;
            true
        }
    }
}

/// RESP3 clients may use every command while subscribed.
pub fn is_resp3(client: &Client) -> bool {
    client.out.proto == Proto::V3
}
