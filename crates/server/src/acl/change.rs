//! Changing users: in commands, and from and to the ACL file. Connections whose user is gone, or may not listen any more to what
//! they listen to, are closed. Never changes users while commands run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use baton_acl::{User, Users, read_users, user_lines};
use baton_commands::Fail;
use baton_config::Id;

use crate::clients::ClientId;
use crate::node::Refusal;
use crate::pubsub::Kind;
use crate::shared::Shared;
use crate::worker::client::Client;
use crate::worker::context::Context;

/// Replaces the users by those that `change` makes of them. Gives what else it gives.
pub fn change_users<T>(
    cx: &mut Context<'_>,
    client: &mut Client,
    change: impl FnOnce(&Users) -> Result<(Users, T), Fail>,
) -> Result<T, Fail> {
    let changed = cx.stop_world(|cx| {
        let shared = Arc::clone(cx.shared);
        let _writing = shared.config_write.lock();
        let before = Arc::clone(&cx.world.users);
        let (after, out) = change(&before)?;
        shared.change_world(|world| world.set_users(after));
        cx.look();
        client.who.follow(&cx.world);
        keep_apart(&shared, &before, &cx.world.users, client);
        Ok(out)
    });
    changed.unwrap_or_else(|Refusal(busy)| Err(Fail::Bytes(busy.into_owned().into_bytes())))
}

/// Closes the connections whose user is gone, and those that listen to what their user may not listen to any more. The one that
/// asked for the change gets its reply first.
pub fn keep_apart(shared: &Shared, before: &Users, after: &Users, asker: &mut Client) {
    let mut closed = BTreeSet::new();
    for old in before.iter() {
        match after.find(old.name()) {
            None => closed.extend(connections_of(shared, old)),
            Some(new) if !Arc::ptr_eq(old, new) && !new.keeps_channels_of(old) => {
                let theirs = connections_of(shared, old);
                let beyond = shared.pubsub.listeners_to(|kind, name| !new.may_listen(name, kind == Kind::Pattern));
                closed.extend(theirs.intersection(&beyond));
            }
            Some(_) => {}
        }
    }
    for id in closed {
        if id == asker.meta.id {
            asker.closing = true;
        } else {
            shared.close_client(id);
        }
    }
}

fn connections_of(shared: &Shared, user: &User) -> BTreeSet<ClientId> {
    let name = String::from_utf8_lossy(user.name());
    shared.clients.list().iter().filter(|meta| meta.labels.lock().user == *name).map(|meta| meta.id).collect()
}

const NO_FILE: &str = "ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL \
SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in the \
configuration.";

/// ACL LOAD.
pub fn load_file(cx: &mut Context<'_>, client: &mut Client) -> Result<(), Refusal> {
    let path = cx.world.settings.text(Id::AclFile).to_owned();
    if path.is_empty() {
        return Err(NO_FILE.into());
    }
    let defaults = super::defaults(&cx.world);
    let text = read(&path).map_err(|e| Refusal(format!("ERR {e}").into()))?;
    let users = read_users(&text, &path, defaults).map_err(|e| Refusal(format!("ERR {e}").into()))?;
    let changed = change_users(cx, client, |before| Ok((kept_where_equal(before, users), ())));
    changed.map_err(|fail| Refusal(String::from_utf8_lossy(&fail.text()).into_owned().into()))
}

/// The new users, those that did not change being the old ones: their connections need no look.
fn kept_where_equal(before: &Users, mut after: Users) -> Users {
    for old in before.iter() {
        after.keep_if_equal(old);
    }
    after
}

/// The text of an ACL file, or why there is none.
pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path)
        .map_err(|e| format!("Error loading ACLs, opening file '{path}': {}", crate::listen::text_of(&e)))
}

/// ACL SAVE.
pub fn save_file(cx: &Context<'_>) -> Result<(), Refusal> {
    let path = cx.world.settings.text(Id::AclFile);
    if path.is_empty() {
        return Err(NO_FILE.into());
    }
    let mut text = Vec::new();
    for line in user_lines(&cx.world.users) {
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    crate::persist::replace_file(Path::new(path), &text, true).map_err(|e| {
        cx.shared.log.warning(&format!("Writing ACL file for ACL SAVE: {}", crate::listen::text_of(&e)));
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information".into()
    })
}
