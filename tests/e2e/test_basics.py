"""Strings, keys, expiry, transactions, pipelines and publishing through the client libraries that people use."""

import threading
import time

import pytest
import redis
import valkey

from servers import eventually

RESPONSE_ERRORS = (valkey.ResponseError, redis.ResponseError)
WATCH_ERRORS = (valkey.WatchError, redis.WatchError)


def test_set_and_get(client):
    assert client.set("k", "v") is True
    assert client.get("k") == "v"
    assert client.get("missing") is None
    assert client.set("k", "new", get=True) == "v"
    assert client.set("k", "no", nx=True) is None
    assert client.set("missing", "no", xx=True) is None
    assert client.exists("k", "k", "missing") == 2
    assert client.type("k") == "string"
    assert client.type("missing") == "none"


def test_counters(client):
    assert client.incr("n") == 1
    assert client.incrby("n", 41) == 42
    assert client.decr("n") == 41
    assert client.incrbyfloat("f", 1.5) == 1.5
    client.set("text", "abc")
    with pytest.raises(RESPONSE_ERRORS, match="value is not an integer or out of range"):
        client.incr("text")
    client.set("max", 2**63 - 1)
    with pytest.raises(RESPONSE_ERRORS, match="increment or decrement would overflow"):
        client.incr("max")


def test_parts_of_strings(client):
    assert client.append("k", "hello") == 5
    assert client.append("k", " world") == 11
    assert client.strlen("k") == 11
    assert client.getrange("k", -5, -1) == "world"
    assert client.setrange("k", 6, "there") == 11
    assert client.get("k") == "hello there"
    assert client.getdel("k") == "hello there"
    assert client.exists("k") == 0


def test_several_keys_at_once(client):
    assert client.mset({"a": "1", "b": "2"}) is True
    assert client.mget("a", "missing", "b") == ["1", None, "2"]
    assert client.msetnx({"b": "x", "c": "x"}) in (False, 0)
    assert client.exists("c") == 0
    assert client.delete("a", "b", "missing") == 2


def test_values_are_bytes(baton):
    blob = bytes(range(256)) * 4096
    with baton.connect() as connection:
        assert connection("SET", b"\x00\r\n\xff", blob) == b"OK"
        assert connection("GET", b"\x00\r\n\xff") == blob
        assert connection("STRLEN", b"\x00\r\n\xff") == len(blob)


def test_large_value(client):
    value = "x" * (10 * 1024 * 1024)
    client.set("large", value)
    assert client.get("large") == value


def test_expiry_is_set_read_and_removed(client):
    client.set("k", "v", ex=100)
    assert 0 < client.ttl("k") <= 100
    assert 0 < client.pttl("k") <= 100_000
    assert client.persist("k") in (True, 1)
    assert client.ttl("k") == -1
    assert client.ttl("missing") == -2
    assert client.expire("k", 100) in (True, 1)
    assert client.expire("k", 200, lt=True) in (False, 0)
    assert client.getex("k", persist=True) == "v"
    assert client.ttl("k") == -1
    client.set("k", "v", ex=100)
    client.set("k", "w", keepttl=True)
    assert client.ttl("k") > 0
    client.set("k", "x")
    assert client.ttl("k") == -1


def test_expired_keys_are_gone(client):
    client.set("k", "v", px=30)
    client.set("past", "v")
    assert client.expireat("past", 1) in (True, 1)
    assert client.exists("past") == 0
    eventually(lambda: client.get("k") is None, "the key to expire")
    assert client.exists("k") == 0


def test_unread_keys_expire_too(client):
    client.mset({f"k{n}": "v" for n in range(100)})
    for n in range(100):
        client.pexpire(f"k{n}", 30)
    eventually(lambda: client.dbsize() == 0, "keys nobody reads to be removed")


