"""Who uses the site."""

import sys

# fastapi-users imports redis where it is installed, for sessions that we do not keep there: 0.2 s at each start.
if "redis" not in sys.modules:
    sys.modules["redis"] = None  # type: ignore[assignment]  # "not there", for an import
    import fastapi_users  # noqa: F401

    del sys.modules["redis"]
