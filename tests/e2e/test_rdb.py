"""Snapshots, written by one server and read by another."""

import shutil

import pytest

from servers import SAMPLE_DATABASES, contents, eventually, fill, needs_command


def snapshot(server):
    assert server("SAVE") == b"OK"
    return server.folder / "dump.rdb"


def load(start, kind, file, tmp_path):
    folder = tmp_path / f"loaded-by-{kind}"
    folder.mkdir()
    shutil.copy(file, folder / "dump.rdb")
    return start(kind, folder=folder)


# Redis 7.0 reads files up to version 10 only, so in that direction data travel by replication.
@pytest.mark.parametrize(
    ("writer", "reader"), [("baton", "baton"), ("redis", "baton"), ("valkey", "baton"), ("baton", "valkey")]
)
def test_snapshot_of_one_is_read_by_the_other(start, tmp_path, writer, reader):
    source = start(writer)
    count = fill(source)
    expected = contents(source, SAMPLE_DATABASES)
    assert len(expected) == count
    loaded = load(start, reader, snapshot(source), tmp_path)
    assert contents(loaded, SAMPLE_DATABASES) == expected


def test_background_save(start, tmp_path):
    server = start("baton")
    fill(server)
    before = int(server("LASTSAVE"))
    assert server("BGSAVE") == b"Background saving started"
    eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot to end")
    assert server.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert int(server("LASTSAVE")) >= before
    loaded = load(start, "baton", server.folder / "dump.rdb", tmp_path)
    assert contents(loaded, SAMPLE_DATABASES) == contents(server, SAMPLE_DATABASES)


def test_snapshot_is_a_moment(start, tmp_path):
    """Two keys that are always written together are never seen apart in a snapshot taken under writes."""
    server = start("baton")
    with server.connect() as writer:
        for number in range(20_000):
            writer.send(b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$5\r\n%05d\r\n$1\r\nb\r\n$5\r\n%05d\r\n" % (number, number))
            if number == 5_000:
                saver = server.connect()
                saver.send(b"BGSAVE\r\n")
        for _ in range(20_000):
            assert writer.read() == b"OK"
        assert saver.read() == b"Background saving started"
        saver.close()
    eventually(lambda: server.info("persistence")["rdb_bgsave_in_progress"] == "0", "the snapshot to end")
    loaded = load(start, "baton", server.folder / "dump.rdb", tmp_path)
    assert loaded("GET", "a") == loaded("GET", "b")


def test_data_survive_a_clean_restart(start):
    server = start("baton", "--save", "3600 1")
    fill(server)
    expected = contents(server, SAMPLE_DATABASES)
    assert server.terminate() == 0
    server.start()
    assert contents(server, SAMPLE_DATABASES) == expected


def test_a_damaged_file_is_refused(start, tmp_path):
    source = start("baton")
    fill(source)
    data = bytearray(snapshot(source).read_bytes())
    data[len(data) // 2] ^= 0x55
    damaged = tmp_path / "damaged.rdb"
    damaged.write_bytes(data)
    with pytest.raises(RuntimeError, match="ended with 1"):
        load(start, "baton", damaged, tmp_path)


@pytest.mark.parametrize(("source", "target"), [("baton", "baton"), ("redis", "baton"), ("valkey", "baton"), ("baton", "valkey")])
def test_values_travel_by_dump_and_restore(start, source, target):
    giver, taker = start(source), start(target)
    needs_command(giver, "DUMP")
    needs_command(taker, "RESTORE")
    fill(giver, databases=1)
    for key in (b"int8", b"int64", b"compressible", b"binary", b"long", b"empty"):
        taker("RESTORE", key, 0, giver("DUMP", key))
        assert taker("GET", key) == giver("GET", key)
    with pytest.raises(Exception, match="BUSYKEY"):
        taker("RESTORE", "int8", 0, giver("DUMP", "int8"))
    with pytest.raises(Exception, match="DUMP payload version or checksum are wrong"):
        taker("RESTORE", "bad", 0, giver("DUMP", "int8")[:-1] + b"\x00")
