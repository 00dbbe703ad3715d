"""Texts that endpoints repeat from the beginning in each piece, as DashScope and Qianfan do."""

MIN_CHARACTERS = 5
"""Different characters of a text that is not repeated by chance."""


class GrowingText:
    """Finds what pieces add to a text that they either continue or repeat.

    Attributes:
        held: A piece that repeats a short text, perhaps by chance, such as `10` after `1`. The next piece decides.
    """

    def __init__(self) -> None:
        self._is_repeated: bool | None = None  # None as long as it is unknown
        self._text = ""
        self._first_length = 0
        self.held = ""

    def add(self, piece: str) -> str:
        """Return the text that a piece adds."""
        if self._is_repeated is False or not piece:
            return piece
        before, added = self._text, piece.removeprefix(self._text)
        if self._is_repeated or not before:  # a piece of a repeated text, or the first one
            self._text = before + added
            self._first_length = self._first_length or len(piece)
            return added
        if added in ("", piece):  # it does not repeat the text and continue it, so neither do later pieces
            self._is_repeated = False
            held, self.held = self.held, ""
            return held + piece
        self._text = piece
        # Two pieces in a row, or a text of so many characters, are not repeated by chance.
        if self.held or len({*before}) >= MIN_CHARACTERS:
            self._is_repeated, self.held = True, ""
            return piece[self._first_length :]
        self.held = piece
        return ""
