//! Several threads append, several read: every reader sees the same bytes in the same order, units whole, and a consumer
//! that sleeps is woken.

use baton_base::Offset;
use baton_journal::{Journal, Reader, Settings, Unit};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

const WRITERS: u64 = 3;
const UNITS: u64 = 4000;

fn write(journal: &Journal, writer: u64) -> Offset {
    let mut unit = Unit::new();
    let mut last = Offset(0);
    for n in 0..UNITS {
        unit.clear();
        let pad = "x".repeat((n * 37 % 500) as usize);
        for part in 0..=(n % 3) {
            unit.push(0, &["OP", &writer.to_string(), &n.to_string(), &part.to_string(), &pad]);
        }
        let end = journal.append(&unit);
        assert!(end > last && journal.end() >= end);
        last = end;
    }
    last
}

/// Reads until `total` bytes arrived or nobody writes any more, sleeping whenever there is nothing.
fn read_all(journal: &Arc<Journal>, mut reader: Reader, until: &Receiver<()>) -> Vec<u8> {
    let (signal, woken) = sync_channel(1);
    let feeder = journal.feeder(move || {
        let _ = signal.try_send(());
    });
    let mut out = Vec::new();
    loop {
        if reader.read_into(&mut out, 100_000).unwrap() > 0 {
            continue;
        }
        let finished = until.try_recv().is_ok();
        if feeder.sleep(reader.position()) {
            if finished {
                return out;
            }
            woken.recv().unwrap();
        }
    }
}

/// Splits a stream into commands, trusting its framing.
fn commands(mut stream: &[u8]) -> Vec<Vec<String>> {
    fn line(s: &mut &[u8], kind: u8) -> usize {
        let end = s.iter().position(|b| *b == b'\r').expect("a whole line");
        assert_eq!(s[0], kind);
        let n = std::str::from_utf8(&s[1..end]).unwrap().parse().unwrap();
        *s = &s[end + 2..];
        n
    }
    let mut all = Vec::new();
    while !stream.is_empty() {
        let argc = line(&mut stream, b'*');
        let args = (0..argc).map(|_| {
            let n = line(&mut stream, b'$');
            let arg = String::from_utf8(stream[..n].to_vec()).unwrap();
            stream = &stream[n + 2..];
            arg
        });
        all.push(args.collect());
    }
    all
}

#[test]
fn order_is_one_for_all_and_units_are_whole() {
    let journal = Journal::new(Settings { backlog_bytes: 64 << 10 });
    journal.activate();
    let mut stops = Vec::new();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (stop, until) = sync_channel(1);
            stops.push(stop);
            let reader = journal.reader(Offset(0)).unwrap();
            let journal = Arc::clone(&journal);
            thread::spawn(move || read_all(&journal, reader, &until))
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|w| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || write(&journal, w))
        })
        .collect();
    let last = writers.into_iter().map(|w| w.join().unwrap()).max().unwrap();
    assert_eq!(journal.end(), last);
    for stop in stops {
        stop.send(()).unwrap();
    }
    // One more append wakes whoever slept before it could notice the stop.
    journal.append_unselected(&["PING"]);
    let streams: Vec<Vec<u8>> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    assert!(streams.iter().all(|s| *s == streams[0]), "readers disagree");
    check_units(commands(&streams[0]));
    // Every trim drops a bounded number of blocks.
    (0..100).for_each(|_| journal.trim());
    assert!(journal.extent().histlen() <= 64 << 11, "what the readers held is free again");
}

/// Each writer's units appear in its order, each uninterrupted and wrapped iff it has several ops.
fn check_units(commands: Vec<Vec<String>>) {
    let mut next: HashMap<String, u64> = HashMap::new();
    // The only SELECT is the first thing in the stream, apart from a MULTI it is inside of.
    let selects = commands.iter().filter(|c| c[0] == "SELECT").count();
    assert_eq!(selects, 1);
    assert!(commands[..2].iter().any(|c| c[0] == "SELECT"));
    let mut rest = commands.into_iter().filter(|c| c[0] != "SELECT");
    while let Some(command) = rest.next() {
        let (wrapped, first) = match command[0].as_str() {
            "PING" => continue,
            "MULTI" => (true, rest.next().unwrap()),
            _ => (false, command),
        };
        let n: u64 = first[2].parse().unwrap();
        let counter = next.entry(first[1].clone()).or_default();
        assert_eq!(n, *counter);
        *counter += 1;
        assert_eq!((wrapped, first[3].as_str()), (!n.is_multiple_of(3), "0"));
        for part in 1..=(n % 3) {
            let op = rest.next().unwrap();
            assert_eq!(op[1..4], [first[1].clone(), first[2].clone(), part.to_string()]);
        }
        if wrapped {
            assert_eq!(rest.next().unwrap(), ["EXEC"]);
        }
    }
    assert!(next.len() as u64 == WRITERS && next.values().all(|n| *n == UNITS));
}
