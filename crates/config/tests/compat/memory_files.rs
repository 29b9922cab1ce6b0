//! A file system in memory.

use baton_config::Files;
use std::collections::BTreeMap;
use std::io;

/// Files in memory, below the working folder `/w`.
#[derive(Debug, Default)]
pub(crate) struct MemoryFiles {
    /// Absolute path and content.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What standard input holds.
    pub(crate) stdin: Vec<u8>,
}

impl MemoryFiles {
    /// Files by absolute path.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        MemoryFiles { files: files.collect(), stdin: Vec::new() }
    }
}

impl Files for MemoryFiles {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(&self.absolute(path)).cloned().ok_or_else(|| io::Error::from_raw_os_error(2))
    }

    fn read_stdin(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.stdin.clone())
    }

    fn list(&mut self, folder: &str) -> Vec<String> {
        let folder = match self.absolute(folder) {
            root if root == "/" => root,
            other => format!("{other}/"),
        };
        let names = self.files.keys().filter_map(|path| path.strip_prefix(&folder)?.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        names
    }

    fn absolute(&self, path: &str) -> String {
        match path {
            "." => "/w".to_owned(),
            p if p.starts_with('/') => p.to_owned(),
            p => format!("/w/{p}"),
        }
    }
}
