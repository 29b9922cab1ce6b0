//! The manifest against what the real server says of the same bytes, and properties of what is made of it.

use super::*;
use proptest::prelude::*;

fn name(text: &str) -> FileName {
    FileName::new(text.as_bytes()).unwrap()
}

fn stem() -> FileName {
    name("appendonly.aof")
}

fn shown(manifest: &Manifest) -> String {
    String::from_utf8(manifest.render()).unwrap()
}

/// A line by its number, where one is told.
type Line = Option<(usize, &'static str)>;

/// Observed: Valkey 9.1.2 started with these manifests.
#[test]
fn damage_is_told_as_the_real_server_tells_it() {
    let long = format!("file a seq 1 type b {}\n", "k v ".repeat(300));
    let table: &[(&str, Problem, Line)] = &[
        ("", Problem::Empty, None),
        ("file a seq 1 type b", Problem::LongLine, None),
        (&long, Problem::LongLine, None),
        ("x\n", Problem::Format, Some((1, "x"))),
        ("\n", Problem::Format, Some((1, ""))),
        ("#c\n\n", Problem::Format, Some((2, ""))),
        ("file a seq 1\n", Problem::Format, Some((1, "file a seq 1"))),
        ("file a seq 1 type b x\n", Problem::Format, Some((1, "file a seq 1 type b x"))),
        ("filx a seq 1 type b\n", Problem::Format, Some((1, "filx a seq 1 type b"))),
        ("file a seq 0 type b\n", Problem::Format, Some((1, "file a seq 0 type b"))),
        ("file \"a seq 1 type b\n", Problem::Format, Some((1, "file \"a seq 1 type b"))),
        ("file a seq 1 type \"\"\n", Problem::Format, Some((1, "file a seq 1 type \"\""))),
        ("file a/b seq 1 type b\n", Problem::Path, Some((1, "file a/b seq 1 type b"))),
        ("file a seq 1 type b\nfile b seq 2 type b\n", Problem::SecondBase, Some((2, "file b seq 2 type b"))),
        ("file a seq 2 type i\n  file b seq 1 type i\r\n", Problem::Order, Some((2, "file b seq 1 type i"))),
        ("file a seq 2 type i\nfile b seq 2 type i\n", Problem::Order, Some((2, "file b seq 2 type i"))),
        ("file a seq 1 type x\n", Problem::Type, Some((1, "file a seq 1 type x"))),
    ];
    for (text, problem, line) in table {
        let expected =
            ManifestError { problem: *problem, line: line.map(|(number, text)| (number, text.as_bytes().into())) };
        assert_eq!(Manifest::parse(text.as_bytes()), Err(expected), "{text:?}");
    }
    let error = Manifest::parse(b"x\n").unwrap_err();
    let (first, second) = ("\n*** FATAL AOF MANIFEST FILE ERROR ***\n", "Reading the manifest file, at line 1\n");
    assert_eq!(error.lines(), [first, second, ">>> 'x'\n", "Invalid AOF manifest file format\n"]);
}

#[test]
fn pairs_stand_in_any_order_and_unknown_ones_are_passed_over() {
    let text = "# a note\nTYPE i Seq 3 newkey \"new value\" FILE 'a b'\n file c seq 7 type incr\nfile d seq 1 type h\n";
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    assert_eq!(shown(&manifest), "file d seq 1 type h\nfile \"a b\" seq 3 type i\nfile c seq 7 type i\n");
    assert!(Manifest::parse(b"# only a note\n").unwrap().is_empty());
}

/// Observed: the names that Valkey 9.1.2 gives over a start and two rewrites, its stem being one of those that need quotes, and
/// what it lists of the past, with `aof-disable-auto-gc yes`.
#[test]
fn names_and_order_are_the_real_servers() {
    let stem = name(" file seq \n\n.aof ");
    let mut manifest = Manifest::default();
    manifest.replace_base(&stem, BaseFormat::Rdb);
    manifest.add_incr(&stem);
    manifest.add_incr(&stem);
    manifest.replace_base(&stem, BaseFormat::Commands);
    manifest.supersede_incrs(1);
    let lines = [
        r#"file " file seq \n\n.aof .2.base.aof" seq 2 type b"#,
        r#"file " file seq \n\n.aof .1.incr.aof" seq 1 type h"#,
        r#"file " file seq \n\n.aof .1.base.rdb" seq 1 type h"#,
        r#"file " file seq \n\n.aof .2.incr.aof" seq 2 type i"#,
    ];
    assert_eq!(shown(&manifest), lines.map(|line| format!("{line}\n")).concat());
    assert_eq!(manifest.take_history().len(), 2);
    assert_eq!(shown(&manifest), format!("{}\n{}\n", lines[0], lines[3]));
}

#[test]
fn an_old_file_becomes_the_base_and_is_superseded_like_one() {
    let mut manifest = Manifest::of_base(stem());
    manifest.add_incr(&stem());
    assert_eq!(shown(&manifest), "file appendonly.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n");
    assert_eq!(manifest.replace_base(&stem(), BaseFormat::Rdb).to_string(), "appendonly.aof.2.base.rdb");
}

/// A file that is superseded and not deleted yet must not get its name again: deleting it would delete the new one.
#[test]
fn a_name_that_is_still_to_be_deleted_is_not_given_again() {
    let mut running = Manifest::default();
    running.add_incr(&stem());
    running.replace_base(&stem(), BaseFormat::Rdb);
    running.supersede_incrs(0);
    let mut restarted = Manifest::parse(&running.render()).unwrap();
    assert_eq!(running.add_incr(&stem()).to_string(), "appendonly.aof.2.incr.aof");
    assert_eq!(restarted.add_incr(&stem()).to_string(), "appendonly.aof.2.incr.aof");
}

#[derive(Clone, Debug)]
enum Step {
    AddIncr,
    ReplaceBase(bool),
    Supersede(usize),
    TakeHistory,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::AddIncr),
        any::<bool>().prop_map(Step::ReplaceBase),
        (0..3usize).prop_map(Step::Supersede),
        Just(Step::TakeHistory),
        Just(Step::Restart),
    ]
}