def test_rename_and_copy(client):
    client.set("a", "v", ex=100)
    assert client.rename("a", "b") in (True, "OK")
    assert client.ttl("b") > 0
    with pytest.raises(RESPONSE_ERRORS, match="no such key"):
        client.rename("a", "c")


def test_scan_sees_every_key_that_stays(client):
    keys = {f"key:{n}" for n in range(3000)}
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.set(key, "v")
        pipe.execute()
    seen, cursor, other = set(), 0, 0
    while True:
        cursor, found = client.scan(cursor, count=100)
        seen.update(found)
        # Keys that come and go meanwhile must not make others disappear.
        client.set(f"other:{other}", "v")
        client.delete(f"other:{other - 1}")
        other += 1
        if cursor == 0:
            break
    assert keys <= seen
    assert set(client.scan_iter(match="key:1?", count=500)) == {f"key:1{n}" for n in range(10)}
    assert sorted(client.keys("key:299?")) == [f"key:299{n}" for n in range(10)]


def test_databases_are_separate(baton):
    with baton.connect() as connection:
        connection("SET", "k", "zero")
        connection("SELECT", 5)
        assert connection("GET", "k") is None
        connection("SET", "k", "five")
        assert connection("DBSIZE") == 1
        connection("FLUSHDB")
        connection("SELECT", 0)
        assert connection("GET", "k") == b"zero"


def test_pipeline_keeps_order(client):
    with client.pipeline(transaction=False) as pipe:
        for n in range(10_000):
            pipe.set(f"k{n}", n)
            pipe.get(f"k{n}")
        replies = pipe.execute()
    assert replies[1::2] == [str(n) for n in range(10_000)]


def test_pipeline_goes_on_after_an_error(client):
    with client.pipeline(transaction=False) as pipe:
        pipe.set("k", "abc")
        pipe.incr("k")
        pipe.get("k")
        first, second, third = pipe.execute(raise_on_error=False)
    assert (first, third) == (True, "abc")
    assert isinstance(second, RESPONSE_ERRORS)


def test_transaction(client):
    with client.pipeline() as pipe:
        pipe.set("a", 1).incr("a").get("a")
        assert pipe.execute() == [True, 2, "2"]


def test_transaction_fails_if_a_watched_key_changed(client):
    client.set("k", 1)
    with client.pipeline() as pipe:
        pipe.watch("k")
        value = int(pipe.get("k"))
        client.set("k", 10)
        pipe.multi()
        pipe.set("k", value + 1)
        with pytest.raises(WATCH_ERRORS):
            pipe.execute()
    assert client.get("k") == "10"
    with client.pipeline() as pipe:
        pipe.watch("k")
        pipe.multi()
        pipe.incr("k")
        assert pipe.execute() == [11]


def test_watched_key_that_expires_fails_the_transaction(baton):
    with baton.connect() as connection:
        connection("SET", "k", "v", "PX", 50)
        connection("WATCH", "k")
        eventually(lambda: baton("EXISTS", "k") == 0, "the key to expire")
        connection("MULTI")
        connection("PING")
        assert connection("EXEC") is None


