//! The scanner against a naive twin, on whole, cut and spoilt logs.

use super::*;
use proptest::prelude::*;

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// What was found in a log.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    commands: Vec<Vec<Vec<u8>>>,
    annotations: Vec<Annotation>,
    /// None if it is no log.
    ending: Option<Ending>,
    whole: u64,
    position: Option<Position>,
}

/// Scans a log that arrives in pieces of these sizes.
fn scan(log: &[u8], sizes: &[usize]) -> Read {
    let (mut scanner, mut buf, mut fed) = (Scanner::at(0, None), Vec::new(), 0);
    let (mut commands, mut annotations, mut sizes) = (Vec::new(), Vec::new(), sizes.iter().cycle());
    let ending = loop {
        let mut ranges = Vec::new();
        match scanner.next(&buf, &mut ranges) {
            Found::Command { consumed } => {
                let args = Args::new(&buf, &ranges);
                commands.push(args.iter().map(<[u8]>::to_vec).collect());
                buf.drain(..consumed);
            }
            Found::Annotation { consumed, said } => {
                annotations.push(said);
                buf.drain(..consumed);
            }
            Found::Incomplete if fed == log.len() => break Some(scanner.ending(&buf)),
            Found::Incomplete => {
                let size = (*sizes.next().unwrap()).min(log.len() - fed);
                buf.extend_from_slice(&log[fed..fed + size]);
                fed += size;
            }
            Found::Malformed => break None,
        }
    };
    assert!(scanner.whole_bytes() <= scanner.consumed_bytes() && scanner.consumed_bytes() <= log.len() as u64);
    Read { commands, annotations, ending, whole: scanner.whole_bytes(), position: scanner.position() }
}

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug)]
enum Item {
    Command(Vec<Vec<u8>>),
    Transaction(Vec<Vec<Vec<u8>>>),
    Note(String),
    Position(u32),
    Counted,
}

fn words() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let word = prop::collection::vec(any::<u8>(), 0..40);
    // A first word of one letter is never MULTI.
    (any::<u8>(), prop::collection::vec(word, 0..5)).prop_map(|(name, mut rest)| {
        rest.insert(0, vec![name]);
        rest
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => words().prop_map(Item::Command),
        2 => prop::collection::vec(words(), 0..4).prop_map(Item::Transaction),
        1 => " [a-zA-Z: ]{0,30}".prop_map(Item::Note),
        2 => any::<u32>().prop_map(Item::Position),
        2 => Just(Item::Counted),
    ]
}

