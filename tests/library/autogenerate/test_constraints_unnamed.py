"""Constraints without a name: an older application's models have no naming convention."""

import pytest
import revising
import sqlalchemy as sa
from alembic.util import CommandError

from .compared import model

FULL = """id: Mapped[int] = mapped_column(primary_key=True)
code: Mapped[str] = mapped_column(sa.String(20), unique=True)
n: Mapped[int] = mapped_column(sa.Integer, server_default="1")
m: Mapped[int | None] = mapped_column(sa.Integer, index=True)
parent_id: Mapped[int | None] = mapped_column(sa.Integer, sa.ForeignKey("thing.id"))
__table_args__ = (sa.CheckConstraint("n > 0"), sa.UniqueConstraint("n", "m"))
"""
EMPTY = (
    FULL.replace(", unique=True", "")
    .replace(", index=True", "")
    .replace(', sa.ForeignKey("thing.id")', "")
    .partition("__table_args__")[0]
)
ROW = "INSERT INTO thing (id, code, n, m, parent_id) VALUES ({0}, '{1}', {2}, 1, {3})"


def older(project):
    """Take the convention out of a project; return how it was."""
    path = project.package / "extensions.py"
    text = path.read_text()
    path.write_text(text.replace("MetaData(naming_convention=naming_convention)", "MetaData()"))
    assert path.read_text() != text
    return text


def refused(project, *row):
    with pytest.raises(sa.exc.DBAPIError):
        revising.execute(project, ROW.format(*row))


def test_what_has_no_name_goes_and_comes_again(any_database):
    project = any_database
    older(project)
    project.model("thing", FULL)
    revising.applied(project)
    revising.assert_nothing_left(project)
    revising.execute(project, ROW.format(1, "a", 1, "NULL"))
    project.model("thing", EMPTY)
    answer = project.db("migrate").assert_ok()
    assert "Warning" not in answer.said and "none" not in answer.said.lower()
    assert answer.said.count("drop constraint") >= 1
    project.db("upgrade").assert_ok()
    revising.execute(project, ROW.format(2, "a", 1, "NULL"), ROW.format(3, "b", -1, "NULL"))
    revising.assert_nothing_left(project)
    revising.execute(project, "DELETE FROM thing WHERE id > 1")
    revising.down_and_up(project)
    project.db("downgrade").assert_ok()
    refused(project, 2, "a", 2, "NULL")
    refused(project, 2, "b", 1, "NULL")
    refused(project, 2, "b", -1, "NULL")


def test_a_convention_that_comes_later_changes_nothing_and_finds_what_is_there(any_database):
    project = any_database
    convention = older(project)
    project.model("thing", FULL)
    revising.applied(project)
    revising.execute(project, ROW.format(1, "a", 1, "NULL"))
    (project.package / "extensions.py").write_text(convention)
    for _ in range(2):
        revising.assert_nothing_left(project)
    project.db("schema").assert_ok()  # where the names stand that the history gives from now on
    project.db("check").assert_ok()


def test_a_convention_that_comes_later_drops_what_has_no_name_on_sqlite(bare):
    convention = older(bare)
    bare.model("thing", FULL)
    revising.applied(bare)
    revising.execute(bare, ROW.format(1, "a", 1, "NULL"))
    (bare.package / "extensions.py").write_text(convention)
    bare.model("thing", EMPTY)
    revising.applied(bare)
    revising.execute(bare, ROW.format(2, "a", -1, 77).replace("77", "NULL"))
    revising.assert_nothing_left(bare)
    revising.execute(bare, "DELETE FROM thing WHERE id > 1")
    revising.down_and_up(bare)


TABLE = "CREATE TABLE t (id INTEGER NOT NULL, a INTEGER UNIQUE, b INTEGER, UNIQUE (b, a), PRIMARY KEY (id))"


def columns():
    return sa.Column("a", sa.Integer), sa.Column("b", sa.Integer)


@pytest.mark.parametrize("convention", [True, False])
def test_a_unique_that_sqlite_has_without_a_name_is_the_model_s(sqlite_bench, convention):
    given = {} if convention else {"convention": None}
    sqlite_bench.run(TABLE)
    both = model(*columns(), sa.UniqueConstraint("a"), sa.UniqueConstraint("b", "a"), **given)
    assert sqlite_bench.changes(both) == ["pass"]
    one = model(*columns(), sa.UniqueConstraint("b", "a"), **given)
    lines = sqlite_bench.changes(one)
    assert [line.count("drop_constraint") for line in lines] == [0, 1], lines
    sqlite_bench.apply(one, sqlite_bench.code[0])
    assert sqlite_bench.changes(one) == ["pass"]
    sqlite_bench.run("INSERT INTO t (a, b) VALUES (1, 1), (1, 2)")
    assert sqlite_bench.changes(model(*columns(), **given)) != ["pass"]


def test_a_unique_without_a_name_stays_when_its_columns_change_places(bench):
    def said(*names):
        columns = (sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))
        return model(*columns, sa.UniqueConstraint(*names), convention=None)

    bench.create(said("a", "b"))
    assert bench.changes(said("b", "a")) == ["pass"]


def test_a_column_that_goes_takes_its_unique_along(sqlite_bench):
    sqlite_bench.run(TABLE)
    less = model(sa.Column("b", sa.Integer), convention=None)
    assert sqlite_bench.changes(less)[1:] == [
        "batch_op.drop_constraint(batch_op.f('uq_t_b_a'), type_='unique')",
        "batch_op.drop_constraint(batch_op.f('uq_t_a'), type_='unique')",
        "batch_op.drop_column('a')",
    ]
    sqlite_bench.apply(less, sqlite_bench.code[0])
    assert sqlite_bench.changes(less) == ["pass"]


