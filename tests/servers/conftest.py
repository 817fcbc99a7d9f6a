import shutil

import databases
import pytest
from sqlalchemy import make_url


@pytest.fixture
def url(any_database):
    """The URL of the project's database."""
    return any_database.env.get("DEV_DATABASE_URL", f"sqlite:///{any_database.database}")


@pytest.fixture
def twin(request, url, tmp_path):
    """The URL of an empty database beside the project's."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        if not shutil.which("sqlite3"):
            databases.missing("no sqlite3 program: apt-get install sqlite3")
        yield f"sqlite:///{tmp_path / 'twin.db'}"
        return
    name = {"postgresql": "postgresql", "mysql": "mariadb"}[backend]
    with databases.fresh(request.getfixturevalue(f"{name}_server")) as made:
        yield made
