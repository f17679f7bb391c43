"""A Django project with the site below /ops/cron/, and what its staff, its operators and strangers see; run on its own.

Prints what it saw as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import include, path

TABLES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "cronlite.contrib.django"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
HERE = {"HTTP_ORIGIN": "http://testserver", "HTTP_SEC_FETCH_SITE": "same-origin"}

urlpatterns: list[Any] = []


def main() -> None:
    settings.configure(
        SECRET_KEY="not one",
        ROOT_URLCONF=__name__,
        DATABASES=TABLES,
        INSTALLED_APPS=APPS,
        MIDDLEWARE=MIDDLEWARE,
        ALLOWED_HOSTS=["testserver"],
        USE_TZ=True,
        CRONLITE={"URI": sys.argv[1]},
    )
    django.setup()
    urlpatterns.append(path("ops/cron/", include("cronlite.contrib.django.urls")))
    call_command("migrate", verbosity=0)
    print(json.dumps(seen()))


def seen() -> dict[str, Any]:
    """Ask as a stranger, as staff and as an operator."""
    from django.contrib.auth.models import Permission, User

    from cronlite.contrib.django import cron

    schedule = cron.schedule("u", {}, minute=0, name="nightly")
    staff = User.objects.create_user("sam", is_staff=True)
    operator = User.objects.create_user("olga", is_staff=True)
    operator.user_permissions.add(Permission.objects.get(content_type__app_label="cronlite", codename="operate"))
    found: dict[str, Any] = {}
    stranger = Client().get("/ops/cron/schedules")
    found["stranger"] = [stranger.status_code, stranger["Location"]]
    found["not staff"] = asked_by(User.objects.create_user("nora"), "/ops/cron/schedules")[0]
    looks = Client()
    looks.force_login(staff)
    page = looks.get("/ops/cron/schedules")
    found["page"] = [page.status_code, "nightly" in page.content.decode(), page["Content-Security-Policy"]]
    found["links"] = sorted(set(re.findall(r'(?:href|src|action)="(/[^"?]*)', page.content.decode())))
    fresh = Client()
    fresh.force_login(staff)
    found["cookie"] = fresh.get("/ops/cron/sign-in").cookies["cronlite_form"].OutputString()
    found["style"] = looks.get("/ops/cron/static/site.css")["Content-Type"]
    pause = {"do": "pause", "id": schedule.id}
    found["staff's form"] = sent(looks, pause)
    works = Client()
    works.force_login(operator)
    found["foreign form"] = sent(works, pause, HTTP_ORIGIN="https://evil.example")
    found["form without token"] = works.post(
        "/ops/cron/schedules", encoded(pause), content_type=FORM, **HERE
    ).status_code
    found["form"] = [sent(works, pause), cron.get("nightly").enabled]
    actor = cron.history.of("nightly")[0].actor
    found["actor"] = actor and [actor.name, actor.way]
    found["told"] = "nightly is paused" in works.get("/ops/cron/schedules").content.decode()
    found["rebound"] = works.get("/ops/cron/schedules", headers={"host": "evil.example"}).status_code
    return found


FORM = "application/x-www-form-urlencoded"


def encoded(fields: dict[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(fields)


def asked_by(user: Any, at: str) -> list[Any]:
    client = Client()
    client.force_login(user)
    answer = client.get(at)
    return [answer.status_code, answer.content.decode()]


def sent(client: Client, fields: dict[str, str], **headers: str) -> int:
    page = client.get("/ops/cron/sign-in").content.decode()
    token = re.search(r'name="form_token" value="([^"]*)"', page)
    assert token is not None, page
    body = encoded(fields | {"form_token": token[1]})
    answer = client.post("/ops/cron/schedules", body, content_type=FORM, **{**HERE, **headers})
    return int(answer.status_code)


if __name__ == "__main__":
    main()
