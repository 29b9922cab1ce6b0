//! CONFIG GET, SET, REWRITE, RESETSTAT, HELP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_config::{Extent, Id, SetContext, SetError};
use baton_resp::Args;

use super::{Outcome, Refusal, SYNTAX};
use crate::control::ControlMessage;
use crate::repl::FeederMessage;
use crate::shared::Shared;
use crate::worker::WorkerMessage;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

const HELP: &[&str] = &[
    "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Rewrite the configuration file.",
    "HELP",
    "    Print this help.",
];

/// CONFIG subcommand ...
pub fn run(cx: &mut Context<'_>, client: &mut Client, args: Args<'_>) -> Outcome {
    match args.at(1).to_ascii_lowercase().as_slice() {
        b"get" => {
            let patterns: Vec<&[u8]> = args.skip(2).iter().collect();
            let settings = crate::apply::with_current_role(cx.shared, &cx.world.settings);
            let found = settings.get_matching(&patterns);
            client.out.map(found.len());
            for (name, value) in found {
                client.out.bulk(name.as_bytes());
                client.out.bulk(&value);
            }
        }
        b"set" => {
            let replicas = cx.world.hot.write_ack_replicas;
            set(cx.shared, args.skip(2), is_local(client))?;
            cx.look();
            client.who.follow(&cx.world);
            if cx.world.hot.write_ack_replicas != replicas {
                begin_holding(cx);
            }
            client.out.ok();
        }
        b"rewrite" => {
            rewrite(cx.shared, Extent::Needed)?;
            client.out.ok();
        }
        b"resetstat" => {
            cx.shared.stats.reset();
            cx.shared.scripts.cache().reset_evicted();
            cx.shared.memory.reset();
            cx.shared.write_acks.reset_stats();
            cx.shared.threads().control.send(ControlMessage::ResetStats);
            client.out.ok();
        }
        b"help" => {
            client.out.array(HELP.len());
            HELP.iter().for_each(|l| client.out.simple(l));
        }
        _ => return Err(SYNTAX.into()),
    }
    Ok(Flow::Next)
}

/// Whether a client is on this machine, by its address.
pub fn is_local(client: &Client) -> bool {
    let addr = &client.meta.addr;
    client.conn.is_unix() || addr.parse::<std::net::SocketAddr>().is_ok_and(|a| a.ip().to_canonical().is_loopback())
}

/// Another number of replicas has to acknowledge writes: what is there now counts as unacknowledged by them.
fn begin_holding(cx: &mut Context<'_>) {
    let replicas = cx.world.hot.write_ack_replicas;
    cx.step_outside(|shared| {
        let _still = shared.gate.stop_world();
        shared.write_acks.begin_anew(replicas, shared.journal.end());
    });
    let threads = cx.shared.threads();
    threads.feeder.send(FeederMessage::AskAcks);
    threads.workers.iter().for_each(crate::mailbox::Mailbox::ring);
}

/// Whether a dataset is being loaded, in place or beside the one in use: what its end goes by must not change meanwhile.
fn is_loading(shared: &Shared) -> bool {
    shared.world.peek().loading.is_some() || shared.repl.loading_aside.load(Ordering::Relaxed)
}

fn set(shared: &Arc<Shared>, args: Args<'_>, is_local: bool) -> Result<(), Refusal> {
    if !args.len().is_multiple_of(2) {
        return Err(SYNTAX.into());
    }
    let _writing = shared.config_write.lock();
    let pairs: Vec<(&[u8], &[u8])> = (0..args.len() / 2).map(|i| (args.at(2 * i), args.at(2 * i + 1))).collect();
    let old = Arc::clone(&shared.world.peek().settings);
    let mut new = baton_config::Settings::clone(&old);
    let context = SetContext { client_is_local: is_local, is_loading: is_loading(shared) };
    let refusal = |e: SetError| Refusal(e.to_string().into());
    let changed = new.set_runtime(&pairs, context).map_err(refusal)?;
    let new = crate::apply::settings_changed(shared, &old, new, &changed).map_err(refusal)?;
    for note in changed.iter().filter_map(|c| c.note.as_ref()) {
        shared.log.notice(note);
    }
    let new = Arc::new(new);
    let has_password = changed.iter().any(|c| c.id == Id::RequirePass);
    shared.change_world(|w| {
        w.set_settings(Arc::clone(&new));
        if has_password {
            w.set_default_password();
        }
    });
    let clients_max = shared.world.peek().hot.clients_memory_max;
    if clients_max > 0 {
        crate::client_memory::evict(shared, clients_max);
    }
    crate::worker::changes::trim_table(shared, shared.world.peek().hot.tracking_keys_max);
    shared.tell_workers(|| WorkerMessage::SettingsChanged);
    shared.threads().control.send(ControlMessage::SettingsChanged);
    Ok(())
}

/// Writes the configuration file anew.
pub fn rewrite(shared: &Shared, extent: Extent) -> Result<(), Refusal> {
    let _writing = shared.config_write.lock();
    let Some(path) = &shared.config_file else {
        return Err("ERR The server is running without a config file".into());
    };
    let old = std::fs::read(path).ok();
    let world = shared.world.load();
    let settings = crate::apply::with_current_role(shared, &world.settings);
    let text = baton_config::rewrite_with_users(old.as_deref(), &settings, &crate::acl::config_lines(&world), extent);
    match crate::persist::replace_file(path, &text, true) {
        Ok(()) => {
            shared.log.notice("CONFIG REWRITE executed with success.");
            Ok(())
        }
        Err(e) => {
            shared.log.warning(&format!("CONFIG REWRITE failed: {e}"));
            Err(format!("ERR Rewriting config file: {e}").into())
        }
    }
}
