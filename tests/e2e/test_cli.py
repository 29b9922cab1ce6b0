"""`baton cli` as scripts use it."""

import subprocess

import pytest

import servers


@pytest.fixture
def cli(baton):
    command = servers.program("baton")
    if len(command) < 2:
        pytest.skip("needs the program under its own name")

    def run(*args, stdin="", port=baton.port):
        return subprocess.run(
            [command[0], "cli", "-p", str(port), *args], input=stdin, capture_output=True, text=True, timeout=20, check=False
        )

    return run


def test_one_command(cli):
    assert cli("set", "k", "a b").stdout == "OK\n"
    assert cli("get", "k").stdout == "a b\n"
    assert cli("--no-raw", "get", "k").stdout == '"a b"\n'
    assert cli("--no-raw", "get", "missing").stdout == "(nil)\n"
    assert cli("-x", "set", "k", stdin="from stdin").returncode == 0
    assert cli("get", "k").stdout == "from stdin\n"


def test_lines_from_a_file(cli):
    result = cli(stdin='set a 1\nincr a\nget "a"\nnosuch\n')
    assert result.stdout.splitlines()[:3] == ["OK", "2", "2"]
    assert "unknown command 'nosuch'" in result.stdout
    assert result.returncode == 0


def test_errors_and_exit_codes(cli):
    assert cli("nosuch").returncode == 0
    failed = cli("-e", "nosuch")
    assert failed.returncode == 1
    assert "unknown command" in failed.stderr
    refused = cli("ping", port=servers.free_port())
    assert refused.returncode == 1
    assert "Connection refused" in refused.stderr


def test_resp3(cli):
    assert "1# " in cli("-3", "--no-raw", "hello").stdout
