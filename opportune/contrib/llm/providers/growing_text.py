"""Texts that arrive in pieces."""

MIN_DISTINCT_CHARACTERS = 5
"""Different characters of a text that is not repeated by chance."""


class GrowingText:
    """A text whose pieces continue it or repeat it from the beginning, as those of DashScope and Qianfan do.

    It finds what each piece adds, and joins characters that are cut.
    """

    def __init__(self) -> None:
        self._added: list[str] = []
        self.length = 0
        self._is_repeated = False  # certainly
        self._held = ""  # repeats a short text, perhaps by chance, such as `10` after `1`. The next piece decides.
        self._half = ""  # first half of a surrogate pair whose second half is in the next piece

    @property
    def text(self) -> str:
        """The text that was returned."""
        return "".join(self._added)

    @property
    def pending(self) -> str:
        """Text at the end that was held back."""
        return self._held + "\ufffd" * bool(self._half)

    def add(self, piece: str, *, is_whole: bool = False) -> str:
        """Return the text that a piece adds. `is_whole`: the piece may repeat a text, however short."""
        if self._half or not piece.isascii():
            piece = self._join_halves(piece)
        if is_whole:
            is_continued = piece[:1].isspace() and len(self._added) == 1  # such as ` no` after `no`
            is_repeated = piece.strip() == self.text.strip() and not is_continued
            piece = "" if is_repeated else piece.removeprefix(self.text)
        elif self._held or len(piece) >= self.length:
            piece = self._added_by(piece)
        if piece:
            self._added.append(piece)
            self.length += len(piece)
        return piece

    def _join_halves(self, piece: str) -> str:
        """Join surrogate pairs that are cut by pieces, and replace other halves."""
        piece = self._half + piece
        self._half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return piece.removesuffix(self._half).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _added_by(self, piece: str) -> str:
        before = self._held or self.text
        if not piece or not before:
            return piece
        added = piece.removeprefix(before)
        is_distinct = len({*before}) >= MIN_DISTINCT_CHARACTERS
        if not added and len(self._added) > 1 and is_distinct:  # FastGPT and Coze end with the whole text
            return ""
        if self._is_repeated:
            return added
        if added in ("", piece):  # it does not repeat the text and continue it
            piece = self._held + piece
            self._held = ""
            return piece
        # Two pieces in a row, or a text of so many characters, are not repeated by chance.
        if self._held or is_distinct:
            self._is_repeated = True
            self._held = ""
            return piece.removeprefix(self.text)
        self._held = piece
        return ""
