"""What the tests share: an application on an empty database of its own."""

import flask_migrate
import pytest
from flask_keel import scratch

from <<cookiecutter.module>> import create_app
from <<cookiecutter.module>>.extensions import db


@pytest.fixture
def empty_app():
    """The application on an empty database, gone afterwards."""
    template = create_app("test.conf")
    with scratch.database(template.config["SQLALCHEMY_DATABASE_URI"]) as url:
        app = create_app("test.conf", {"SQLALCHEMY_DATABASE_URI": url})
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def app(empty_app):
    """The application on a database that the migrations made."""
    flask_migrate.upgrade()
    return empty_app


@pytest.fixture
def client(app):
    """A browser of sorts."""
    return app.test_client()
