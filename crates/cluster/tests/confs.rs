//! nodes.conf: the sample of cluster-bus 12.3, what is refused, round trips, and texts of chance.

mod lone;

use baton_base::{Epoch, Mono, Slot, WallMs};
use baton_cluster::conf::{self, ConfError, Restored};
use baton_cluster::{Boot, Cluster, Effect, Settings};
use lone::{id, slots, three};
use proptest::prelude::*;

fn saved(text: &str) -> (Restored, String) {
    let restored = conf::parse(text.as_bytes(), false).unwrap();
    let settings = Settings { port: 7001, bus_port: 17001, ..Settings::default() };
    let boot = Boot::Restored(Box::new(restored.clone()));
    let mut cluster = Cluster::new(settings, boot, 1, Mono::ZERO, WallMs(0));
    let text = std::iter::from_fn(|| cluster.poll_effect()).find_map(|e| match e {
        Effect::SaveConfig { text, sync: true } => Some(text),
        _ => None,
    });
    (restored, text.expect("a node saves what it starts with"))
}

#[test]
fn the_sample_reads_as_meant() {
    let (me, shard) = (id('a'), id('b'));
    let text = format!(
        "{me} 127.0.0.1:7000@17000,,tls-port=0,nodename=R0,shard-id={shard} myself,master - 0 0 1 connected 0-5460 7000 \
         [93->-{}]\n\n{} 127.0.0.1:7001@17001,host.example,availability-zone=z1,client-ipv4=10.0.0.1 slave {me} 0 1426238317239 9 \
         disconnected\nvars currentEpoch 6 lastVoteEpoch 5\n",
        id('c'),
        id('c'),
    );
    let read = conf::parse(text.as_bytes(), false).unwrap();
    assert_eq!(read.me, me);
    let own = &read.nodes[0];
    assert_eq!((own.labels.nodename.as_str(), own.address.tcp_port, own.address.bus_port), ("R0", 7000, 17000));
    assert_eq!(own.shard.unwrap().as_str(), shard.as_str());
    let mut expected = slots(0, 5460);
    expected.insert(Slot::new(7000).unwrap());
    assert_eq!(own.slots, expected);
    let other = &read.nodes[1];
    assert_eq!((other.primary, other.config_epoch, other.pong_seen), (Some(me), Epoch(0), true));
    assert_eq!((other.labels.hostname.as_str(), other.labels.availability_zone.as_str()), ("host.example", "z1"));
    assert_eq!(other.shard, own.shard, "a replica is of its primary's shard");
    assert_eq!(read.migrating[&Slot::new(93).unwrap()], id('c'));
    assert_eq!((read.current_epoch, read.last_vote_epoch), (Epoch(9), Epoch(5)), "never below a configuration epoch");
}

#[test]
fn what_is_written_reads_back() {
    for flags in ["master", "master,fail"] {
        let (first, text) = saved(&three(flags));
        let (second, again) = saved(&text);
        assert_eq!(text, again);
        let strip = |mut r: Restored| {
            r.notices.clear();
            r
        };
        assert_eq!(strip(first), strip(second));
    }
    let line = format!(
        "{} 127.0.0.1:7001@17001,,tls-port=0,shard-id={} myself,master - 0 0 1 connected 0-5460",
        id('1'),
        id('1')
    );
    assert_eq!(saved(&three("master")).1.lines().next(), Some(line.as_str()));
}

#[test]
fn old_files_have_fewer_words() {
    let text = format!("{} 127.0.0.1:7000 myself,master - 0 0 1 connected", id('1'));
    let read = conf::parse(text.as_bytes(), false).unwrap();
    assert_eq!((read.nodes[0].address.tcp_port, read.nodes[0].address.bus_port), (7000, 17000));
    let tls = conf::parse(text.as_bytes(), true).unwrap();
    assert_eq!((tls.nodes[0].address.tcp_port, tls.nodes[0].address.tls_port), (0, 7000));
}

#[test]
fn damage_is_refused() {
    let good = three("master");
    assert_eq!(conf::parse(b"", false), Err(ConfError::Empty));
    assert_eq!(conf::parse(good.replace("myself,", "").as_bytes(), false), Err(ConfError::Myself));
    let twice = good.clone() + &good;
    assert_eq!(conf::parse(twice.as_bytes(), false), Err(ConfError::Duplicate(6)));
    for (from, to) in [
        ("myself,master", "myself,leader"),
        ("0-5460", "0-16384"),
        ("tls-port=0", "tls-port=x"),
        ("tls-port=0", "colour=red"),
        ("tls-port=0", "nodename=a{b"),
        ("@17001", "@"),
        (" connected 0-5460", ""),
        ("currentEpoch 3", "currentEpoch three"),
        ("0-5460", "[5->x]"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(matches!(conf::parse(bad.as_bytes(), false), Err(ConfError::Malformed(_))), "{to}");
    }
    let unknown = good.replace("vars ", "vars colour red ");
    assert_eq!(conf::parse(unknown.as_bytes(), false).unwrap().notices.len(), 1);
}

proptest! {
    #[test]
    fn chance_never_panics(bytes: Vec<u8>) {
        let _ = conf::parse(&bytes, false);
    }

    /// Damaged real files: either refused, or a machine starts from them with its invariants whole.
    #[test]
    fn damaged_files_never_panic(at in 0usize..800, with: u8, drop in 0usize..40) {
        let mut text = three("master,fail").into_bytes();
        let at = at.min(text.len() - 1);
        text[at] = with;
        text.drain(at..(at + drop).min(text.len()));
        if let Ok(restored) = conf::parse(&text, false) {
            let boot = Boot::Restored(Box::new(restored));
            let cluster = Cluster::new(Settings::default(), boot, 1, Mono::ZERO, WallMs(0));
            prop_assert_eq!(cluster.validate(), Ok(()));
        }
    }
}
