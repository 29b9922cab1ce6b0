//! The few facts that rules need from a `Cargo.toml`. Reads the plain form that this workspace uses (one dependency a
//! line), not all of TOML.

use crate::workspace::File;
use std::collections::BTreeSet;

/// One crate's manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Folder below `crates/`.
    pub crate_name: String,
    /// Every `key = value` with its section in front: `package.license.workspace = true`.
    settings: BTreeSet<String>,
    /// Dependencies of the built crate.
    pub dependencies: BTreeSet<String>,
    /// Dependencies of its tests only.
    pub dev_dependencies: BTreeSet<String>,
}

impl Manifest {
    /// Whether the setting stands there: `has("lints.workspace = true")`.
    pub fn has(&self, setting: &str) -> bool {
        self.settings.contains(setting)
    }

    fn parse(crate_name: &str, text: &str) -> Self {
        let mut manifest = Manifest {
            crate_name: crate_name.to_owned(),
            settings: BTreeSet::new(),
            dependencies: BTreeSet::new(),
            dev_dependencies: BTreeSet::new(),
        };
        let mut section = String::new();
        for line in text.lines().map(|l| l.split('#').next().unwrap_or_default().trim()) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name.trim_matches(['[', ']']).to_owned();
                if let Some((kind, name)) = section.clone().split_once('.') {
                    manifest.note_dependency(kind, name);
                }
            } else if let Some((key, value)) = line.split_once('=') {
                let (key, value) = (key.trim(), value.trim());
                manifest.settings.insert(format!("{section}.{key} = {value}"));
                manifest.note_dependency(&section.clone(), key.split('.').next().unwrap_or(key));
            }
        }
        manifest
    }

    fn note_dependency(&mut self, section: &str, name: &str) {
        let kind = section.rsplit('.').next().unwrap_or(section);
        match kind {
            "dependencies" | "build-dependencies" => drop(self.dependencies.insert(name.to_owned())),
            "dev-dependencies" => drop(self.dev_dependencies.insert(name.to_owned())),
            _ => {}
        }
    }
}

/// The manifests of all crates.
///
/// # Panics
/// If there are none.
pub fn manifests(files: &[File]) -> Vec<Manifest> {
    let found: Vec<Manifest> = files
        .iter()
        .filter(|f| f.path.ends_with("/Cargo.toml") && f.path.matches('/').count() == 2)
        .filter_map(|f| Some(Manifest::parse(f.crate_name()?, &f.text)))
        .collect();
    assert!(!found.is_empty(), "no crates found");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_in_every_form_in_use() {
        let m = Manifest::parse(
            "x",
            "[package]\nname = \"baton-x\"\nlicense.workspace = true\n[dependencies]\na.workspace = true # why\nb = { path = \"../b\" }\n\
             [dependencies.c]\nversion = \"1\"\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n[dev-dependencies]\ne.workspace = true\n",
        );
        assert_eq!(m.dependencies.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(m.dev_dependencies.iter().map(String::as_str).collect::<Vec<_>>(), ["e"]);
        assert!(m.has("package.license.workspace = true"));
    }
}
