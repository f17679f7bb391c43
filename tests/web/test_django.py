"""A Django project: its settings, its handlers, work after the commit, its connections, its command line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import django
import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import close_old_connections, connection, transaction
from django.test.utils import get_runner, override_settings, setup_test_environment, teardown_test_environment

import cronlite
from cronlite.documents.runs import Run
from cronlite.handlers.registry import Registry
from cronlite.testing import HandlerFailed, Rehearsal
from tests.waiting import wait_until
from tests.web.django_project.gallery.bitmaps import bitmap, pixels
from tests.web.servers import ROOT, Server

pytest_plugins = ["cronlite.contrib.pytest"]
pytestmark = pytest.mark.xdist_group("django")  # of one project

PICTURE = bitmap([[bytes([8 * x, 8 * y, 100]) for x in range(16)] for y in range(12)])
BOUNDARY = "between"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, set up in this process with a database for tests."""
    home = tmp_path_factory.mktemp("gallery")
    with mock.patch.dict(
        os.environ, {"GALLERY_HOME": str(home), "DJANGO_SETTINGS_MODULE": "tests.web.django_project.settings"}
    ):
        django.setup()
        setup_test_environment()
        runner = get_runner(django_settings)(verbosity=0, interactive=False)
        databases = runner.setup_databases()
        yield home
        gallery().close()
        runner.teardown_databases(databases)
        teardown_test_environment()


def gallery() -> cronlite.Cronlite:
    from cronlite.contrib.django import cron

    assert isinstance(cron, cronlite.Cronlite)
    return cron


def form(**fields: str) -> bytes:
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    file = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename="sea.bmp"\r\n\r\n'
    return "".join(parts).encode() + file.encode() + PICTURE + f"\r\n--{BOUNDARY}--\r\n".encode()


class Served(Server):
    """Talks to a server that is somebody else's."""

    def __init__(self, port: int) -> None:
        self.port = port


class TestUpload(StaticLiveServerTestCase):
    """Uploads over HTTP to Django's own test server, with the daemon inside of its process."""

    def setUp(self) -> None:
        self.server = Served(self.server_thread.port)
        gallery().start()
        self.addCleanup(gallery().stop)

    def test_a_thumbnail_is_made_in_the_background_and_its_run_says_for_whom(self) -> None:
        status, answer = self.server.post("/pictures/", form(owner="ann"), content_type=FORM)
        assert status == 201
        number = answer["picture"]
        wait_until(lambda: self.server.get(f"/pictures/{number}")[1]["ready"])
        status, small = self.server.get(f"/pictures/{number}/thumbnail")
        rows = pixels(small)
        assert (len(rows), len(rows[0])) == (6, 8)
        assert rows[0][0] == bytes([4, 4, 100])
        run = self.ended(number)
        assert (run.user, run.handler, run.state) == ("ann", "gallery.thumbnail", "succeeded")
        assert run.result == {"bytes": len(small)}

    def test_after_a_rollback_nothing_is_queued(self) -> None:
        before = len(gallery().runs())
        status, _ = self.server.post("/pictures/", form(owner="ann", fail="yes"), content_type=FORM)
        assert status == 507
        assert len(gallery().runs()) == before

    def test_a_picture_that_cannot_be_read_is_tried_again_and_shows_why(self) -> None:
        body = form(owner="bob").replace(b"BM", b"XX", 1)
        status, answer = self.server.post("/pictures/", body, content_type=FORM)
        assert status == 201

        def failed() -> Run | None:
            (run,) = (run for run in gallery().runs(user="bob") if run.params["picture"] == answer["picture"])
            return run if run.failures else None

        run = wait_until(failed)
        assert run.state == "queued"
        assert run.error is not None
        assert run.error["message"] == "it is no BMP with 24 bits a pixel"
        assert gallery().cancel(run.id)  # or another test's daemon would run it again

    def ended(self, number: int) -> Run:
        def found() -> Run | None:
            runs = gallery().runs(user="ann", state="succeeded")
            return next((run for run in runs if run.params["picture"] == number), None)

        return wait_until(found)


# after the commit


@pytest.fixture
def rehearsal(cronlite_test: Rehearsal) -> Rehearsal:
    cronlite_test.use(gallery())
    return cronlite_test


