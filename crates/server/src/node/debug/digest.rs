//! DEBUG DIGEST and DIGEST-VALUE: signatures that are equal wherever the data are, whatever the order of keys in memory,
//! and equal to those of a Valkey with the same data.
//!
//! Two operations build them. To *add* data to a signature is to combine it bitwise with the SHA-1 of the data: the order
//! of additions does not matter. To *mix* data in is to add it and replace the signature by its SHA-1: the order matters.

use baton_base::hex::Hex;
use baton_base::{Slot, WallMs, double};
use baton_resp::Args;
use baton_store::{DbIndex, Entry, Expiry, Store, Value};
use baton_values::{Scored, StreamId};

use crate::node::Refusal;
use crate::worker::client::Client;
use crate::worker::context::Context;
use sha1::{Digest as _, Sha1};

/// Added for every key that expires, whenever that is.
const EXPIRES: &[u8] = b"!!expire!!";

/// Bytes of a signature.
const BYTES: usize = 20;

#[derive(Clone, Copy, Default)]
pub(super) struct Digest([u8; BYTES]);

impl Digest {
    fn add(&mut self, data: &[u8]) {
        self.0.iter_mut().zip(Sha1::digest(data)).for_each(|(byte, other)| *byte ^= other);
    }

    fn mix(&mut self, data: &[u8]) {
        self.add(data);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Mixes in the type, the value and whether it expires.
    fn mix_value(&mut self, entry: &Entry<'_>) {
        self.mix_data(entry.value);
        if entry.expire_at.is_some() {
            self.add(EXPIRES);
        }
    }

    fn mix_data(&mut self, value: Value<'_>) {
        let mut scratch = itoa::Buffer::new();
        match value {
            Value::Str(text) => {
                self.mix(&0u32.to_be_bytes());
                self.mix(text.bytes(&mut scratch));
            }
            Value::List(list) => {
                self.mix(&1u32.to_be_bytes());
                list.iter_from(0).for_each(|text| self.mix(text.bytes(&mut itoa::Buffer::new())));
            }
            Value::Set(set) => {
                self.mix(&2u32.to_be_bytes());
                set.iter().for_each(|member| self.add(member.bytes(&mut itoa::Buffer::new())));
            }
            Value::Hash(hash) => {
                self.mix(&4u32.to_be_bytes());
                for (field, value) in hash.iter() {
                    let mut pair = Digest::default();
                    pair.mix(field.bytes(&mut scratch));
                    pair.mix(value.text.bytes(&mut scratch));
                    self.add(&pair.0);
                }
            }
            Value::ZSet(zset) => {
                self.mix(&3u32.to_be_bytes());
                zset.iter_from(0).for_each(|element| self.add(&of_scored(element)));
            }
            Value::Stream(stream) => {
                self.mix(&6u32.to_be_bytes());
                for entry in stream.range(StreamId::MIN, StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (name, value) in entry.fields() {
                        self.mix(name.bytes(&mut scratch));
                        self.mix(value.bytes(&mut scratch));
                    }
                }
            }
            _ => unreachable!("every kind of value has a signature"),
        }
    }

    fn hex(&self) -> String {
        Hex(&self.0).to_string()
    }
}

/// The signature of an element of a sorted set.
fn of_scored(element: Scored<'_>) -> [u8; BYTES] {
    let mut one = Digest::default();
    one.mix(element.member.bytes(&mut itoa::Buffer::new()));
    let mut score = Vec::new();
    double::push_shortest(&mut score, element.score);
    one.mix(&score);
    one.0
}

/// The signature of all databases. Nobody writes meanwhile.
pub(super) fn of_store(store: &Store) -> Digest {
    let mut all = Digest::default();
    for db in (0..store.databases()).filter(|db| store.len(DbIndex(*db)) > 0) {
        all.mix(&db.to_be_bytes());
        for slot in Slot::all() {
            // Keys that are due count as long as they are there.
            store.scan_slot(DbIndex(db), slot, WallMs(0), &mut |name, entry| {
                let mut one = Digest::default();
                one.mix(name);
                one.mix_value(&entry);
                all.add(&one.0);
            });
        }
    }
    all
}

/// DIGEST.
pub(super) fn all(cx: &mut Context<'_>, client: &mut Client) -> Result<(), Refusal> {
    let digest = cx.stop_world(|cx| of_store(&cx.shared.store))?;
    client.out.simple(&digest.hex());
    Ok(())
}

/// DIGEST-VALUE key ...: zeros for a key that is missing.
pub(super) fn values(cx: &Context<'_>, client: &mut Client, names: Args<'_>) -> Result<(), Refusal> {
    let store = &cx.shared.store;
    let mut digests = Vec::with_capacity(names.len());
    for name in names.iter() {
        let key = store.key(name);
        let mut digest = Digest::default();
        let view = store.view_or_give_up(key.slot, client.db, cx.now.wall, Expiry::Ignore);
        if let Some(entry) = view.map_err(|held| cx.busy(held))?.peek(&key) {
            digest.mix_value(&entry);
        }
        digests.push(digest.hex());
    }
    client.out.array(digests.len());
    digests.iter().for_each(|digest| client.out.simple(digest));
    Ok(())
}

#[cfg(test)]
mod tests {
    use baton_store::{Expire, StoreSettings, Str};
    use baton_values::{Collection, Hash, Limits, Set, Stream, ZSet};

