"""Form fields that upload, replace and remove a file whose stored name is in a column."""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from wtforms import Field, Form, ValidationError
from wtforms.validators import InputRequired, Optional
from wtforms.widgets import FileInput

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import MAX_FIELDS, read_form_texts
from opportune.fields.files import FileColumn
from opportune.storage import Storage, StorageError
from opportune.storage.images import ImageRefusedError
from opportune.storage.storage import deleting_files_on_error
from opportune.web.forms.uploads import FILE_REQUIRED, Upload, allow_files, file_attributes, read_upload


class FileField(Field):  # type: ignore[misc]  # its base has no types
    """A file field. Its data is the stored name, which only an upload or the checkbox to clear it changes."""

    widget = FileInput()
    column: FileColumn

    def __init__(self, *args: Any, validators: Collection[Any] = (), **options: Any) -> None:
        options["render_kw"] = {"class": "form-control", "accept": self.column.accept or False, **file_attributes()}
        super().__init__(*args, **options)
        self.is_required = any(isinstance(rule, InputRequired) for rule in validators)
        self.empty_value = None if any(isinstance(rule, Optional) for rule in validators) else ""
        self.upload: Upload | None = None
        self.is_cleared = False

    def process_formdata(self, valuelist: list[Any]) -> None:
        uploads = [value for value in valuelist if isinstance(value, Upload)]
        self.upload = uploads[-1] if uploads else None
        self.is_cleared = "clear" in valuelist and not uploads and not self.is_required

    def pre_validate(self, form: Form) -> None:
        if self.upload and (fault := self.column.fault(self.upload)):
            raise ValidationError(fault)
        if self.is_required and not self.upload and not self.data:
            raise ValidationError(FILE_REQUIRED)


async def read_form_data(request: Request, fields: Mapping[str, int]) -> FormData:
    """Return the texts of a form, and its files whose field matches one of these patterns.

    Args:
        request: The request with the form.
        fields: Patterns of field names, each with the maximum number of files.
    """
    if not fields:
        return await read_form_texts(request)
    allow_files(request)
    allowed = re.compile("|".join(f"(?:{pattern})" for pattern in fields))
    async with request.form(max_files=sum(fields.values()), max_fields=MAX_FIELDS) as form:
        values: list[Any] = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        files = {name: file for name, file in form.multi_items() if isinstance(file, UploadFile)}
        for name, file in files.items():
            if allowed.fullmatch(name) and (upload := await read_upload(file)):
                values.append((name, upload))
    return FormData(values)


@asynccontextmanager
async def stored_uploads(storage: Storage, form: Form, values: dict[str, Any]) -> AsyncIterator[None]:
    """Store the files of a form and put their names into `values`. Delete the files if the block fails.

    Raises:
        ValidationRefused: A file cannot be stored.
    """
    async with deleting_files_on_error(storage) as new_names:
        for field in form:
            if isinstance(field, FileField) and field.upload:
                try:
                    values[field.short_name] = await field.column.save(storage, field.upload)
                except (StorageError, ImageRefusedError) as error:
                    raise ValidationRefused(str(error), field.short_name) from error
                new_names.extend(field.column.names(values[field.short_name]))
            elif isinstance(field, FileField) and field.is_cleared:
                values[field.short_name] = field.empty_value
        yield
