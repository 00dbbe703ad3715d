"""Slow lists and missing indexes of large tables."""

import time
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Inspector, inspect
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.doctor.examination import Finding, milliseconds_since, notice, ok
from opportune.contrib.doctor.lists import ListStatement, read_lists
from opportune.contrib.doctor.plans import Planner, planner_of
from opportune.contrib.doctor.statistics import LARGE_TABLE_ROWS, SLOW_MS
from opportune.db.factory import open_database
from opportune.feature import Feature
from opportune.plurals import pluralize

STATEMENT_SECONDS = 1.0
"""Time after which a statement is interrupted."""
LISTS_SECONDS = 4.0
"""Time after which further lists are only explained."""
MAX_FINDINGS = 10
"""Maximum number of lines in the report."""


async def examine_growth(settings: Settings, features: Sequence[Feature]) -> list[Finding]:
    """Run and explain the lists of large tables. Return the worst findings, one line each."""
    async with open_database(settings) as database, database.reader(fresh=True) as session:
        connection = await session.connection()
        large = await connection.run_sync(lambda connection: planner_of(connection).find_large_tables())
        if not large:
            return [ok("lists", f"no table has {LARGE_TABLE_ROWS:,} rows")]
        statements, faults = await read_lists(settings, database, session, features)
        pages = [page for page in statements if page.table in large]
        findings = await connection.run_sync(_examine, large, pages, features)
        findings += [notice("lists", fault) for fault in faults]
    if (more := len(findings) - MAX_FINDINGS) > 0:
        return [*findings[:MAX_FINDINGS], notice("lists", f"{pluralize(more, 'more finding')}, less important")]
    return findings or [ok("lists", f"{pluralize(len(pages), 'page')} of lists of large tables are fast")]


def foreign_keys_without_index(
    connection: Connection, tables: set[str], features: Sequence[Feature]
) -> Iterator[Finding]:
    """Yield a line for each foreign key of these tables that no index begins with."""
    models = {str(model.__tablename__): model.__name__ for feature in features for model in feature.models}
    inspector = inspect(connection)
    for name in sorted(tables):
        indexed = {*_indexed_columns(inspector, name)}
        for key in inspector.get_foreign_keys(name):
            column = key["constrained_columns"][0]
            if column not in indexed:
                fix = f"run CREATE INDEX ON {name} ({column})"
                if name in models:
                    fix = f"add index=True to {models[name]}.{column}"
                line = f"each deletion in {key['referred_table']} reads all rows of {name}; {fix}"
                yield notice("indexes", line, table=name, column=column)


def _indexed_columns(inspector: Inspector, name: str) -> Iterator[str | None]:
    """Yield the first column of each index. Partial indexes only count if they leave out empty values."""
    yield next(iter(inspector.get_pk_constraint(name)["constrained_columns"]), None)
    yield from (constraint["column_names"][0] for constraint in inspector.get_unique_constraints(name))
    for index in inspector.get_indexes(name):
        options = index.get("dialect_options", {})
        condition = next((str(value) for option, value in options.items() if option.endswith("_where")), "")
        if not condition or "IS NOT NULL" in condition.upper():
            yield index["column_names"][0]


def _examine(
    connection: Connection, large: set[str], pages: Sequence[ListStatement], features: Sequence[Feature]
) -> list[Finding]:
    """Return the findings, the worst first. Several pages that need the same index have one finding."""
    findings: dict[tuple[str, str], Finding] = {}
    planner = planner_of(connection)
    durations = _measure(planner, pages)
    slow = [page for page in durations if durations[page] >= SLOW_MS]
    for page in sorted(slow, key=durations.__getitem__, reverse=True):
        findings.setdefault(page.remedy, _describe_slow_page(page, durations[page]))
    for page in pages:
        if page.index and page.wants_index and planner.reads_all_rows(page):
            line = f"{page}: reads all rows of {page.table}; {page.index}"
            findings.setdefault(page.remedy, notice("indexes", line, table=page.table))
    further = [*foreign_keys_without_index(connection, large, features)]
    further += planner.read_statistics()
    if unmeasured := len(pages) - len(durations):
        message = f"{pluralize(unmeasured, 'page')} of lists could not be run in {LISTS_SECONDS:g} s"
        further.append(notice("lists", message))
    return [*findings.values(), *further]


def _describe_slow_page(page: ListStatement, milliseconds: float) -> Finding:
    was_interrupted = milliseconds >= STATEMENT_SECONDS * 1000
    duration = f"over {milliseconds:,.0f} ms" if was_interrupted else f"{milliseconds:,.0f} ms"
    advice = f"; {page.index}" if page.index else ""
    return notice("lists", f"{page}: {duration}{advice}", table=page.table, milliseconds=milliseconds)


def _measure(planner: Planner, pages: Sequence[ListStatement]) -> dict[ListStatement, float]:
    """Run the pages until the time is over. Return their durations in milliseconds."""
    end = time.monotonic() + LISTS_SECONDS
    durations: dict[ListStatement, float] = {}
    for page in pages:
        if time.monotonic() > end:
            break
        started_at = time.perf_counter()
        try:
            planner.run(page, STATEMENT_SECONDS)
        except DBAPIError:
            was_interrupted = milliseconds_since(started_at) >= STATEMENT_SECONDS * 1000
            if not was_interrupted:
                continue  # its table lacks a migration, for example, which another check reports
        durations[page] = milliseconds_since(started_at)
    return durations
