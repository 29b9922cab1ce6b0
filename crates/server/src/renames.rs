//! `rename-command`: names that clients use instead of commands' own, and commands that clients can't use at all. A request
//! under another name is given the command's own name before anything looks at it, so users' rules, logs and the replication
//! stream know nothing of renames. Never consulted where nothing is renamed.

use std::collections::BTreeMap;

use baton_commands::CommandSpec;
use baton_config::{FileLine, Origin};
use baton_resp::{Args, OwnedArgs};

/// Other names than those of the registry, in lower case: what they stand for, or that they stand for nothing.
#[derive(Clone, Debug, Default)]
pub struct Renames(BTreeMap<Vec<u8>, Option<&'static CommandSpec>>);

/// What the first word of a request says.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// What the registry says.
    Itself,
    /// Nothing: the command of this name has another one, or is gone.
    Nothing,
    /// This command, by another name than its own.
    Other(&'static CommandSpec),
}

impl Renames {
    /// What the lines of a configuration say, one after the other.
    ///
    /// # Errors
    /// A line whose command is not there, or whose new name is another command's, with the reason.
    pub fn of_lines(lines: &[FileLine]) -> Result<Renames, (Origin, &'static str)> {
        let mut renames = Renames::default();
        for line in lines {
            renames.add(&line.words[0], &line.words[1]).map_err(|text| (line.origin.clone(), text))?;
        }
        Ok(renames)
    }

    fn add(&mut self, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
        let spec = self.find(old).ok_or("No such command in rename-command")?;
        self.0.insert(old.to_ascii_lowercase(), None);
        if !new.is_empty() {
            if self.find(new).is_some() {
                return Err("Target command name already exists");
            }
            self.0.insert(new.to_ascii_lowercase(), Some(spec));
        }
        Ok(())
    }

    /// Whether no command has another name.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The command that clients reach by a name.
    pub fn find(&self, name: &[u8]) -> Option<&'static CommandSpec> {
        match self.named(name) {
            Named::Itself => baton_commands::lookup(name),
            Named::Nothing => None,
            Named::Other(spec) => Some(spec),
        }
    }

    /// What a name says.
    pub fn named(&self, name: &[u8]) -> Named {
        match self.0.get(&name.to_ascii_lowercase()) {
            None => Named::Itself,
            Some(None) => Named::Nothing,
            Some(Some(spec)) if spec.name.as_bytes().eq_ignore_ascii_case(name) => Named::Itself,
            Some(Some(spec)) => Named::Other(spec),
        }
    }
}

/// A request by its command's own name.
pub fn by_own_name(spec: &CommandSpec, args: Args<'_>) -> OwnedArgs {
    let words: Vec<&[u8]> = std::iter::once(spec.name.as_bytes()).chain(args.skip(1).iter()).collect();
    OwnedArgs::from_slices(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renames(pairs: &[(&str, &str)]) -> Result<Renames, &'static str> {
        let line = |(old, new): &(&str, &str)| FileLine {
            words: vec![old.as_bytes().to_vec(), new.as_bytes().to_vec()],
            origin: Origin { line: 1, text: String::new() },
        };
        Renames::of_lines(&pairs.iter().map(line).collect::<Vec<_>>()).map_err(|(_, text)| text)
    }

    #[test]
    fn a_command_goes_by_its_new_name_only() {
        let some = renames(&[("FlushDB", "Badger"), ("config", "")]).expect("both are there");
        let name = |word: &[u8]| some.find(word).map(|spec| spec.name);
        assert_eq!(name(b"badger"), Some("flushdb"));
        assert_eq!((name(b"FLUSHDB"), name(b"config"), name(b"get")), (None, None, Some("get")));
        assert!(matches!(some.named(b"BADGER"), Named::Other(_)) && matches!(some.named(b"get"), Named::Itself));
    }

    #[test]
    fn names_can_change_places() {
        let swapped = renames(&[("get", "x"), ("set", "get"), ("x", "set")]).expect("each step is possible");
        let name = |word: &[u8]| swapped.find(word).map(|spec| spec.name);
        assert_eq!((name(b"get"), name(b"set"), name(b"x")), (Some("set"), Some("get"), None));
        let back = renames(&[("get", "x"), ("x", "get")]).expect("each step is possible");
        assert!(matches!(back.named(b"get"), Named::Itself));
    }

    #[test]
    fn what_is_not_there_or_taken_is_refused() {
        assert_eq!(renames(&[("nosuch", "x")]).err(), Some("No such command in rename-command"));
        assert_eq!(renames(&[("get", ""), ("get", "x")]).err(), Some("No such command in rename-command"));
        assert_eq!(renames(&[("get", "set")]).err(), Some("Target command name already exists"));
    }
}