def test_two_that_cannot_be_told_apart_are_a_sentence(sqlite_bench):
    sqlite_bench.run(
        "CREATE TABLE t (id INTEGER NOT NULL, a INTEGER CHECK (a > 0) CHECK (a < 9), PRIMARY KEY (id))"
    )
    one = model(sa.Column("a", sa.Integer), sa.CheckConstraint("a > 0"), convention=None)
    with pytest.raises(CommandError, match="give it a name by hand"):
        sqlite_bench.changes(one)


def unnamed():
    return [
        sa.UniqueConstraint("a"),
        sa.CheckConstraint("a > 0"),
        sa.CheckConstraint("a > 1"),
        sa.ForeignKeyConstraint(["b"], ["t.id"]),
    ]


def test_a_foreign_key_without_a_name_is_replaced_by_one_of_the_name_it_would_have(bench, recwarn):
    def keyed(**options):
        key = sa.ForeignKeyConstraint(["b"], ["t.id"], **options)
        return model(*columns(), key, convention=None)

    bench.create(keyed())
    for lines in bench.written(keyed(ondelete="CASCADE")):
        assert "None" not in "".join(lines).replace("schema=None", "")
    assert not any("directive" in str(warning.message) for warning in recwarn)
    up, down = bench.code
    bench.apply(keyed(ondelete="CASCADE"), up)
    assert bench.changes(keyed(ondelete="CASCADE")) == ["pass"], up
    bench.apply(keyed(), down)
    assert bench.changes(keyed()) == ["pass"], down


def test_what_is_new_gets_a_name_by_which_its_downgrade_drops_it(bench, recwarn):
    before = model(*columns(), convention=None)
    bench.create(before)
    after = model(*columns(), *unnamed(), convention=None)
    _, downgrade = bench.written(after)
    assert not any("directive" in str(warning.message) for warning in recwarn)
    dropped = [line for line in downgrade if "drop_constraint" in line]
    assert len(dropped) == 4 and not any("None" in line for line in dropped), dropped
    up, down = bench.code
    bench.apply(after, up)
    assert bench.changes(after) == ["pass"], up
    bench.apply(before, down)
    if bench.kind not in ("mysql", "mariadb"):  # which keep the index of a key that is undone
        assert bench.changes(before) == ["pass"], down


def test_what_is_new_gets_no_name_that_an_earlier_migration_gave(bench):
    def models(steps):
        a, b = sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, unique=True)
        checks = [sa.CheckConstraint(text) for text in ("a > 1", "a < 99", "a <> 7")[:steps]]
        keys = [sa.ForeignKeyConstraint(["a"], [to]) for to in ("t.id", "t.b")[:steps]]
        return model(a, b, *checks, *keys, convention=None)

    bench.create(models(0))
    for steps in (1, 2, 3):
        wanted = models(steps)
        bench.written(wanted)
        up, down = bench.code
        bench.apply(wanted, up)
        assert bench.changes(wanted) == ["pass"], up
        bench.apply(models(steps - 1), down)
        if bench.kind not in ("mysql", "mariadb"):  # which keep the index of a key that is undone
            assert bench.changes(models(steps - 1)) == ["pass"], down
        bench.apply(wanted, up)


def test_an_index_of_a_key_without_a_name_comes_and_goes(bench):
    def keyed(**options):
        a, b = sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, **options)
        return model(a, b, sa.ForeignKeyConstraint(["b"], ["t.id"]), convention=None)

    bench.round_trip(keyed(), keyed(index=True), "create_index")


@pytest.mark.parametrize("unique", [("a",), ("id", "a"), ("a", "b")])
def test_a_unique_without_a_name_comes_back_with_its_column(bench, unique):
    a, b = (sa.Column(name, sa.Integer) for name in "ab")
    before = model(a, b, sa.UniqueConstraint(*unique), convention=None)
    bench.round_trip(before, model(sa.Column("b", sa.Integer), convention=None), "drop_column")


@pytest.mark.one_of_each
@pytest.mark.parametrize("more", [", index=True)", ", ondelete='CASCADE')"])
def test_a_change_of_a_key_without_a_name_is_proved(any_database, more):
    project = any_database
    older(project)
    plain = "id: Mapped[int] = mapped_column(primary_key=True)\n"
    parent = "parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey('thing.id'))"
    project.model("thing", plain + parent)
    revising.applied(project)
    at = "'))" if "index" in more else "')"
    project.model("thing", plain + parent.replace(at, at[:-1] + more))
    revising.applied(project)
    revising.assert_nothing_left(project)
    revising.down_and_up(project)


def test_a_key_without_a_name_changes_its_type_in_a_table_that_is_renamed(any_database):
    older(any_database)

    def models(label, kind):
        number = f"mapped_column(sa.{kind}"
        any_database.model("thing", f"id: Mapped[int] = {number}, primary_key=True)")
        link = f"thing_id: Mapped[int | None] = {number}, sa.ForeignKey('thing.id'))"
        path = any_database.model("link", f"{revising.KEY}{link}")
        path.write_text(path.read_text().replace("'link'", f"{label!r}"))

    models("amount", "SmallInteger")
    revising.applied(any_database)
    models("label", "Integer")
    revising.applied(any_database, "-x", "rename=amount:label")
    revising.down_and_up(any_database)
