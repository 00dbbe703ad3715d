"""Texts that are difficult to split."""

from hypothesis import strategies as st

# fmt: off
FRAGMENTS = [
    "a", "b ", "foo bar\n", "12", "10. ", "\f", "\v", "\u2028", "\x85", "\N{PILE OF POO}", "\0", "\ud800", "\udc00",
    " ", "  ", "    ", "\t", "\n", "\n", "\n\n", "\n\n", "\r\n", "\r",
    "- ", "- a\n", "- a\n\n", "-\n", "* ", "+", "1. ", "2) ", "1. x\n\n   ", "> ", "\n> q",
    "```", "```py\n", "``", "`", "~~~\n", "~~~~", "  ```\n", "   ```\ncode\n", "\n\n    code\n\n",
    "# ", "## x\n", "---\n", "***\n", "- - -\n", "===\n",
    "|a|b|\n|-|-|\n", "|a|b|\n|-:|:-:|\n", "|1|2|\n", "| ", "|-|",
    "**", "_", "~~", "\\", "&amp;", "&#x3c;", "[x](http://y)", "![i](u)", "[x", "](", "[r]: http://u\n", "[r]",
    "<b>", "<div>\n", "<!--", "<scr", "ipt>", "javascript:",
    "$", "$x$", "$$", "$$\n", "\\(", "\\)", "\\[\n", "\\]\n", "\\begin{align}\n", "\\end{align}\n",
    "[^1]", "[^1]: ", "[ ] ", "- [x] ",
]
# fmt: on

documents = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)
FENCE = "```py\n" + "".join(f"value_{i} = compute({i})\n" for i in range(400)) + "```\n"
TABLE = "|a|b|\n|-|-:|\n" + "".join(f"| row {i} | some text |\n" for i in range(250))
LIST = "".join(f"{i}. item with **strong** words\n" for i in range(1, 201))
LOOSE_LIST = LIST.replace("\n", "\n\n")
PROSE = "A paragraph of *some* words with `code` in it.\nAnd a second line.\n\n" * 100
