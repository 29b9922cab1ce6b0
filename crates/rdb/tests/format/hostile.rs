//! Genuine payloads and files of every type and form, spoilt where it matters: type numbers, counts, lengths, ends. Seeded, so
//! that a failure repeats. With `WRITE_SEEDS=folder` the genuine ones are written there, for libFuzzer to begin with.

use std::path::Path;

use baton_base::{Rng, WallMs};
use baton_rdb::{DumpEncoder, Encoder, EncoderOptions, Entry, Value, VersionTarget};
use baton_values::{Collection, CollectionType as _, FieldValue, Hash, Limits, List, Set, Str, Stream, StreamId, ZSet};

use crate::oracle::{fuzz_file, fuzz_payload};
use crate::support::hex;

/// Texts of every length and form that the format knows.
fn texts(count: usize) -> Vec<Vec<u8>> {
    let long = |n: usize| crate::support::noise(n as u64, 60 + n % 300);
    (0..count)
        .map(|n| match n % 5 {
            0 => n.to_string().into_bytes(),
            1 => format!("-{}", (n as u64) << (n % 50)).into_bytes(),
            2 => format!("member {n} {}", "x".repeat(n % 70)).into_bytes(),
            3 if n % 20 == 3 => long(n),
            _ => vec![b'a' + (n % 26) as u8, (n / 26) as u8],
        })
        .collect()
}

fn stream(entries: u64) -> Stream {
    let mut stream = Stream::default();
    stream.create_group(b"group", StreamId::new(1, 0), Some(1));
    stream.create_group(b"idle", StreamId::MIN, None);
    for n in 0..entries {
        let id = StreamId::new(1 + n / 3, n % 3);
        let text = n.to_string();
        let fields: [&[u8]; 6] = [b"name", text.as_bytes(), b"other", b"", b"12", b"x"];
        stream.append(id, &fields[..2 + 2 * (n as usize % 3)], &Limits::default());
        if n % 4 == 1 {
            stream.delete(id);
        }
        stream.edit_group(b"group", |group| {
            group.create_consumer(&[b'a' + (n % 3) as u8], n);
            group.assign(id, &[b'a' + (n % 3) as u8], n, n);
        });
    }
    stream
}

/// Values of all types, small and large.
fn values() -> Vec<Collection> {
    let limits = Limits::default();
    let mut out = Vec::new();
    for count in [1, 7, 300] {
        let texts = texts(count);
        let (mut list, mut set, mut hash, mut zset) =
            (List::default(), Set::default(), Hash::default(), ZSet::default());
        let (mut ints, mut timed) = (Set::default(), Hash::large(&limits));
        for (n, text) in texts.iter().enumerate() {
            list.expect(1, text.len(), &limits);
            list.push_back(text);
            set.add(Str::of(text), &limits);
            ints.add(Str::Int((n as i64) << (n % 40)), &limits);
            hash.set(Str::of(text), Str::of(&texts[texts.len() - 1 - n]), &limits);
            zset.put(text, n as f64 / 3.0, &limits);
            let expire_at = (n % 2 == 0).then_some(WallMs(4_000_000_000_000 + n as u64));
            timed.put(Str::of(text), FieldValue { text: Str::Int(n as i64), expire_at }, &limits);
        }
        out.extend([list.into_collection(), set.into_collection(), ints.into_collection(), hash.into_collection()]);
        out.extend([zset.into_collection(), timed.into_collection(), stream(count as u64).into_collection()]);
    }
    out
}

/// Bodies of payloads: what this crate writes for all types, and the forms that only older servers wrote.
fn bodies() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for compress in [false, true] {
        let mut dump = |value: Value<'_>| {
            let mut payload = Vec::new();
            DumpEncoder::new(compress).encode(value, &mut payload);
            payload.truncate(payload.len() - 10);
            out.push(payload);
        };
        for text in [&b""[..], b"12", b"-70000", b"hello", &[b'z'; 300]] {
            dump(Value::Str(Str::of(text)));
        }
        values().iter().for_each(|value| dump(value.as_value()));
    }
    let texts = |number: u8, parts: &[&[u8]]| [&[number, parts.len() as u8], &parts.concat()[..]].concat();
    let packed = |number: u8, blob: &[u8]| [&[number, blob.len() as u8], blob].concat();
    out.push(texts(1, &[b"\x01a", b"\xc0\x05", b"\x03foo"]));
    out.push([&b"\x02\x02\x01a\xc0\x05"[..]].concat());
    out.push(b"\x04\x02\x01f\x01v\x01g\xc0\x05".to_vec());
    out.push(b"\x03\x03\x01a\x031.5\x01b\xff\x01c\xfe".to_vec());
    out.push(packed(9, b"\x02\x03foo\x03\x00bar\x01n\x02\x0112 \xff"));
    for number in [10, 13] {
        out.push(packed(number, &hex("0f0000000c000000020000f302f6ff")));
    }
    let scored = b"\x18\0\0\0\x15\0\0\0\x04\0\0\x01b\x03\x030.5\x05\x01a\x03\xf2\xff";
    out.push(packed(12, scored));
    out.push([&b"\x0e\x01"[..], &packed(0, &hex("0f0000000c000000020000f302f6ff"))[1..]].concat());
    out.push(packed(11, &hex("040000000200000090eefeff01000000")));
    out.push(b"\x12\x01\x01\x05plain".to_vec());
    let node = "10000000000000000100000000000000012828\
                0000000f00020100010101816102000102010001000181620204010201000101018163020401ff0201020101670102";
    out.push(hex(&format!("0f01{node}0000")));
    out
}

