//! Libraries of functions: their texts, what they register, and which function is whose. Runs nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::header::{ScriptFlags, first_line};

/// What a library says of one of its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is for.
    pub description: Option<Box<[u8]>>,
    /// What it says about itself.
    pub flags: ScriptFlags,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Its name.
    pub name: Box<[u8]>,
    /// The text as it came, the first line included.
    pub code: Box<[u8]>,
    /// What it registered.
    pub functions: Vec<FunctionSpec>,
    /// Differs between any two libraries that ever were, also of the same name.
    pub id: u64,
    body_at: usize,
    needs_world: AtomicBool,
}

impl Library {
    /// The text behind its first line.
    pub fn body(&self) -> &[u8] {
        &self.code[self.body_at..]
    }

    /// Whether a function of it was found to need more than the slots it declares: the next call begins with everything.
    pub fn needs_world(&self) -> bool {
        self.needs_world.load(Ordering::Relaxed)
    }

    /// Remembers that a function needs more than the slots it declares.
    pub fn note_needs_world(&self) {
        self.needs_world.store(true, Ordering::Relaxed);
    }
}

/// A text that is to become a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryText<'a> {
    /// The library's name.
    pub name: Vec<u8>,
    /// The whole text.
    pub code: &'a [u8],
    /// The text behind its first line.
    pub body: &'a [u8],
}

impl<'a> LibraryText<'a> {
    /// Reads the first line.
    ///
    /// # Errors
    /// The text of the refusal without its code.
    pub fn parse(code: &'a [u8]) -> Result<LibraryText<'a>, Vec<u8>> {
        let Some(line) = first_line(code).map_err(|_| b"Invalid library metadata".to_vec())? else {
            return Err(b"Missing library metadata".to_vec());
        };
        let mut name = None;
        for option in &line.options {
            match option.split_at_checked(5) {
                Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => {
                    if name.replace(value.to_vec()).is_some() {
                        return Err(b"Invalid metadata value, name argument was given multiple times".to_vec());
                    }
                }
                _ => return Err([b"Invalid metadata value given: ".as_slice(), option].concat()),
            }
        }
        let Some(name) = name else { return Err(b"Library name was not given".to_vec()) };
        if !is_name(&name) {
            let text = b"Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                         character long";
            return Err(text.to_vec());
        }
        if !line.engine.eq_ignore_ascii_case(b"lua") {
            return Err([b"Engine '".as_slice(), &line.engine, b"' not found"].concat());
        }
        Ok(LibraryText { name, code, body: line.body })
    }

    /// The library, with what it registered.
    pub fn library(&self, functions: Vec<FunctionSpec>, id: u64) -> Library {
        let body_at = self.code.len() - self.body.len();
        Library {
            name: self.name.as_slice().into(),
            code: self.code.into(),
            functions,
            id,
            body_at,
            needs_world: AtomicBool::new(false),
        }
    }
}

/// Whether this can name a library or a function.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Why a library is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// One with this name is there.
    SameName(Box<[u8]>),
    /// Another one has a function of this name.
    SameFunction(Box<[u8]>),
    /// It registers nothing.
    Empty,
}

impl NotAdded {
    /// The text of the refusal without its code.
    pub fn text(&self) -> Vec<u8> {
        match self {
            NotAdded::SameName(name) => [b"Library '".as_slice(), name, b"' already exists"].concat(),
            NotAdded::SameFunction(name) => [b"Function ".as_slice(), name, b" already exists"].concat(),
            NotAdded::Empty => b"No functions registered".to_vec(),
        }
    }

    /// The same for a library that was saved or dumped.
    pub fn text_of_saved(&self) -> Vec<u8> {
        match self {
            NotAdded::SameName(name) => [b"Library ".as_slice(), name, b" already exists"].concat(),
            other => other.text(),
        }
    }
}

/// A name in small letters.
fn folded(name: &[u8]) -> Box<[u8]> {
    name.to_ascii_lowercase().into()
}

/// All libraries. A value: who changes several at once changes a copy and puts it in the place of the old one.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    by_name: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// By names in small letters.
    by_function: HashMap<Box<[u8]>, (Arc<Library>, usize)>,
    ids: HashSet<u64>,
}

