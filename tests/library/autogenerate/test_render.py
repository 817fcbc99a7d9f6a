"""A migration imports what it uses: custom types, other packages', and each database's own."""

import databases
import pytest
import revising
from revising import KEY

KINDS = '''
import enum

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator, UserDefinedType


class Mood(enum.Enum):
    good = 1
    bad = 2


class Plain(TypeDecorator):
    impl = sa.String(30)
    cache_ok = True


class Money(TypeDecorator):
    """Its repr holds the arguments of the type underneath, and not its own."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, currency, digits=2):
        self.currency = currency
        self.digits = digits
        super().__init__(10, digits)


class Sealed(TypeDecorator):
    """Its argument is nobody's business."""

    impl = sa.String
    cache_ok = True

    def __init__(self, secret_key, length=50):
        self.secret_key = secret_key
        super().__init__(length)


class Listed(TypeDecorator):
    """Its argument is no literal."""

    impl = sa.String(12)
    cache_ok = True

    def __init__(self, words):
        self.words = words
        super().__init__()


class Code(sa.String):
    pass


class Point(UserDefinedType):
    cache_ok = True

    def __init__(self, width=20):
        self.width = width

    def get_col_spec(self, **kw):
        return f"CHAR({self.width})"
'''
EVERYWHERE = (
    "plain: Mapped[str | None] = mapped_column(Plain)\n"
    "money: Mapped[float | None] = mapped_column(Money('EUR', 3))\n"
    "sealed: Mapped[str | None] = mapped_column(Sealed('hush'))\n"
    "listed: Mapped[str | None] = mapped_column(Listed(['a', 'b']))\n"
    "code: Mapped[str | None] = mapped_column(Code(7))\n"
    "point: Mapped[str | None] = mapped_column(Point(9))\n"
    "either: Mapped[str | None] = mapped_column(Code(7).with_variant(Plain(), 'mysql'))\n"
    "other: Mapped[str | None] = mapped_column(sa.String(9).with_variant(Code(9), 'sqlite'))\n"
    "mood: Mapped[Mood | None]\n"
    "word: Mapped[str | None] = mapped_column(sa.Enum('a', 'it\\'s', name='word', native_enum=False))\n"
    "pickle: Mapped[object | None] = mapped_column(sa.PickleType)\n"
    "span: Mapped[object | None] = mapped_column(sa.Interval)\n"
    "uuid: Mapped[object | None] = mapped_column(sa.Uuid)\n"
    "raw: Mapped[bytes | None] = mapped_column(sa.LargeBinary)\n"
    "mail: Mapped[str | None] = mapped_column(sqlalchemy_utils.EmailType)\n"
    "ident: Mapped[object | None] = mapped_column(sqlalchemy_utils.UUIDType(binary=False))\n"
    "choice: Mapped[object | None] = mapped_column(sqlalchemy_utils.ChoiceType([('a', 'A')]))\n"
    "link: Mapped[object | None] = mapped_column(sqlalchemy_utils.URLType)\n"
)
OWN = {
    "sqlite": "blob: Mapped[dict | None] = mapped_column(sqlite.JSON)\n",
    "postgresql": (
        "tags: Mapped[list | None] = mapped_column(postgresql.ARRAY(sa.String(9)))\n"
        "monies: Mapped[list | None] = mapped_column(postgresql.ARRAY(Money('USD'), dimensions=2))\n"
        "codes: Mapped[list | None] = mapped_column(sa.ARRAY(Code(5)))\n"
        "lists: Mapped[list | None] = mapped_column(sa.ARRAY(Listed(['[', '('])))\n"
        "facts: Mapped[dict | None] = mapped_column(postgresql.JSONB)\n"
        "span2: Mapped[object | None] = mapped_column(postgresql.INT4RANGE)\n"
        "net: Mapped[object | None] = mapped_column(postgresql.INET)\n"
        "search: Mapped[object | None] = mapped_column(postgresql.TSVECTOR)\n"
        "moods: Mapped[list | None] = mapped_column(postgresql.ARRAY(sa.Enum('x', 'y', name='xy')))\n"
    ),
    "mysql": (
        "tiny: Mapped[int | None] = mapped_column(mysql.TINYINT(unsigned=True))\n"
        "long: Mapped[str | None] = mapped_column(mysql.LONGTEXT(charset='utf8mb4'))\n"
        "year: Mapped[int | None] = mapped_column(mysql.YEAR)\n"
        "set: Mapped[object | None] = mapped_column(mysql.SET('a', 'b'))\n"
        "enum: Mapped[str | None] = mapped_column(mysql.ENUM('a', 'b'))\n"
    ),
}


def test_a_table_of_every_type_is_written_so_that_it_runs(any_database):
    url = any_database.env.get("DEV_DATABASE_URL", "sqlite:")
    kind = url.partition(":")[0]
    any_database.write("my_app/kinds.py", KINDS)
    imports = (
        "import sqlalchemy_utils\n"
        f"from sqlalchemy.dialects import {kind}\n"
        "from my_app.kinds import Code, Listed, Money, Mood, Plain, Point, Sealed\n"
    )
    any_database.model("thing", KEY, imports)
    revising.applied(any_database)
    any_database.model("thing", KEY + EVERYWHERE + OWN[kind], imports)
    any_database.model("other", KEY + EVERYWHERE + OWN[kind], imports)
    text = revising.applied(any_database).read_text()
    assert "hush" not in text
    assert "import my_app.kinds\n" in text and "import sqlalchemy_utils\n" in text
    assert "my_app.kinds.Money(currency='EUR', digits=3)" in text
    assert "sqlalchemy_utils.UUIDType(binary=False)" in text
    revising.down_and_up(any_database)


