"""Three examples: the first migration, a new column, a column with another name."""

import sys

import pytest

from .rows import columns, sql

USER = (
    "id: Mapped[int] = mapped_column(primary_key=True)\n"
    "username: Mapped[str] = mapped_column(sa.String(80), unique=True)\n"
    "email: Mapped[str] = mapped_column(sa.String(120), unique=True)\n"
)
BIO = "bio: Mapped[str | None] = mapped_column(sa.String(250))\n"
PROFILE = "profile_description: Mapped[str | None] = mapped_column(sa.String(250))\n"
ADA = "INSERT INTO user (username, email) VALUES ('ada', 'ada@example.com')"


@pytest.fixture
def site(bare):
    bare.model("user", USER)
    bare.new_migration("-m", "Initial migration")
    return bare


def test_a_new_column_keeps_the_rows(site):
    site.db("upgrade").assert_ok()
    sql(site.database, ADA)
    site.model("user", USER + BIO)
    file = site.new_migration("-m", "Add bio column to User")
    assert file.name.endswith("_add_bio_column_to_user.py")
    site.db("upgrade").assert_ok()
    assert sql(site.database, "SELECT * FROM user") == [(1, "ada", "ada@example.com", None)]
    assert "Add bio column to User" in site.db("history").assert_ok().out


def test_a_column_with_another_name_keeps_what_was_in_it(site):
    site.model("user", USER + BIO)
    before = site.new_migration("-m", "Add bio column to User")
    site.db("upgrade").assert_ok()
    sql(site.database, ADA)
    sql(site.database, "UPDATE user SET bio = 'first programmer'")

    site.model("user", USER + PROFILE)
    # autogenerate knows a drop and an add; that it is a rename, the author says by hand
    site.migration(
        "c0ffee000001",
        before.name.split("_")[0],
        "op.alter_column('user', 'bio', new_column_name='profile_description')",
        "op.alter_column('user', 'profile_description', new_column_name='bio')",
    )
    site.db("sqlite-safe", str(site.versions / "c0ffee000001_by_hand.py")).assert_ok()
    site.db("upgrade").assert_ok()
    assert sql(site.database, "SELECT username, profile_description FROM user") == [
        ("ada", "first programmer")
    ]
    assert "nothing to migrate" in site.db("migrate").assert_ok().said
    site.db("downgrade").assert_ok()
    assert sql(site.database, "SELECT username, bio FROM user") == [("ada", "first programmer")]


def test_a_database_that_create_all_made_joins_the_history_without_a_loss(site):
    create_all = (
        "import my_app; from my_app.extensions import db\n"
        "with my_app.create_app().app_context(): db.create_all()"
    )
    site.warm(sys.executable, "-c", create_all).assert_ok()
    sql(site.database, ADA)
    site.db("upgrade").assert_one_sentence("user", "make db", "db stamp")

    site.db("stamp", "head").assert_ok()
    site.model("user", USER + BIO)
    site.new_migration("-m", "Add bio column to User")
    site.db("upgrade").assert_ok()
    assert columns(site.database, "user")[-1] == "bio"
    assert sql(site.database, "SELECT username FROM user") == [("ada",)]
