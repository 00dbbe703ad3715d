"""Sends requests to the application with `opportune.mount`, and prints the responses as JSON."""

import json
import re
import sys
from importlib import import_module
from typing import Any

from fastapi import Depends
from fastapi.testclient import TestClient
from sqlalchemy import inspect

from opportune.cli.environment.existing_app import main as run_command
from opportune.db.errors import TABLE_MISSING
from opportune.web import RateLimit

EMAIL, PASSWORD = "ada@example.com", "correct horse battery 9"
RESULTS: dict[str, Any] = {}


def command(*arguments: str) -> int:
    sys.argv = ["opportune", *arguments]
    return run_command()


def main() -> None:
    heroes: Any = import_module("heroes.main")  # the copy in the folder of this run
    heroes.create_db_and_tables()
    with heroes.Session(heroes.engine) as session:
        session.add(heroes.Hero(name="Deadpond", secret_name="Dive Wilson"))
        session.commit()
    RESULTS["commands"] = [
        command("migrate"),
        command("createsuperuser", "--email", EMAIL, "--password", PASSWORD),
        command("users", "add", "bob@example.com", "--password", PASSWORD),
        command("makemigrations"),
    ]
    RESULTS["tables"] = inspect(heroes.engine).get_table_names()
    heroes.app.get("/limited", include_in_schema=False, dependencies=[Depends(RateLimit("heroes.limited", 1))])(
        lambda: "once"
    )
    client = TestClient(heroes.app, follow_redirects=False)
    RESULTS["without lifespan"] = [client.get("/divide").status_code, client.get("/accounts/login").text]
    with client:
        visit_own_routes(client)
        visit_as_users(client)
        client.portal.call(heroes.app.state.opportune.state.jobs.drain)  # type: ignore[union-attr]
        RESULTS["trained"] = client.get("/heroes/1").json()["is_trained"]
    sys.stdout.write(json.dumps(RESULTS))


def visit_own_routes(client: TestClient) -> None:
    RESULTS["paths"] = sorted(client.get("/openapi.json").json()["paths"])
    RESULTS["docs"] = client.get("/docs").status_code
    for path in ("/heroes/", "/heroes/7", "/heroes/x", "/divide", "/health", "/nowhere", "/"):
        response = client.get(path)
        RESULTS[path] = [response.status_code, response.json()]
    page = client.get("/", headers={"accept": "text/html"}, follow_redirects=False)
    RESULTS["start page"] = [page.status_code, page.headers["location"]]
    RESULTS["hint"] = TABLE_MISSING
    RESULTS["own headers"] = sorted(client.get("/health").headers)
    foreign = client.post("/heroes/", json={"name": "Rusty", "secret_name": "R"}, headers={"origin": "https://x.test"})
    RESULTS["foreign form"] = foreign.status_code
    RESULTS["limited"] = [client.get("/limited").status_code for _ in range(2)]
    RESULTS["large body"] = client.post("/heroes/", json={"name": "", "secret_name": "x" * 5_000_000}).status_code


def visit_as_users(client: TestClient) -> None:
    RESULTS["anonymous program"] = client.post("/heroes/1/train").status_code
    response = client.post("/heroes/1/train", headers={"accept": "text/html"})
    RESULTS["anonymous browser"] = [response.status_code, response.headers["location"].partition("?")[0]]
    token = client.post("/api/v1/auth/login", data={"username": EMAIL, "password": PASSWORD}).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    RESULTS["token"] = client.post("/heroes/1/train", headers=bearer).status_code
    RESULTS["superuser may"] = client.delete("/heroes/1/secret", headers=bearer).status_code
    client.post("/accounts/login", data={"email": EMAIL, "password": PASSWORD})
    RESULTS["cookies"] = sorted(client.cookies)
    RESULTS["cookie"] = client.post("/heroes/1/train").status_code
    RESULTS["cookie of another site"] = client.post("/heroes/1/train", headers={"origin": "https://x.test"}).status_code
    page = client.get("/admin/hero/list")
    RESULTS["admin"] = [page.status_code, "Deadpond" in page.text, page.headers["x-heroes"]]
    created = client.post("/admin/hero/create", data={"name": "Spider-Boy", "secret_name": "Pedro"})
    RESULTS["created"] = [created.status_code, client.get("/heroes/").json()[-1]["name"]]
    log = client.get("/admin/audit-entry/list").text
    RESULTS["log"] = re.search(r"ada@example\.com.*?Create.*?Hero \d", log, re.DOTALL) is not None
    client.cookies.clear()
    client.post("/accounts/login", data={"email": "bob@example.com", "password": PASSWORD})
    RESULTS["user may not"] = client.delete("/heroes/1/secret").status_code


if __name__ == "__main__":
    main()
