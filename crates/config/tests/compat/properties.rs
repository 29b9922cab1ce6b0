//! What holds for any input: nothing panics, and what is shown or written reads back.

use crate::memory_files::MemoryFiles;
use baton_config::{Access, Id, Kind, SetContext, Settings, load, parse_command_line, rewrite};
use proptest::prelude::*;

const CONTEXT: SetContext = SetContext { client_is_local: true, is_loading: false };

fn names() -> Vec<&'static str> {
    let directives = Id::ALL.iter().map(|id| id.directive());
    let known = directives.flat_map(|d| std::iter::once(d.name).chain(d.alias));
    known
        .chain(["include", "user", "rename-command", "loadmodule", "sentinel", "x.y", "nosuch", "dynamic-hz"])
        .collect()
}

/// Values that are likely to be accepted by something.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(yes|no|[0-9]{1,5}|-1|[0-9]{1,3}(kb|mb|gb|%))".prop_map(String::into_bytes),
        "[0-9]{1,4} [0-9]{1,3}( [0-9]{1,3})?".prop_map(String::into_bytes),
        "(always|now force|save|allkeys-lru|json|hostname|local|KEA|gxnK|no one|h 17|a\\.b|127\\.0\\.0\\.1 -::1)"
            .prop_map(String::into_bytes),
        "(normal|replica|pubsub) [0-9]{1,3}(kb|mb)? [0-9]{1,3} [0-9]{1,3}".prop_map(String::into_bytes),
        "[ -~é]{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..12),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let quoted = |v: Vec<u8>| baton_base::quote::quoted(&v).into_bytes();
    let word = prop_oneof![value(), value().prop_map(quoted)];
    (prop::sample::select(names()), prop::collection::vec(word, 0..4)).prop_map(|(name, words)| {
        let mut line = name.as_bytes().to_vec();
        for word in words {
            line.push(b' ');
            line.extend(word);
        }
        line
    })
}

/// Settings reached by sets at run time of which the refused ones change nothing.
fn settings() -> impl Strategy<Value = Settings> {
    prop::collection::vec((prop::sample::select(names()), value()), 0..40).prop_map(|pairs| {
        let start = load(b"enable-protected-configs yes", &mut MemoryFiles::default());
        let mut settings = start.unwrap().settings;
        for pair in pairs {
            let before = settings.clone();
            if settings.set_runtime(&[pair], CONTEXT).is_err() {
                assert_eq!(settings, before);
            }
        }
        settings
    })
}

proptest! {
    #[test]
    fn no_line_panics(lines in prop::collection::vec(line(), 0..4), noise: Vec<u8>) {
        let mut text = lines.join(&b'\n');
        text.extend(noise);
        if let Ok(loaded) = load(&text, &mut MemoryFiles::default()) {
            rewrite(Some(&text), &loaded.settings);
            loaded.settings.get_matching(&[&text]);
        }
    }

    #[test]
    fn no_command_line_panics(args in prop::collection::vec(prop_oneof![
        prop::sample::select(names()).prop_map(|n| format!("--{n}").into_bytes()),
        value(),
    ], 0..6)) {
        let _ = parse_command_line(&args, &mut MemoryFiles::default());
    }

    #[test]
    fn an_accepted_file_rewrites_to_the_same_settings(lines in prop::collection::vec(line(), 0..30)) {
        let mut files = MemoryFiles::default();
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for line in lines {
            kept.push(line);
            if load(&kept.join(&b'\n'), &mut files).is_err() {
                kept.pop();
            }
        }
        let old = kept.join(&b'\n');
        let settings = load(&old, &mut files).unwrap().settings;
        let new = rewrite(Some(&old), &settings);
        prop_assert_eq!(&load(&new, &mut files).unwrap().settings, &settings);
        prop_assert_eq!(rewrite(Some(&new), &settings), new);
    }

    #[test]
    fn settings_survive_a_rewrite_of_another_file(settings in settings(), lines in prop::collection::vec(line(), 0..6)) {
        let mut files = MemoryFiles::default();
        let usable = lines.into_iter().filter(|l| load(l, &mut MemoryFiles::default()).is_ok());
        let old = usable.collect::<Vec<_>>().join(&b'\n');
        prop_assume!(load(&old, &mut files).is_ok());
        for old in [None, Some(old.as_slice())] {
            let new = rewrite(old, &settings);
            prop_assert_eq!(&load(&new, &mut files).unwrap().settings, &settings);
        }
    }

    #[test]
    fn what_is_shown_can_be_set(settings in settings()) {
        let mut other = load(b"enable-protected-configs yes", &mut MemoryFiles::default()).unwrap().settings;
        for id in Id::ALL.iter().filter(|id| !id.directive().flags.immutable) {
            let shown = settings.shown(*id);
            let outcome = other.set_runtime(&[(id.directive().name, &shown)], CONTEXT);
            prop_assert!(outcome.is_ok(), "{:?} {:?}", id, outcome);
            prop_assert_eq!(other.shown(*id), shown);
        }
    }
}

