"""Creates tables and rows, and prints the cookie of a signed-in user."""

# mypy: disable-error-code="import-untyped"
# Django has no types.

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from bench.harness.tasks import EMAIL, ITEMS, additional_items, additional_row_count


def add_rows() -> str:
    """Return the key of a session."""
    from django.contrib.auth import (  # Django's models exist after its setup
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
    )
    from django.contrib.auth.models import User  # as above
    from django.contrib.sessions.backends.db import SessionStore  # as above

    from bench.peers.django_site.models import Item  # as above

    create = User.objects.create_superuser if additional_row_count() else User.objects.create_user
    user = create("visitor", EMAIL)
    Item.objects.bulk_create(Item(**item) for item in ITEMS)
    for batch in additional_items(timezone.now()):
        Item.objects.bulk_create(Item(**item) for item in batch)
    session = SessionStore()
    session[SESSION_KEY] = user.pk
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


if __name__ == "__main__":
    django.setup()
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    call_command("migrate", run_syncdb=True, verbosity=0)
    print(f"{settings.SESSION_COOKIE_NAME}={add_rows()}")
