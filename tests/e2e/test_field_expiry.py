"""Fields of hashes that expire: between servers, in files, and when their time has come."""

import shutil
import time

import pytest

from servers import eventually
from test_replication import FLAGS, attach, in_step

FAR = 4_000_000_000_000


def fill(server):
    server("HSET", "h", "stays", 1, "ends", 2)
    server("HPEXPIREAT", "h", FAR, "FIELDS", 1, "ends")
    for number in range(0, 2000, 100):
        fields = [text for n in range(number, number + 100) for text in (f"field {n}", n)]
        server("HSETEX", "many", "PXAT", FAR + number, "FIELDS", 100, *fields)


def ends(server):
    fields = [f"field {n}" for n in range(2000)]
    many = server("HPEXPIRETIME", "many", "FIELDS", 2000, *fields)
    values = server("HMGET", "many", *fields)
    return server("HPEXPIRETIME", "h", "FIELDS", 3, "stays", "ends", "missing"), many, values


@pytest.mark.parametrize(("primary", "replica"), [("baton", "baton"), ("valkey", "baton"), ("baton", "valkey")])
def test_ends_are_replicated(start, primary, replica):
    top, bottom = start(primary, *FLAGS[primary]), start(replica, *FLAGS[replica])
    fill(top)
    expected = ends(top)
    assert expected[0] == [-1, FAR, -2]
    attach(bottom, top)
    in_step(top, bottom)
    assert ends(bottom) == expected, "by the snapshot"
    top("DEL", "h", "many")
    fill(top)
    top("HGETEX", "many", "PERSIST", "FIELDS", 2, "field 7", "field 8")
    top("HINCRBY", "h", "ends", 5)
    in_step(top, bottom)
    assert ends(bottom) == ends(top), "by the stream"
    top("HSETEX", "short", "PX", 50, "FIELDS", 2, "a", 1, "b", 2)
    top("HSET", "short", "stays", 1)
    top("HSETEX", "gone", "PX", 50, "FIELDS", 2, "a", 1, "b", 2)
    eventually(lambda: bottom("HLEN", "short") == 1 and bottom("EXISTS", "gone") == 0, "the ends to be told")
    assert top("HGETALL", "short") == bottom("HGETALL", "short")
    assert top.info("stats")["expired_fields"] == "4"
    assert bottom.info("stats")["expired_fields"] == "0"


@pytest.mark.parametrize(("writer", "reader"), [("baton", "baton"), ("valkey", "baton"), ("baton", "valkey")])
def test_ends_are_saved(start, tmp_path, writer, reader):
    source = start(writer)
    fill(source)
    source("HSETEX", "short", "PX", 300, "FIELDS", 1, "a", 1)
    source("HSET", "short", "stays", 1)
    source("HSETEX", "gone", "PX", 300, "FIELDS", 1, "a", 1)
    assert source("SAVE") == b"OK"
    folder = tmp_path / "loaded"
    folder.mkdir()
    shutil.copy(source.folder / "dump.rdb", folder / "dump.rdb")
    time.sleep(0.4)
    loaded = start(reader, folder=folder)
    assert ends(loaded) == ends(source)
    assert (loaded("HLEN", "short"), loaded("EXISTS", "gone")) == (1, 0)


def test_an_old_replica_is_refused_what_it_has_no_form_for(start):
    primary, replica = start("baton", *FLAGS["baton"]), start("redis")
    primary("HSET", "h", "f", 1)
    attach(replica, primary)
    replica("REPLICAOF", "NO", "ONE")
    primary("HEXPIRE", "h", 1000, "FIELDS", 1, "f")
    primary("CONFIG", "SET", "repl-backlog-size", "16kb")
    primary("SET", "k", "x" * 100_000)
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: "has no form for hashes" in primary.log(), "the snapshot to fail")
    assert replica("HGET", "h", "f") == b"1"
