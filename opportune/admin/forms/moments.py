"""Moments in forms: shown and read where whoever fills them in is, stored in UTC."""

from datetime import datetime
from typing import Any

from markupsafe import Markup
from sqladmin.fields import DateTimeField, TimezoneAwareDateTimeField
from sqladmin.widgets import DateTimePickerWidget

from opportune.web.forms.forms import ZONE_SUFFIX
from opportune.web.time_zone import current_zone, known_zone, moment_in, zone_name

HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')


class MomentWidget(DateTimePickerWidget):
    """Says besides in which zone the time is: whoever sends the form may have told of another one meanwhile."""

    def __call__(self, field: "MomentField", **options: Any) -> Markup:
        return Markup(super().__call__(field, **options)) + HIDDEN.format(field.name + ZONE_SUFFIX, field.zone)  # noqa: S704 - the widget has escaped it


class MomentField(TimezoneAwareDateTimeField):
    widget = MomentWidget()

    def __init__(self, *args: Any, description: str | None = None, **options: Any) -> None:
        here = options.pop("display_timezone", None) or current_zone.get()
        name = str(here).replace("_", " ")
        words = f"{description} ({name})" if description else name
        super().__init__(*args, description=words, display_timezone=here, **options)
        self.zone = str(here)

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        self.sent_zone = known_zone(formdata.get(self.name + ZONE_SUFFIX)) if formdata else ""
        super().process(formdata, *args, **options)

    def process_data(self, value: Any) -> None:
        if isinstance(value, datetime) and value.tzinfo:
            self.zone = zone_name(value.astimezone(self.display_timezone))
        super().process_data(value)

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            self.data = self.object_data  # as it is: nobody has sent another
            return
        self.zone = self.sent_zone or self.zone
        DateTimeField.process_formdata(self, valuelist)
        if self.data is not None:
            try:
                self.data = moment_in(self.data, self.zone)
            except ValueError:
                self.data = None
                raise
