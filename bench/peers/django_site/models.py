# mypy: disable-error-code="import-untyped, misc"
# Django has no types.

from django.db import models
from django.utils import timezone


class Item(models.Model):
    title = models.CharField(max_length=200)
    note = models.CharField(max_length=2000, default="")
    done = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