def test_enqueue_waits_for_the_commit_and_forgets_what_is_rolled_back(rehearsal: Rehearsal) -> None:
    from cronlite.contrib.django import enqueue

    with transaction.atomic():
        enqueue("gallery.count", {"n": 1}, user="ann", retries=2)
        assert rehearsal.runs() == []
    run = rehearsal.assert_enqueued(handler="gallery.count", params={"n": 1}, user="ann")
    assert run.retries == 2
    with transaction.atomic():
        enqueue("gallery.count", {"n": 2})
        transaction.set_rollback(True)
    enqueue("gallery.count", {"n": 3})
    assert [run.params["n"] for run in rehearsal.runs()] == [1, 3]


def test_what_is_wrong_with_a_call_is_raised_before_the_commit(rehearsal: Rehearsal) -> None:
    from cronlite.contrib.django import enqueue

    with transaction.atomic():
        with pytest.raises(cronlite.InvalidInput, match=r"params\.picture: .* not JSON"):
            enqueue("gallery.count", {"picture": object()})
        with pytest.raises(cronlite.InvalidInput, match="did you mean 'retries'"):
            enqueue("gallery.count", retry=3)
    assert rehearsal.runs() == []


def test_params_are_those_of_the_call_whatever_becomes_of_them_before_the_commit(rehearsal: Rehearsal) -> None:
    from cronlite.contrib.django import enqueue

    params = {"n": 1, "more": {"m": 1}}
    with transaction.atomic():
        enqueue("gallery.count", params)
        params["n"], params["more"]["m"] = 2, 2  # type: ignore[index]
    assert rehearsal.runs()[0].params == {"n": 1, "more": {"m": 1}}


def test_what_a_handler_enqueues_goes_to_the_store_of_its_daemon_whatever_the_settings_say(tmp_path: Path) -> None:
    from cronlite.contrib.django import enqueue

    registry = Registry()
    registry.add("follow", lambda params: enqueue("end", params))
    registry.add("end", lambda _: cronlite.current_run().user)
    before = gallery().runs()
    with cronlite.Cronlite(f"sqlite:{tmp_path / 'told by --uri.db'}", registry=registry) as told:
        told.start()
        told.enqueue("follow", {}, user="ann")
        run = wait_until(lambda: next(iter(told.runs(handler="end", state="succeeded")), None))
    assert run.result == "ann"
    assert gallery().runs() == before


# handlers and their connections


def test_the_handlers_of_each_app_are_found() -> None:
    assert "gallery.thumbnail" in gallery().registry.names()


@pytest.mark.parametrize("handler", ["gallery.count", "gallery.count-async"])
def test_connections_are_closed_after_each_run(handler: str) -> None:
    closed: list[int] = []

    def close() -> None:
        closed.append(threading.get_ident())
        close_old_connections()

    with mock.patch("cronlite.contrib.django.connections.close_old_connections", close):
        gallery().start()
        try:
            assert isinstance(gallery().enqueue(handler).wait(60).result, int)
        finally:
            gallery().stop()
    assert len(closed) == 2
    assert len(set(closed)) == 1, "in the thread that has the connection"
    assert threading.get_ident() not in closed


def test_a_connection_that_a_run_opened_is_not_open_afterwards() -> None:
    from tests.web.django_project.gallery.handlers import connections_used

    connections_used.clear()
    gallery().start()
    assert gallery().enqueue("gallery.count").wait(60).state == "succeeded"
    gallery().stop()
    (used,) = connections_used
    assert used.connection is None


def test_a_test_within_a_transaction_sees_what_its_handlers_do(rehearsal: Rehearsal) -> None:
    from tests.web.django_project.gallery.models import Picture

    with transaction.atomic():
        Picture.objects.create(owner="ann", file="nowhere.bmp")
        run = gallery().enqueue("gallery.count")
        rehearsal.drain()
        assert run.result == Picture.objects.count()
        assert connection.in_atomic_block
        gallery().enqueue("gallery.thumbnail", {"picture": -1})
        with pytest.raises(HandlerFailed, match=r"gallery\.thumbnail with .*DoesNotExist"):
            rehearsal.drain()
        transaction.set_rollback(True)


def test_a_handler_in_a_child_process_finds_the_project_set_up() -> None:
    gallery().start()
    try:
        run = gallery().enqueue("gallery.count-in-child").wait(60)
    finally:
        gallery().stop()
    assert run.error is None
    assert run.result[1] != os.getpid()


