# mypy: disable-error-code="import-untyped"
# Django has no types.

from django.contrib import admin
from django.urls import path

from bench.peers.django_site import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/ping", views.ping),
    path("api/v1/items", views.items),
    path("api/v1/items/job", views.items_with_task),
    path("api/v1/rows", views.rows),
    path("items", views.items_page),
    path("rows", views.rows_page),
    path("items/mine", views.mine_page),
]
