"""crontab(5) in, schedules out, and back: what a line means, what is refused, and what the round trip keeps."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from cronlite.crontab import IMPORTED, Plan, export, read
from cronlite.crontab.reading import translated
from cronlite.documents.schedules import Schedule
from cronlite.when import pattern as cron

SERVER = Path(__file__).with_name("server.crontab")


def plan_of(text: str | bytes, **options: Any) -> Plan:
    data = text.encode() if isinstance(text, str) else text
    return read(data, **{"source": "test", **options})


def only(text: str | bytes, **options: Any) -> Schedule:
    """Return the one schedule that a crontab means."""
    plan = plan_of(text, **options)
    assert plan.refusals == []
    (entry,) = plan.entries
    return entry.schedule


def refusal(text: str | bytes, **options: Any) -> str:
    """Return what is said of the one line that a crontab is refused for."""
    plan = plan_of(text, **options)
    (refused,) = plan.refusals
    assert refused.remedy, refused
    return f"{refused.line}: {refused.reason}; {refused.remedy}"


def meaning(schedule: Schedule) -> tuple[object, ...]:
    """Return all that a crontab says of a schedule, its expressions as the numbers that they stand for."""
    pattern = schedule.timetable.pattern
    said = [getattr(schedule, name) for name in IMPORTED if name not in cron.FIELDS]
    return schedule.name, *said, [getattr(pattern, name).values for name in cron.FIELDS], pattern.follows_clock


# a line


def test_a_line_is_a_time_and_a_command_for_the_shell() -> None:
    schedule = only("30 2 * * mon-fri backup --all\n")
    assert [getattr(schedule, name) for name in cron.FIELDS] == [30, 2, "*", "*", "mon-fri"]
    assert (schedule.handler, schedule.params) == ("shell", {"command": ["/bin/sh", "-c", "backup --all"]})
    assert (schedule.user, schedule.tz, schedule.note, schedule.tags) == ("", "UTC", "", ())


@pytest.mark.parametrize(
    "text",
    [
        "5 4 * * * x  y",
        "5 4 * * * x  y\r\n",
        " \t5\t4 \t*  *\t* \tx  y\n",
        "\ufeff5 4 * * * x  y\n",
        "\n\n   \n\t\n5 4 * * * x  y\n\n",
    ],
    ids=["no end of line", "CRLF", "tabs and blanks", "byte order mark", "empty lines"],
)
def test_the_ways_to_lay_out_a_line_mean_the_same(text: str) -> None:
    assert meaning(only(text)) == meaning(only("5 4 * * * x  y\n"))


def test_a_nickname_is_a_time() -> None:
    assert only("@daily  x y").describe() == "at 00:00 every day"


@pytest.mark.parametrize(
    ("line", "either"), [("0 0 13 * fri x", True), ("0 0 */2 * fri x", False), ("0 0 13 * * x", False)]
)
def test_the_two_day_fields_go_by_the_rule_of_crontab(line: str, either: bool) -> None:
    assert only(line).either_day is either


def test_a_system_crontab_names_the_user_of_each_line() -> None:
    schedule = only("17 *\t* * *\troot    cd / && run-parts\n", system=True)
    assert (schedule.user, schedule.params["command"][-1]) == ("root", "cd / && run-parts")
    assert only("@hourly www-data x", system=True).user == "www-data"


def test_a_user_crontab_is_its_owners() -> None:
    assert only("@daily x", user="alice").user == "alice"


def test_a_line_of_a_system_crontab_in_a_users_is_pointed_at() -> None:
    assert [remark.line for remark in plan_of("0 0 * * * root x").remarks] == [1]


@pytest.mark.parametrize(
    "line",
    [
        "17 * * * *\troot\tcd / && run-parts /etc/cron.hourly",
        "*/5 * * * * www-data php -f /srv/cron.php",
        "@daily nobody x",
    ],
)
def test_a_users_name_before_the_command_is_pointed_at(line: str) -> None:
    (remark,) = plan_of(line).remarks
    assert "import it with --system" in remark.text


def test_a_user_of_this_machine_is_one_and_a_command_is_none() -> None:
    assert len(plan_of("0 0 * * * zoe x", users={"zoe"}).remarks) == 1
    assert plan_of("0 0 * * * zoe x\n0 0 * * * root\n0 0 * * * mail -s x root\n", users={"zeno", "mail"}).remarks == []


@pytest.mark.parametrize("line", ["0 0 * * * date +%F", "0 0 * * * cat%one", r"0 0 * * * echo \\%x"])
def test_a_bare_percent_is_pointed_at(line: str) -> None:
    (remark,) = plan_of(line).remarks
    assert "the command ends at the %" in remark.text


def test_an_escaped_percent_is_none_to_point_at() -> None:
    assert plan_of(r"0 0 * * * date +\%F").remarks == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0 * * * %x", "has an empty command, which the % ends; write \\% for a percent sign"),
        ("0 */5 * * * * /usr/bin/job", "would begin with '*'; say '*/5 * * * *'"),
        ("0 0 2 * * 1 /usr/bin/job", "would begin with '1'; say '0 2 * * 1'"),
        ("0 0 12 ? * 2-6 /usr/bin/job", "say '0 12 * * 1-5'; there are no seconds"),
        ("* * * * * * * echo", "more than five fields"),
        ("0 0 2 * * mon-fri /usr/bin/job", "say '0 2 * * mon-fri'"),
        ("*/5 * * * * -n sleep 1", "'-n', a flag of BSD's crons; remove the flag"),
        ("@daily -q /bin/x", "'-q', a flag"),
        ("@monthly 30 cron.monthly nice run-parts", "as anacron's files have a delay"),
        ("@every 5m x", "cron '@every 5m' is an interval; say '*/5 * * * *'"),
        ("@600 x", "is an interval; say '*/10 * * * *'"),
        ("0 */24 * * * x", "say '0'"),
        ("*/60 * * * * x", "say '0'"),
        ("CRON_TZ=UTC+2", "an offset is no zone"),
        ("CRON_TZ=UTC 0 2 * * * x", "give CRON_TZ a line of its own"),
    ],
)
def test_what_would_run_as_something_else_is_refused(line: str, told: str) -> None:
    assert told in refusal(line)


def test_a_sixth_field_of_a_system_crontab_is_no_user() -> None:
    assert "say '*/5 * * * *'" in refusal("0 */5 * * * * root /usr/bin/job", system=True)


def test_no_fault_of_a_line_hides_another() -> None:
    told = refusal("CRON_TZ=UTC\n61 2 * * * 9p %x\n", system=True)
    assert "minute '61' is out of range" in told
    assert "'9p' is no user" in told
    told = refusal("#cronlite: name 0123456789abcdef01234567\n61 2 * * * %x\n")
    for fault in ("minute '61' is out of range", "looks like an id", "has an empty command"):
        assert fault in told


@pytest.mark.parametrize(
    "titles",
    [
        "# min hour day month weekday command",
        "# m h  dom mon dow   command",
        "# Minute   Hour   Day of Month   Month   Day of Week   Command",
        "#minute\thour\tmday\tmonth\twday\twho\tcommand",
        "# *  *  *  *  * user-name  command to be executed",
    ],
)
def test_titles_of_columns_are_no_note(titles: str) -> None:
    assert only(f"# explained\n{titles}\n# mine\n* * * * * x").note == "mine"


def test_a_sentence_is_no_row_of_titles() -> None:
    for sentence in ("min hour is the hour to be run", "minute by minute the hour day", "run month end command"):
        assert only(f"# {sentence}\n* * * * * x").note == sentence


def test_a_step_after_one_number_is_pointed_at() -> None:
    assert [remark.line for remark in plan_of("* * * * * x\n0 3/6 * * * x\n*/5 1-9/2 * * * x 5/15\n").remarks] == [2]


# what is refused


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("@reboot x", "@reboot is no time; have the service manager run it"),
        ("@Reboot x", "@reboot is no time"),
        ("@every_minute x", "is no nickname of cron; say '* * * * *'"),
        ("@often x", "is not a nickname; give one of @annually, "),
        ("61 * * * * x", "minute '61' is out of range; give 0-59"),
        ("61 25 * * * x", "minute '61' is out of range; hour '25' is out of range; give 0-59; give 0-23"),
        ("0 22-2 * * * x", "hour '22-2' is a reversed range; say '22-23,0-2'"),
        ("0 0 31 2 * x", "can never be due"),
        ("-*/5 * * * * x", "begins with '-'"),
        ("0~59 * * * * x", "has a random time"),
        ("* * * * *", "has no command"),
        ("* * * * * ", "has no command"),
        ("@daily", "has no command"),
        ("* * * *", "has 4 fields"),
        ("make backup", "has 2 fields"),
        ("MAILTO ops@example.org", "has 2 fields"),
        ("A.B=1", "'A.B' is no name of a variable"),
        ("1A=1", "is no name of a variable"),
        ("A='x", "has no closing '"),
        ("A='x' y", "has 'y' after the closing quote"),
        ("SHELL=", "SHELL is empty"),
        ("CRON_TZ=Europe/Berln", "is not a time zone; did you mean 'Europe/Berlin'"),
        ("TZ=CET-1CEST", "is not a time zone"),
        ("TZ=", "is not a time zone"),
        ("* * * * * x\0y", "holds a NUL byte"),
        ("A=\0", "holds a NUL byte"),
        (b"* * * * * echo \xe4", "is not UTF-8"),
        (b"A=\xe4", "is not UTF-8"),
        ("* * * * * " + "x" * 131_072, "is longer than 131071 bytes"),
        ("A=" + "x" * 131_072, "is longer than 131071 bytes"),
    ],
)
def test_a_line_is_refused_with_reason_and_remedy(line: str | bytes, told: str) -> None:
    said = refusal(b"# nothing\n" + (line if isinstance(line, bytes) else line.encode()))
    assert said.startswith("2: ")
    assert told in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("* * * * * root", "has no user or no command"),
        ("* * * * *", "has no user or no command"),
        ("* * * * * /usr/bin/x --all", "'/usr/bin/x' is no user"),
        ("@daily", "has no user or no command"),
    ],
)
def test_a_line_of_a_system_crontab_needs_a_user(line: str, told: str) -> None:
    assert told in refusal(line, system=True)


def test_all_faulty_lines_are_told_at_once_and_the_others_are_kept() -> None:
    plan = plan_of("@reboot x\n0 0 * * * good\n60 * * * * y\n")
    assert [refused.line for refused in plan.refusals] == [1, 3]
    assert [entry.line for entry in plan.entries] == [2]


def test_lines_below_a_variable_that_is_refused_are_refused_too() -> None:
    plan = plan_of("0 0 * * * a\nCRON_TZ=Nowhere\n0 0 * * * b\nCRON_TZ=Asia/Tokyo\n0 0 * * * c\n")
    assert [(refused.line, refused.remedy) for refused in plan.refusals][1] == (3, "mend line 2")
    assert [(entry.line, entry.schedule.tz) for entry in plan.entries] == [(1, "UTC"), (5, "Asia/Tokyo")]


def test_a_huge_line_is_shown_in_short() -> None:
    (refused,) = plan_of("* * * * * " + "x" * 10_000_000).refusals
    assert len(refused.text) == 200


def test_the_longest_line_is_taken_where_params_may_be_that_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRONLITE_MAX_PARAMS_BYTES", "200000")
    line = "* * * * * " + "x" * (131_071 - 10)
    assert len(only(line).params["command"][-1]) == 131_061


# variables


def env_of(text: str) -> object:
    return only(f"{text}\n* * * * * x").params.get("env")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  A \t=  b c  ", "b c"),
        ("'A'=b", "b"),
        ('"A" = b', "b"),
        ("A=' b '", " b "),
        ('A=" b\'s "  ', " b's "),
        ("A=b 'c'", "b 'c'"),
        ("A=''", ""),
        ("A=", ""),
        ("A=b=c", "b=c"),
        ("A=b#c", "b#c"),
        ("A=$HOME/x", "$HOME/x"),
        ("A=Grüße", "Grüße"),
    ],
)
def test_a_variable_is_read_as_crontab_says(line: str, value: str) -> None:
    assert env_of(line) == {"A": value}


def test_a_variable_holds_for_the_lines_after_it() -> None:
    plan = plan_of("* * * * * a\nA=1\n* * * * * b\nB=2\nA=3\n* * * * * c\n")
    assert [entry.schedule.params.get("env") for entry in plan.entries] == [None, {"A": "1"}, {"A": "3", "B": "2"}]


def test_an_assignment_in_a_command_is_no_variable() -> None:
    assert only("* * * * * A=1 x").params == {"command": ["/bin/sh", "-c", "A=1 x"]}
    assert only("@daily A = 1").params["command"][-1] == "A = 1"


def test_the_shell_runs_the_command_and_is_told_it() -> None:
    assert only("SHELL=/bin/bash\n* * * * * x").params == {
        "command": ["/bin/bash", "-c", "x"],
        "env": {"SHELL": "/bin/bash"},
    }


def test_home_is_where_the_command_runs() -> None:
    assert only("HOME=/srv\n* * * * * x").params["cwd"] == "/srv"


def test_the_users_name_is_not_the_crontabs_to_set() -> None:
    assert env_of("LOGNAME=root") is None


@pytest.mark.parametrize(
    ("lines", "tz", "env"),
    [
        ("CRON_TZ=Asia/Tokyo", "Asia/Tokyo", None),
        ("TZ=Asia/Tokyo", "Asia/Tokyo", {"TZ": "Asia/Tokyo"}),
        ("CRON_TZ=Asia/Tokyo\nTZ=UTC", "Asia/Tokyo", {"TZ": "UTC"}),
        ("A=1", "Europe/Berlin", {"A": "1"}),
    ],
)
def test_the_clock_is_cron_tz_or_tz_or_the_machines(lines: str, tz: str, env: object) -> None:
    schedule = only(f"{lines}\n* * * * * x", tz="Europe/Berlin")
    assert (schedule.tz, schedule.params.get("env")) == (tz, env)


def test_what_becomes_of_special_variables_is_told() -> None:
    plan = plan_of("MAILTO=ops\nPATH=/bin:$PATH\nRANDOM_DELAY=5\nA=1\nMAILTO=''\n* * * * * x")
    assert [remark.line for remark in plan.remarks] == [1, 2, 3]
    assert plan.entries[0].schedule.params["env"] == {"MAILTO": "", "PATH": "/bin:$PATH", "RANDOM_DELAY": "5", "A": "1"}


# the percent sign


@pytest.mark.parametrize(
    ("written", "command", "stdin"),
    [
        ("x", "x", ""),
        (r"date +\%F", "date +%F", ""),
        (r"sed s/\./x/", r"sed s/\./x/", ""),
        ("cat%one%two", "cat", "one\ntwo\n"),
        ("cat%one%", "cat", "one\n"),
        ("cat%one%%", "cat", "one\n\n"),
        ("cat%", "cat", ""),
        ("cat%%", "cat", "\n"),
        (r"cat%100\%", "cat", "100%\n"),
        (r"cat%a\b", "cat", "a\\b\n"),
        (r"x\\%y", r"x\\", "y\n"),
        ("x\\", "x\\", ""),
    ],
)
def test_the_first_bare_percent_ends_the_command(written: str, command: str, stdin: str) -> None:
    assert translated(written) == (command, stdin)


def as_cron_does(written: str) -> tuple[str, str]:
    """Translate character by character, in the states that do_command.c has."""
    command, position, escaped = "", 0, False
    while position < len(written):
        character = written[position]
        if escaped:
            command = command[:-1] + "%" if character == "%" else command + character
            escaped = False
        elif character == "%":
            break
        else:
            command, escaped = command + character, character == "\\"
        position += 1
    stdin, escaped, need_newline = "", False, False
    for character in written[position + 1 :]:
        if escaped:
            stdin += "" if character == "%" else "\\"
        given = "\n" if character == "%" and not escaped else character
        escaped = given == "\\"
        if not escaped:
            stdin, need_newline = stdin + given, given != "\n"
    return command, stdin + "\\" * escaped + "\n" * need_newline


def test_percent_signs_and_backslashes_are_translated_as_cron_does(seed: random.Random) -> None:
    for _ in range(20_000):
        written = "x" + "".join(seed.choices("%\\a ", k=seed.randrange(9)))
        assert translated(written) == as_cron_does(written), repr(written)


# comments


def test_the_comments_right_above_a_line_are_its_note() -> None:
    plan = plan_of("# far\n\n#  one \n#\n#two\n* * * * * x\n* * * * * y\n# for a variable\nA=1\n* * * * * z\n")
    assert [entry.schedule.note for entry in plan.entries] == [" one\n\ntwo", "", ""]


def test_a_line_that_is_commented_out_stays_a_comment() -> None:
    plan = plan_of("#0 1 * * * old\n0 2 * * * new\n")
    assert [(entry.text, entry.schedule.note) for entry in plan.entries] == [("0 2 * * * new", "0 1 * * * old")]


def test_the_explanations_of_a_new_crontab_are_no_note() -> None:
    text = "# Edit this file to introduce tasks\n# m h  dom mon dow   command\n# mine\n* * * * * x"
    assert only(text).note == "mine"


def test_a_comment_may_hold_anything() -> None:
    assert only(b"# caf\xe9 \0 \x1b[31m\n* * * * * x").note == "caf\ufffd \ufffd \ufffd[31m"
    assert len(only("# " + "x" * 200_000 + "\n* * * * * x").note) == 10_000


# names


def test_a_name_depends_on_what_runs_and_not_on_when() -> None:
    before = only("0 1 * * * backup")
    assert only("# note\nA=1\nCRON_TZ=Asia/Tokyo\n0 2 * * *  backup").name == before.name
    others = [only("0 1 * * * backup --all"), only("0 1 * * * backup%y"), only("0 1 * * * backup", user="bob")]
    assert len({before.name, *(other.name for other in others)}) == 4


def test_equal_commands_are_told_apart_by_their_order() -> None:
    names = [entry.name for entry in plan_of("0 1 * * * x\n0 2 * * * x\n0 3 * * * y\n").entries]
    assert names[1] == f"{names[0]}.2"
    assert len(set(names)) == 3


def test_a_name_says_which_crontab_it_is_from() -> None:
    assert (only("@daily x", source="/etc/crontab").name or "").startswith("crontab:/etc/crontab:")
    assert len(only("@daily x", source="/" + "long\n/" * 100).name or "") <= 200


def test_a_comment_can_name_a_schedule() -> None:
    assert only("#cronlite: name nightly\n# note\n@daily x").name == "nightly"
    assert only("#cronlite: name nightly\n# note\n@daily x").note == "note"
    assert (only("#cronlite: overlap wait\n@daily x").name or "").startswith("crontab:")


def test_a_name_is_given_once() -> None:
    text = "#cronlite: name n\n@daily x\n#cronlite: name n\n@daily y"
    assert "4: has the same name as line 2; remove the comment" in refusal(text)


# export


def exported(*schedules: Schedule, **options: Any) -> list[str]:
    """Return the lines after the header that say something."""
    return [line for line in export(schedules, **options).splitlines()[2:] if line]


def shell(command: str = "x", **fields: Any) -> Schedule:
    params = {"command": ["/bin/sh", "-c", command], **fields.pop("params", {})}
    return Schedule(handler="shell", params=params, **fields)


def test_a_crontab_is_written_with_its_variables_comments_and_name() -> None:
    schedule = shell("date +%F", name="n", minute=5, tz="Asia/Tokyo", note="why\n\nhow", params={"env": {"A": " b"}})
    assert exported(schedule) == [
        "CRON_TZ=Asia/Tokyo",
        'A=" b"',
        "#cronlite: name n",
        "# why",
        "#",
        "# how",
        r"5 * * * * date +\%F",
    ]


def test_settings_are_written_where_they_change() -> None:
    first, second, third = shell("a"), shell("b"), shell("c", tz="Asia/Tokyo")
    assert exported(first, second, third) == [
        "CRON_TZ=UTC", "* * * * * a", "* * * * * b", "CRON_TZ=Asia/Tokyo", "* * * * * c",
    ]  # fmt: skip


def test_a_system_crontab_is_written_with_users() -> None:
    assert exported(shell(user="root"), system=True) == ["CRON_TZ=UTC", "* * * * * root x"]
    assert exported(shell(user="root")) == ["CRON_TZ=UTC", "#cronlite: user root", "* * * * * x"]


def test_expressions_are_spelled_as_every_cron_reads_them() -> None:
    schedule = shell(minute="5/15", hour="1,3/6", weekday="fri-sun")
    assert exported(schedule)[1] == "5-59/15 1,3-23/6 * * fri-7 x"


def test_either_day_means_nothing_where_one_of_them_is_free() -> None:
    assert exported(shell(weekday=5, either_day=True))[1] == "* * * * 5 x"


def test_a_command_without_a_shell_gets_one() -> None:
    schedule = Schedule(handler="shell", params={"command": ["echo", "100% it's", "$HOME"]})
    assert exported(schedule)[1] == "* * * * * echo '100\\% it'\"'\"'s' '$HOME'"


def test_a_paused_schedule_is_commented_out() -> None:
    assert exported(shell(enabled=False))[1] == "#cronlite: paused: * * * * * x"


def test_policies_are_told_in_comments() -> None:
    lines = exported(shell(overlap="wait", retries=3, tags=("a", "b")))
    assert lines[1:4] == ["#cronlite: overlap wait", "#cronlite: retries 3", "#cronlite: tags a, b"]


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (Schedule(handler="extract", params={"a": 1}), "its handler is not shell"),
        (shell(day="L"), "crontab has no day L"),
        (shell(weekday="fri#2"), "crontab has no weekday fri#2"),
        (shell(day=13, weekday=5), "day and weekday must both match"),
        (shell(day="*/2", weekday=5, either_day=True), "either day is enough"),
        (shell(params={"cwd": "/srv"}), "crontab has no words for its params"),
        (shell("x\ny"), "it holds a line break"),
        (shell(" x"), "crontab has no words for its params"),
        (shell("x\r"), "another control character"),
        (shell(r"x \%F"), "crontab has no words for its params"),
        (shell("x\0"), "another control character"),
        (shell("\ud800"), "another control character"),
        (shell(""), "has no command"),
        (shell(params={"stdin": "no end of line"}), "crontab has no words for its params"),
        (shell(params={"stdin": "\\\nx\n"}), "crontab has no words for its params"),
        (shell(params={"stdin": 5}), "its stdin is not text"),
        (shell(params={"other": 5}), "crontab has no words for its params"),
        (shell(params={"env": {"A.B": "1"}}), "is no name of a variable"),
        (shell(params={"env": {"A": 1}}), "crontab has no words for its params"),
        (shell(params={"env": {"A": "x\ny"}}), "it holds a line break"),
        (shell(params={"env": {"A": " '\" "}}), "after the closing quote"),
        (shell(params={"env": {"A": "\n* * * * * evil"}}), "it holds a line break"),
        (shell(params={"env": {"TZ": ":/etc/localtime"}}), "is not a time zone"),
        (shell(params={"env": {"SHELL": "/bin/bash"}}), "its command is not that of its SHELL"),
        (Schedule(handler="shell", params={"command": "x"}), "its command is not a list of texts"),
        (Schedule(handler="shell", params={}), "its command is not a list of texts"),
    ],
)
def test_what_no_crontab_can_say_is_a_comment_with_the_reason(schedule: Schedule, reason: str) -> None:
    lines = exported(schedule)
    assert [line for line in lines if not line.startswith("#cronlite:")] == []
    assert reason in lines[-1]


def test_a_variable_that_cannot_be_unset_keeps_other_lines_out() -> None:
    lines = exported(shell("b", params={"env": {"B": "1"}}), shell("a", params={"env": {"A": "1"}}), shell("c"))
    assert lines[:-1] == ["CRON_TZ=UTC", "* * * * * c", "B=1", "* * * * * b"]
    assert "(B of the lines above cannot be unset" in lines[-1]


def test_no_stored_text_gets_a_line_of_its_own() -> None:
    texts = [
        shell(name="a", note="x\n* * * * * evil"),
        shell("x\n* * * * * evil"),
        Schedule(handler="h", params={"a": "\n* * * * * evil"}),
        shell(tags=("t",), params={"env": {"A": "1\n* * * * * evil"}}),
        shell(params={"cwd": "\r\n* * * * * evil"}),
    ]
    assert [entry.schedule.params["command"][-1] for entry in plan_of(export(texts)).entries] == ["x"]


# the round trip


FIELDS = {
    "minute": ["*", "*/5", "0", "7,37", "5/15", "0-59/7", "*,3"],
    "hour": ["*", "*/2", "0", "9-17", "1,3/6", "08"],
    "day": ["*", "*/2", "1", "28-31", "1-31/3", "13"],
    "month": ["*", "jan", "JAN-jun/2", "2,4", "*/3"],
    "weekday": ["*", "0", "7", "mon-fri", "Fri-SUN", "5-7", "*/2", "sat,sun"],
}
NAMES = ["A", "PATH", "MAILTO", "SHELL", "HOME", "TZ", "CRON_TZ", "LC_ALL", "LOGNAME"]
ALPHABET = "ab%\\ '\"$#=*\t\u00e4\u00a0"


def random_text(seed: random.Random, alphabet: str = ALPHABET, most: int = 12) -> str:
    return "".join(seed.choices(alphabet, k=seed.randrange(most)))


def random_variable(seed: random.Random) -> str:
    name = seed.choice(NAMES)
    if name in ("TZ", "CRON_TZ"):
        value = seed.choice(["UTC", "Europe/Berlin", "'Asia/Tokyo'"])
    elif name == "SHELL":
        value = seed.choice(["/bin/sh", "/bin/bash", "'/bin/my shell'"])
    else:
        quote = seed.choice(["'", '"', ""])
        value = quote + random_text(seed, ALPHABET.replace("'", "").replace('"', "")) + quote
    return f"{name}{seed.choice(['=', ' = '])}{value}"


def random_line(seed: random.Random, system: bool) -> str:
    when = " ".join(seed.choice(choices) for choices in FIELDS.values())
    when = seed.choice([when, when, when, "@daily", "@Weekly"])
    user = f"{seed.choice(['root', 'www-data'])} " * system
    return f"{seed.choice(['', ' '])}{when}{seed.choice([' ', chr(9)])}{user}x{random_text(seed)}"


def random_crontab(seed: random.Random, system: bool) -> str:
    lines = []
    for _ in range(seed.randrange(1, 25)):
        kind = seed.randrange(6)
        if kind == 0:
            lines.append(random_variable(seed))
        elif kind == 1:
            lines.append("#" + random_text(seed))
        elif kind == 2:
            lines.append(seed.choice(["", "#cronlite: overlap wait"]))
        else:
            lines.append(random_line(seed, system))
    return seed.choice(["\n", "\r\n"]).join(lines) + seed.choice(["", "\n"])


@pytest.mark.parametrize("system", [False, True], ids=["of a user", "of the system"])
def test_import_export_import_loses_nothing(seed: random.Random, system: bool) -> None:
    lines = 0
    for _ in range(150):
        text = random_crontab(seed, system)
        plan = plan_of(text, system=system, tz="Europe/Paris")
        written = export([entry.schedule for entry in plan.entries], system=system)
        again = plan_of(written, system=system)
        assert again.refusals == [], f"{text!r}\n{written}"
        before, after = ([meaning(entry.schedule) for entry in each.entries] for each in (plan, again))
        assert after == before, f"{text!r}\n{written}"
        assert export([entry.schedule for entry in again.entries], system=system) == written
        lines += len(before)
    assert lines > 500


def test_whatever_bytes_come_every_line_is_an_entry_a_comment_or_a_refusal(seed: random.Random) -> None:
    for _ in range(3_000):
        data = bytes(seed.choices(b"*0 5,-/@#='\"\n\t\r\0\\%~aA=\xff\xe4", k=seed.randrange(60)))
        plan = plan_of(data, system=seed.random() < 0.5)
        told = {entry.line for entry in plan.entries} | {refused.line for refused in plan.refusals}
        for number, line in enumerate(data.split(b"\n"), 1):
            silent = line.strip(b" \t\r\v\f") == b"" or line.lstrip(b" \t").startswith(b"#") or b"=" in line
            assert number in told or silent, (data, plan)


def test_a_real_crontab_comes_back_as_it_was() -> None:
    plan = plan_of(SERVER.read_bytes(), source="server")
    assert plan.refusals == []
    assert len(plan.entries) == 17
    written = export([entry.schedule for entry in plan.entries])
    assert "cannot be said" not in written
    again = plan_of(written, source="elsewhere")
    assert [entry.schedule for entry in again.entries] == [entry.schedule for entry in plan.entries]


def test_an_interval_is_no_line_of_a_crontab() -> None:
    schedule = Schedule(handler="shell", params={"command": ["/bin/sh", "-c", "true"]}, every="10s")
    [told] = exported(schedule)
    assert "cannot be said here (crontab has no intervals, such as every 10s): every 10 seconds" in told
