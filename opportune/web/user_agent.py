"""Description of a device from its User-Agent header."""

import re

# In this order, because most browsers also name those below.
BROWSERS = (
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Vivaldi", "Vivaldi"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome without a window"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
PRODUCT_PATTERN = re.compile(r"([A-Za-z][\w.+-]{0,39})(?:/\S*)?")
UNKNOWN_DEVICE = "Unknown device"


def describe_user_agent(agent: str) -> str:
    """Return a description such as `Firefox on Windows`; for other programs, the name they send."""
    browser = next((name for mark, name in BROWSERS if f"{mark}/" in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    own_name = PRODUCT_PATTERN.match(agent)
    return browser or (own_name[1] if own_name and own_name[1] != "Mozilla" else system) or UNKNOWN_DEVICE
