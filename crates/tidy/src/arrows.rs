//! Which crate may use which. The table in `ARCHITECTURE.md`, section "Crates and arrows", is the law; it has the columns
//! `Crate`, `Level` and `May use`.

use crate::workspace::File;
use std::collections::{BTreeMap, BTreeSet};

/// The heading of the section that holds the table.
pub const HEADING: &str = "Crates and arrows";

/// What one row allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its level; arrows point to the same or a lower one.
    pub level: u8,
    /// Our own crates that it may use, without the `baton-`.
    pub may_use: BTreeSet<String>,
}

/// The table, by crate.
pub type Table = BTreeMap<String, Row>;

/// Reads the table from the project's files.
///
/// # Errors
/// Says what is wrong with it.
pub fn table(files: &[File]) -> Result<Table, String> {
    let page = files.iter().find(|f| f.path == "ARCHITECTURE.md").ok_or("there is no ARCHITECTURE.md")?;
    parse(&page.text)
}

fn parse(text: &str) -> Result<Table, String> {
    let is_heading = |line: &str| line.starts_with('#') && line.contains(HEADING);
    let section = text.lines().skip_while(|line| !is_heading(line)).skip(1).take_while(|line| !line.starts_with('#'));
    let mut rows = section.filter(|line| line.trim_start().starts_with('|')).map(cells);
    let header = rows.next().ok_or(format!("ARCHITECTURE.md has no table under \"{HEADING}\""))?;
    let column = |name: &str| {
        header
            .iter()
            .position(|cell| *cell == name)
            .ok_or(format!("the table under \"{HEADING}\" has no column {name}"))
    };
    let (name, level, may_use) = (column("Crate")?, column("Level")?, column("May use")?);
    let mut table = Table::new();
    for row in rows.filter(|row| !row.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':' | ' ')))) {
        let cell = |i: usize| row.get(i).copied().unwrap_or_default();
        let level =
            cell(level).trim_start_matches('L').parse().map_err(|_| format!("bad level in: {}", row.join(" | ")))?;
        let may_use: BTreeSet<String> = names(cell(may_use)).collect();
        for crate_name in names(cell(name)) {
            table.insert(crate_name, Row { level, may_use: may_use.clone() });
        }
    }
    if table.is_empty() { Err(format!("the table under \"{HEADING}\" is empty")) } else { Ok(table) }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// The words in backticks.
fn names(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_start_matches("baton-").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_name_several_crates() {
        let text = "# A\n| Crate | x |\n## Crates and arrows\nProse.\n\n| Level | Crate | May use | Why |\n|---|:-:|---|---|\n\
                    | L0 | `base` | nothing | |\n| L1 | `resp`, `wire` | `base` | bytes |\n## Next\n| `no` | L9 | `no` |\n";
        let table = parse(text).unwrap();
        assert_eq!(table.keys().map(String::as_str).collect::<Vec<_>>(), ["base", "resp", "wire"]);
        assert_eq!(table["wire"], Row { level: 1, may_use: ["base".to_owned()].into() });
        assert!(table["base"].may_use.is_empty());
        assert!(parse("# A\n").is_err());
    }
}
