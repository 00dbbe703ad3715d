"""Graph of the migration files of installed features, and plans to apply or revert them.

The files are parsed, not imported, so that pending migrations are known without importing Alembic.
"""

import ast
import re
import sysconfig
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PROJECT, display_path

VERSIONS = PROJECT / "migrations" / "versions"
FRAMEWORK_MIGRATIONS = FRAMEWORK / "migrations", FRAMEWORK / "contrib" / "migrations"
HEADER = re.compile(r"^(?:revision|down_revision|depends_on|replaces|safety_assured)\b", re.MULTILINE)

NOT_ATOMIC = ("autocommit_block", "in_batches(")
"""Code that commits within a migration."""

# Python counts the recursion depth of the parser for all threads together, so parallel parsing raises SystemError.
_parser_lock = threading.Lock()


@dataclass(frozen=True)
class Migration:
    """Migration file `<feature>/NNNN_title.py`."""

    path: Path
    revision: str
    follows: tuple[str, ...]
    """Previous revisions of the feature."""
    depends_on: tuple[str, ...]
    """Revisions of other features that must be applied first."""
    is_atomic: bool = True
    """Whether it runs in one transaction. Otherwise an `autocommit_block` or `in_batches` commits some of its steps."""
    replaces: tuple[str, ...] = ()
    """Revisions that it replaces after `squashmigrations`."""
    safety_assured: str = ""
    """Reason why the previous version of the code keeps working, or is no longer running."""

    @property
    def feature(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        """Number at the start of the name, or 0 without one."""
        number = self.name.partition("_")[0]
        return int(number) if number.isdecimal() else 0

    def __str__(self) -> str:
        return f"{self.feature}.{self.name}"


class MigrationGraph:
    """All migrations with their dependencies."""

    def __init__(self, features: Sequence[str], versions: Path = VERSIONS) -> None:
        self.features = tuple(dict.fromkeys(features))
        self.versions = versions
        files = [path for feature in self.features for path in sorted(self.folder(feature).glob("[!_]*.py"))]
        self.by_revision = _index_by_revision(map(read_migration, files))

    def folder(self, feature: str) -> Path:
        """Return the folder of a feature's migrations, in the framework, in its package or in the project."""
        if folder := framework_folder(feature):
            return folder
        package = feature_packages().get(feature)
        return Path(package) / "migrations" / feature if package else self.versions / feature

    def require_editable(self, feature: str) -> None:
        """Check that the migrations of a feature may be changed here.

        Raises:
            OperatorError: They belong to an installed package.
        """
        if self.folder(feature).is_relative_to(sysconfig.get_path("purelib")):
            raise OperatorError(
                f"The migrations of {feature} belong to an installed package, so they cannot be changed here. "
                "Install a version whose migrations match its models."
            )

    @cached_property
    def ordered(self) -> list[Migration]:
        """All migrations in the order to apply them."""
        return self._with_ancestors(self.by_revision)

    def migrations_of(self, feature: str) -> list[Migration]:
        """Return the migrations of a feature, oldest first.

        Raises:
            OperatorError: The feature is not installed.
        """
        if feature not in self.features:
            raise OperatorError(f"No feature '{feature}' is installed.{did_you_mean(feature, self.features)}")
        return [migration for migration in self.ordered if migration.feature == feature]

    def heads(self, feature: str) -> list[Migration]:
        """Return the last migrations of a feature. There are several after a merge of two Git branches."""
        migrations = self.migrations_of(feature)
        previous = {revision for migration in migrations for revision in migration.follows}
        return [migration for migration in migrations if migration.revision not in previous]

    def newest(self, feature: str) -> Migration | None:
        """Return the last migration of a feature.

        Raises:
            OperatorError: The feature has several last migrations.
        """
        heads = self.heads(feature)
        if len(heads) > 1:
            names = " and ".join(head.name for head in heads)
            count = {2: "Two", 3: "Three"}.get(len(heads), str(len(heads)))
            raise OperatorError(
                f"{count} migrations of {feature} are the last: {names}. "
                f"Merge them: python3 oppman.py makemigrations {feature} --merge"
            )
        return heads[0] if heads else None

    def find(self, feature: str, target: str) -> Migration:
        """Return a migration by number, name or revision.

        Raises:
            OperatorError: No migration or several migrations match.
        """
        migrations = self.migrations_of(feature)
        start = target.zfill(4) + "_" if target.isdecimal() else target
        exact_matches = [migration for migration in migrations if target in (migration.name, migration.revision)]
        matches = exact_matches or [migration for migration in migrations if migration.name.startswith(start)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(migration.name for migration in matches)
            raise OperatorError(f"Several migrations of {feature} begin with '{target}': {names}. Name one of them.")
        suggestion = did_you_mean(target, [*(migration.name for migration in migrations), "zero"])
        raise OperatorError(
            f"{feature} has no migration '{target}'.{suggestion} List them: python3 oppman.py showmigrations {feature}"
        )

    def needed_by(self, migration: Migration) -> list[Migration]:
        """Return a migration and its ancestors, ancestors first."""
        return self._with_ancestors([migration.revision])

    def applied(self, recorded: Iterable[str]) -> list[Migration]:
        """Return the applied migrations of a database from the rows of its version table."""
        return self._with_ancestors(revision for revision in recorded if revision in self.by_revision)

    def pending(self, recorded: Iterable[str]) -> list[Migration]:
        """Return the migrations to apply, in order, from the rows of the version table."""
        applied = set(self.applied(recorded))
        return [migration for migration in self.ordered if migration not in applied]

    def unknown(self, recorded: Iterable[str]) -> "UnknownRevisions":
        """Return the rows of a version table without a file."""
        revisions = [revision for revision in recorded if revision not in self.by_revision]
        owners = {revision: feature_of_revision(revision) for revision in revisions}
        return UnknownRevisions(
            newer=tuple(revision for revision in revisions if owners[revision] in self.features),
            removed=tuple(revision for revision in revisions if owners[revision] not in self.features),
        )

    def rows(self, applied: Collection[Migration]) -> set[str]:
        """Return the revisions to record for applied migrations: the newest of each feature.

        Alembic records only `tips`. After the files of a tip's feature are deleted, its ancestors would be unknown.
        """
        return {migration.revision for migration in applied} - {
            revision for migration in applied for revision in migration.follows
        }

    def tips(self, applied: Collection[Migration]) -> set[str]:
        """Return the revisions that none of the applied migrations follows or depends on."""
        return self.rows(applied) - {revision for migration in applied for revision in migration.depends_on}

    def _with_ancestors(self, revisions: Iterable[str]) -> list[Migration]:
        visited: dict[str, Migration] = {}
        for revision in revisions:
            self._visit(revision, visited, ())
        return list(visited.values())

    def _visit(self, revision: str, visited: dict[str, Migration], path: tuple[str, ...]) -> None:
        # Other revisions without a file belong to removed features, and are ignored.
        migration = self.by_revision.get(revision)
        if migration is None or revision in visited:
            return
        if revision in path:
            raise OperatorError(f"{migration} depends on itself. Check down_revision and depends_on in its file.")
        if missing := next((each for each in migration.follows if each not in self.by_revision), ""):
            raise OperatorError(
                f"{migration} follows {missing}, whose file is missing. Restore it, for example with git."
            )
        for needed in (*migration.depends_on, *migration.follows):
            self._visit(needed, visited, (*path, revision))
        visited[revision] = migration


@dataclass(frozen=True)
class UnknownRevisions:
    """Rows of the version table without a file."""

    newer: tuple[str, ...]
    """Revisions of installed features: newer code has migrated the database."""
    removed: tuple[str, ...]
    """Revisions of features that are no longer installed."""


def framework_folder(feature: str) -> Path | None:
    """Return the folder of a feature's migrations in the framework; None if they are not part of it."""
    folders = [folder / feature for folder in FRAMEWORK_MIGRATIONS if (folder / feature).is_dir()]
    # git leaves a folder that it empties if Python has written its cache there.
    return next((folder for folder in folders if any(folder.glob("*.py"))), next(iter(folders), None))


def read_migration(path: Path) -> Migration:
    """Parse the header of a migration file without importing it.

    Raises:
        OperatorError: The file has no revision.
    """
    try:
        text = path.read_text(encoding="utf-8")
        with _parser_lock:
            module = ast.parse(_header_of(text))
        values = _read_assignments(module)
        follows, depends_on, replaces = (values.get(name, ()) for name in ("down_revision", "depends_on", "replaces"))
        assured = " ".join(values.get("safety_assured", ()))
        is_atomic = not any(name in text for name in NOT_ATOMIC)
        return Migration(path, values["revision"][0], follows, depends_on, is_atomic, replaces, assured)
    except (SyntaxError, ValueError, LookupError) as error:
        reason = "it sets no revision" if isinstance(error, LookupError) else f"{type(error).__name__}: {error}"
        raise OperatorError(f"{display_path(path)} is not a migration: {reason}. Correct or delete it.") from None


def _header_of(text: str) -> str:
    """Return the text before the first function, which is faster to parse, or the whole text if variables follow."""
    head, _, steps = text.partition("\ndef ")
    return text if "\n@" in head or HEADER.search(steps) else head


def _read_assignments(module: ast.Module) -> Mapping[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for node in module.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name in ("revision", "down_revision", "depends_on", "replaces", "safety_assured"):
                literal = ast.literal_eval(value)
                values[name] = (literal,) if isinstance(literal, str) else tuple(literal or ())
    return values


def _index_by_revision(migrations: Iterable[Migration]) -> dict[str, Migration]:
    by_revision: dict[str, Migration] = {}
    for migration in migrations:
        other = by_revision.setdefault(migration.revision, migration)
        if other is not migration:
            raise OperatorError(f"{migration} and {other} have the same revision '{migration.revision}'.")
    return by_revision


def feature_of_revision(revision: str) -> str:
    """Return the feature of a revision: `books` for `books_0002_9f3c`."""
    return revision.rsplit("_", 2)[0]


@dataclass(frozen=True)
class Step:
    """Migration to apply or revert."""

    migration: Migration
    direction: Literal["upgrade", "downgrade"]
    is_faked: bool = False
    """Record the migration without running it."""


Plan = Callable[[Sequence[Migration]], list[Step]]
"""Return the remaining steps for a list of applied migrations."""


def plan_migrations(graph: MigrationGraph, feature: str | None = None, target: str | None = None) -> Plan:
    """Return a plan that applies all migrations, those of a feature, or those up to or back to a target.

    Raises:
        OperatorError: The feature or migration does not exist, or a feature has two last migrations.
    """
    features = graph.features if feature is None else [feature]
    newest = [migration for name in features if (migration := graph.newest(name))]
    if feature and target == "zero":
        return lambda applied: _revert(graph, applied, feature, keep=[])
    if feature and target:
        newest = [graph.find(feature, target)]
    needed = _with_ancestors(graph, newest)

    def plan(applied: Sequence[Migration]) -> list[Step]:
        if feature and target and newest[0] in applied:
            return _revert(graph, applied, feature, keep=needed)
        return [Step(migration, "upgrade") for migration in needed if migration not in applied]

    return plan


def fake_steps(plan: Plan, migrations: Collection[Migration] | None) -> Plan:
    """Return a plan that records these migrations, or all, without running them."""
    return lambda applied: [
        replace(step, is_faked=migrations is None or step.migration in migrations) for step in plan(applied)
    ]


def refuse_newer(graph: MigrationGraph, rows: Sequence[str]) -> None:
    """Refuse a database that newer code has migrated.

    Raises:
        OperatorError: The database is newer.
    """
    newer = graph.unknown(rows).newer
    if not newer:
        return
    names = ", ".join(newer)
    for migration in graph.ordered:
        if not set(newer).isdisjoint(migration.replaces):
            raise OperatorError(
                f"The database has applied only some migrations that {migration} replaces ({names}). First run "
                "`migrate` with the code from before it was squashed."
            )
    raise OperatorError(
        f"The database has migrations that this code lacks ({names}). Run the version that created them, or restore "
        "their files."
    )


def _with_ancestors(graph: MigrationGraph, migrations: Sequence[Migration]) -> list[Migration]:
    ancestors = {ancestor for migration in migrations for ancestor in graph.needed_by(migration)}
    return [migration for migration in graph.ordered if migration in ancestors]


def _revert(graph: MigrationGraph, applied: Sequence[Migration], feature: str, keep: Sequence[Migration]) -> list[Step]:
    """Return the steps that revert a feature's migrations except `keep`. Dependent migrations are reverted first."""
    reverted = {migration for migration in applied if migration.feature == feature and migration not in keep}
    reverted |= {migration for migration in applied if reverted.intersection(graph.needed_by(migration))}
    return [Step(migration, "downgrade") for migration in reversed(graph.ordered) if migration in reverted]