impl Libraries {
    /// The library with this name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Library>> {
        self.by_name.get(name)
    }

    /// The function with this name in letters of either case, and its library.
    pub fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &FunctionSpec)> {
        let (library, at) = self.by_function.get(&*folded(name))?;
        Some((library, &library.functions[*at]))
    }

    /// Adds a library, in the place of one with the same name if it `replaces`.
    ///
    /// # Errors
    /// Why not; nothing is changed then.
    pub fn add(&mut self, library: Library, replaces: bool) -> Result<(), NotAdded> {
        if !replaces && self.by_name.contains_key(&library.name) {
            return Err(NotAdded::SameName(library.name));
        }
        if library.functions.is_empty() {
            return Err(NotAdded::Empty);
        }
        for function in &library.functions {
            if self.by_function.get(&folded(&function.name)).is_some_and(|(other, _)| other.name != library.name) {
                return Err(NotAdded::SameFunction(function.name.clone()));
            }
        }
        self.remove(&library.name);
        let library = Arc::new(library);
        for (at, function) in library.functions.iter().enumerate() {
            // Of two that differ in letters' case only the first is found.
            self.by_function.entry(folded(&function.name)).or_insert_with(|| (Arc::clone(&library), at));
        }
        self.ids.insert(library.id);
        self.by_name.insert(library.name.clone(), library);
        Ok(())
    }

    /// Removes a library; tells whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.by_name.remove(name) else { return false };
        self.ids.remove(&library.id);
        library.functions.iter().for_each(|function| drop(self.by_function.remove(&folded(&function.name))));
        true
    }

    /// All of them in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Library>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How many functions they have.
    pub fn function_count(&self) -> usize {
        self.by_name.values().map(|library| library.functions.len()).sum()
    }

    /// Whether the library with this number is among them.
    pub fn has_id(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        let of = |library: &Arc<Library>| {
            let functions = library.functions.iter().map(|f| f.name.len() + size_of::<FunctionSpec>());
            size_of::<Library>() + library.code.len() + library.name.len() + functions.sum::<usize>()
        };
        self.by_name.values().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str], id: u64) -> Library {
        let code = format!("#!lua name={name}\n");
        let spec = |name: &&str| FunctionSpec { name: name.as_bytes().into(), ..FunctionSpec::default() };
        LibraryText::parse(code.as_bytes()).unwrap().library(functions.iter().map(spec).collect(), id)
    }

    #[test]
    fn the_first_line_names_a_library() {
        let text = LibraryText::parse(b"#!LUA name=one\nbody").unwrap();
        assert_eq!((&*text.name, text.body), (&b"one"[..], &b"\nbody"[..]));
        assert_eq!(LibraryText::parse(b"#!lua name=\"one\"\nbody").unwrap().name, b"one");
        for wrong in [
            "",
            "#!lua name=x",
            "#!lua\n",
            "#!lua name=a-b\n",
            "#!lua name=\n",
            "#!lua name=a name=b\n",
            "#!lua foo=bar name=a\n",
            "#!js name=a\n",
        ] {
            assert!(LibraryText::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn functions_have_one_owner() {
        let mut all = Libraries::default();
        all.add(library("a", &["f", "g"], 1), false).unwrap();
        assert!(all.add(library("a", &["h"], 2), false).is_err());
        assert!(all.add(library("b", &["g"], 3), false).is_err());
        assert!(all.add(library("b", &[], 4), false).is_err());
        all.add(library("a", &["g", "h"], 5), true).unwrap();
        assert!(all.function(b"f").is_none());
        assert!(all.function(b"H").is_some() && all.add(library("c", &["G"], 6), false).is_err());
        assert_eq!(all.function(b"h").map(|(l, f)| (l.id, &*f.name)), Some((5, &b"h"[..])));
        assert_eq!((all.len(), all.function_count(), all.has_id(5), all.has_id(1)), (1, 2, true, false));
        assert!(all.remove(b"a") && !all.remove(b"a") && all.is_empty());
    }
}
