//! FUNCTION: libraries of functions. They change while the world stands still, so that a snapshot has those of its cut, and
//! the change travels as the command that made it.

use std::sync::Arc;

use baton_base::glob;
use baton_commands::NodeCommand as N;
use baton_rdb::dump_functions;
use baton_resp::Args;
use baton_script::Library;

use super::err;
use crate::function_change::FunctionChange;
use crate::node::{Outcome, Refusal};
use crate::running::Text;
use crate::worker::WorkerMessage;
use crate::worker::client::Client;
use crate::worker::context::{Context, Flow};

/// The subcommands.
pub(super) fn run(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Outcome {
    match command {
        N::FunctionLoad | N::FunctionDelete | N::FunctionFlush | N::FunctionRestore => {
            change(cx, client, command, args)?;
        }
        N::FunctionDump => {
            let libraries = cx.shared.scripts.functions();
            let sources = libraries.iter().map(|library| &*library.code);
            client.out.bulk(&dump_functions(sources, cx.world.env.rdb_compress));
        }
        N::FunctionList => list(cx, client, args)?,
        N::FunctionStats => stats(cx, client),
        _ => {
            cx.shared.running.kill(true, cx.server_name())?;
            client.out.ok();
        }
    }
    Ok(Flow::Next)
}

/// Changes the libraries and has the command propagated.
fn change(cx: &mut Context<'_>, client: &mut Client, command: N, args: Args<'_>) -> Result<(), Refusal> {
    let change = FunctionChange::of(cx.shared, &mut cx.local.loader, command, args, cx.world.env.rdb_versions)?;
    let loaded = match &change {
        FunctionChange::Add { libraries, .. } if command == N::FunctionLoad => {
            libraries.first().map(|library| library.name.clone())
        }
        _ => None,
    };
    cx.shared.stats.lanes[cx.local.lane.0].loader_bytes.set(cx.local.loader.memory_bytes() as u64);
    let db = client.db.0;
    let end = cx.stop_world(|cx| {
        cx.shared.scripts.change_functions(|libraries| change.apply(libraries))?;
        cx.shared.stats.lanes[cx.local.lane.0].dirty.add(1);
        if cx.world.role.is_replica() || !cx.shared.journal.is_active() {
            return Ok(None);
        }
        cx.local.unit.push(db, &args.iter().collect::<Vec<_>>());
        Ok::<_, Refusal>(if cx.in_transaction { None } else { Some(cx.append_unit()) })
    })??;
    if let Some(end) = end {
        client.last_write = end;
    }
    if command == N::FunctionFlush {
        // What this thread has compiled is gone before the reply, that of the others soon after.
        cx.local.forget_scripts(cx.shared);
        cx.shared.tell_workers(|| WorkerMessage::ScriptsForgotten);
    }
    match loaded {
        Some(name) => client.out.bulk(&name),
        None => client.out.ok(),
    }
    Ok(())
}

fn list(cx: &Context<'_>, client: &mut Client, args: Args<'_>) -> Result<(), Refusal> {
    let (mut pattern, mut with_code, mut next) = (None, false, 2);
    while let Some(word) = args.get(next) {
        if !with_code && word.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && word.eq_ignore_ascii_case(b"libraryname") {
            next += 1;
            pattern = Some(args.get(next).ok_or("ERR library name argument was not given")?);
        } else {
            return Err(err(&[b"Unknown argument ", word].concat()));
        }
        next += 1;
    }
    let libraries = cx.shared.scripts.functions();
    let wanted = |library: &&Arc<Library>| pattern.is_none_or(|pattern| glob::matches(pattern, &library.name, true));
    let shown: Vec<_> = libraries.iter().filter(wanted).collect();
    client.out.array(shown.len());
    for library in shown {
        write_library(client, library, with_code);
    }
    Ok(())
}

fn write_library(client: &mut Client, library: &Library, with_code: bool) {
    let out = &mut client.out;
    out.map(if with_code { 4 } else { 3 });
    out.bulk(b"library_name");
    out.bulk(&library.name);
    out.bulk(b"engine");
    out.bulk(b"LUA");
    out.bulk(b"functions");
    out.array(library.functions.len());
    for function in &library.functions {
        out.map(3);
        out.bulk(b"name");
        out.bulk(&function.name);
        out.bulk(b"description");
        match &function.description {
            Some(text) => out.bulk(text),
            None => out.null(),
        }
        out.bulk(b"flags");
        let flags: Vec<_> = function.flags.names().collect();
        out.set(flags.len());
        flags.iter().for_each(|flag| out.simple(flag));
    }
    if with_code {
        out.bulk(b"library_code");
        out.bulk(&library.code);
    }
}

fn stats(cx: &Context<'_>, client: &mut Client) {
    let libraries = cx.shared.scripts.functions();
    let out = &mut client.out;
    out.map(2);
    out.bulk(b"running_script");
    let running = cx.shared.running.first();
    match running.as_deref().map(|run| (run, &run.text)) {
        Some((run, Text::Function { name, request })) => {
            out.map(3);
            out.bulk(b"name");
            out.bulk(name);
            out.bulk(b"command");
            out.array(request.as_args().len());
            request.as_args().iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.int(cx.shared.clock.mono().since(run.began).as_millis() as i64);
        }
        _ => out.null(),
    }
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.int(libraries.len() as i64);
    out.bulk(b"functions_count");
    out.int(libraries.function_count() as i64);
}
