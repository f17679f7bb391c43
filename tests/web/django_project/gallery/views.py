"""Upload a picture, and see how far its thumbnail is."""

from typing import Any

from django.db import transaction
from django.http import FileResponse, Http404, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from cronlite.contrib.django import enqueue
from tests.web.django_project.gallery.models import Picture


@csrf_exempt
@require_POST
@transaction.atomic
def upload(request: Any) -> JsonResponse:
    picture = Picture.objects.create(owner=request.POST["owner"], file=request.FILES["picture"])
    enqueue("gallery.thumbnail", {"picture": picture.pk, "side": 8}, user=picture.owner, retries=3)
    if "fail" in request.POST:
        transaction.set_rollback(True)
        return JsonResponse({"error": "no room"}, status=507)
    return JsonResponse({"picture": picture.pk}, status=201)


def show(request: Any, number: int) -> JsonResponse:
    picture = get_object_or_404(Picture, pk=number)
    return JsonResponse({"owner": picture.owner, "ready": bool(picture.thumbnail)})


def thumbnail(request: Any, number: int) -> FileResponse:
    picture = get_object_or_404(Picture, pk=number)
    if not picture.thumbnail:
        raise Http404
    return FileResponse(picture.thumbnail.open(), content_type="image/bmp")