def test_a_type_of_ones_own_that_stores_something_else_is_said_and_then_a_migration(any_database):
    any_database.write("my_app/kinds.py", KINDS)
    any_database.model(
        "thing",
        KEY + "plain: Mapped[str | None] = mapped_column(Plain)\n",
        "from my_app.kinds import Plain\n",
    )
    first = any_database.new_migration()
    any_database.db("upgrade").assert_ok()
    revising.execute(any_database, "INSERT INTO thing (plain) VALUES ('a')")
    any_database.replace("my_app/kinds.py", "sa.String(30)", "sa.String(60)")
    for command in ("migrate", "check"):
        said = any_database.db(command).said
        assert "thing.plain is " in said and "my_app.kinds.Plain stores something else" in said
    first.write_text(first.read_text().replace("my_app.kinds.Plain(length=30)", "sa.String(30)"))
    revising.applied(any_database)
    assert revising.columns(any_database, "thing")["plain"]["type"].length == 60
    revising.down_and_up(any_database)
    assert "stores something else" not in any_database.db("check").assert_ok().said


def test_a_type_of_ones_own_that_a_migration_by_hand_has_followed_is_said_until_db_schema(bare):
    bare.write("my_app/kinds.py", KINDS)
    plain = KEY + "plain: Mapped[str | None] = mapped_column({})\n"
    bare.model("thing", plain.format("Plain"), "from my_app.kinds import Plain\n")
    first = bare.new_migration().name.split("_")[0]
    alter = "batch.alter_column('plain', type_=sa.String(60))"
    bare.replace("my_app/kinds.py", "sa.String(30)", "sa.String(60)")
    bare.migration("h1", first, f"with op.batch_alter_table('thing') as batch:\n    {alter}")
    assert "a migration has changed the column since, type db schema." in bare.db("migrate").said
    bare.db("schema").assert_ok()
    assert "stores something else" not in bare.db("migrate").assert_ok().said


ENUMS = {
    "nothing of its own": "",
    "members in Python": (
        "    def process_bind_param(self, value, dialect):\n        return value and Mood[value]\n"
    ),
    "values of its own": (
        "    def process_bind_param(self, value, dialect):\n        return value and value.name\n"
    ),
}
MOODS = """
import enum

import sqlalchemy as sa


class Mood(enum.Enum):
    good = 1
    bad = 2


class Felt(sa.TypeDecorator):
    impl = sa.Enum
    cache_ok = True

    def __init__(self):
        super().__init__(Mood, name="mood")

"""


@pytest.mark.some(2)
@pytest.mark.parametrize("way", ENUMS)
def test_an_enum_within_a_type_of_ones_own_gets_its_values_on_postgresql(
    way, new_project, postgresql_server
):
    project = new_project(starter="bare", database="postgresql")
    project.write("my_app/kinds.py", MOODS + ENUMS[way])
    mood = "mood: Mapped[object | None] = mapped_column(Felt)\n"
    loose = mood.replace("mood:", "loose:").replace("Felt", "Felt()")
    imports = "from my_app.kinds import Felt\n"
    with databases.fresh(postgresql_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.model("thing", KEY + mood, imports)
        revising.applied(project)
        project.replace("my_app/kinds.py", "bad = 2", "bad = 2\n    so_so = 3")
        project.model("thing", KEY + mood + loose, imports)
        revising.applied(project)
        revising.execute(project, "INSERT INTO thing (mood, loose) VALUES ('good', 'so_so')")
        revising.assert_nothing_left(project)


def test_an_enum_whose_schema_is_said_is_compared_on_postgresql(new_project, postgresql_server):
    project = new_project(starter="bare", database="postgresql")
    mood = (
        "mood: Mapped[str | None] = mapped_column(sa.Enum('a', name='mood', schema='public'))\n"
        "ready: Mapped[bool | None]\n"
        "word: Mapped[str | None] = mapped_column(sa.Enum('x', name='word', native_enum=False))\n"
    )
    with databases.fresh(postgresql_server) as url:
        project.env["DEV_DATABASE_URL"] = url
        project.model("thing", KEY + mood)
        revising.applied(project)
        revising.assert_nothing_left(project)
        project.model("thing", KEY + mood.replace("'a'", "'a', 'b'"))
        revising.applied(project)
        revising.execute(project, "INSERT INTO thing (mood) VALUES ('b')")
        revising.assert_nothing_left(project)


def test_a_type_that_cannot_be_written_is_a_sentence(bare):
    bare.write(
        "my_app/kinds.py",
        KINDS
        + "\nclass Odd(Point):\n    def __init__(self, how):\n        super().__init__(how())\n",
    )
    bare.model(
        "thing",
        KEY + "odd: Mapped[str | None] = mapped_column(Odd(lambda: 3))\n",
        "from my_app.kinds import Odd\n",
    )
    bare.db("migrate").assert_one_sentence("my_app.kinds.Odd", "__repr__")
    assert not list(bare.versions.glob("*.py"))
