"""Elements, attributes and values of MathML that formulas may contain."""

import re

ATTRIBUTES_BY_TAG: dict[str, set[str]] = {
    **{tag: set() for tag in ("mpadded", "mphantom", "mroot", "mrow", "msqrt", "msub", "msubsup", "msup", "mtr")},
    **{tag: set() for tag in ("munder", "munderover")},
    **{tag: {"mathvariant"} for tag in ("mi", "mn", "mtext")},
    "math": {"display"},
    "menclose": {"notation"},
    "mfrac": {"linethickness"},
    "mo": {"accent", "fence", "form", "lspace", "maxsize", "minsize", "movablelimits", "rspace", "stretchy"},
    "mover": {"accent"},
    "mspace": {"height", "width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnspacing", "displaystyle"},
    "mtd": {"columnalign"},
}
"""Elements of MathML with their attributes. Without negative sizes, links and colours, no formula covers other text."""
ATTRIBUTE_VALUE = re.compile(r"[a-z -]{1,60}|\+?\d{0,2}(?:\.\d{1,4})?(?:em|ex|px|pt|mm|cm)?(?: \d(?:\.\d)?em)*")
"""Values of attributes: names, and sizes that are not negative."""
