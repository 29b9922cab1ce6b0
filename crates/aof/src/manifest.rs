//! The manifest: which files make up the append-only file, in which order they are read, and which are left over (aof 2, 3).
//! A value that is changed step by step and rendered whole; it writes nothing and looks at no directory.

use std::fmt;

use baton_base::num::parse_u64;
use baton_base::quote::{quoted, split_words};

/// The longest line, its newline included, in bytes (aof 3).
pub const MANIFEST_LINE_BYTES_MAX: usize = 1024;

/// The largest number of a file: one more still fits what other servers count with.
const SEQ_MAX: u64 = i64::MAX as u64 - 1;

/// The name of a file within the append-only file's directory: not empty, no path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(Box<[u8]>);

impl FileName {
    /// The name, unless it is empty or a path.
    pub fn new(name: &[u8]) -> Option<FileName> {
        let is_plain = !name.is_empty() && !name.iter().any(|b| matches!(b, b'/' | b'\\' | 0));
        is_plain.then(|| FileName(name.into()))
    }

    /// Its bytes, as the file system has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn made(stem: &FileName, seq: u64, suffix: &str) -> FileName {
        let mut name = stem.0.to_vec();
        name.extend_from_slice(format!(".{seq}{suffix}").as_bytes());
        FileName(name.into())
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// The form of a base file, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseFormat {
    /// A snapshot.
    Rdb,
    /// Commands.
    Commands,
}

/// One file of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub name: FileName,
    /// Its number, from 1. Base files and increments are numbered apart from each other.
    pub seq: u64,
}

/// What a line is wrong about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There are no lines at all.
    #[error("Found an empty AOF manifest")]
    Empty,
    /// No newline within the longest line's bytes.
    #[error("The AOF manifest file contains too long line")]
    LongLine,
    /// Not the pairs that a line has to have.
    #[error("Invalid AOF manifest file format")]
    Format,
    /// A name leads out of the directory.
    #[error("File can't be a path, just a filename")]
    Path,
    /// Two bases.
    #[error("Found duplicate base file information")]
    SecondBase,
    /// An increment that does not come after the one before.
    #[error("Found a non-monotonic sequence number")]
    Order,
    /// Neither base nor increment nor history.
    #[error("Unknown AOF file type")]
    Type,
}

/// Why a manifest can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ManifestError {
    /// What is wrong.
    pub problem: Problem,
    /// The line's number, from 1, and its text; none where the line itself can't be told.
    pub line: Option<(usize, Box<[u8]>)>,
}

impl ManifestError {
    /// What the log says of it, in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec!["\n*** FATAL AOF MANIFEST FILE ERROR ***\n".to_owned()];
        if let Some((number, text)) = &self.line {
            out.push(format!("Reading the manifest file, at line {number}\n"));
            out.push(format!(">>> '{}'\n", String::from_utf8_lossy(text)));
        }
        out.push(format!("{}\n", self.problem));
        out
    }
}

/// The files of an append-only file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    base: Option<ListedFile>,
    history: Vec<ListedFile>,
    incrs: Vec<ListedFile>,
    /// The highest number that a base has had, 0 before the first. Numbers only grow, also where files left the list.
    base_seq: u64,
    /// The same for increments.
    incr_seq: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Base,
    History,
    Incr,
}

impl Manifest {
    /// A manifest with nothing but this base: what a file of before the manifests becomes.
    pub fn of_base(name: FileName) -> Manifest {
        Manifest { base: Some(ListedFile { name, seq: 1 }), base_seq: 1, ..Manifest::default() }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// The first line that breaks the grammar or contradicts the ones before (aof 3).
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        let (mut rest, mut number) = (text, 0);
        if rest.is_empty() {
            return Err(ManifestError { problem: Problem::Empty, line: None });
        }
        while !rest.is_empty() {
            number += 1;
            let within = &rest[..rest.len().min(MANIFEST_LINE_BYTES_MAX)];
            let newline = within.iter().position(|b| *b == b'\n');
            let (line, next) = rest.split_at(newline.map_or(within.len(), |at| at + 1));
            rest = next;
            if line[0] == b'#' {
                continue;
            }
            if newline.is_none() || line.contains(&0) {
                return Err(ManifestError { problem: Problem::LongLine, line: None });
            }
            let line = line.trim_ascii();
            let listed = listed(line).and_then(|(kind, file)| manifest.add(kind, file));
            listed.map_err(|problem| ManifestError { problem, line: Some((number, line.into())) })?;
        }
        Ok(manifest)
    }

