"""The histories of public applications, step by step up and down, beside stock Alembic.

Each difference that is found stands in ``REVIEWED`` with its reason. The applications' code is no
part of this repository: it is read from the folder that the environment variable HISTORIES names,
with one clone ``owner+name`` for each, or is cloned with LONG_DRILLS=1.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import databases
import pytest
import walking


@dataclass(frozen=True)
class Application:
    """``versions`` is the folder with the migrations; ``packages`` are those of the application,
    which migrations import and which stand-ins take the place of; ``least`` is how many steps up
    and down are to be made."""

    repository: str
    commit: str
    versions: str
    least: int
    packages: tuple[str, ...] = ()
    convention: dict = field(default_factory=dict)


APPLICATIONS = [
    Application(
        "miguelgrinberg/microblog",
        "a975ef64864354867c88e0ed3a17ba7d17dca752",
        "migrations/versions",
        18,
    ),
    Application(
        "CTFd/CTFd",
        "91ced62d44d3ec3142a0948ee96ed19947cfc979",
        "migrations/versions",
        61,
        ("CTFd",),
    ),
    Application(
        "flaskbb/flaskbb",
        "4b78af85e96b375fdbc4d53723cedea459c99ac4",
        "flaskbb/migrations",
        26,
        ("flaskbb", "sqlalchemy_utils"),
        {
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
    ),
    Application(
        "mealie-recipes/mealie",
        "b5643a9399465d8b4ea339e7a6639df2d697741b",
        "alembic/versions",
        65,
        ("mealie", "slugify", "pydantic"),
    ),
    Application(
        "gramps-project/gramps-web-api",
        "370d5917e6ecec546c0e53cbd02e5ace032c4c00",
        "alembic_users/versions",
        26,
        ("gramps_webapi",),
    ),
    Application(
        "PowerDNS-Admin/PowerDNS-Admin",
        "742dd103e63d2e57e387e3487980c01d290e1cc2",
        "migrations/versions",
        44,
    ),
    Application(
        "spiral-project/ihatemoney",
        "52e5720ec78d32eab963cd7e73d4826ae3a16950",
        "ihatemoney/migrations/versions",
        22,
        ("ihatemoney",),
    ),
]

UNNAMED = (
    "a constraint of SQLite is made or dropped outside of a batch, which stock Alembic does not do; "
    "one without a name can be made, and not be dropped"
)
NOT_NULL = "rows that were there have no value for it: refused with them, done without"
ITS_MODELS = "it queries the application's own models, which are not here"
# (revision, kind of difference): why it is right
REVIEWED = {
    "miguelgrinberg/microblog": {},
    "CTFd/CTFd": {
        ("up 4d3c1b59d011", "stock fails"): UNNAMED,
        ("up 9889b8c53673", "stock fails"): UNNAMED,
        ("up 62bf576b2cd3", "stock fails"): UNNAMED,
        ("up 336b8c601b94", "stock fails"): UNNAMED,
        ("up f73a96c97449", "both fail"): NOT_NULL,
        ("down 336b8c601b94", "both fail"): UNNAMED,
        ("down 62bf576b2cd3", "both fail"): UNNAMED,
        ("down 9889b8c53673", "both fail"): UNNAMED,
        ("down 4d3c1b59d011", "both fail"): UNNAMED,
        (
            "down b5551cd26764",
            "both fail",
        ): "it drops a foreign key that it does not make on SQLite",
    },
    "flaskbb/flaskbb": {("up 933bd7d807c4", "both fail"): NOT_NULL},
    "mealie-recipes/mealie": {
        ("up 04ac51cbe9a4", "both fail"): ITS_MODELS,
        ("up 0341b154f79a", "both fail"): ITS_MODELS,
        ("up dded3119c1fe", "both fail"): ITS_MODELS,
        ("down feecc8ffb956", "both fail"): UNNAMED,
        ("down d7c6efd2de42", "both fail"): (
            "its SQL is PostgreSQL's; and 51.5 stars cannot become an INTEGER"
        ),
        ("down 2298bb460ffd", "both fail"): UNNAMED,
    },
    "gramps-project/gramps-web-api": {},
    "PowerDNS-Admin/PowerDNS-Admin": {
        ("up 4a666113c7bb", "both fail"): "it inserts ids that rows have which were there",
        ("down 4a666113c7bb", "we refuse"): "it deletes a role that users have",
    },
    "spiral-project/ihatemoney": {
        ("up b78f8a8bdb16", "rows"): "passwords are hashed, each time with another salt",
        ("up 927ed575acbd", "both fail"): ITS_MODELS,
        ("up 7a9b38559992", "both fail"): ITS_MODELS,
        ("up c941aaca38c2", "we refuse"): "rows that were there hold what is no name of the enum",
    },
}


def versions(application: Application, folder: Path) -> Path:
    """The application's migrations, in a folder of their own."""
    given = os.environ.get("HISTORIES")
    clone = Path(given or folder) / application.repository.replace("/", "+")
    if given is None:
        if os.environ.get("LONG_DRILLS") != "1":
            pytest.skip("public histories: LONG_DRILLS=1, or HISTORIES=folder with their clones")
        url = f"https://github.com/{application.repository}"
        cloned = subprocess.run(["git", "clone", "-q", "--filter=blob:none", url, clone])
        if cloned.returncode:
            databases.missing(f"{url} cannot be cloned from here")
    if not clone.exists():
        databases.missing(f"{clone} is not there")
    clone = next(path for path in (clone / "repo", clone) if path.exists())
    target = folder / "history"
    target.mkdir()
    archive = subprocess.run(
        ["git", "-C", clone, "archive", application.commit, application.versions],
        check=True,
        capture_output=True,
    ).stdout
    subprocess.run(["tar", "-x", "-C", target], input=archive, check=True)
    return target / application.versions


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda a: a.repository)
def test_a_public_history_does_what_it_does_under_stock_alembic(application, tmp_path):
    found = walking.walk(
        tmp_path,
        versions(application, tmp_path),
        application.convention,
        list(application.packages),
    )
    for difference in found.differences:
        print(*difference, sep=" | ")
    different = {(difference.where, difference.kind) for difference in found.differences}
    assert different == set(REVIEWED[application.repository])
    assert found.moved >= application.least
