"""The histories of public applications on PostgreSQL with ZERO_DOWNTIME, one revision after the other:
each has to leave what it leaves under stock Alembic."""

import shutil
from pathlib import Path

import clients
import databases
import pytest
import walking
from test_public_histories import APPLICATIONS, versions

# one line of revisions, which all run there under stock Alembic, from an empty database
ON_POSTGRESQL = {
    "CTFd/CTFd",
    "PowerDNS-Admin/PowerDNS-Admin",
    "miguelgrinberg/microblog",
}
STAND_INS = """import sys

sys.path.insert(0, {here!r})
import worker

sys.meta_path.insert(0, worker.Finder({packages!r}))
"""
SCHEMA = (
    "SELECT table_name, column_name, data_type, character_maximum_length, column_default, is_nullable "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_log'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_log'",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_log'",
)


def schema(url):
    return [sorted(map(repr, clients.rows(url, query))) for query in SCHEMA]


def adopted(new_project, application, history, url):
    """A project with the history, and with stand-ins for what its files import."""
    project = new_project(starter="bare", database="postgresql")
    project.env["DEV_DATABASE_URL"] = url
    given = "MetaData(naming_convention=naming_convention)"
    none = f"MetaData(naming_convention={application.convention or None!r})"
    extensions = f"{project.module}/extensions.py"
    project.replace(extensions, given, none)
    here = str(Path(__file__).parent)
    stand_ins = STAND_INS.format(here=here, packages=set(application.packages))
    project.write(extensions, stand_ins + (project.path / extensions).read_text())
    for file in history.glob("*.py"):
        shutil.copy(file, project.versions)
    assert "ZERO_DOWNTIME = True" in (project.path / "etc/conf/dev.conf").read_text()
    return project


@pytest.mark.parametrize(
    "application",
    [one for one in APPLICATIONS if one.repository in ON_POSTGRESQL],
    ids=lambda one: one.repository,
)
def test_a_public_history_without_a_standstill_does_what_it_does_under_stock_alembic(
    application, new_project, postgresql_server, tmp_path
):
    history = versions(application, tmp_path)
    with (
        databases.fresh(postgresql_server) as theirs,
        databases.fresh(postgresql_server) as ours,
    ):
        url = databases.driven(theirs).render_as_string(hide_password=False)
        packages = list(application.packages)
        stock = walking.Worker("stock", tmp_path, history, application.convention, packages, url)
        project = adopted(new_project, application, history, ours)
        project.head(stock.revisions[-1])
        for revision in stock.revisions:
            assert stock.move(revision, up=True) is None
            project.db("upgrade", revision).assert_ok()
            assert schema(ours) == schema(theirs), revision
        for below, revision in reversed(
            [*zip(["base", *stock.revisions], stock.revisions, strict=False)]
        ):
            failed = stock.move(revision, up=False)
            answer = project.db("downgrade", below)
            assert bool(answer.code) == bool(failed), (revision, failed, answer.said)
            if failed:
                break
            assert schema(ours) == schema(theirs), revision
        stock.close()
