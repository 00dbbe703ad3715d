"""Values and errors of a form, read from a row or a request."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, QueryParams

from opportune.context import use_value
from opportune.db.models.translated import texts_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.controls import EMPTY_MESSAGES, Control, RowChoices, controls_of, with_choices
from opportune.web.forms.error_messages import messages_by_field
from opportune.web.forms.field_values import initial_value, parse_texts, texts_of_field, value_of
from opportune.web.forms.form_files import FormFiles
from opportune.web.forms.input_texts import DATETIME_LOCAL
from opportune.web.forms.seen_values import SEEN_FIELD, SEEN_ID, find_changed, format_hashes, hash_texts
from opportune.web.forms.translations import current_input, form_languages, input_names, submitted_texts
from opportune.web.time_zone import current_zone, local, parse_zone_name, zone_name, zone_of

M = TypeVar("M", bound=BaseModel)

Choices = Mapping[str, Mapping[Any, str] | RowChoices]
"""Labels by value, or rows, for each field whose choices depend on the request."""

ROW_ID = re.compile("[0-9]{1,18}")
ZONE_SUFFIX = ".zone"
"""Suffix of the hidden field that contains the time zone of a displayed time."""
ROW_CHANGED = _l("Not saved: the row has changed since you opened it")
FILTER_PREFIX = "filter-"
"""Prefix of the ids of a filter's inputs, because another form of the page may have a field of the same name."""


