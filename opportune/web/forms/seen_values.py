"""Values that another user has changed since a form was rendered.

A form has a hidden field with a hash of each stored value that it shows. If a stored value has another hash when the
form is submitted, another user has changed it.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from opportune.i18n import gettext_lazy as _l

SEEN_FIELD = "(seen)"
"""Name of the hidden field. No column has this name."""
SEEN_ID = "(id)"
"""Name of the id of the row in the hidden field. It finds a row whose URL has changed."""
ROW_IS_GONE = _l("Another user has deleted this row, or you may no longer change it.")
ChangedFields = Mapping[str, bool]
"""Names of fields that another user has changed, each with whether the user of the form has also changed it."""


def hash_text(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def hash_texts(values: Mapping[str, str | Sequence[str]], names: Iterable[str]) -> dict[str, str]:
    """Return the hashes of the texts of these inputs. Browsers do not send boxes that are not ticked."""
    texts = {name: values.get(name) or "false" for name in names}
    return {name: hash_text(text if isinstance(text, str) else "\n".join(sorted(text))) for name, text in texts.items()}


def parse_hashes(seen: str) -> dict[str, str]:
    """Return the hashes in the hidden field by name."""
    return {name: hash_ for name, _, hash_ in (part.partition(":") for part in seen.split())}


def format_hashes(hashes: Mapping[str, str]) -> str:
    """Return the value of the hidden field: names and hashes."""
    return " ".join(f"{name}:{hash_}" for name, hash_ in hashes.items())


def find_changed(submitted: Mapping[str, str], stored: Mapping[str, str], seen: str) -> ChangedFields:
    """Return the fields that saving would set back, from hashes by name.

    Args:
        submitted: Hashes of the submitted values.
        stored: Hashes of the stored values.
        seen: The hidden field of the submitted page.
    """
    seen_hashes = {**stored, **parse_hashes(seen)}
    changed = [name for name, hash_ in submitted.items() if stored[name] not in (seen_hashes[name], hash_)]
    return {name: submitted[name] != seen_hashes[name] for name in changed}
