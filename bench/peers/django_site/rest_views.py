# mypy: disable-error-code="import-untyped, misc"
# Django and REST framework have no types.
"""Views as in the guides: a generic page, and a generic list of REST framework with a serializer."""

from typing import Any

from django.urls import path
from django.views.generic import ListView
from rest_framework.generics import ListCreateAPIView
from rest_framework.serializers import ModelSerializer

from bench.peers.django_site.models import Item
from bench.peers.django_site.views import NAVIGATION
from bench.peers.django_site.views import urlpatterns as of_the_site


class ItemSerializer(ModelSerializer):
    class Meta:
        model = Item
        fields = ("id", "title", "note", "done", "created_at")
        read_only_fields = ("done", "created_at")


class Rows(ListCreateAPIView):
    queryset = Item.objects.order_by("id")
    serializer_class = ItemSerializer


class RowsPage(ListView):
    queryset = Item.objects.order_by("id")
    paginate_by = 20
    template_name = "items.html"
    context_object_name = "items"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, "total": context["paginator"].count, "navigation": NAVIGATION}


urlpatterns = [
    path("api/v1/rows", Rows.as_view()),
    path("rows", RowsPage.as_view()),
    *of_the_site,
]
