# mypy: disable-error-code="import-untyped"
# Django has no types.

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.django_site.settings")

application = get_wsgi_application()
