"""Description of a device from its User-Agent header."""

import re

from opportune.i18n import gettext

# The first match wins, because most browsers also send the names of others that follow here.
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


def describe_user_agent(agent: str) -> str:
    """Return a description such as `Firefox on Windows`. Other programs are described by the name they send."""
    browser = next((name for token, name in BROWSERS if f"{token}/" in agent), "")
    system = next((name for token, name in SYSTEMS if token in agent), "")
    if browser and system:
        return gettext("%(browser)s on %(system)s", browser=browser, system=system)
    if browser:
        return browser
    product = PRODUCT_PATTERN.match(agent)
    if product and product[1] != "Mozilla":
        return product[1]
    return system or gettext("Unknown device")
