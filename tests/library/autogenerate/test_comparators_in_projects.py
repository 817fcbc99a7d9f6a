"""Through `db migrate`, as a person meets it, on the three databases."""

import databases
import pytest
import revising

MODEL = """
id: Mapped[int] = mapped_column(primary_key=True)
price: Mapped[int] = mapped_column(server_default="0")
state: Mapped[str] = mapped_column(
    sa.Enum("new", "it's", name="state", native_enum=False, create_constraint=True)
)
note: Mapped[str | None] = mapped_column(sa.String(40), server_default="100% a:b 'x'")
done: Mapped[bool] = mapped_column(server_default=sa.false())
extra: Mapped[dict | None] = mapped_column(sa.JSON)
made: Mapped[datetime] = mapped_column(server_default=sa.func.now())
twice: Mapped[int] = mapped_column(sa.Computed("price * 2"), nullable=True)
__table_args__ = (sa.CheckConstraint("price >= 0 AND note <> 'x:y 5%'"),)
"""
CHANGES = {
    "price >= 0": "price >= 1",
    '"new", "it\'s"': '"new", "old", "it\'s"',
    "100% a:b": "%(x)s :y",
    "price * 2": "price * 3",
}


def test_each_change_is_written_once_and_the_second_migration_is_empty(any_database):
    project = any_database
    project.model("offer", MODEL)
    project.new_migration("-m", "offers")
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
    model = MODEL
    for old, new in CHANGES.items():
        assert old in model
        model = model.replace(old, new)
    project.model("offer", model)
    text = project.new_migration("-m", "changes").read_text()
    for words in ("create_check_constraint", "drop_constraint", "server_default", "sa.Computed"):
        assert words in text, text
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
    project.configure(
        ZERO_DOWNTIME=False
    )  # what it finds in rewritten tables is for the lint's tests
    project.db("check").assert_ok()
    project.db("upgrade").assert_ok()
    project.db("downgrade").assert_ok()
    project.db("upgrade").assert_ok()
    assert "nothing to migrate" in project.db("migrate").assert_ok().err


ITEM = """
id: Mapped[int] = mapped_column(primary_key=True)
made: Mapped[datetime] = mapped_column(server_default=sa.func.now())
done: Mapped[bool] = mapped_column(server_default=sa.false())
"""
MOOD = 'mood: Mapped[str{}] = mapped_column(sa.Enum("sad", "fine", name="mood"){})\n'
GOES = """
raw: Mapped[bytes | None]
open: Mapped[bool] = mapped_column(server_default=sa.true())
seen: Mapped[datetime | None]
"""
FEELING = 'class Feeling(sa.TypeDecorator):\n    impl = sa.Enum("a", "b", name="feeling")\n'
WAS = "was: Mapped[str | None] = mapped_column(Feeling)\n"
OPTIONAL = (
    ITEM + MOOD.format(" | None", "") + "key: Mapped[sa.Uuid | None] = mapped_column(sa.Uuid)\n"
)


def test_a_history_written_on_sqlite_agrees_with_its_models_on_a_server(bare, server_url):
    """An enum, a UUID, a boolean's default and now() are others there than SQLite says."""
    there = {"DEV_DATABASE_URL": server_url}
    bare.model("item", ITEM)
    bare.new_migration("-m", "made")
    bare.model("item", OPTIONAL + GOES + WAS, FEELING)
    bare.new_migration("-m", "more")
    bare.db("upgrade", **there).assert_ok()
    bare.model("note", "id: Mapped[int] = mapped_column(primary_key=True)\n" + MOOD.format("", ""))
    wanted = OPTIONAL.replace(" | None", "").replace(
        'name="mood")', 'name="mood"), server_default="sad"'
    )
    wanted = wanted.replace("sa.Uuid)", 'sa.Uuid, server_default="0" * 32)')
    bare.model("item", wanted + WAS.replace("was", "felt"), FEELING)
    bare.new_migration("-m", "less", "-x", "rename=item.was:felt,none")
    bare.db("upgrade", **there).assert_ok()
    assert "nothing to migrate" in bare.db("migrate", **there).assert_ok().err
    bare.db("downgrade", "--yes", "--", "-1", **there).assert_ok()


def test_a_partial_index_autoincrement_and_a_collation_on_sqlite(bare):
    bare.model("note", "id: Mapped[int] = mapped_column(primary_key=True)\ntext: Mapped[str]")
    bare.new_migration()
    bare.model(
        "note",
        "id: Mapped[int] = mapped_column(primary_key=True)\n"
        'text: Mapped[str] = mapped_column(sa.String(collation="NOCASE"))\n'
        "__table_args__ = (\n"
        '    sa.Index("ix_note_lower", sa.text("lower(text)"), sqlite_where=sa.text("id > 5")),\n'
        '    {"sqlite_autoincrement": True},\n'
        ")",
    )
    text = bare.new_migration().read_text()
    for words in ("create_index", "lower(text)", "id > 5", "sqlite_autoincrement", "NOCASE"):
        assert words in text, text
    assert "nothing to migrate" in bare.db("migrate").assert_ok().err
    for command in ("upgrade", "downgrade", "upgrade", "check", "rebuild"):
        bare.db(command).assert_ok()
    bare.model(
        "note",
        "id: Mapped[int] = mapped_column(primary_key=True)\n"
        "text: Mapped[str]\n"
        '__table_args__ = (sa.CheckConstraint("id > 0"),)',
    )
    bare.db("rebuild").assert_ok()  # make db puts the same changes in without a file
    bare.new_migration()
    assert "nothing to migrate" in bare.db("migrate").assert_ok().err


