"""Date and time fields with the browser's native inputs, as in the forms of the site."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from markupsafe import Markup
from sqladmin.fields import DateTimeField, TimezoneAwareDateTimeField
from wtforms import DateField, TimeField  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import Input  # type: ignore[import-untyped]  # has no types

from opportune.web.forms.fields import LATEST, as_text
from opportune.web.forms.forms import ZONE_SUFFIX
from opportune.web.time_zone import current_zone, known_zone, moment_in, zone_name

TIME_FORMATS = ["%H:%M", "%H:%M:%S", "%H:%M:%S.%f"]
DATETIME_FORMATS = [f"%Y-%m-%d{separator}{clock}" for separator in "T " for clock in TIME_FORMATS]
HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')


class NativeInput(Input):  # type: ignore[misc]  # its base has no types
    """`<input type="date">` and the like. Seconds can be edited if the value has any."""

    validation_attrs: ClassVar = ["required", "disabled", "readonly", "max", "min", "step"]

    def __call__(self, field: Any, **options: Any) -> Markup:
        if self.input_type in LATEST:
            options.setdefault("max", LATEST[self.input_type])
        if field._value().count(":") > 1:
            options.setdefault("step", 1)
        return Markup(super().__call__(field, **options))  # noqa: S704 - the widget has escaped it


class ZonedInput(NativeInput):
    """A native input and the time zone it is shown in: the visitor's zone may change before the form is sent."""

    def __call__(self, field: "ZonedDateTimeField", **options: Any) -> Markup:
        return super().__call__(field, **options) + HIDDEN.format(field.name + ZONE_SUFFIX, field.zone)


class NativeFormat:
    """Reads the formats that browsers send, and keeps the stored value as it is if its text was not changed."""

    formats: ClassVar[list[str]]
    raw_data: Sequence[str] | None
    data: Any

    def __init__(self, *args: Any, format: str | Sequence[str] = (), **options: Any) -> None:  # noqa: A002 - WTForms' name
        extra = [format] if isinstance(format, str) else format
        super().__init__(*args, format=[*self.formats, *extra], **options)  # type: ignore[call-arg]  # the field's

    def _value(self) -> str:
        return " ".join(self.raw_data) if self.raw_data else as_text(self.data)

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist and self.data is not None and " ".join(valuelist) == as_text(self.data):
            return  # the text has no fractions of a second, the value may have some
        super().process_formdata(valuelist)  # type: ignore[misc]  # the field's


class NativeDateField(NativeFormat, DateField):  # type: ignore[misc]  # its base has no types
    widget = NativeInput("date")
    formats: ClassVar = ["%Y-%m-%d"]


class NativeTimeField(NativeFormat, TimeField):  # type: ignore[misc]  # its base has no types
    widget = NativeInput("time")
    formats: ClassVar = TIME_FORMATS


class NativeDateTimeField(NativeFormat, DateTimeField):
    """Date and time of a column without a time zone."""

    widget = NativeInput("datetime-local")
    formats: ClassVar = DATETIME_FORMATS


class ZonedDateTimeField(NativeFormat, TimezoneAwareDateTimeField):
    """Date and time, shown and read in the visitor's time zone and stored in UTC."""

    widget = ZonedInput("datetime-local")
    formats: ClassVar = DATETIME_FORMATS

    def __init__(self, *args: Any, description: str | None = None, **options: Any) -> None:
        zone = options.pop("display_timezone", None) or current_zone.get()
        name = str(zone).replace("_", " ")
        hint = f"{description} ({name})" if description else name
        super().__init__(*args, description=hint, display_timezone=zone, **options)
        self.zone = str(zone)

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        self.sent_zone = known_zone(formdata.get(self.name + ZONE_SUFFIX)) if formdata else ""
        super().process(formdata, *args, **options)

    def process_data(self, value: Any) -> None:
        if isinstance(value, datetime) and value.tzinfo:
            self.zone = zone_name(value.astimezone(self.display_timezone))
        super().process_data(value)

    def process_formdata(self, valuelist: list[str]) -> None:
        is_stored = self.sent_zone in ("", self.zone) and self.data and " ".join(valuelist) == as_text(self.data)
        if not valuelist or is_stored:
            self.data = self.object_data
            return
        self.zone = self.sent_zone or self.zone
        DateTimeField.process_formdata(self, valuelist)
        if self.data is not None:
            try:
                self.data = moment_in(self.data, self.zone)
            except ValueError:
                self.data = None
                raise
