//! All users, as one immutable value. Never knows who is connected, or where users are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::user::User;

/// All users, by name. Copying it copies no user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    by_name: BTreeMap<Box<[u8]>, Arc<User>>,
}

impl Default for Users {
    /// Only the unlimited default user.
    fn default() -> Users {
        let mut users = Users { by_name: BTreeMap::new() };
        users.put(User::unlimited_default());
        users
    }
}

impl Users {
    /// The user with this name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The user that connections begin as.
    pub fn default_user(&self) -> &Arc<User> {
        self.find(User::DEFAULT).expect("the default user can't be removed")
    }

    /// Adds a user, or puts it in the place of the one with its name.
    pub fn put(&mut self, user: User) {
        self.by_name.insert(user.name().into(), Arc::new(user));
    }

    /// Gives the default user this password and no other, or opens it: what `requirepass` says.
    pub fn set_default_password(&mut self, password: Option<&[u8]>) {
        let mut user = User::clone(self.default_user());
        user.set_only_password(password);
        self.put(user);
    }

    /// Takes an older value of a user instead of an equal one, so that nobody takes it for a change.
    pub fn keep_if_equal(&mut self, old: &Arc<User>) {
        if let Some(user) = self.by_name.get_mut(old.name()).filter(|user| *user == old) {
            *user = Arc::clone(old);
        }
    }

    /// Removes a user; tells whether it was there. The default user is not removed.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        name != User::DEFAULT && self.by_name.remove(name).is_some()
    }

    /// All of them, by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// How many there are, the default user included.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Never: there is always the default user.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What a user's name has wrong, if anything.
    pub fn is_name(name: &[u8]) -> bool {
        !crate::keys::has_blanks(name)
    }
}
