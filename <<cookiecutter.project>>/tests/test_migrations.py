"""The history: one head, every step runs up and down, and it makes what the models say."""

import pytest
from pytest_alembic.config import Config
from pytest_alembic.tests import (  # noqa: F401
<% if cookiecutter.starter == "bare" %>
    default,
<% endif %>
    test_model_definitions_match_ddl,
<% if cookiecutter.starter != "bare" %>
    test_single_head_revision,
<% endif %>
    test_up_down_consistency,
    test_upgrade,
)

from <<cookiecutter.module>>.extensions import db


@pytest.fixture
def alembic_config(empty_app):
    return Config(alembic_config=empty_app.extensions["migrate"].migrate.get_config())


@pytest.fixture
def alembic_engine(empty_app):
    return db.engine
<% if cookiecutter.starter == "bare" %>


def test_single_head_revision(alembic_runner):
    if alembic_runner.heads:  # before the first migration there is none
        default.test_single_head_revision(alembic_runner)
<% endif %>
