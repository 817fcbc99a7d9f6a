"""A project for what only asks."""

import projects
import pytest
from several import ARCHIVE, BINDS, NAMED, configure, files


@pytest.fixture(scope="session")
def project(generated, tmp_path_factory):
    """A project that these tests share: none of them changes its files."""
    shared = projects.copy(generated(), tmp_path_factory.mktemp("shared"))
    shared.env["SETTINGS"] = "dev.conf"
    return shared


@pytest.fixture(scope="session")
def grown(generated, tmp_path_factory):
    """A project that had one database, and was given a second one; what it was before."""
    project = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("several"))
    project.model("person", NAMED)
    project.new_migration("-m", "first")
    project.db("upgrade").assert_ok()
    before = files(project)
    configure(project, BINDS)
    project.model("letter", ARCHIVE + NAMED)
    project.db("migrate").assert_ok()
    project.db("upgrade").assert_ok()
    return project, before


@pytest.fixture
def two_databases(grown, tmp_path):
    """One with two databases, both at the head."""
    return projects.copy(grown[0], tmp_path)