fn any_stem() -> impl Strategy<Value = FileName> {
    prop::collection::vec(any::<u8>(), 1..200).prop_filter_map("a path", |bytes| FileName::new(&bytes))
}

proptest! {
    #[test]
    fn whatever_happens_it_is_read_as_it_was_written(stem in any_stem(), steps in prop::collection::vec(step(), 0..40)) {
        let mut manifest = Manifest::default();
        for step in steps {
            match step {
                Step::AddIncr => drop(manifest.add_incr(&stem)),
                Step::ReplaceBase(rdb) => {
                    drop(manifest.replace_base(&stem, if rdb { BaseFormat::Rdb } else { BaseFormat::Commands }));
                }
                Step::Supersede(kept) => manifest.supersede_incrs(kept),
                Step::TakeHistory => drop(manifest.take_history()),
                Step::Restart if manifest == Manifest::default() => {}
                Step::Restart if manifest.is_empty() && manifest.history().is_empty() => {}
                Step::Restart => manifest = Manifest::parse(&manifest.render()).unwrap(),
            }
            let mut names: Vec<&FileName> = manifest.files().chain(manifest.history()).map(|file| &file.name).collect();
            let listed = names.len();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), listed, "a name is listed twice");
            if listed > 0 {
                let read = Manifest::parse(&manifest.render()).unwrap();
                prop_assert!(read.files().eq(manifest.files()));
                prop_assert_eq!(read.history(), manifest.history());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(pieces in prop::collection::vec(prop_oneof![
        4 => "(file|seq|type|FILE|[0-9]{1,20}|[bhi]|[a-z./ \"'#]{0,12})[ ]?",
        2 => Just("\n".to_owned()),
        2 => "file [ab]{1,3} seq [0-9]{1,2} type [bhi]\n",
        1 => "\\PC{0,2}",
    ], 0..20)) {
        let text = pieces.concat();
        if let Ok(manifest) = Manifest::parse(text.as_bytes()) && !manifest.render().is_empty() {
            let again = Manifest::parse(&manifest.render()).unwrap();
            prop_assert!(again.files().eq(manifest.files()), "what was accepted is written so that it is accepted");
        }
    }
}