# settings


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"SEETS": 3}, "SEETS: 3 is no setting; did you mean 'SEATS'?"),
        ({"seats": 3}, "seats: 3 is no setting; did you mean 'SEATS'?"),
        ({"SEATS": -1}, "SEATS: -1 is out of range; give 0 to 1000"),
        ({"SEATS": "8", "URL": "x"}, "did you mean 'URI'?; SEATS: '8' is not a whole number"),
        ({"URI": Path("jobs.db")}, "is no text; give mongodb://host/database, or sqlite: and str(path)"),
        (["seats"], "CRONLITE: ['seats'] is not a dict"),
    ],
)
def test_settings_that_are_wrong_are_refused_all_at_once(wrong: Any, told: str) -> None:
    from cronlite.contrib.django import project

    with override_settings(CRONLITE=wrong), pytest.raises(ImproperlyConfigured) as raised:
        project.current.__wrapped__()
    assert str(raised.value).startswith("settings.CRONLITE: ")
    assert told in str(raised.value)


def test_a_project_without_settings_has_the_defaults() -> None:
    from cronlite.contrib.django import project

    with override_settings():
        del django_settings.CRONLITE
        cron = project.current.__wrapped__()
    assert (cron.uri, cron.options) == (cronlite.Cronlite().uri, {})


def test_the_daemon_runs_with_the_options_of_the_settings() -> None:
    gallery().start()
    (daemon,) = wait_until(lambda: gallery().store.daemons())
    assert daemon.seats == 2
    gallery().stop()
    gallery().start(seats=5)
    (daemon,) = wait_until(lambda: gallery().store.daemons())
    assert daemon.seats == 5
    gallery().stop()


# the command line


def manage(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.web.django_project.manage", *arguments],
        cwd=ROOT,
        env=os.environ | {"GALLERY_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_line_works_on_the_projects_store_and_handlers(tmp_path: Path) -> None:
    elsewhere = {"CRONLITE_URI": f"sqlite:{tmp_path / 'elsewhere.db'}"}
    added = manage(
        tmp_path, "cronlite", "add", "--handler", "gallery.count", "--minute", "5", "--name", "n", **elsewhere
    )
    assert added.returncode == 0, added.stderr
    listed = manage(tmp_path, "cronlite", "--settings=tests.web.django_project.settings", "list", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["n"]
    other = manage(tmp_path, "cronlite", "--uri", elsewhere["CRONLITE_URI"], "list", "--json")
    assert json.loads(other.stdout) == []
    assert (tmp_path / "cronlite.db").exists()


def test_the_command_line_fails_as_it_does_elsewhere(tmp_path: Path) -> None:
    wrong = manage(tmp_path, "cronlite", "lst")
    assert wrong.returncode == 2
    assert "no command is called 'lst'; did you mean 'list'? (see 'manage.py cronlite --help')" in wrong.stderr
    missing = manage(tmp_path, "cronlite", "show", "nothing")
    assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)
    unknown = manage(tmp_path, "cronlite", "add", "--handler", "gallery.thumbnal", "--minute", "5")
    assert "did you mean 'gallery.thumbnail'" in unknown.stderr


def test_call_command_says_so_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("cronlite", "list", "--json")
    assert isinstance(json.loads(capsys.readouterr().out), list)
    with pytest.raises(CommandError) as raised:
        call_command("cronlite", "show", "nothing", stdout=io.StringIO())
    assert raised.value.returncode == 1


def test_a_web_server_and_a_daemon_of_their_own_share_the_work(tmp_path: Path) -> None:
    environment = {"GALLERY_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.web.django_project.settings"}
    migrated = manage(tmp_path, "migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    (tmp_path / "daemon").mkdir()
    bound = ("gunicorn", "--workers", "2", "--preload", "--bind", "127.0.0.1:{port}")
    command = ("tests.web.django_project.manage", "cronlite", "run")
    with (
        Server(tmp_path, *bound, "tests.web.django_project.wsgi", **environment) as server,
        Server(tmp_path / "daemon", *command, **environment) as daemon,
        cronlite.Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}") as cron,
    ):
        server.wait_for_answers()
        asked = [server.post("/pictures/", form(owner=f"user {n}"), content_type=FORM) for n in range(6)]
        assert {status for status, _ in asked} == {201}, server.log()
        for _, answer in asked:
            wait_until(lambda at=f"/pictures/{answer['picture']}": server.get(at)[1]["ready"], instead=daemon.log)  # type: ignore[misc]
        assert [one.seats for one in cron.store.daemons()] == [2]
        assert daemon.stop() == 0, daemon.log()
        assert server.stop() == 0, server.log()
        assert {run.state for run in cron.runs()} == {"succeeded"}
