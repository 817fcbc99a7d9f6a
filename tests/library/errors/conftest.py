"""A project with the blog and a database at its head, made once and copied for each test."""

import projects
import pytest


@pytest.fixture(scope="session")
def migrated(tmp_path_factory, generated):
    project = projects.copy(generated(), tmp_path_factory.mktemp("migrated"))
    project.db("upgrade").assert_ok()
    return project


@pytest.fixture
def project(migrated, tmp_path):
    (tmp_path / "copy").mkdir()
    return projects.copy(migrated, tmp_path / "copy")
