"""What the gallery does in the background."""

import os
from typing import Any

from django.core.files.base import ContentFile
from django.db import connection

import cronlite
from tests.web.django_project.gallery.bitmaps import shrunk
from tests.web.django_project.gallery.models import Picture

connections_used: list[Any] = []


@cronlite.handler("gallery.thumbnail")
def thumbnail(params: dict[str, Any]) -> dict[str, Any]:
    picture = Picture.objects.get(pk=params["picture"])
    with picture.file.open() as file:
        small = shrunk(file.read(), params["side"])
    picture.thumbnail.save(f"{picture.pk}.bmp", ContentFile(small))
    return {"bytes": len(small)}


@cronlite.handler("gallery.count")
def count(params: dict[str, Any]) -> int:
    connections_used.append(connection._connections[connection._alias])
    return int(Picture.objects.count())


@cronlite.handler("gallery.count-async")
async def count_async(params: dict[str, Any]) -> int:
    return int(await Picture.objects.acount())


@cronlite.handler("gallery.count-in-child", isolation="process")
def count_in_child(params: dict[str, Any]) -> list[int]:
    return [Picture.objects.count(), os.getpid()]
