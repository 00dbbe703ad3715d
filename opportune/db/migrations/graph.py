"""Graph of the migrations of installed features."""

import sysconfig
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from opportune.db.migrations.migration_file import Migration, read_migration
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PROJECT

VERSIONS = PROJECT / "migrations" / "versions"
FRAMEWORK_MIGRATIONS = (FRAMEWORK / "migrations", FRAMEWORK / "contrib" / "migrations")


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
        """Refuse to change the migrations of an installed package."""
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
        """Return the migrations of a feature, oldest first."""
        if feature not in self.features:
            raise OperatorError(f"No feature '{feature}' is installed.{did_you_mean(feature, self.features)}")
        return [migration for migration in self.ordered if migration.feature == feature]

    def heads(self, feature: str) -> list[Migration]:
        """Return the last migrations of a feature. There are several after a merge of two Git branches."""
        migrations = self.migrations_of(feature)
        previous = {revision for migration in migrations for revision in migration.follows}
        return [migration for migration in migrations if migration.revision not in previous]

    def newest(self, feature: str) -> Migration | None:
        """Return the last migration of a feature."""
        heads = self.heads(feature)
        if len(heads) > 1:
            names = " and ".join(head.name for head in heads)
            raise OperatorError(
                f"Several migrations of {feature} are the last: {names}. "
                f"Merge them: python3 oppman.py makemigrations {feature} --merge"
            )
        return heads[0] if heads else None

    def find(self, feature: str, target: str) -> Migration:
        """Return a migration by number, name or revision."""
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

    def newer_revisions(self, recorded: Iterable[str]) -> tuple[str, ...]:
        """Return rows without a file of installed features: newer code has migrated the database."""
        return tuple(name for name in self._without_file(recorded) if feature_of_revision(name) in self.features)

    def removed_revisions(self, recorded: Iterable[str]) -> tuple[str, ...]:
        """Return rows without a file of features that are no longer installed."""
        return tuple(name for name in self._without_file(recorded) if feature_of_revision(name) not in self.features)

    def _without_file(self, recorded: Iterable[str]) -> Iterator[str]:
        return (revision for revision in recorded if revision not in self.by_revision)

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


def framework_folder(feature: str) -> Path | None:
    """Return the folder of a feature's migrations in the framework; None if they are not part of it."""
    folders = [folder / feature for folder in FRAMEWORK_MIGRATIONS if (folder / feature).is_dir()]
    # git leaves a folder that it empties if Python has written its cache there.
    with_files = [folder for folder in folders if any(folder.glob("*.py"))]
    return next(iter(with_files or folders), None)


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
