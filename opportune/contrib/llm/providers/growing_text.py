"""Texts that endpoints repeat from the beginning in each piece, as DashScope and Qianfan do."""

MIN_CHARACTERS = 5
"""Different characters of a text that is not repeated by chance."""


class GrowingText:
    """Finds what pieces add to a text that they either continue or repeat.

    Attributes:
        held: A piece that repeats a short text, perhaps by chance, such as `10` after `1`. The next piece decides.
    """

    def __init__(self) -> None:
        self._added: list[str] = []
        self._is_repeated: bool | None = None  # None as long as it is unknown
        self.held = ""

    @property
    def text(self) -> str:
        """The text without the held piece."""
        return "".join(self._added)

    def is_repeated_by(self, piece: object) -> bool:
        """Return True for a last piece that repeats the whole text, as FastGPT and Coze send it."""
        return len(self._added) > 1 and piece == self.text and len({*self.text}) >= MIN_CHARACTERS

    def add(self, piece: str) -> str:
        """Return the text that a piece adds."""
        added = piece if self._is_repeated is False else self._added_by(piece)
        if added:
            self._added.append(added)
        return added

    def _added_by(self, piece: str) -> str:
        before = self.held or self.text
        added = piece.removeprefix(before)
        if self._is_repeated or not (piece and before):
            return added
        if added in ("", piece):  # it does not repeat the text and continue it, so neither do later pieces
            self._is_repeated = False
            held, self.held = self.held, ""
            return held + piece
        # Two pieces in a row, or a text of so many characters, are not repeated by chance.
        if self.held or len({*before}) >= MIN_CHARACTERS:
            self._is_repeated, self.held = True, ""
            return piece.removeprefix(self.text)
        self.held = piece
        return ""