class FormState(Generic[M]):
    """The state of a form: controls, values, files and errors. `Form` adds what templates show."""

    def __init__(
        self,
        model: type[M],
        row: object = None,
        *,
        choices: Choices | None = None,
        prefix: str = "",
        is_filter: bool = False,
    ) -> None:
        if prefix == FILTER_PREFIX and not is_filter:
            raise ValueError(f'Write Form(…, is_filter=True) instead of prefix="{FILTER_PREFIX}".')
        self.model = model
        self.is_filter = is_filter
        """Whether the fields are query parameters of a list."""
        self.prefix = prefix or (FILTER_PREFIX if is_filter else "")
        """Prefix of the ids, for pages with two forms that have fields of the same name."""
        self.controls = {**controls_of(model)}
        self.offer(choices or {})
        self._row = row
        self.values: dict[str, str | list[str]] = self._initial_values()
        self.zones: dict[str, str] = self._time_zones()
        """Time zone names by field, for fields with a time."""
        self._shown_times = {name: self._time_text(name) for name in self.controls if row is not None}
        self.data: M | None = None
        self.errors: dict[str, str] = {}
        self.error_status = 422
        """Status of the response if the form has errors."""
        self.headers: dict[str, str] = {}
        """Headers of that response, such as `Retry-After`."""
        self.conflicts: dict[str, str] = {}
        """Stored texts of the fields that both another user and the user of the form have changed."""
        self.files = FormFiles(self.controls, row)
        self.texts: Mapping[str, tuple[str, str]] = {}
        """Label and text of read-only fields."""
        self.left_out: Collection[str] = ()
        """Fields that are neither shown nor read, even if a template contains them."""
        self._seen = ""
        """The hidden field of a form whose texts are shown again."""

    def _initial_values(self) -> dict[str, str | list[str]]:
        """Return the HTML text of each field, except passwords and files."""
        with use_value(current_zone, UTC if self.is_in_utc else current_zone.get()):
            names = [name for name, control in self.controls.items() if control.type not in ("password", "file")]
            values = {name: initial_value(self.model, name, self._row) for name in names}
        for name in self._translated_names:
            texts = texts_of(self._value_of(name) or "")
            values |= {input_: texts.get(code, "") for code, input_ in input_names(name).items()}
        return values

    def _time_zones(self) -> dict[str, str]:
        """Return the zone name in which each datetime field is shown."""
        visitor_zone = "UTC" if self.is_in_utc else str(current_zone.get())
        zones = {name: visitor_zone for name, control in self.controls.items() if control.type == DATETIME_LOCAL}
        if visitor_zone != "UTC":
            for name in zones:
                moment = self._value_of(name)
                if isinstance(moment, datetime) and moment.tzinfo:
                    zones[name] = zone_name(local(moment))
        return zones

    def _value_of(self, name: str) -> Any:
        return value_of(self.model, name, self._row)

    @property
    def is_in_utc(self) -> bool:
        """Whether times are in UTC, as in query parameters."""
        return self.is_filter

    def offer(self, choices: Choices) -> None:
        """Set the choices that depend on the request."""
        controls = controls_of(self.model)
        self.controls |= {name: with_choices(controls[name], options) for name, options in choices.items()}

    def lacks_choices(self, name: str) -> bool:
        """Return whether a field is in the form, and no choices were offered for it."""
        return self.controls.get(name) is controls_of(self.model)[name]

    def leave_out(self, names: Collection[str], texts: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Remove fields from the form, in addition to those of earlier calls.

        Args:
            names: Fields to remove.
            texts: Label and text by field, for fields that are shown as read-only text.
        """
        self.texts = {**self.texts, **(texts or {})}
        self.left_out = {*self.left_out, *names} - self.texts.keys()
        for name in names:
            self.controls.pop(name, None)
            self.values.pop(name, None)
            self.files.stored.pop(name, None)

    def selected_ids(self, name: str) -> list[int]:
        """Return the ids of the rows that are selected in a foreign key field."""
        values = self.values.get(name, "")
        texts = [values] if isinstance(values, str) else values
        return [int(text) for text in texts if ROW_ID.fullmatch(text)]

    def prefill(self, query: QueryParams) -> None:
        """Fill in fields from query parameters, except passwords and files."""
        for name in self.values.keys() & query.keys():
            texts = query.getlist(name)
            control = self.controls.get(name)
            self.values[name] = texts if control and control.multiple else texts[-1]
            if name in self._translated_names:
                self.values[current_input(name)] = texts[-1]

    def fill_from(self, row: object) -> None:
        """Show the values of a row (or mapping)."""
        filled = type(self)(self.model, row, is_filter=self.is_filter)
        self.values |= {name: value for name, value in filled.values.items() if name in self.values}
        self.zones |= filled.zones

    @property
    def _translated_names(self) -> Sequence[str]:
        """Fields with an input for each language."""
        return [name for name, control in self.controls.items() if control.is_translated and form_languages()]

    @property
    def _input_names(self) -> Iterator[str]:
        for name in self.controls:
            yield name
            if self.controls[name].is_translated:
                yield from input_names(name).values()

    def has_field(self, name: str) -> bool:
        """Return whether this is a form, not a filter, with an input of this name."""
        return not self.is_filter and name not in self.left_out and name in self._input_names

    @property
    def takes_files(self) -> bool:
        return any(control.type == "file" for control in self.controls.values())

    @property
    def status(self) -> int:
        """Status of the response that shows the form."""
        return self.error_status if self.errors else 200

    def refuse(self, message: str, name: str = "", status: int = 422) -> None:
        """Add an error to a field, or to the whole form."""
        self.errors[name] = gettext(message)
        self.error_status = status

    def add_errors(self, error: FieldErrors) -> None:
        """Add errors to their fields, or to the form if it does not have the field."""
        for name, message in error.errors.items():
            self.refuse(message, name if name in self.controls else "")

    def refuse_conflicts(self, stored: Mapping[str, str]) -> None:
        """Add an error with the stored text to each of these fields."""
        author = gettext("Another user")
        for name, text in stored.items():
            change = gettext("%(author)s has changed this to “%(value)s”.", author=author, value=text)
            change = change if text else gettext("Another user has emptied this field.")
            self.errors[name] = f"{change} {gettext('Save again to keep your text.')}"

    @property
    def seen(self) -> str:
        """Value of the hidden field `SEEN_FIELD`: names and hashes of the stored values."""
        row_id = getattr(self._row, "id", None)
        ids = {SEEN_ID: str(row_id)} if isinstance(row_id, int) else {}
        values = self._initial_values()
        return self._seen or format_hashes(ids | hash_texts(values, values))

    def _with_stored_texts(self, submitted: FormData) -> FormData:
        """Replace texts that another user has changed, and the user of the form has not, by the stored texts.

        A field that both have changed gets an error. The next submission stores the text of the form.
        """
        self._read_texts(submitted)
        with use_value(current_zone, zone_of(next(iter(self.zones.values()), ""))):  # that of the page
            texts = self._initial_values()
            zones = self._time_zones()
        changed = find_changed(hash_texts(self.values, texts), hash_texts(texts, texts), str(submitted.get(SEEN_FIELD)))
        # Other missing fields have no input with this name, such as translated ones and those outside the sections.
        unticked = {name for name, control in self.controls.items() if control.multiple or control.type == "checkbox"}
        sent = self.values.keys() | unticked
        self.conflicts = {name: str(texts[name]) for name, is_edited in changed.items() if is_edited and name in sent}
        if self.conflicts:
            self.refuse(ROW_CHANGED)
            self.refuse_conflicts(self.conflicts)
        stored = {name: texts[name] for name in changed.keys() - self.conflicts}
        stored |= {name + ZONE_SUFFIX: zones[name] for name in stored.keys() & zones}
        fields = [field for field in submitted.multi_items() if field[0] not in stored]
        for name, text in stored.items():
            fields += [(name, item) for item in ([text] if isinstance(text, str) else text)]
        return FormData(fields)

    async def fill(self, submitted: FormData) -> None:
        """Read and validate submitted fields. Empty fields count as missing, because browsers always send them."""
        if SEEN_FIELD in submitted and self._row is not None:
            submitted = self._with_stored_texts(submitted)
        self._read_texts(submitted)
        await self.files.read(submitted)
        data: dict[str, Any] = {}
        for name, control in self.controls.items():
            if name not in self.files.cleared:
                data |= self._submitted_value(name, control, submitted)
        self._validate(data)

    def restore(self, submitted: FormData) -> None:
        """Show submitted texts again, without validation."""
        self._read_texts(submitted)
        self._seen = str(submitted.get(SEEN_FIELD, ""))
        self.files.read_cleared(submitted)

    def _submitted_value(self, name: str, control: Control, submitted: FormData) -> dict[str, Any]:
        """Return the value of a field by its name, or nothing if it is missing."""
        translations = submitted_texts(submitted, name) if control.is_translated else None
        if translations is not None:
            is_missing = not translations and self.model.model_fields[name].default is None
            return {} if is_missing else {name: translations}
        if (text := self._time_text(name)) and text == self._shown_times.get(name):
            return {name: self._value_of(name)}  # the text lacks microseconds
        values = self.files.get(name) or self._parse_texts(control, submitted)
        if control.multiple:
            return {name: values}
        if values:
            return {name: values[-1]}
        if control.type == "checkbox":
            return {name: False}
        return {name: self.files.stored[name]} if name in self.files.stored else {}

    def _time_text(self, name: str) -> Any:
        """Return the text and the zone of a field with a time, or None for other fields."""
        is_time = self.controls[name].type in ("time", DATETIME_LOCAL) and self.values.get(name)
        return (self.values[name], self.zones.get(name)) if is_time else None

    def _read_texts(self, submitted: FormData) -> None:
        self.values = {}
        for name in self.zones:
            self.zones[name] = parse_zone_name(submitted.get(name + ZONE_SUFFIX)) or self.zones[name]
        for name in submitted:
            control = self.controls.get(name)
            if "password" in name or (control and control.type in ("file", "password")):
                continue
            # Surrogates, which cannot be encoded, become question marks.
            texts = [text.encode(errors="replace").decode() for text in texts_of_field(submitted, name)]
            self.values[name] = texts if control and control.multiple else "".join(texts[-1:])

    def _parse_texts(self, control: Control, submitted: FormData) -> list[Any]:
        texts = [text for text in texts_of_field(submitted, control.name) if text]
        try:
            return parse_texts(control, texts, self.zones.get(control.name, ""))
        except ValueError as error:
            self.errors[control.name] = str(error)
            return texts

    def _validate(self, values: Mapping[str, Any]) -> None:
        try:
            data = self.model.model_validate(values)
        except ValidationError as error:
            for name, message in messages_by_field(error, partial(self._input_of, values)).items():
                is_empty = name in self.controls and not values.get(name)
                text = gettext(EMPTY_MESSAGES.get(self.controls[name].type, message)) if is_empty else message
                self.errors.setdefault(name, text)
        else:
            self.data = None if self.errors else data

    def _input_of(self, values: Mapping[str, Any], location: Sequence[int | str]) -> str:
        """Return the name of the input that an error belongs to: of a translated field, that of the language."""
        name, *rest = map(str, location or ("",))
        if not isinstance(values.get(name), dict) or name not in self._translated_names:
            return name
        inputs = input_names(name)
        return inputs.get(rest[0] if rest else "", next(iter(inputs.values())))
