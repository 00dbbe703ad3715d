# mypy: disable-error-code="import-untyped, misc, untyped-decorator"
# Django has no types.

from django.contrib import admin

from bench.peers.django_site.models import Item


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    list_display = ("id", "title", "done", "created_at")
    search_fields = ("title", "note")
    list_filter = ("done", "created_at")
    list_per_page = 25