/// Files: of all values, for servers of every age, with what stands between entries; and those that other servers wrote.
fn files() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = [
        &include_bytes!("data/valkey-9.1.2.rdb")[..],
        include_bytes!("data/valkey-9.1.2-cluster-lru.rdb"),
        include_bytes!("data/redis-7.0-lfu.rdb"),
    ]
    .map(<[u8]>::to_vec)
    .into();
    let values = values();
    for version in [VersionTarget::Current, VersionTarget::Legacy, VersionTarget::Oldest] {
        let mut encoder = Encoder::new(EncoderOptions { version, ..EncoderOptions::default() });
        for (n, value) in values.iter().filter(|value| value.next_due().is_none()).enumerate() {
            let key = format!("key {n}");
            let mut entry = Entry::new(n as u32 % 3, key.as_bytes(), value.as_value());
            entry.expire_at = (n % 3 == 0).then_some(WallMs(4_000_000_000_000));
            entry.idle_secs = (n % 4 == 1).then_some(77);
            encoder.entry(&entry);
        }
        encoder.finish();
        out.push(encoder.take());
    }
    // Whole bodies one by one keep a file small, so that damage often is where it matters.
    for body in bodies() {
        let (number, rest) = body.split_first().expect("a type number");
        let mut file = b"VALKEY080\xfe\x00".to_vec();
        file.push(*number);
        file.extend_from_slice(b"\x01k");
        file.extend_from_slice(rest);
        file.push(0xff);
        file.extend_from_slice(&[0; 8]);
        out.push(file);
    }
    out
}

/// Spoils bytes where it tends to matter.
fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let below = |rng: &mut Rng, bound: usize| rng.below(bound.max(1) as u64) as usize;
    let near = 1 << rng.below(12);
    let at = below(rng, bytes.len().min(near));
    match rng.below(9) {
        0 => bytes.truncate(at),
        1 => {
            let odd = [0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc2, 0xc3, 0xf0, 0xf1, 0xf4, 0xfe, 0xff];
            let other = odd[below(rng, odd.len())];
            bytes.get_mut(at).into_iter().for_each(|byte| *byte = other);
        }
        2 => {
            let bit = rng.below(8);
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
        }
        3 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = byte.wrapping_add(1)),
        4 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = byte.wrapping_sub(1)),
        5 => {
            let end = at + below(rng, 20).min(bytes.len() - at);
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        6 => {
            bytes.drain(at..at + below(rng, 9).min(bytes.len() - at));
        }
        7 => {
            let other = &others[below(rng, others.len())];
            let from = below(rng, other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let number = rng.next_u64() >> rng.below(64);
            let width = 1 << rng.below(4);
            for (byte, of) in bytes.iter_mut().skip(at).take(width).zip(number.to_be_bytes().iter().rev()) {
                *byte = *of;
            }
        }
    }
}

fn write_seeds(what: &str, seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("WRITE_SEEDS") else { return };
    let folder = Path::new(&folder).join(what);
    std::fs::create_dir_all(&folder).expect("a folder for seeds");
    for (n, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{n:03}")), seed).expect("a seed");
    }
}

#[test]
fn genuine_payloads_are_taken() {
    let bodies = bodies();
    write_seeds("payload", &bodies);
    for body in bodies {
        assert!(fuzz_payload(&body), "{body:x?}");
    }
}

#[test]
fn genuine_files_are_taken() {
    let files = files();
    write_seeds("file", &files);
    for file in files {
        assert!(fuzz_file(&file) > 0, "{:x?}", &file[..file.len().min(60)]);
    }
}

#[test]
fn spoilt_payloads_are_refused_or_sound() {
    let (genuine, mut rng) = (bodies(), Rng::new(0x000b_ad0b_ad0b));
    let mut taken = 0;
    for round in 0..30_000 {
        let mut body = genuine[round % genuine.len()].clone();
        for _ in 0..=rng.below(3) {
            spoil(&mut rng, &mut body, &genuine);
        }
        taken += usize::from(fuzz_payload(&body));
    }
    // Damage that is always noticed, or never, would prove nothing.
    assert!((3_000..27_000).contains(&taken), "{taken}");
}

#[test]
fn spoilt_files_are_refused_or_sound() {
    let (genuine, mut rng) = (files(), Rng::new(0x0f11_e0bad));
    let mut entries = 0;
    for round in 0..5_000 {
        let mut file = genuine[round % genuine.len()].clone();
        for _ in 0..=rng.below(3) {
            spoil(&mut rng, &mut file, &genuine);
        }
        entries += fuzz_file(&file);
    }
    assert!(entries > 1_000, "{entries}");
}
