//! Which files the project consists of. Never looks into what is built or installed.

use crate::source::Source;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One text file of the project.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    /// The name of the crate it belongs to, if it lies in one.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether it is Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// The root of the workspace.
///
/// # Panics
/// If this crate has been moved away from `crates/`.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders below the root").to_path_buf()
}

/// All text files of the project: what git tracks or would track; without git, what a walk finds.
///
/// # Panics
/// If nothing is found: a check of nothing would always pass.
pub fn files() -> Vec<File> {
    let root = root();
    let mut paths = tracked(&root).unwrap_or_else(|| walked(&root));
    paths.sort();
    paths.dedup();
    // A path may be tracked and already deleted, and a binary file is none of our business: both fail to read as text.
    let read = |path: String| fs::read_to_string(root.join(&path)).ok().map(|text| File { path, text });
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(files.iter().any(|f| f.path == "Cargo.toml"), "no project found at {}", root.display());
    files
}

/// The Rust files of the project.
pub fn rust_files() -> Vec<File> {
    files().into_iter().filter(File::is_rust).collect()
}

/// Which files hold test code only, although they lie beside the code: what tests declare as their modules.
#[derive(Clone, Debug)]
pub struct TestFiles(Vec<String>);

impl TestFiles {
    /// Looks through all module declarations.
    pub fn among(files: &[File]) -> Self {
        let mut found = Vec::new();
        for file in files.iter().filter(|f| f.is_rust()) {
            let is_root = ["/lib.rs", "/main.rs", "/mod.rs"].iter().any(|end| file.path.ends_with(end));
            let parent = file.path.rsplit_once('/').map(|(folder, _)| folder);
            let folder = if is_root { parent } else { file.path.strip_suffix(".rs") };
            for (name, _) in Source::new(&file.text).modules().into_iter().filter(|(_, test)| *test) {
                found.extend(folder.map(|folder| format!("{folder}/{name}")));
            }
        }
        TestFiles(found)
    }

    /// Whether the file is one of them, or lies in a folder of tests.
    pub fn contains(&self, path: &str) -> bool {
        let in_folder = path.split('/').any(|part| part == "tests" || part == "benches");
        let by_name = path.ends_with("_test.rs") || path.ends_with("_tests.rs");
        in_folder || by_name || self.0.iter().any(|m| path == format!("{m}.rs") || path.starts_with(&format!("{m}/")))
    }
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().ok().filter(|o| o.status.success())?;
    let paths = output.stdout.split(|b| *b == 0).filter(|p| !p.is_empty());
    Some(paths.map(|p| String::from_utf8_lossy(p).into_owned()).collect())
}

fn walked(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if path.is_dir() {
                let hidden = name.starts_with('.') && name != ".ci";
                if !hidden && name != "target" && name != "__pycache__" {
                    folders.push(path);
                }
            } else if let Ok(relative) = path.strip_prefix(root) {
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found
}