def test_optimistic_counter_loses_nothing(client, baton):
    def count():
        for _ in range(50):
            client.transaction(lambda pipe: _increment(pipe), "counter")

    def _increment(pipe):
        value = int(pipe.get("counter") or 0)
        pipe.multi()
        pipe.set("counter", value + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("counter") == "200"


def test_transaction_errors(baton):
    with baton.connect() as connection:
        with pytest.raises(Exception, match="ERR EXEC without MULTI"):
            connection("EXEC")
        with pytest.raises(Exception, match="ERR DISCARD without MULTI"):
            connection("DISCARD")
        connection("MULTI")
        with pytest.raises(Exception, match="ERR Command 'multi' not allowed inside a transaction"):
            connection("MULTI")
        with pytest.raises(Exception, match="ERR unknown command 'NOSUCH'"):
            connection("NOSUCH")
        with pytest.raises(Exception, match="EXECABORT Transaction discarded because of previous errors."):
            connection("EXEC")
        connection("MULTI")
        connection("SET", "k", "v")
        assert connection("DISCARD") == b"OK"
        assert connection("GET", "k") is None


def test_publish_and_subscribe(client):
    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("news")
        listener.psubscribe("we*")
        eventually(lambda: client.publish("news", "first") == 1, "the subscription")
        assert client.publish("weather", "rain") == 1
        assert client.publish("nobody", "x") == 0
        messages = [_message(listener), _message(listener)]
        assert [(m["type"], m["channel"], m["data"]) for m in messages] == [
            ("message", "news", "first"),
            ("pmessage", "weather", "rain"),
        ]
        assert client.pubsub_channels() == ["news"]
        assert client.pubsub_numsub("news") == [("news", 1)]
        assert client.pubsub_numpat() == 1
        listener.unsubscribe()
        listener.punsubscribe()
        eventually(lambda: client.publish("news", "late") == 0, "the subscription to end")


def _message(listener):
    return eventually(lambda: listener.get_message(timeout=1), "a message")


def test_info_is_what_tools_read(client):
    info = client.info()
    assert info["role"] == "master"
    assert info["connected_clients"] >= 1
    assert info["used_memory"] > 0
    assert len(info["run_id"]) == 40
    assert "redis_version" in info
    client.set("k", "v")
    assert client.info("keyspace")["db0"]["keys"] == 1


def test_clients_have_names_and_ids(client):
    assert client.client_setname("tester") in (True, "OK")
    assert client.client_getname() == "tester"
    assert any(entry["id"] == str(client.client_id()) for entry in client.client_list())


def test_errors_name_what_is_wrong(client):
    with pytest.raises(RESPONSE_ERRORS, match="unknown command 'NOSUCH', with args beginning with: 'a' 'b'"):
        client.execute_command("NOSUCH", "a", "b")
    with pytest.raises(RESPONSE_ERRORS, match="wrong number of arguments for 'get' command"):
        client.execute_command("GET")
    with pytest.raises(RESPONSE_ERRORS, match="syntax error"):
        client.execute_command("SET", "k", "v", "BOGUS")


def test_hello_switches_the_protocol(baton):
    with baton.connect() as connection:
        as_list = connection("HELLO", 2)
        assert as_list[as_list.index(b"proto") + 1] == 2
        as_map = connection("HELLO", 3)
        assert as_map[b"proto"] == 3
        assert as_map[b"role"] == b"master"
        assert connection("GET", "missing") is None
        with pytest.raises(Exception, match="NOPROTO unsupported protocol version"):
            connection("HELLO", 4)


def test_passwords(start):
    server = start("baton")
    server("CONFIG", "SET", "requirepass", "secret")
    with server.connect() as connection:
        with pytest.raises(Exception, match="NOAUTH Authentication required."):
            connection("GET", "k")
        with pytest.raises(Exception, match="WRONGPASS"):
            connection("AUTH", "wrong")
        assert connection("AUTH", "secret") == b"OK"
        assert connection("GET", "k") is None
    with server.connect() as connection:
        assert connection("HELLO", 3, "AUTH", "default", "secret")[b"proto"] == 3


def test_a_key_whose_time_has_come_is_no_change_when_databases_are_swapped(start):
    server = start("baton", "--enable-debug-command", "yes")
    with server.connect() as connection:
        connection("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        connection("SET", "x", "v", "PX", 1)
        time.sleep(0.01)
        for words in (["SELECT", 1], ["WATCH", "x"], ["SWAPDB", 0, 1], ["MULTI"], ["PING"]):
            connection(*words)
        assert connection("EXEC") == [b"PONG"]
        connection("WATCH", "x")
        connection("SET", "x", "v")
        for words in (["MULTI"], ["PING"]):
            connection(*words)
        assert connection("EXEC") is None