def test_one_of_two_rules_that_say_the_same_goes_and_comes_back(any_database):
    def model(*names):
        rules = [f"sa.CheckConstraint('price > 0', name={name!r})" for name in names]
        return (
            "id: Mapped[int] = mapped_column(primary_key=True)\nprice: Mapped[int]\n"
            f"__table_args__ = ({', '.join(rules)},)\n"
        )

    any_database.model("offer", model("a", "b"))
    revising.applied(any_database)
    any_database.model("offer", model("b"))
    revising.applied(any_database)
    revising.down_and_up(any_database)


def test_a_generated_column_becomes_a_foreign_key(any_database):
    body = revising.KEY + (
        "parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey('note.id'))\n"
        "same = mapped_column(sa.Integer, sa.Computed('parent_id * 1', persisted=True){})\n"
    )
    any_database.model("note", body.format(""))
    revising.applied(any_database)
    any_database.model("note", body.format(", sa.ForeignKey('note.id')"))
    revising.applied(any_database)
    revising.down_and_up(any_database)


@pytest.mark.some(2)
@pytest.mark.parametrize("computed, parent", [("o", "note"), ("o + 1", "note"), ("o", "person")])
def test_a_generated_column_becomes_an_ordinary_foreign_key(
    new_project, postgresql_server, computed, parent
):
    with databases.fresh(postgresql_server) as url:
        project = new_project(starter="bare", database="postgresql")
        project.env["DEV_DATABASE_URL"] = url
        body = f"{revising.KEY}o: Mapped[int | None]\nn: Mapped[int | None] = mapped_column("
        project.model("note", f"{body}sa.Computed('{computed}', persisted=True))\n")
        revising.applied(project)
        revising.execute(project, "INSERT INTO note (o) VALUES (NULL)")
        if parent == "person":
            project.model("person", revising.KEY)
        project.model("note", f"{body}sa.ForeignKey('{parent}.id'))\n")
        revising.applied(project)
        revising.down_and_up(project)


def test_what_sqlite_wrote_lets_a_column_that_others_are_computed_from_have_another_type(
    new_project, postgresql_server
):
    with databases.fresh(postgresql_server) as url:
        projects = [new_project(starter="bare"), new_project(starter="bare", database="postgresql")]
        projects[1].env["DEV_DATABASE_URL"] = url
        body = (
            revising.KEY + "o: Mapped[int | None] = mapped_column(sa.{})\n"
            "n: Mapped[int | None] = mapped_column(sa.Computed('o + 1', persisted=True))\n"
        )
        heads = []
        for project in projects:
            project.model("note", body.format("Integer"))
            heads.append(revising.applied(project).name.split("_")[0])
            revising.execute(project, "INSERT INTO note (o) VALUES (7)")
        projects[0].model("note", body.format("BigInteger"))
        written = revising.applied(projects[0])
        again = projects[1].versions / written.name
        again.write_text(written.read_text().replace(*heads))
        projects[1].model("note", body.format("BigInteger"))
        projects[1].db("upgrade").assert_ok()
        for project in projects:
            assert revising.rows(project, "SELECT o, n FROM note") == [(7, 8)]
            revising.down_and_up(project)


@pytest.mark.parametrize("source, name", [("int", "other"), ("int | None", "same")])
def test_a_generated_column_becomes_one_that_may_not_be_null(any_database, source, name):
    body = f"{revising.KEY}o: Mapped[{source}]\n"
    computed = "same = mapped_column(sa.Integer, sa.Computed('o + 1', persisted=True))\n"
    any_database.model("note", body + computed)
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (o) VALUES (7)")
    kept = "server_default='3', comment='c'"
    any_database.model("note", f"{body}{name}: Mapped[int] = mapped_column({kept})\n")
    revising.applied(any_database, *(["-x", "rename=note.same:other"] if name == "other" else []))
    assert revising.rows(any_database, f"SELECT o, {name} FROM note") == [(7, 8)]
    revising.down_and_up(any_database)


@pytest.mark.parametrize("filled", [[], ["-x", "fill=note.word:x"]])
def test_a_generated_column_comes_and_goes_while_its_source_gets_another_type(any_database, filled):
    before = revising.KEY + (
        "o: Mapped[int | None]\n"
        "first = mapped_column(sa.Integer, sa.Computed('o + 1', persisted=True), index=True)\n"
    )
    after = revising.KEY + (
        "o: Mapped[int | None] = mapped_column(sa.BigInteger)\n"
        "second = mapped_column(sa.BigInteger, sa.Computed('o * 2', persisted=True), index=True)\n"
    )
    any_database.model("note", before)
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (o) VALUES (7)")
    word = "word: Mapped[str] = mapped_column(sa.String(5))\n"
    any_database.model("note", after + (word if filled else ""))
    revising.applied(any_database, "-x", "rename=none", *filled)
    assert revising.rows(any_database, "SELECT o, second FROM note") == [(7, 14)]
    revising.down_and_up(any_database)


def test_a_generated_column_gets_another_type(any_database):
    body = f"{revising.KEY}o: Mapped[int | None]\n" + (
        "twice = mapped_column(sa.{}, sa.Computed('o * 2', persisted=True), index=True)\n"
    )
    any_database.model("note", body.format("Integer"))
    revising.applied(any_database)
    revising.execute(any_database, "INSERT INTO note (o) VALUES (7)")
    any_database.model("note", body.format("BigInteger"))
    revising.applied(any_database)
    assert revising.rows(any_database, "SELECT o, twice FROM note") == [(7, 14)]
    revising.down_and_up(any_database)