#[test]
fn every_directive_can_be_read_as_what_it_is() {
    let settings = Settings::default();
    for id in Id::ALL {
        match id.directive().kind {
            Kind::Bool => drop(settings.bool(*id)),
            Kind::Text(_) => drop(settings.text(*id).to_owned()),
            Kind::Special(_) => drop(settings.shown(*id)),
            _ => drop(settings.int(*id)),
        }
    }
    assert_eq!(settings.port(), 6379);
    assert_eq!(settings.bind().len(), 2);
    assert_eq!(settings.node_timeout_ms(), 15_000);
    assert_eq!(settings.repl_backlog_bytes(), 10 << 20);
    assert!(settings.shutdown_on_sigterm().is_default());
    assert_eq!(settings.save_points().len(), 3);
    assert_eq!(settings.choice::<baton_config::MaxMemoryPolicy>(), baton_config::MaxMemoryPolicy::NoEviction);
    assert_eq!(settings.choice::<baton_config::TlsAuthClients>(), baton_config::TlsAuthClients::Yes);
    assert_eq!(settings.access(Id::EnableDebugCommand), Access::No);
    assert!(!Access::Local.allows(false) && Access::Local.allows(true));
}

#[test]
fn every_word_of_a_choice_names_its_variant() {
    fn check<C: Choice + PartialEq + std::fmt::Debug>() {
        for (word, position) in C::WORDS {
            let text = format!("{} {word}", C::ID.directive().name);
            let settings = load(text.as_bytes(), &mut MemoryFiles::default()).unwrap().settings;
            assert_eq!(Some(settings.choice::<C>()), C::from_position(*position), "{text}");
        }
    }
    use baton_config::*;
    check::<AclPubsubDefault>();
    check::<AppendFsync>();
    check::<ConfigSaveBehavior>();
    check::<DisklessLoad>();
    check::<LogFormat>();
    check::<LogLevel>();
    check::<LogTimestamp>();
    check::<MaxMemoryPolicy>();
    check::<OomScoreAdj>();
    check::<PreferredEndpoint>();
    check::<PropagationError>();
    check::<RdbVersionCheck>();
    check::<Supervised>();
    check::<SyslogFacility>();
    check::<TlsAuthClients>();
    check::<TlsAuthClientsUser>();
}

#[test]
fn names_are_unique_and_in_order() {
    let primary: Vec<&str> = Id::ALL.iter().map(|id| id.directive().name).collect();
    let mut sorted = primary.clone();
    sorted.sort_unstable();
    assert_eq!(primary, sorted);
    let mut all = names();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count);
    for id in Id::ALL {
        let doc = id.directive().doc;
        assert!(doc.ends_with('.') && doc.len() > 10, "{id:?}");
        assert_eq!(Id::find(&id.directive().name.to_uppercase()).map(|d| d.id), Some(*id));
    }
}