fn bytes_of(words: &[Vec<u8>]) -> Vec<u8> {
    command(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn bytes(item: &Item) -> Vec<u8> {
    match item {
        Item::Command(words) => bytes_of(words),
        Item::Transaction(commands) => {
            let body = commands.iter().flat_map(|words| bytes_of(words));
            command(&[b"MULTI"]).into_iter().chain(body).chain(command(&[b"exec"])).collect()
        }
        Item::Note(text) => format!("#{text}\r\n").into_bytes(),
        Item::Position(offset) => format!("#BATON:{ID}:{offset}\r\n").into_bytes(),
        Item::Counted => b"#B\r\n".to_vec(),
    }
}

proptest! {
    /// A log cut anywhere is whole up to the last item that is whole, however it arrives.
    #[test]
    fn a_log_is_whole_up_to_its_last_whole_item(
        items in prop::collection::vec(item(), 0..30), keep in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1..200usize, 1..10),
    ) {
        let (mut log, mut ends) = (Vec::new(), vec![0]);
        for item in &items {
            log.extend(bytes(item));
            ends.push(log.len());
        }
        let kept = keep.index(log.len() + 1);
        let read = scan(&log[..kept], &sizes);
        let whole_items = ends.iter().filter(|end| **end <= kept).count() - 1;
        prop_assert_eq!(read.whole, ends[whole_items] as u64);
        let is_whole = ends[whole_items] == kept;
        prop_assert_eq!(read.ending == Some(Ending::Whole), is_whole);
        let (counted, known) = items[..whole_items].iter().fold((None, None), |(counted, known), item| match item {
            Item::Note(_) => (counted, known),
            Item::Position(offset) => (Some(u64::from(*offset)), Some(u64::from(*offset))),
            Item::Counted => (counted, counted),
            command => (counted.map(|offset| offset + bytes(command).len() as u64), None),
        });
        prop_assert_eq!(read.position.map(|p| p.offset.0), known, "counted {:?}", counted);
        let commands: usize = items[..whole_items].iter().map(|item| match item {
            Item::Command(_) => 1,
            Item::Transaction(commands) => commands.len() + 2,
            _ => 0,
        }).sum();
        prop_assert!(read.commands.len() >= commands);
        prop_assert_eq!(scan(&log[..kept], &[usize::MAX]), read, "what is found does not depend on the pieces");
    }

    /// Spoilt bytes are read as something or refused, the same however they arrive.
    #[test]
    fn any_bytes_are_read_or_refused(
        items in prop::collection::vec(item(), 0..10), sizes in prop::collection::vec(1..60usize, 1..10),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut log: Vec<u8> = items.iter().flat_map(bytes).collect();
        for (at, byte) in spoilt {
            if !log.is_empty() {
                let at = at.index(log.len());
                log[at] = byte;
            }
        }
        prop_assert_eq!(scan(&log, &sizes), scan(&log, &[usize::MAX]));
    }
}

/// What the stream's bytes are is counted from the last annotation on, other annotations left out, and the database that
/// is selected there is known.
#[test]
fn a_position_goes_on_with_the_commands_behind_it() {
    let select = |db: &str| command(&[b"SELECT", db.as_bytes()]);
    let (set, note) = (command(&[b"SET", b"a", b"1"]), format!("#BATON:{ID}:100:2\r\n"));
    let mut log = [&set, note.as_bytes(), &set, b"#TS:5\r\n", &select("7"), &set].concat();
    assert_eq!(scan(&log, &[9]).position, None, "who wrote the last commands is not known");
    log.extend_from_slice(b"#B\r\n");
    let position = scan(&log, &[9]).position.unwrap();
    let counted = (set.len() * 2 + select("7").len()) as u64;
    assert_eq!((position.offset.0, position.stream_db), (100 + counted, Some(7)));
    let unit = [note.as_bytes(), &command(&[b"MULTI"]), b"#TS:6\r\n", &select("3"), &set].concat();
    let position = scan(&unit, &[9]).position.unwrap();
    assert_eq!((position.offset.0, position.stream_db), (100, Some(2)), "the transaction is not whole");
}

#[test]
fn the_forms_of_bad_logs() {
    let long_note = format!("#{}\r\n", "x".repeat(1100));
    let bad: [&[u8]; 9] = [
        b"!",
        b"*0\r\n",
        b"*-1\r\n",
        b"*x\r\n",
        b"\r\n",
        b"PING\r\n",
        b"*1\r\n+PING\r\n",
        b"*1\r\n$4\r\nPINGxx",
        long_note.as_bytes(),
    ];
    for log in bad {
        assert_eq!(scan(log, &[7]).ending, None, "{}", log.escape_ascii());
    }
    let cut = |cut| Some(Ending::Cut(cut));
    let ends: [(&[u8], Option<Ending>); 7] = [
        (b"", Some(Ending::Whole)),
        (b"*", cut(Cut::Command)),
        (b"*1\r\n$", cut(Cut::Command)),
        (b"*1\r\n$4\r\nPING\r", cut(Cut::Command)),
        (b"*1\r\n$5\r\nMULTI\r\n", cut(Cut::Transaction)),
        (b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC", cut(Cut::Transaction)),
        (b"#TS:16282", cut(Cut::Annotation)),
    ];
    for (log, ending) in ends {
        assert_eq!(scan(log, &[3]).ending, ending, "{}", log.escape_ascii());
    }
}

/// Observed: the increment of Valkey 9.1.2 with `aof-timestamp-enabled yes` after `SELECT 5`, `SET foo bar` and a
/// transaction of two commands.
#[test]
fn a_log_of_the_real_server_is_read() {
    let log = include_bytes!("golden/valkey-9.1.2.incr.aof");
    let read = scan(log, &[11]);
    let shown: Vec<String> = (read.commands.iter())
        .map(|words| words.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(shown, ["SELECT 5", "set foo bar", "MULTI", "incr a", "SELECT 6", "incr b", "EXEC"]);
    assert!(matches!(read.annotations[..], [Annotation::Time(_), ..]), "{:?}", read.annotations);
    assert_eq!((read.ending, read.whole), (Some(Ending::Whole), log.len() as u64));
}
