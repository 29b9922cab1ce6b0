//! Changed settings take effect: what a running server does when CONFIG SET changed something that is more than a value
//! to be read at the next look.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use baton_config::{Changed, Endpoint, Id, SetError, Settings};

use crate::log::Level;
use crate::shared::Shared;
use crate::world::Role;

/// Applies what changed. Called before the settings are published; gives the settings as they have to be published. On an
/// error everything is as it was.
pub fn settings_changed(
    shared: &Arc<Shared>,
    old: &Settings,
    new: Settings,
    changed: &[Changed],
) -> Result<Settings, SetError> {
    for (n, change) in changed.iter().enumerate() {
        if let Err(reason) = apply(shared, old, &new, change.id) {
            for done in changed[..n].iter().rev() {
                // What was in force a moment ago can be put in force again; where not, the log says so.
                let _ = apply(shared, &new, old, done.id);
            }
            return Err(SetError::apply(&change.name, reason));
        }
    }
    let moved = changed.iter().any(|c| c.id == Id::Dir);
    Ok(if moved { with_current_dir(new) } else { new })
}

/// Puts one directive in force.
fn apply(shared: &Arc<Shared>, old: &Settings, new: &Settings, id: Id) -> Result<(), String> {
    match id {
        Id::LogLevel => {
            if let Some(level) = Level::parse(&text_of(new, Id::LogLevel)) {
                shared.log.set_level(level);
            }
        }
        Id::LogFormat => shared.log.set_json(text_of(new, Id::LogFormat) == "json"),
        Id::ReplBacklogSize => shared.journal.resize(new.repl_backlog_bytes()),
        Id::Port => {
            let failed = |_| "Unable to listen on this port. Check server logs.".to_owned();
            shared.listeners.rebind(old, new, &shared.log).map_err(failed)?;
        }
        Id::Bind => {
            let failed = |_| "Failed to bind to specified addresses.".to_owned();
            shared.listeners.rebind(old, new, &shared.log).map_err(failed)?;
        }
        Id::NotifyKeyspaceEvents => crate::events::configure(&shared.store, new),
        Id::MaxMemory | Id::MaxMemoryPolicy | Id::LfuLogFactor | Id::LfuDecayTime => {
            crate::eviction::configure(&shared.store, new);
            if id == Id::MaxMemory {
                warn_of_little(shared, new.uint(Id::MaxMemory));
            }
        }
        Id::RdbKeySaveDelay => shared.persist.key_delay.store(new.int(id), Ordering::Relaxed),
        Id::AppendOnly if new.bool(id) => shared.aof.switch_on(shared, new),
        Id::AppendOnly => shared.aof.switch_off(shared),
        Id::AppendFsync => shared.aof.set_policy(shared, new),
        Id::AofDisableAutoGc if !new.bool(id) => shared.aof.remove_history(shared, new),
        Id::MaxClients => return fit_open_files(new.uint(Id::MaxClients)),
        Id::Dir => {
            let moved = std::env::set_current_dir(text_of(new, Id::Dir));
            moved.map_err(|e| crate::listen::text_of(&e))?;
        }
        _ => {}
    }
    Ok(())
}

/// Says so where a new limit is below what is used already.
fn warn_of_little(shared: &Shared, max: u64) {
    let used = shared.memory_used();
    if max > 0 && used > max {
        shared.log.warning(&format!(
            "WARNING: the new maxmemory value set via CONFIG SET ({max}) is smaller than the current memory usage ({used}). \
             This will result in key eviction and/or the inability to accept new write commands depending on the \
             maxmemory-policy."
        ));
    }
}

fn fit_open_files(clients: u64) -> Result<(), String> {
    let limit = crate::os::raise_open_files(clients + OTHER_FILES);
    if limit >= clients + OTHER_FILES {
        return Ok(());
    }
    let possible = limit.saturating_sub(OTHER_FILES);
    Err(format!("The operating system is not able to handle the specified number of clients, try with {possible}"))
}

/// Files that are open besides those of clients: listeners, links, logs, snapshots.
pub const OTHER_FILES: u64 = 32;

/// The settings with `dir` as the full path of the working folder.
pub fn with_current_dir(settings: Settings) -> Settings {
    match std::env::current_dir() {
        Ok(path) => settings.with_dir(path.to_string_lossy().into_owned()),
        // The folder was removed: what was given is as good a name as any.
        Err(_) => settings,
    }
}

/// The shown text of a directive.
pub fn text_of(settings: &Settings, id: Id) -> String {
    String::from_utf8_lossy(&settings.shown(id)).into_owned()
}

/// The settings with `replicaof` as the node's role is now: REPLICAOF changes the role without changing the directive,
/// and CONFIG REWRITE has to keep it.
pub fn with_current_role(shared: &Shared, settings: &Settings) -> Settings {
    let world = shared.world.peek();
    let endpoint = match &world.role {
        Role::Replica { host, port } if world.topology.is_none() => {
            Some(Endpoint { host: host.to_string(), port: *port })
        }
        _ => None,
    };
    settings.clone().with_replica_of(endpoint)
}
