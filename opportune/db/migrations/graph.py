"""The migration files of the installed features, and how they follow from one another.

Read as text: what is pending can be told without importing a migration, and without importing Alembic.
"""

import ast
import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opportune.config.project import FRAMEWORK, PROJECT, display_path
from opportune.errors import OperatorError
from opportune.runtime.suggestions import did_you_mean

VERSIONS = PROJECT / "migrations" / "versions"
FRAMEWORK_MIGRATIONS = FRAMEWORK / "migrations"
SAID = re.compile(r"^(?:revision|down_revision|depends_on|replaces|safety_assured)\b", re.MULTILINE)

# Python counts how deep it is in a syntax tree for all threads together: two that build one at once are a SystemError.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Migration:
    """One file `<feature>/NNNN_words.py`."""

    path: Path
    revision: str
    follows: tuple[str, ...]
    """The revisions before it in its own feature."""
    depends_on: tuple[str, ...]
    """Revisions of other features that must be applied first."""
    is_atomic: bool = True
    """Whether it is one transaction: what an `autocommit_block` has done stays, whatever happens afterwards."""
    replaces: tuple[str, ...] = ()
    """The revisions that `squashmigrations` has put it in the place of."""
    safety_assured: str = ""
    """Why whoever wrote it knows that the version before it goes on working, or does not run any more."""

    @property
    def feature(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        """The one that its name begins with; 0 for a file that was named otherwise."""
        number = self.name.partition("_")[0]
        return int(number) if number.isdecimal() else 0

    def __str__(self) -> str:
        return f"{self.feature}.{self.name}"


class MigrationGraph:
    """All migrations, in an order in which they can be applied."""

    def __init__(self, features: Sequence[str], versions: Path = VERSIONS) -> None:
        self.features = tuple(dict.fromkeys(features))
        self.versions = versions
        files = [path for feature in features for path in sorted(self.folder(feature).glob("[!_]*.py"))]
        self.by_revision = _by_revision(map(read_migration, files))

    def folder(self, feature: str) -> Path:
        """Where its migrations are: those of the framework's features inside it, all others in the project."""
        inside = FRAMEWORK_MIGRATIONS / feature
        return inside if inside.is_dir() else self.versions / feature

    @cached_property
    def ordered(self) -> list[Migration]:
        """Every migration after those that it needs, and otherwise in the order of the features."""
        return self._with_ancestors(self.by_revision)

    def of(self, feature: str) -> list[Migration]:
        """The migrations of a feature, oldest first.

        Raises:
            OperatorError: no such feature is installed.
        """
        if feature not in self.features:
            raise OperatorError(f"No feature '{feature}' is installed.{did_you_mean(feature, self.features)}")
        return [migration for migration in self.ordered if migration.feature == feature]

    def heads(self, feature: str) -> list[Migration]:
        """Return the migrations of a feature that no other one follows: more than one after a merge of two branches."""
        migrations = self.of(feature)
        followed = {revision for migration in migrations for revision in migration.follows}
        return [migration for migration in migrations if migration.revision not in followed]

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
        """A migration by its number, name or revision.

        Raises:
            OperatorError: none or several of the feature's migrations are meant.
        """
        migrations = self.of(feature)
        start = target.zfill(4) + "_" if target.isdecimal() else target
        exact = [found for found in migrations if target in (found.name, found.revision)]
        matches = exact or [found for found in migrations if found.name.startswith(start)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(found.name for found in matches)
            raise OperatorError(f"Several migrations of {feature} begin with '{target}': {names}. Name one of them.")
        names_known = [found.name for found in migrations]
        raise OperatorError(
            f"{feature} has no migration '{target}'.{did_you_mean(target, [*names_known, 'zero'])} "
            f"List them: python3 oppman.py showmigrations {feature}"
        )

    def needed_by(self, migration: Migration) -> list[Migration]:
        """A migration after all that it needs."""
        return self._with_ancestors([migration.revision])

    def applied(self, recorded: Iterable[str]) -> list[Migration]:
        """What a database has, whose version table holds these rows."""
        return self._with_ancestors(revision for revision in recorded if revision in self.by_revision)

    def pending(self, recorded: Iterable[str]) -> list[Migration]:
        """What a database lacks, whose version table holds these rows, in the order to apply it."""
        applied = set(self.applied(recorded))
        return [migration for migration in self.ordered if migration not in applied]

    def unknown(self, recorded: Iterable[str]) -> "UnknownRevisions":
        """The rows of a version table that no file stands for."""
        revisions = [revision for revision in recorded if revision not in self.by_revision]
        owners = {revision: feature_of_revision(revision) for revision in revisions}
        return UnknownRevisions(
            newer=tuple(revision for revision in revisions if owners[revision] in self.features),
            removed=tuple(revision for revision in revisions if owners[revision] not in self.features),
        )

    def rows(self, applied: Collection[Migration]) -> set[str]:
        """What our commands record of these migrations: the newest of each feature.

        Alembic records `tips` alone. With the files of a tip's feature deleted, nobody could tell any more what else
        was applied.
        """
        return {migration.revision for migration in applied} - {
            revision for migration in applied for revision in migration.follows
        }

    def tips(self, applied: Collection[Migration]) -> set[str]:
        """Those that no other of these migrations follows or depends on."""
        return self.rows(applied) - {revision for migration in applied for revision in migration.depends_on}

    def _with_ancestors(self, revisions: Iterable[str]) -> list[Migration]:
        found: dict[str, Migration] = {}
        for revision in revisions:
            self._visit(revision, found, ())
        return list(found.values())

    def _visit(self, revision: str, found: dict[str, Migration], path: tuple[str, ...]) -> None:
        # What is not there belongs to a feature that was removed: its tables are no longer ours to wait for.
        migration = self.by_revision.get(revision)
        if migration is None or revision in found:
            return
        if revision in path:
            raise OperatorError(f"{migration} follows from itself: look at down_revision and depends_on in its file.")
        for needed in (*migration.depends_on, *migration.follows):
            self._visit(needed, found, (*path, revision))
        found[revision] = migration


@dataclass(frozen=True)
class UnknownRevisions:
    """Rows of the version table without a file."""

    newer: tuple[str, ...]
    """Of installed features: newer code than this has migrated the database."""
    removed: tuple[str, ...]
    """Of features that are no longer installed."""


def read_migration(path: Path) -> Migration:
    """Read the head of a migration's file without importing it.

    Raises:
        OperatorError: it does not say which revision it is.
    """
    try:
        text = path.read_text(encoding="utf-8")
        with _one_at_a_time:
            module = ast.parse(_head(text))
        values = _assignments(module)
        follows, depends_on, replaces = (values.get(name, ()) for name in ("down_revision", "depends_on", "replaces"))
        assured = " ".join(values.get("safety_assured", ()))
        is_atomic = "autocommit_block" not in text
        return Migration(path, values["revision"][0], follows, depends_on, is_atomic, replaces, assured)
    except (SyntaxError, ValueError, LookupError) as error:
        raise OperatorError(f"{display_path(path)} is not a migration: {type(error).__name__}: {error}") from None


def feature_of_revision(revision: str) -> str:
    """The feature that a revision names: `books` for `books_0002_9f3c`."""
    return revision.rsplit("_", 2)[0]


def _head(text: str) -> str:
    """What stands before the steps, which take most of the time; the whole text where something is said after them."""
    head, _, steps = text.partition("\ndef ")
    return text if "\n@" in head or SAID.search(steps) else head


def _assignments(module: ast.Module) -> Mapping[str, tuple[str, ...]]:
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


def _by_revision(migrations: Iterable[Migration]) -> dict[str, Migration]:
    found: dict[str, Migration] = {}
    for migration in migrations:
        other = found.setdefault(migration.revision, migration)
        if other is not migration:
            raise OperatorError(f"{migration} and {other} have the same revision '{migration.revision}'.")
    return found