    fn add(&mut self, kind: Kind, file: ListedFile) -> Result<(), Problem> {
        match kind {
            Kind::Base if self.base.is_some() => return Err(Problem::SecondBase),
            Kind::Base => {
                self.base_seq = file.seq;
                self.base = Some(file);
            }
            Kind::History => self.history.push(file),
            Kind::Incr if file.seq <= self.incr_seq => return Err(Problem::Order),
            Kind::Incr => {
                self.incr_seq = file.seq;
                self.incrs.push(file);
            }
        }
        Ok(())
    }

    /// The manifest's bytes: base, history, increments.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let history = self.history.iter().map(|file| (file, 'h'));
        let files = self.base.iter().map(|file| (file, 'b')).chain(history);
        for (file, letter) in files.chain(self.incrs.iter().map(|file| (file, 'i'))) {
            let name = file.name.as_bytes();
            out.extend_from_slice(b"file ");
            if name.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\')) {
                out.extend_from_slice(name);
            } else {
                out.extend_from_slice(quoted(name).as_bytes());
            }
            out.extend_from_slice(format!(" seq {} type {letter}\n", file.seq).as_bytes());
        }
        out
    }

    /// The base, if there is one.
    pub fn base(&self) -> Option<&ListedFile> {
        self.base.as_ref()
    }

    /// The increments, in the order in which they are read.
    pub fn incrs(&self) -> &[ListedFile] {
        &self.incrs
    }

    /// The files that were superseded and may still be there.
    pub fn history(&self) -> &[ListedFile] {
        &self.history
    }

    /// What is read, in order: the base, then the increments.
    pub fn files(&self) -> impl Iterator<Item = &ListedFile> {
        self.base.iter().chain(&self.incrs)
    }

    /// Nothing is listed to be read.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incrs.is_empty()
    }

    /// Lists the next increment; gives its name.
    pub fn add_incr(&mut self, stem: &FileName) -> FileName {
        let file = self.unused(stem, self.incr_seq, ".incr.aof");
        let name = file.name.clone();
        self.incr_seq = file.seq;
        self.incrs.push(file);
        name
    }

    /// Lists the next base, which supersedes the one that there is; gives its name.
    pub fn replace_base(&mut self, stem: &FileName, format: BaseFormat) -> FileName {
        let suffix = match format {
            BaseFormat::Rdb => ".base.rdb",
            BaseFormat::Commands => ".base.aof",
        };
        let file = self.unused(stem, self.base_seq, suffix);
        let name = file.name.clone();
        self.base_seq = file.seq;
        if let Some(old) = self.base.replace(file) {
            self.supersede(old);
        }
        name
    }

    /// The next file of its kind. A name that is listed already is passed over: a superseded file that is still to be
    /// deleted may have it after a restart, when its number is known no more.
    fn unused(&self, stem: &FileName, after: u64, suffix: &str) -> ListedFile {
        let mut file = ListedFile { name: FileName::made(stem, after + 1, suffix), seq: after + 1 };
        while self.files().chain(&self.history).any(|listed| listed.name == file.name) {
            file.seq += 1;
            file.name = FileName::made(stem, file.seq, suffix);
        }
        file
    }

    /// The increments before the newest `kept` ones are superseded: a new base holds what they say.
    pub fn supersede_incrs(&mut self, kept: usize) {
        let gone = self.incrs.len().saturating_sub(kept);
        let gone: Vec<ListedFile> = self.incrs.drain(..gone).collect();
        gone.into_iter().for_each(|file| self.supersede(file));
    }

    /// The latest to be superseded is listed first.
    fn supersede(&mut self, file: ListedFile) {
        self.history.insert(0, file);
    }

    /// Forgets the history: gives what may be deleted once the manifest without it is written.
    pub fn take_history(&mut self) -> Vec<ListedFile> {
        std::mem::take(&mut self.history)
    }
}

/// What one line lists.
fn listed(line: &[u8]) -> Result<(Kind, ListedFile), Problem> {
    let words = split_words(line).ok_or(Problem::Format)?;
    if words.len() < 6 || !words.len().is_multiple_of(2) {
        return Err(Problem::Format);
    }
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let value = &pair[1];
        match pair[0].to_ascii_lowercase().as_slice() {
            b"file" if value.iter().any(|b| matches!(b, b'/' | b'\\')) => return Err(Problem::Path),
            b"file" => name = FileName::new(value),
            b"seq" => seq = parse_u64(value).filter(|seq| (1..=SEQ_MAX).contains(seq)),
            b"type" => kind = value.first().copied(),
            _ => {}
        }
    }
    let (Some(name), Some(seq), Some(kind)) = (name, seq, kind) else { return Err(Problem::Format) };
    let kind = match kind {
        b'b' => Kind::Base,
        b'h' => Kind::History,
        b'i' => Kind::Incr,
        _ => return Err(Problem::Type),
    };
    Ok((kind, ListedFile { name, seq }))
}

#[cfg(test)]
mod tests;
