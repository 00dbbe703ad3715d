"""A FastAPI site as the tutorials write it, run by `uvicorn` as it comes (uvloop, httptools, its access log).

From FastAPI's own guide: a dependency with `yield` for the session, `response_model`, add + commit + refresh,
`Jinja2Templates` with `url_for('static', …)`, the middleware that times requests. From SQLAlchemy's: one async engine
at import with the settings it comes with, `async_sessionmaker(expire_on_commit=False)`, the ORM in its 2.0 style. From
Starlette's: `SessionMiddleware` for sign-in, with the user read from the database. CORS and compression are
omitted. On SQLite the file is in WAL mode, like ours. As a program, it creates tables and rows, and prints the cookie
of a signed-in user.
"""

import asyncio
import json
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from itsdangerous import TimestampSigner
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import DateTime, String, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.middleware.sessions import SessionMiddleware

from bench.harness.tasks import EMAIL, ITEMS

FOLDER = Path(__file__).parent
SECRET_KEY = "a key for benchmarks that opens nothing"
NAVIGATION = [("Books", "/books", "message"), ("Notes", "/notes", "checkbox"), ("Items", "/items", "list")]

engine = create_async_engine(os.environ["BENCH_DATABASE_URL"])
sessions = async_sessionmaker(engine, expire_on_commit=False)
templates = Jinja2Templates(directory=FOLDER / "plain_templates")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    note: Mapped[str] = mapped_column(String(2000), default="")
    done: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))


class ItemCreate(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    note: str = Field("", max_length=2000)


class ItemRead(ItemCreate):
    model_config = ConfigDict(from_attributes=True)

    id: int
    done: bool
    created_at: datetime


class ItemsPage(BaseModel):
    items: list[ItemRead]
    total: int


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_current_user(request: Request, session: SessionDep) -> User:
    user = await session.get(User, request.session.get("user_id", 0))
    if user is None or not user.is_active:
        raise HTTPException(status_code=401, detail="Not signed in")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]

app = FastAPI(lifespan=lifespan)
app.mount("/static", StaticFiles(directory=FOLDER), name="static")
app.add_middleware(SessionMiddleware, secret_key=SECRET_KEY)


@app.middleware("http")
async def add_process_time_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Process-Time"] = str(time.perf_counter() - started)
    return response


@app.get("/api/v1/ping")
async def ping() -> dict[str, str]:
    return {"ping": "pong"}


@app.get("/api/v1/items", response_model=list[ItemRead])
async def read_items(session: SessionDep) -> Sequence[Item]:
    result = await session.execute(select(Item).order_by(Item.id).limit(20))
    return result.scalars().all()


@app.get("/api/v1/rows", response_model=ItemsPage)
async def read_rows(session: SessionDep) -> dict[str, object]:
    """Return the rows with the total, like the CRUD layer."""
    total = await session.scalar(select(func.count()).select_from(Item))
    return {"items": await read_items(session), "total": total}


@app.post("/api/v1/rows", response_model=ItemRead, status_code=201)
@app.post("/api/v1/items", response_model=ItemRead, status_code=201)
async def create_item(new: ItemCreate, session: SessionDep) -> Item:
    item = Item(**new.model_dump())
    session.add(item)
    await session.commit()
    await session.refresh(item)
    return item


@app.get("/items", response_class=HTMLResponse)
async def items_page(request: Request, session: SessionDep) -> Response:
    context = {"items": await read_items(session), "navigation": NAVIGATION, "user": None}
    return templates.TemplateResponse(request, "items.html", context)


@app.get("/rows", response_class=HTMLResponse)
async def rows_page(request: Request, session: SessionDep) -> Response:
    context = {**await read_rows(session), "navigation": NAVIGATION, "user": None}
    return templates.TemplateResponse(request, "items.html", context)


@app.get("/items/mine", response_class=HTMLResponse)
async def mine_page(request: Request, user: CurrentUser) -> Response:
    return templates.TemplateResponse(request, "mine.html", {"navigation": NAVIGATION, "user": user})


async def add_rows() -> int:
    """Return the id of the user."""
    if engine.dialect.name == "sqlite":
        async with engine.connect() as connection:
            await connection.execute(text("PRAGMA journal_mode = WAL"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        user = User(email=EMAIL)
        session.add_all([user, *(Item(**item) for item in ITEMS)])
        await session.commit()
    await engine.dispose()
    return user.id


if __name__ == "__main__":
    content = b64encode(json.dumps({"user_id": asyncio.run(add_rows())}).encode())
    print(f"session={TimestampSigner(SECRET_KEY).sign(content).decode()}")
