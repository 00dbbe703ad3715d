"""Settings of `django-admin startproject`, with the changes of its deployment guide and one application.

Run it with `gunicorn --threads 4`. It costs a little less than gunicorn's synchronous worker, which closes each
connection after its response. Sessions are in the database, as by default, and connections to it are persistent.
On SQLite the file is in WAL mode, like ours.
"""

import os
from urllib.parse import unquote, urlsplit

SECRET_KEY = "a key for benchmarks that opens nothing and is long enough"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "bench.peers.django_site",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "bench.peers.django_site.views"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

_url = urlsplit(os.environ["BENCH_DATABASE_URL"])
_database: dict[str, object] = {
    "ENGINE": f"django.db.backends.{'sqlite3' if _url.scheme == 'sqlite' else 'postgresql'}",
    "NAME": _url.path[1:],
    "CONN_MAX_AGE": 600,
}
if _url.scheme != "sqlite":
    _database |= {
        "USER": _url.username,
        "PASSWORD": unquote(_url.password or ""),
        "HOST": _url.hostname,
        "PORT": _url.port,
    }
DATABASES = {"default": _database}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
LOGIN_URL = "/login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