    use super::*;

    fn set(store: &Store, db: u32, name: &str, value: &str, expire: Expire) {
        let key = store.key(name.as_bytes());
        store.view(key.slot, DbIndex(db), WallMs(1), Expiry::Ignore).set_str(&key, value.as_bytes(), expire);
    }

    /// The numbers are those of Valkey 9.1.2 with the same data.
    #[test]
    fn equal_to_upstreams_step_by_step() {
        let store = Store::new(StoreSettings { databases: 16, seed: 3 });
        let mut steps = vec![of_store(&store).hex()];
        set(&store, 0, "foo", "bar", Expire::Never);
        steps.push(of_store(&store).hex());
        set(&store, 0, "foo", "bar", Expire::At(WallMs(1_000_000)));
        steps.push(of_store(&store).hex());
        set(&store, 3, "bar", "10", Expire::Never);
        steps.push(of_store(&store).hex());
        set(&store, 3, "0", "hello", Expire::Never);
        steps.push(of_store(&store).hex());
        assert_eq!(
            steps,
            [
                "0000000000000000000000000000000000000000",
                "d2ab4820c1be0580ea28efbfe8bfa1dc05bb802a",
                "8b0c6d22108f15467022bc27c005787072eb4c4b",
                "71c4b4de68f171bbc6c87d54aa480fb71d5939e5",
                "00ae8da97466811d9a5620f0ac7ede920877a095",
            ]
        );
    }

    #[test]
    fn values_equal_upstreams() {
        let store = Store::new(StoreSettings { databases: 1, seed: 3 });
        set(&store, 0, "foo", "bar", Expire::Never);
        set(&store, 0, "due", "bar", Expire::At(WallMs(1_000_000)));
        set(&store, 0, "int", "10", Expire::Never);
        let of = |name: &str| {
            let key = store.key(name.as_bytes());
            let mut digest = Digest::default();
            digest.mix_value(&store.view(key.slot, DbIndex(0), WallMs(1), Expiry::Ignore).peek(&key).unwrap());
            digest.hex()
        };
        assert_eq!(of("foo"), "68467c70ae30376e7ce005bcc8827f5ba7fd67dc");
        assert_eq!(of("due"), "8ec3828f7209dd3abdf6ee448de8b0c0bd53265f");
        assert_eq!(of("int"), "311acb99ec6c2ffc303176a787ecb8f8d91586ec");
        let elements: [(f64, &[u8]); 8] = [
            (1.0, b"a"),
            (0.1, b"b"),
            (-2.5, b"c"),
            (f64::INFINITY, b"d"),
            (f64::NEG_INFINITY, b"e"),
            (3e10, b"f"),
            (1e25, b"g"),
            (-0.0, b"h"),
        ];
        for (name, limit) in [("packed", 128), ("large", 0)] {
            let limits = Limits { zset_entries: limit, ..Limits::default() };
            let mut zset = ZSet::default();
            for (score, member) in elements {
                zset.put(member, score, &limits);
            }
            let key = store.key(name.as_bytes());
            let mut view = store.view(key.slot, DbIndex(0), WallMs(1), Expiry::Ignore);
            view.put_collection(&key, Collection::ZSet(zset), Expire::Never);
        }
        assert_eq!(of("packed"), "8557291170b59682dbe6e157e6492b0ca075c024");
        assert_eq!(of("large"), "b5b156299fb230a9ec5f89f0cfd424ea631ccc0e");
    }

    /// `SADD i 3 1 2`, `SADD p a 1 hello`, `HSET h f v n 12`, `XADD s 1-1 a b`, `XADD s 1-2 a c`, on Valkey 9.1.2.
    #[test]
    fn collections_equal_upstreams() {
        let limits = Limits::default();
        let digest = |value: Value<'_>| {
            let mut digest = Digest::default();
            digest.mix_data(value);
            digest.hex()
        };
        let set = |members: &[&[u8]]| {
            let mut set = Set::default();
            members.iter().for_each(|member| assert!(set.add(Str::of(member), &limits)));
            digest(Value::Set(set.as_ref()))
        };
        assert_eq!(set(&[b"3", b"1", b"2"]), "2a462a3f51a1db89738ebbeef0c47ce1bbc85246");
        assert_eq!(set(&[b"a", b"1", b"hello"]), "abd0f2f821d57a9c6fdf962cd9466aad07e9e5b8");
        let mut hash = Hash::default();
        hash.set(Str::Bytes(b"f"), Str::Bytes(b"v"), &limits);
        hash.set(Str::Bytes(b"n"), Str::Int(12), &limits);
        assert_eq!(digest(Value::Hash(hash.as_ref())), "76d7ce7d8cb69c65ddb54b94589fa9396351461b");
        let mut stream = Stream::default();
        assert_eq!(digest(Value::Stream(&stream)), "06bd01623de1d087bbd377851096317b1af476a2");
        stream.append(StreamId::new(1, 1), &[b"a", b"b"], &limits);
        stream.append(StreamId::new(1, 2), &[b"a", b"c"], &limits);
        assert_eq!(digest(Value::Stream(&stream)), "328ae05aa595d11cec8fa7b982a6d93a8702686a");
    }
}
