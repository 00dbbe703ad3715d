"""Uploads and stored files of a form."""

from collections.abc import Mapping

from starlette.datastructures import FormData, UploadFile

from opportune.web.forms.controls import Control
from opportune.web.forms.field_values import texts_of_field
from opportune.web.forms.uploads import Upload, read_upload

CLEAR_VALUE = "clear"
"""Value of the checkbox that removes a stored file."""


class FormFiles(dict[str, list[Upload]]):
    """Uploads by field. After an error the user must select them again, because a page cannot fill in a file."""

    def __init__(self, controls: Mapping[str, Control], row: object) -> None:
        super().__init__()
        self._controls = controls
        self.stored = {
            name: getattr(row, name)
            for name, control in controls.items()
            if control.type == "file" and not control.multiple and getattr(row, name, None)
        }
        """Stored files of the row by field. A new upload replaces them."""
        self.cleared: set[str] = set()
        """Fields whose stored file the user removes."""

    @property
    def kept(self) -> set[str]:
        """Names of file fields whose stored file stays unchanged."""
        names = {name for name, control in self._controls.items() if control.type == "file"}
        return {name for name in names - self.cleared if not self.get(name)}

    async def read(self, submitted: FormData) -> None:
        for name, control in self._controls.items():
            if control.type != "file" or name not in submitted:
                continue
            files = [file for file in submitted.getlist(name) if isinstance(file, UploadFile)]
            if not control.multiple:
                files = files[-1:]  # checking images is expensive
            uploads = [await read_upload(file) for file in files]
            self[name] = [upload for upload in uploads if upload]
        self.read_cleared(submitted)

    def read_cleared(self, submitted: FormData) -> None:
        """Read which stored files to remove. A new file takes precedence over the checkbox."""
        removable = {name for name in self.stored if not (self._controls[name].required or self.get(name))}
        self.cleared = {name for name in removable if CLEAR_VALUE in texts_of_field(submitted, name)}
