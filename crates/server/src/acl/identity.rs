//! Who a connection is, and how it becomes somebody else. Never what that one may do.

use std::sync::Arc;

use baton_acl::{Reason, User};

use super::{note, place_of};
use crate::clients::ClientMeta;
use crate::worker::client::Client;
use crate::worker::context::Context;
use crate::world::World;

/// Who a connection is.
pub struct Identity {
    /// Its user.
    pub user: Arc<User>,
    /// It authenticated, or began while the default user needed no password.
    authenticated: bool,
    /// It may send commands: it authenticated, or the default user needs no password now.
    pub is_in: bool,
    /// It is in, and its user may do everything: nothing has to be asked before its commands.
    pub is_free: bool,
    /// The version of the users that this follows from.
    version: u64,
}

impl Identity {
    /// Of a new connection.
    pub fn new(world: &World) -> Identity {
        let user = Arc::clone(world.users.default_user());
        let authenticated = user.is_free_to_enter();
        let mut new = Identity { user, authenticated, is_in: false, is_free: false, version: world.users_version };
        new.derive(world);
        new
    }

    /// Of a connection that is this user now.
    fn of(user: &Arc<User>, world: &World) -> Identity {
        let user = Arc::clone(user);
        let mut new = Identity { user, authenticated: true, is_in: true, is_free: false, version: world.users_version };
        new.derive(world);
        new
    }

    fn derive(&mut self, world: &World) {
        self.is_in = self.authenticated || world.users.default_user().is_free_to_enter();
        self.is_free = self.is_in && self.user.is_unlimited();
    }

    /// Follows changes of users. Called before the commands of a batch.
    #[inline]
    pub fn follow(&mut self, world: &World) {
        if self.version != world.users_version {
            self.look_up(world);
        }
    }

    #[cold]
    fn look_up(&mut self, world: &World) {
        self.version = world.users_version;
        match world.users.find(self.user.name()) {
            Some(user) => {
                self.user = Arc::clone(user);
                self.derive(world);
            }
            // The connection is about to be closed. Until then it is nobody.
            None => {
                self.user = Arc::new(User::new(self.user.name(), super::defaults(world)));
                (self.authenticated, self.is_in, self.is_free) = (false, false, false);
            }
        }
    }
}

/// Makes a connection this user, if it knows the password. If it doesn't, that is counted and logged under the name of the
/// command.
pub fn log_in(cx: &Context<'_>, client: &mut Client, name: &[u8], password: &[u8], command: &[u8]) -> bool {
    match cx.world.users.find(name).filter(|user| user.admits(password)) {
        Some(user) => {
            client.who = Identity::of(user, &cx.world);
            client.once_authenticated = true;
            show(&client.meta, name);
            true
        }
        None => {
            client.publish_state();
            note(cx.shared, &client.meta, Reason::Auth, place_of(cx, client), command.to_vec(), name);
            false
        }
    }
}

/// Makes a connection the default user again, as if it had just been made.
pub fn begin_anew(world: &World, client: &mut Client) {
    client.who = Identity::new(world);
    show(&client.meta, User::DEFAULT);
}

fn show(meta: &ClientMeta, name: &[u8]) {
    meta.labels.lock().user = String::from_utf8_lossy(name).into_owned();
}
