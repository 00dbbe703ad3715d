"""How the site speaks HTTP."""

from opportune.speedups import speedup

speedup("opportune.web.fastapi_compat_adapter", "install", lambda: None)()  # before the first model is looked at
