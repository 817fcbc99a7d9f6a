"""A project whose database has families in it."""

import projects
import pytest
import sqlite_contents

from . import families


@pytest.fixture(scope="session")
def grown(tmp_path_factory, generated):
    project = projects.copy(generated(starter="bare"), tmp_path_factory.mktemp("grown"))
    project.migration("f1", None, families.TABLES)
    project.db("upgrade").assert_ok()
    sqlite_contents.script(project.database, families.ROWS)
    return project


@pytest.fixture
def family(grown, tmp_path):
    """A project at revision f1, with parents and children in its database."""
    (tmp_path / "family").mkdir()
    return projects.copy(grown, tmp_path / "family")
