"""The Django site with REST framework and its default permissions, parsers and renderers."""

from bench.peers.django_site import settings as site
from bench.peers.django_site.settings import *  # noqa: F403 - all of its settings, by their names

INSTALLED_APPS = [*site.INSTALLED_APPS, "rest_framework"]
ROOT_URLCONF = "bench.peers.django_site.rest_views"
REST_FRAMEWORK = {"DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination", "PAGE_SIZE": 20}
