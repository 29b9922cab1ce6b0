//! Reads configuration text line by line into settings: comments, quoting, includes, the directives that exist only in
//! files, and those of old versions that are ignored.

use crate::directive::Special;
use crate::directive::{Directive, Kind};
use crate::files::{self, Files};
use crate::id::Id;
use crate::parse::{self, Invalid};
use crate::settings::Settings;
use crate::start_error::{Origin, StartError};
use crate::value::Value;
use baton_base::quote;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep includes may nest, and how many files may be included in all. Upstream has no bound and crashes on a file
/// that includes itself.
const INCLUDE_DEPTH_MAX: usize = 16;
const INCLUDES_MAX: usize = 1024;

/// Directives of old versions, accepted with one argument and ignored, as upstream does.
const DEPRECATED: [&str; 7] = [
    "dynamic-hz",
    "events-per-io-thread",
    "io-threads-do-reads",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
    "sanitize-dump-payload",
];

const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

/// A directive that exists only in files, with the place it came from. Whoever knows commands, users or modules checks
/// it and refuses it with `StartError::at(&line.origin, ...)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// The words after the directive's name.
    pub words: Vec<Vec<u8>>,
    /// Where it stands.
    pub origin: Origin,
}

/// What a configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The value of every directive.
    pub settings: Settings,
    /// Where each directive that is set was set last. Empty for defaults.
    pub origins: BTreeMap<Id, Origin>,
    /// `rename-command`: the command and its new name, empty to remove it.
    pub renames: Vec<FileLine>,
    /// `user`: the name and its rules.
    pub users: Vec<FileLine>,
    /// `loadmodule`: the path and its arguments.
    pub modules: Vec<FileLine>,
    /// Directives of modules: a name with a dot in it first, then its words.
    pub module_options: Vec<FileLine>,
    /// What to log, at warning level: directives without effect.
    pub notes: Vec<String>,
}

impl Loaded {
    /// A refusal of a directive's value that only applying it brought up.
    pub fn refusal(&self, id: Id, message: impl Into<String>) -> StartError {
        match self.origins.get(&id) {
            Some(origin) => StartError::at(origin, message),
            None => StartError::Conflict(message.into()),
        }
    }
}

/// Reads a whole configuration.
pub fn load(text: &[u8], files: &mut dyn Files) -> Result<Loaded, StartError> {
    let mut loader = Loader { files, loaded: Loaded::default(), includes: 0 };
    loader.text(text, 0)?;
    let mut loaded = loader.loaded;
    let settings = &loaded.settings;
    if settings.bool(Id::ClusterEnabled) && settings.replica_of().is_some() {
        return Err(StartError::Conflict("replicaof directive not allowed in cluster mode".to_owned()));
    }
    let accepted = loaded.origins.keys().filter_map(|id| settings.note(*id));
    let accepted: Vec<String> = accepted.collect();
    loaded.notes.extend(accepted);
    Ok(loaded)
}

struct Loader<'a> {
    files: &'a mut dyn Files,
    loaded: Loaded,
    includes: usize,
}

impl Loader<'_> {
    fn text(&mut self, text: &[u8], depth: usize) -> Result<(), StartError> {
        for (number, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let origin = Origin { line: number + 1, text: String::from_utf8_lossy(line).into_owned() };
            self.line(line, &origin, depth).map_err(|fault| match fault {
                Fault::Message(message) => StartError::Line { origin, message },
                Fault::Inner(error) => error,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], origin: &Origin, depth: usize) -> Result<(), Fault> {
        let words = quote::split_words(line).ok_or("Unbalanced quotes in configuration line")?;
        let Some((name, words)) = words.split_first() else { return Ok(()) };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let kept = || FileLine { words: words.to_vec(), origin: origin.clone() };
        match (name.as_str(), words.len()) {
            ("include", 1) => return self.include(&words[0], depth),
            ("rename-command", 2) => self.loaded.renames.push(kept()),
            ("user", 1..) => self.user(kept())?,
            ("loadmodule", 1..) => self.loaded.modules.push(kept()),
            ("sentinel", _) => return Err("sentinel directive while not in sentinel mode".into()),
            (old, 1) if DEPRECATED.contains(&old) => {
                self.loaded.notes.push(format!("The directive '{old}' is deprecated and ignored."));
            }
            _ => match Id::find(&name) {
                Some(directive) => self.directive(directive, words, origin)?,
                None if name.contains('.') && words.is_empty() => {
                    return Err("Module config specified without value".into());
                }
                None if name.contains('.') => {
                    let all = std::iter::once(name.into_bytes()).chain(words.iter().cloned()).collect();
                    self.loaded.module_options.push(FileLine { words: all, origin: origin.clone() });
                }
                None => return Err(BAD_DIRECTIVE.into()),
            },
        }
        Ok(())
    }

    fn directive(&mut self, directive: &Directive, words: &[Vec<u8>], origin: &Origin) -> Result<(), Fault> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let settings = &mut self.loaded.settings;
        let mut value = parse::value(directive, &words, settings.value(directive.id))?;
        if matches!(directive.kind, Kind::Special(Special::Save)) {
            let is_first = !self.loaded.origins.contains_key(&directive.id);
            value = accumulated_save(settings, &words, value, is_first);
        }
        settings.assign(directive.id, value);
        self.loaded.origins.insert(directive.id, origin.clone());
        Ok(())
    }

    fn user(&mut self, line: FileLine) -> Result<(), Fault> {
        if self.loaded.users.iter().any(|other| other.words[0] == line.words[0]) {
            let name = String::from_utf8_lossy(&line.words[0]).into_owned();
            let why = "Duplicate user found. A user can only be defined once in config files";
            return Err(Fault::Message(format!("Error in user declaration '{name}': {why}")));
        }
        self.loaded.users.push(line);
        Ok(())
    }

    fn include(&mut self, path: &[u8], depth: usize) -> Result<(), Fault> {
        let path = String::from_utf8_lossy(path).into_owned();
        if depth >= INCLUDE_DEPTH_MAX {
            return Err("includes are nested too deeply".into());
        }
        let paths = if files::is_pattern(&path) { files::expanded(self.files, &path) } else { vec![path] };
        for path in paths {
            self.includes += 1;
            if self.includes > INCLUDES_MAX {
                return Err("too many included files".into());
            }
            let read = self.files.read(&path);
            let text = read.map_err(|error| Fault::Inner(StartError::Open { path, error }))?;
            self.text(&text, depth + 1).map_err(Fault::Inner)?;
        }
        Ok(())
    }
}

/// In files each `save` adds points; the first one replaces the default, and `save ""` starts over.
fn accumulated_save(settings: &Settings, words: &[&[u8]], value: Value, is_first: bool) -> Value {
    let Value::Save(new) = &value else { unreachable!("save makes save points") };
    if words == [b""] {
        return value;
    }
    let old = if is_first { &[] } else { settings.save_points() };
    Value::Save(old.iter().chain(new.iter()).copied().collect::<Arc<[_]>>())
}

/// Why a line is refused: a message about this line, or an error that already names its place.
enum Fault {
    Message(String),
    Inner(StartError),
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Fault::Message(message.to_owned())
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Fault::Message(invalid.0)
    }
}
