"""All types in all their encodings, exchanged with other servers: by files and by full synchronisation, both ways. What was
loaded is compared with what the real server makes of the same bytes."""

import shutil
import struct

import pytest

from servers import eventually, value
from test_replication import FLAGS, attach, in_step
from test_streams import fill as fill_streams
from test_streams import shape

# Redis 8 writes a version of the format that is refused unless somebody says otherwise.
RELAXED = ("--rdb-version-check", "relaxed")
FAR = 4_000_000_000_000


def fill(server, *, fields_end):
    """Every type in every encoding that a server of today gives it."""
    numbers = range(3000)
    with server.connect() as send:
        for name, text in {"int": 12345, "embstr": "short", "raw": "x" * 300, "bits": bytes(range(256)) * 3, "long": "ab" * 40_000}.items():
            send("SET", f"string:{name}", text)
        send("RPUSH", "list:listpack", "a", -1, "", "b" * 70, 1 << 40)
        send("RPUSH", "list:quicklist", *(f"element {n}" for n in numbers))
        send("RPUSH", "list:plain", "small", "large" * 5000, "small", "large" * 20_000)
        for width, top in (("16", 1 << 14), ("32", 1 << 30), ("64", 1 << 60)):
            send("SADD", f"set:intset{width}", -top, 0, 7, top)
        send("SADD", "set:listpack", "a", 1, -70_000, "c" * 60)
        send("SADD", "set:hashtable", *(f"member {n}" for n in numbers))
        send("SADD", "set:long", "m" * 100, "short", 5)
        send("HSET", "hash:listpack", "a", 1, "b", "x" * 60, 3, "")
        send("HSET", "hash:hashtable", *(text for n in numbers for text in (f"field {n}", n)))
        send("HSET", "hash:long", "field", "x" * 20_000)
        send("ZADD", "zset:listpack", "-inf", "low", -1.5, "a", 0, "b", 0, "c", 3, 3, 1e300, "high", "inf", "top")
        send("ZADD", "zset:skiplist", *(text for n in numbers for text in (n / 7, f"member {n}")))
        send("ZADD", "zset:long", 1, "m" * 100, 2, "short")
        send("GEOADD", "zset:geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
        send("PFADD", "hll:sparse", *range(50))
        send("PFADD", "hll:dense", *range(20_000))
        send("SETBIT", "bitmap", 100_000, 1)
        send("SET", "ends", "v", "PXAT", FAR)
        send("PEXPIREAT", "zset:geo", FAR + 1)
        if fields_end:
            send("HSET", "hash:ends", "stays", 1, "ends", 2)
            send("HPEXPIREAT", "hash:ends", FAR, "FIELDS", 1, "ends")
    fill_streams(server)


def everything(server, *, encodings=True):
    """Every key's value, end and, if asked for, encoding."""
    found = {}
    with server.connect() as send:
        for key in send("KEYS", "*"):
            kind = send("TYPE", key)
            what = shape(server, key) if kind == b"stream" else value(send, key)
            if kind == b"zset":
                # Redis 7.0 writes more digits than a number needs.
                what = [float(text) if place % 2 else text for place, text in enumerate(what)]
            if key == b"hash:ends":
                what = what, send("HPEXPIRETIME", key, "FIELDS", 2, "stays", "ends")
            ends = send("PEXPIRETIME", key)
            found[key] = (kind, what, ends, send("OBJECT", "ENCODING", key) if encodings else None)
    return found


def load(start, kind, file, folder, *flags):
    folder.mkdir()
    shutil.copy(file, folder / "dump.rdb")
    return start(kind, *flags, folder=folder)


def saved(server):
    assert server("SAVE") == b"OK"
    return server.folder / "dump.rdb"


@pytest.mark.parametrize("writer", ["valkey", "redis", "redis8", "baton"])
def test_a_file_is_loaded_as_the_real_server_loads_it(start, tmp_path, writer):
    source = start(writer)
    fill(source, fields_end=writer in ("valkey", "baton"))
    file = saved(source)
    ours = load(start, "baton", file, tmp_path / "baton", *RELAXED)
    theirs = load(start, "valkey", file, tmp_path / "valkey", *RELAXED)
    found = everything(ours)
    assert found == everything(theirs)
    assert {key: entry[:3] for key, entry in found.items()} == {
        key: entry[:3] for key, entry in everything(source).items()
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [("valkey", "baton"), ("baton", "valkey"), ("redis", "baton"), ("baton", "redis"), ("redis8", "baton"), ("baton", "baton")],
)
def test_a_full_synchronisation_brings_everything(start, first, second):
    flags = {**FLAGS, "redis8": FLAGS["redis"]}
    primary = start(first, *flags[first])
    replica = start(second, *flags[second], *(RELAXED if first == "redis8" else ()))
    fill(primary, fields_end=not {first, second} & {"redis", "redis8"})
    attach(replica, primary)
    # Redis 7.0 and Redis 8 have encodings of their own.
    alike = not {first, second} & {"redis", "redis8"}
    expected = everything(primary, encodings=alike)
    assert everything(replica, encodings=alike) == expected
    # And once more by the stream of effects.
    primary("FLUSHALL")
    fill(primary, fields_end=not {first, second} & {"redis", "redis8"})
    expected = everything(primary, encodings=alike)
    in_step(primary, replica)
    eventually(lambda: everything(replica, encodings=alike) == expected, "the same by the stream")


def test_a_file_of_redis_8_is_refused_by_default(start, tmp_path):
    source = start("redis8")
    source("SET", "k", "v")
    with pytest.raises(RuntimeError, match="Can't handle RDB format version 12"):
        load(start, "baton", saved(source), tmp_path / "loaded")


def string(data):
    """A text with its length, as the file format has it."""
    if len(data) < 64:
        return bytes([len(data)]) + data
    if len(data) < 16384:
        return struct.pack(">H", 0x4000 | len(data)) + data
    return b"\x80" + struct.pack(">I", len(data)) + data


def ziplist(elements):
    """The packed list that servers wrote before version 10 of the format: texts, and integers where they fit."""
    body, before, last = b"", 0, 10
    for element in elements:
        last = 10 + len(body)
        prefix = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        if isinstance(element, int):
            packed = next(
                mark + struct.pack("<q", element)[:size]
                for mark, size, bits in ((b"\xfe", 1, 8), (b"\xc0", 2, 16), (b"\xf0", 3, 24), (b"\xd0", 4, 32), (b"\xe0", 8, 64))
                if -(1 << bits - 1) <= element < 1 << bits - 1
            )
            packed = bytes([0xF1 + element]) if 0 <= element <= 12 else packed
        elif len(element) < 64:
            packed = bytes([len(element)]) + element
        elif len(element) < 16384:
            packed = struct.pack(">H", 0x4000 | len(element)) + element
        else:
            packed = b"\x80" + struct.pack(">I", len(element)) + element
        body += prefix + packed
        before = len(prefix + packed)
    return struct.pack("<IIH", 11 + len(body), last, len(elements)) + body + b"\xff"


def zipmap(pairs):
    body = b"".join(bytes([len(key)]) + key + bytes([len(text), 0]) + text for key, text in pairs)
    return bytes([len(pairs)]) + body + b"\xff"


def intset(numbers, width):
    form = {2: "h", 4: "i", 8: "q"}[width]
    return struct.pack(f"<II{len(numbers)}{form}", width, len(numbers), *numbers)


def double(text):
    return {b"nan": b"\xfd", b"inf": b"\xfe", b"-inf": b"\xff"}.get(text, bytes([len(text)]) + text)


LONG = b"y" * 300


def old_entries():
    """Every form that a value has had, with the number of its form."""
    texts = [b"a", 3, -100, 1000, -70_000, 5_000_000, 1 << 40, -(1 << 62), LONG, b"z" * 20_000, b""]
    yield b"list", 1, bytes([3]) + string(b"a") + b"\xc0\x05" + string(LONG)
    yield b"set", 2, bytes([3]) + string(b"a") + b"\xc1\x10\x27" + string(LONG)
    yield b"set of integers", 2, bytes([2]) + b"\xc0\x05" + b"\xc0\x06"
    yield b"zset", 3, bytes([4]) + b"".join(string(m) + double(s) for m, s in ((b"a", b"-1.5"), (b"b", b"inf"), (b"c", b"-inf"), (b"d", b"17")))
    yield b"hash", 4, bytes([2]) + string(b"f") + string(LONG) + string(b"g") + b"\xc0\x07"
    yield b"zset2", 5, bytes([2]) + string(b"b") + struct.pack("<d", 2.5) + string(b"a") + struct.pack("<d", -1.0)
    yield b"zipmap", 9, string(zipmap([(b"k", b"v"), (b"number", b"12"), (b"empty", b"")]))
    yield b"zipmap with a long value", 9, string(zipmap([(b"k", b"x" * 200)]))
    yield b"ziplist", 10, string(ziplist(texts))
    yield b"intset16", 11, string(intset([-5, 0, 9], 2))
    yield b"intset32", 11, string(intset([-70_000, 0, 9], 4))
    yield b"intset64", 11, string(intset([-(1 << 60), 0, 9], 8))
    yield b"zset in a ziplist", 12, string(ziplist([b"a", -3, b"b", b"0.25", 7, 12, b"c", b"inf"]))
    yield b"large zset in a ziplist", 12, string(ziplist([element for n in range(200) for element in (b"member %d" % n, n)]))
    yield b"hash in a ziplist", 13, string(ziplist([b"f", b"text", 1, 2, b"g", -100]))
    yield b"large hash in a ziplist", 13, string(ziplist([element for n in range(600) for element in (b"field %d" % n, n)]))
    yield b"quicklist of ziplists", 14, bytes([2]) + string(ziplist(texts)) + string(ziplist([1, 2, 3]))


def old_file(version, entries):
    body = b"REDIS%04d" % version + b"\xfe\x00"
    for key, kind, payload in entries:
        body += bytes([kind]) + string(key) + payload
    # Eight zeros say that nobody took a checksum.
    return body + b"\xff" + bytes(8)


def test_the_oldest_forms_are_loaded_as_the_real_server_loads_them(start, tmp_path):
    file = tmp_path / "old.rdb"
    entries = list(old_entries())
    file.write_bytes(old_file(9, entries))
    ours = everything(load(start, "baton", file, tmp_path / "baton"))
    assert len(ours) == len(entries)
    assert ours == everything(load(start, "valkey", file, tmp_path / "valkey"))


@pytest.mark.parametrize("version", [1, 4, 6, 8, 10, 11])
def test_every_version_of_the_format_is_loaded(start, tmp_path, version):
    file = tmp_path / "old.rdb"
    text = old_file(version, [(b"k", 0, string(b"v"))])
    # Checksums came with version 5.
    file.write_bytes(text if version >= 5 else text[:-8])
    assert load(start, "baton", file, tmp_path / "loaded")("GET", "k") == b"v"
