"""Whatever is typed or passed: one clear line, the right exit code, no traceback, nothing stored."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cronlite.cli import cli
from tests.cli.conftest import Typed, runner, stored

HUGE = "1," * 1_000_000 + "1"  # 2 MB, more than an argument of a real process may have
DEEP = '{"a":' * 100 + "1" + "}" * 100
BOTTOMLESS = '{"a":' * 100_000 + "1" + "}" * 100_000
HALF = "half \ud800 a pair"
PARAMS = ["add", "--params"]

# what is typed, the exit code, what the line has to say
TYPED: list[tuple[list[str], int, list[str]]] = [
    # time fields
    (["add", "--minute", "60"], 2, ["minute", "'60'", "0-59"]),
    (["add", "--minute", "-1"], 2, ["minute", "-1"]),
    (["add", "--minute", "5.5"], 2, ["minute", "5.5"]),
    (["add", "--minute", "banana"], 2, ["minute", "banana", "0-59"]),
    (["add", "--minute", ""], 2, ["minute"]),
    (["add", "--minute", "\u0661"], 2, ["minute", "ASCII"]),
    (["add", "--minute", "*/0"], 2, ["minute", "step"]),
    (["add", "--minute", "*/61"], 2, ["minute", "1-59"]),
    (["add", "--minute", HUGE], 2, ["minute", "longer than 256"]),
    (["add", "--minute", "nan"], 2, ["minute", "nan"]),
    (["add", "--minute", "1e1"], 2, ["minute", "1e1"]),
    (["add", "--minute", "0\x00"], 2, ["minute", "\\x00"]),
    (["add", "--minute", "$where"], 2, ["minute", "$where"]),
    (["add", "--minute", "5; rm -rf /"], 2, ["minute"]),
    (["add", "--hour", "22-2"], 2, ["hour", "reversed", "22-23,0-2"]),
    (["add", "--hour", "24", "--minute", "61"], 2, ["hour", "24", "minute", "61"]),
    (["add", "--day", "32"], 2, ["day", "1-31"]),
    (["add", "--day", "31", "--month", "2"], 2, ["day", "never"]),
    (["add", "--month", "januar"], 2, ["month", "'jan'"]),
    (["add", "--weekday", "8"], 2, ["weekday", "0-7"]),
    (["add", "--weekday", "fri#6"], 2, ["weekday", "1-5"]),
    (["add", "--cron", "* * * * * *"], 2, ["cron", "6 fields", "no seconds"]),
    (["add", "--cron", "@reboot"], 2, ["@reboot"]),
    (["add", "--cron", "@dayly"], 2, ["did you mean '@daily'?"]),
    (["add", "--cron", ""], 2, ["cron", "five fields"]),
    (["add", "--cron", HUGE], 2, ["cron", "1024"]),
    (["add", "--cron", "@daily", "--minute", "5"], 2, ["--cron", "--minute"]),
    (["add", "--tz", "Europe/Berlinn"], 2, ["tz", "did you mean 'Europe/Berlin'?"]),
    (["add", "--tz", "../../etc/passwd"], 2, ["tz", "is not a time zone"]),
    (["add", "--tz", ""], 2, ["tz"]),
    (["add", "--tz", "x" * 2_000_000], 2, ["tz"]),
    # params
    ([*PARAMS, "{"], 2, ["--params", "no JSON"]),
    ([*PARAMS, ""], 2, ["--params", "no JSON"]),
    ([*PARAMS, "[1, 2]"], 2, ["--params", "[1, 2]", "no object"]),
    ([*PARAMS, "null"], 2, ["--params", "no object"]),
    ([*PARAMS, '"text"'], 2, ["--params", "no object"]),
    ([*PARAMS, '{"a": NaN}'], 2, ["params.a", "nan"]),
    ([*PARAMS, '{"a": -Infinity}'], 2, ["params.a", "inf"]),
    ([*PARAMS, '{"a": 1e999}'], 2, ["params.a", "inf"]),
    ([*PARAMS, f'{{"a": {2**64}}}'], 2, ["params.a", "64 bits"]),
    ([*PARAMS, f'{{"a": {"9" * 5_000}}}'], 2, ["--params"]),
    ([*PARAMS, '{"$where": "1"}'], 2, ["params", "$where", "rename"]),
    ([*PARAMS, '{"a": {"b.c": 1}}'], 2, ["params.a", "b.c", "rename"]),
    ([*PARAMS, '{"a\\u0000": 1}'], 2, ["params", "NUL"]),
    ([*PARAMS, '{"a": "\\ud800"}'], 2, ["params.a", "surrogate"]),
    ([*PARAMS, DEEP], 2, ["nested deeper than 90"]),
    ([*PARAMS, BOTTOMLESS], 2, ["--params", "nested too deeply"]),
    ([*PARAMS, "@/no/such/file"], 2, ["--params", "/no/such/file"]),
    ([*PARAMS, "@/"], 2, ["--params", "directory"]),
    ([*PARAMS, "@"], 2, ["--params"]),
    ([*PARAMS, "@a\x00b"], 2, ["--params"]),
    # the other fields
    (["add", "--name", "a\nb"], 2, ["name", "line"]),
    (["add", "--name", "a\x00b"], 2, ["name", "control character"]),
    (["add", "--name", "0123456789abcdef01234567"], 2, ["name", "looks like an id"]),
    (["add", "--name", "x" * 201], 2, ["name", "200"]),
    (["add", "--user", HALF], 2, ["half", "UTF-8"]),
    (["add", "--user", "x" * 2_000_000], 2, ["user", "200"]),
    (["add", "--handler", "os.system('x')"], 2, ["handler", "no handler name"]),
    (["add", "--handler", ""], 2, ["handler"]),
    (["add", "--handler", "h" * 201], 2, ["handler", "200"]),
    (["add", "--tag", "\x1b[2J"], 2, ["tags"]),
    (["add", "--overlap", "skp"], 2, ["--overlap", "skp", "skip"]),
    (["add", "--catch-up", "ALL!"], 2, ["--catch-up", "latest"]),
    (["add", "--retries", "-1"], 2, ["retries", "-1", "0 to 1000"]),
    (["add", "--retries", "1e3"], 2, ["--retries", "1e3"]),
    (["add", "--retries", "9" * 30], 2, ["retries"]),
    (["add", "--retries", "9" * 5_000], 2, ["--retries"]),
    (["add", "--timeout", "0"], 2, ["timeout_seconds", "0.001"]),
    (["add", "--timeout", "-5"], 2, ["--timeout", "-5", "90s"]),
    (["add", "--timeout", "5 minutes"], 2, ["--timeout", "5 minutes"]),
    (["add", "--timeout", "nan"], 2, ["--timeout", "nan"]),
    (["add", "--retry-delay", "99999999d"], 2, ["--retry-delay", "too long"]),
    (["add", "--dispatch", "amqp://x"], 2, ["--dispatch"]),
    (["add", "--minutes", "5"], 2, ["--minute"]),
    (["add", "surplus"], 2, ["surplus"]),
    # ids and names
    (["show", ""], 1, ["no schedule"]),
    (["show", "nix"], 1, ["no schedule", "'nix'"]),
    (["show", '{"$ne": null}'], 1, ["no schedule"]),
    (["show", "a\x00b"], 1, ["no schedule"]),
    (["show", HALF], 2, ["half", "UTF-8"]),
    (["list", "--tag", HALF], 2, ["half", "UTF-8"]),
    (["show", "x" * 2_000_000], 2, ["longer"]),
    (["show", "%"], 1, ["no schedule"]),
    (["show", "____"], 1, ["no schedule"]),
    (["edit", "nix"], 2, ["nothing to change"]),
    (["edit", "nix", "--minute", "5"], 1, ["no schedule"]),
    (["edit", "nix", "--minute", "60"], 1, ["no schedule"]),
    (["remove"], 2, ["--tag"]),
    (["remove", "nix"], 1, ["no schedule"]),
    (["pause"], 2, ["--tag"]),
    (["trigger", "nix"], 1, ["no schedule"]),
    (["log", "nix"], 1, ["no run"]),
    (["log", "@"], 1, ["no run"]),
    (["log", HALF], 2, ["half", "UTF-8"]),
    (["retry", '{"$gt": ""}'], 1, ["no run"]),
    (["cancel", "x\x00y@z"], 1, ["no run"]),
    # instants, and the rest
    (["why", "nix", "--at", "10000-01-01"], 2, ["--at", "10000", "2026-11-21T02:30Z"]),
    (["why", "nix", "--at", "yesteryear"], 2, ["--at", "yesteryear"]),
    (["why", "nix", "--at", "2026-02-30"], 2, ["--at", "2026-02-30"]),
    (["why", "nix", "--at", "2026-01-01T25:00"], 2, ["--at"]),
    (["why", "nix", "--at", "2026-01-01T00:00+99:00"], 2, ["--at"]),
    (["why", "nix"], 2, ["--at"]),
    (["next", "-n", "0"], 2, ["0"]),
    (["next", "-n", "99999999"], 2, ["99999999"]),
    (["next", "--from", "0001-01-01T00:00+12:00"], 2, ["0001-01-01", "1 to 9999"]),
    (["runs", "--state", "done"], 2, ["--state", "done", "succeeded"]),
    (["runs", "--since", "soon"], 2, ["--since", "soon"]),
    (["runs", "--since", "999999999w"], 2, ["--since", "too long"]),
    (["runs", "--limit", "-5"], 2, ["-5"]),
    (["enqueue"], 2, ["HANDLER"]),
    (["enqueue", "no handler!"], 2, ["handler", "no handler name"]),
    (["enqueue", "h", "--at", "9999-12-31T23:59-12:00"], 2, ["1 to 9999"]),
    (["enqueue", "h", "--in", "-5m"], 2, ["--in"]),
    (["enqueue", "h", "--key", "a\x00b"], 2, ["key"]),
    (["enqueue", "h", "--key", ""], 2, ["key"]),
    (["enqueue", "h", "--retries", "99999"], 2, ["retries", "99999"]),
    (["run", "--seats", "-1"], 2, ["seats", "-1"]),
    (["run", "--seats", "many"], 2, ["--seats", "many"]),
    (["run", "--grace-seconds", "nan"], 2, ["grace_seconds", "nan"]),
    (["run", "--grace-seconds", "1e400"], 2, ["grace_seconds", "inf"]),
    (["run", "--catch-up-window", "1s"], 2, ["catch_up_window_seconds"]),
    (["run", "--log-format", "xml"], 2, ["--log-format", "json"]),
    (["run", "--dispatch", "redis://x"], 2, ["dispatch", "amqp://"]),
    (["run", "--queue", "a b"], 2, ["queues", "a b"]),
    (["worker"], 2, ["AMQP_URI"]),
    (["worker", "redis://x"], 2, ["dispatch", "amqp://"]),
    (["worker", "amqp://x", "--queue", "set_aside"], 2, ["queues", "set_aside"]),
    (["completion", "tcsh"], 2, ["tcsh", "bash"]),
    (["--bogus"], 2, ["--bogus"]),
    (["nix\x1b[2J"], 2, ["no command"]),
]

# where the store or the application is: the group's options, the exit code, what the line has to say
PLACES: list[tuple[list[str], int, list[str]]] = [
    (["--uri", "mongodb://127.0.0.1:1/x?timeoutMS=200"], 3, ["127.0.0.1:1", "cannot be reached"]),
    (["--uri", "mongodb://user:s3cret@127.0.0.1:1/x?timeoutMS=200"], 3, ["cannot be reached"]),
    (["--uri", "mongodb://127.0.0.1:1"], 2, ["names no database"]),
    (["--uri", "mongodb://user:s3cr/et@127.0.0.1:1/x"], 2, ["percent-escaped"]),
    (["--uri", "mongodb://"], 2, ["MongoDB"]),
    (["--uri", "mongdb://host/x"], 2, ["did you mean 'mongodb'?"]),
    (["--uri", "postgres://user:s3cret@host/x"], 2, ["postgres", "sqlite:PATH"]),
    (["--uri", "/var/lib/jobs.db"], 2, ["no scheme"]),
    (["--uri", "sqlite:"], 2, ["names no file"]),
    (["--uri", "sqlite:\x00"], 2, ["names no file"]),
    (["--uri", "sqlite:/proc/nix/jobs.db"], 2, ["/proc/nix", "another path"]),
    (["--uri", "sqlite:/"], 2, ["is a folder"]),
    (["--uri", "memory:x"], 2, ["memory:"]),
    (["-A", "no_such_module"], 2, ["no_such_module"]),
    (["-A", "json:nix"], 2, ["'nix'"]),
    (["-A", "json:dumps"], 2, ["neither a module, a Cronlite nor a Registry"]),
    (["-A", "../x"], 2, ["names no application"]),
    (["-A", "os;import sys"], 2, ["names no application"]),
    (["-A", ""], 2, ["names no application"]),
    (["--config", "/no/such/file.toml"], 2, ["/no/such/file.toml"]),
    (["--config", "/"], 2, ["directory"]),
]


def identified(case: Any) -> str:
    return ascii(" ".join(word[:30] for word in case[0]))


def one_clear_line(told: str, wanted: list[str]) -> None:
    assert told.startswith("cronlite: error: "), told
    assert told.count("\n") == 1, told
    assert told.rstrip("\n").isprintable(), told
    assert len(told) < 1_200, told
    assert "s3cr" not in told, told
    missing = [word for word in wanted if word not in told]
    assert not missing, f"{missing} not in {told}"


@pytest.mark.parametrize("case", TYPED, ids=identified)
def test_hostile_words(case: tuple[list[str], int, list[str]], uri: str) -> None:
    words, code, wanted = case
    result = runner().invoke(cli, ["--uri", uri, *words])
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    one_clear_line(result.stderr, wanted)
    assert stored(uri) == ([], [])


@pytest.mark.parametrize("case", PLACES, ids=identified)
def test_hostile_places(case: tuple[list[str], int, list[str]]) -> None:
    options, code, wanted = case
    result = runner().invoke(cli, [*options, "list"])
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    one_clear_line(result.stderr, wanted)


@pytest.mark.parametrize("command", [
    ["add"], ["show", "x"], ["status"], ["doctor"], ["runs"], ["enqueue", "h"], ["next"], ["why", "x", "--at", "now"],
    ["pause", "a", "b"], ["cancel", "a", "b"], ["trigger", "x"], ["log", "x"],
])  # fmt: skip
def test_an_unreachable_store_is_exit_code_3_for_every_command(command: list[str]) -> None:
    uri = "mongodb://127.0.0.1:1/x?timeoutMS=200"
    result = runner().invoke(cli, ["--uri", uri, *command])
    assert result.exit_code == 3, result.output
    one_clear_line(result.stderr, ["127.0.0.1:1"])


def test_params_that_are_too_much_for_a_document(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "big.json").write_text('{"a": "' + "x" * 16_000_000 + '"}')
    (tmp_path / "bigger.json").write_text('{"a": "' + "x" * 40_000_000 + '"}')
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xff"}')
    for name, wanted in (("big", "more than 65536"), ("bigger", "more than"), ("latin", "UTF-8")):
        one_clear_line(typed("add", "--params", f"@{tmp_path / f'{name}.json'}", code=2).stderr, [wanted])


def test_stdin_that_is_no_json(typed: Typed) -> None:
    one_clear_line(typed("add", "--params", "-", input="", code=2).stderr, ["--params", "no JSON"])
    one_clear_line(typed("enqueue", "h", "--params", "-", input="[]", code=2).stderr, ["--params", "no object"])


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database at all, but long enough to be looked at" * 20)
    one_clear_line(Typed(f"sqlite:{tmp_path / 'x.db'}")("list", code=1).stderr, ["x.db", "not a database"])


def test_variables_are_held_to_the_same(typed: Typed) -> None:
    one_clear_line(typed("run", code=2, CRONLITE_SEATS="many").stderr, ["--seats", "many"])
    one_clear_line(typed("add", code=2, CRONLITE_ADD_MINUTE="60").stderr, ["minute", "60"])


@pytest.mark.parametrize("wrong", ["s3cret-and-wrong", "a" * 2_000])
def test_a_wrong_password(wrong: str, mongo_uri: str) -> None:
    parts = urlsplit(mongo_uri)
    host = parts.netloc.rpartition("@")[2]
    uri = parts._replace(netloc=f"nobody:{wrong}@{host}", query="authSource=admin").geturl()
    result = runner().invoke(cli, ["--uri", uri, "list"])
    assert result.exit_code == 3, result.output
    one_clear_line(result.stderr, ["lets nobody in", "check the user, the password"])
    assert wrong not in result.stderr
