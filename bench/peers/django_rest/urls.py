# mypy: disable-error-code="import-untyped"
# Django has no types.

from django.urls import path

from bench.peers.django_rest import views
from bench.peers.django_site.urls import urlpatterns as of_the_site

urlpatterns = [
    path("api/v1/rows", views.Rows.as_view()),
    path("rows", views.RowsPage.as_view()),
    *of_the_site,
]
