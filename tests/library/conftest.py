"""A project for what only asks."""

import projects
import pytest


@pytest.fixture(scope="session")
def project(generated, tmp_path_factory):
    """A project that these tests share: none of them changes its files."""
    shared = projects.copy(generated(), tmp_path_factory.mktemp("shared"))
    shared.env["SETTINGS"] = "dev.conf"
    return shared
