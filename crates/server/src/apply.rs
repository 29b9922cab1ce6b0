//! Changed settings take effect: what a running server does when CONFIG SET changed something that is more than a value
//! to be read at the next look.

use std::sync::Arc;

use baton_config::{Changed, Endpoint, Id, Settings};

use crate::log::Level;
use crate::node::Refusal;
use crate::shared::Shared;
use crate::world::Role;

/// Applies what changed. Called before the settings are published; an error leaves the old ones in force.
pub fn settings_changed(shared: &Arc<Shared>, settings: &Settings, changed: &[Changed]) -> Result<(), Refusal> {
    for change in changed {
        match change.id {
            Id::LogLevel => {
                if let Some(level) = Level::parse(&text_of(settings, Id::LogLevel)) {
                    shared.log.set_level(level);
                }
            }
            Id::ReplBacklogSize => shared.journal.resize(settings.repl_backlog_bytes()),
            Id::Dir => {
                let dir = text_of(settings, Id::Dir);
                if let Err(e) = std::env::set_current_dir(&dir) {
                    return Err(format!("ERR CONFIG SET failed (possibly related to argument 'dir') - {e}").into());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

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
