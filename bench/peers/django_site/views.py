# mypy: disable-error-code="import-untyped, untyped-decorator"
# Django has no types.

import json
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from bench.peers.django_site.models import Item
from bench.peers.django_site.tasks import notify

NAVIGATION = [("Books", "/books", "message"), ("Notes", "/notes", "checkbox"), ("Items", "/items", "list")]


def ping(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"ping": "pong"})


@csrf_exempt
def items(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        data = json.loads(request.body)
        item = Item.objects.create(title=data["title"], note=data["note"])
        return JsonResponse(_item_as_dict(item), status=201)
    return JsonResponse([_item_as_dict(item) for item in Item.objects.order_by("id")[:20]], safe=False)


@csrf_exempt
def items_with_task(request: HttpRequest) -> HttpResponse:
    """Insert a row, and queue a Celery task after the commit."""
    data = json.loads(request.body)
    with transaction.atomic():
        item = Item.objects.create(title=data["title"], note=data["note"])
        transaction.on_commit(lambda: notify.delay(item.id))
    return JsonResponse(_item_as_dict(item), status=201)


@csrf_exempt
def rows(request: HttpRequest) -> HttpResponse:
    """Return rows with `values()` instead of objects, and the total, like the CRUD layer."""
    if request.method == "POST":
        return items(request)
    names = ("id", "title", "note", "done", "created_at")
    queryset = Item.objects.order_by("id")
    return JsonResponse({"items": list(queryset.values(*names)[:20]), "total": queryset.count()})


def _item_as_dict(item: Any) -> dict[str, object]:
    return {
        "id": item.id,
        "title": item.title,
        "note": item.note,
        "done": item.done,
        "created_at": item.created_at,
    }


def items_page(request: HttpRequest) -> HttpResponse:
    return render(request, "items.html", {"items": Item.objects.order_by("id")[:20], "navigation": NAVIGATION})


def rows_page(request: HttpRequest) -> HttpResponse:
    queryset = Item.objects.order_by("id")
    return render(request, "items.html", {"items": queryset[:20], "total": queryset.count(), "navigation": NAVIGATION})


@login_required
def mine_page(request: HttpRequest) -> HttpResponse:
    return render(request, "mine.html", {"navigation": NAVIGATION})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/ping", ping),
    path("api/v1/items", items),
    path("api/v1/items/job", items_with_task),
    path("api/v1/rows", rows),
    path("items", items_page),
    path("rows", rows_page),
    path("items/mine", mine_page),
]
