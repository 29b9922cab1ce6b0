//! CONFIG GET and CONFIG SET: matching names, and changing several directives at once or none. Applying a change to the
//! running server is the caller's part.

use crate::directive::{Directive, State};
use crate::id::Id;
use crate::parse::{self, Invalid};
use crate::settings::Settings;
use crate::show;
use crate::value::Value;
use baton_base::glob;
use std::collections::BTreeMap;

/// What decides, besides the values, whether CONFIG SET is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetContext {
    /// The client is on this machine.
    pub client_is_local: bool,
    /// A dataset is being loaded.
    pub is_loading: bool,
}

/// Why CONFIG SET is refused. Shows as the whole error line of the reply, code included.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The directive can't change while a dataset is loading.
    #[error("LOADING Valkey is loading the dataset in memory")]
    Loading,
    /// No such directive.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// A directive can't take its value.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Argument {
        /// The directive's name as the client wrote it.
        name: String,
        /// The reason.
        reason: String,
    },
}

impl SetError {
    /// A refusal that only applying the change brought up, such as a port in use.
    pub fn apply(name: &str, reason: impl Into<String>) -> Self {
        SetError::Argument { name: name.to_owned(), reason: reason.into() }
    }
}

const IMMUTABLE: &str = "can't set immutable config";

/// A directive that got another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub id: Id,
    /// Its name as the client wrote it, for errors of applying it.
    pub name: String,
    /// What to log because the new value has no effect.
    pub note: Option<String>,
}

impl Settings {
    /// Changes all the named directives, or none if any is refused. Returns those that have another value now, in the
    /// order given; an empty list means that nothing needs applying.
    pub fn set_runtime<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        pairs: &[(N, V)],
        context: SetContext,
    ) -> Result<Vec<Changed>, SetError> {
        let named = self.check_names(pairs, context)?;
        let mut next = self.clone();
        for ((_, text), (directive, name)) in pairs.iter().zip(&named) {
            let parsed = parse::value(directive, &[text.as_ref()], next.value(directive.id));
            let value = parsed.map_err(|Invalid(reason)| SetError::Argument { name: name.clone(), reason })?;
            if directive.flags.immutable && value != *self.value(directive.id) {
                return Err(SetError::apply(name, IMMUTABLE));
            }
            next.assign(directive.id, value);
            next.raise_backlog(directive.id);
        }
        let differs = |d: &Directive| self.value(d.id) != next.value(d.id);
        let changed = named.iter().filter(|(d, _)| differs(d));
        let changed =
            changed.map(|(d, name)| Changed { id: d.id, name: name.clone(), note: next.note(d.id) }).collect();
        *self = next;
        Ok(changed)
    }

    /// A backlog below this is raised to it, as upstream does at run time but not for the file.
    fn raise_backlog(&mut self, id: Id) {
        const BACKLOG_BYTES_MIN: i64 = 16 << 10;
        if id == Id::ReplBacklogSize {
            self.replace(id, Value::Int(self.int(id).max(BACKLOG_BYTES_MIN)));
        }
    }

    /// Everything that can be refused without looking at values. Upstream looks at names before any value.
    fn check_names<N: AsRef<[u8]>, V>(
        &self,
        pairs: &[(N, V)],
        context: SetContext,
    ) -> Result<Vec<(&'static Directive, String)>, SetError> {
        let may_protected = self.access(Id::EnableProtectedConfigs).allows(context.client_is_local);
        let mut named: Vec<(&Directive, String)> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let name = String::from_utf8_lossy(name.as_ref()).into_owned();
            let Some(directive) = Id::find(&name) else { return Err(SetError::Unknown(name)) };
            let flags = directive.flags;
            if flags.deny_loading && context.is_loading {
                return Err(SetError::Loading);
            }
            let refusal = if flags.immutable && !flags.repeatable {
                Some(IMMUTABLE)
            } else if flags.protected && !may_protected {
                Some("can't set protected config")
            } else if named.iter().any(|(_, other)| other.eq_ignore_ascii_case(&name)) {
                Some("duplicate parameter")
            } else {
                None
            };
            if let Some(reason) = refusal {
                return Err(SetError::apply(&name, reason));
            }
            named.push((directive, name));
        }
        Ok(named)
    }

    /// What to log about a directive that is accepted without effect and not at its default.
    pub fn note(&self, id: Id) -> Option<String> {
        let directive = id.directive();
        let State::Accepted(why) = directive.state else { return None };
        if *self.value(id) == parse::default_value(directive) {
            return None;
        }
        Some(format!("The directive '{}' is accepted but has no effect: {why}.", directive.name))
    }

    /// The names, primary or alias, that match any of the patterns, each with its value, in alphabetical order: the
    /// reply of CONFIG GET. A pattern without wildcards also finds hidden directives, and its name is shown as written.
    pub fn get_matching<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(String, Vec<u8>)> {
        // The key compares names without their case, the value keeps them as they are to be shown.
        let mut found: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if !pattern.iter().any(|b| b"*?[".contains(b)) {
                let name = String::from_utf8_lossy(pattern).into_owned();
                if let Some(directive) = Id::find(&name) {
                    let entry = || (name.clone(), self.shown(directive.id));
                    found.entry(name.to_ascii_lowercase()).or_insert_with(entry);
                }
                continue;
            }
            for directive in Id::ALL.iter().map(|id| id.directive()).filter(|d| !d.flags.hidden) {
                for name in std::iter::once(directive.name).chain(directive.alias) {
                    if glob::matches(pattern, name.as_bytes(), true) {
                        let entry = || (name.to_owned(), self.shown(directive.id));
                        found.entry(name.to_owned()).or_insert_with(entry);
                    }
                }
            }
        }
        found.into_values().collect()
    }

    /// The value of one directive as CONFIG GET shows it.
    pub fn shown(&self, id: Id) -> Vec<u8> {
        show::shown(id.directive(), self.value(id))
    }
}
