"""Models of every kind: whatever SQLAlchemy's ``create_all`` makes of them a migration has to make too."""

import enum

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql, postgresql, sqlite

ANIMALS = []
EVERYWHERE = ("sqlite", "postgresql", "mysql")


def taken(item, **options):
    """Those options of a dialect that the installed SQLAlchemy takes: some came with 2.0.37 to 2.0.41."""
    known = {
        f"{kind.__name__.split('.')[-1]}_{name}"
        for kind in (sqlite, postgresql, mysql)
        for name in dict(kind.dialect.construct_arguments).get(item) or ()
    }
    return {name: value for name, value in options.items() if name in known}


def animal(*kinds):
    """Register a function that adds tables to a MetaData, for some kinds of database."""

    def register(make):
        ANIMALS.append((make, kinds or EVERYWHERE))
        return make

    return register


def fill(metadata, kind, without=()):
    """Add every table that this kind of database can have.

    :param without: the names of functions of this module
    """
    for make, kinds in ANIMALS:
        if kind in kinds and make.__name__ not in without:
            make(metadata)


def key(**options):
    return Column("id", Integer, primary_key=True, **options)


@animal()
def mutual_keys_with_use_alter(m: MetaData):
    Table("keeper", m, key(), Column("pet_id", ForeignKey("pet.id", use_alter=True)))
    Table("pet", m, key(), Column("keeper_id", ForeignKey("keeper.id"), index=True))


@animal()
def mutual_keys_with_names_of_their_own(m: MetaData):
    Table(
        "aviary",
        m,
        key(),
        Column("bird_id", Integer),
        sa.ForeignKeyConstraint(
            ["bird_id"],
            ["bird.id"],
            name="favourite",
            use_alter=True,
            ondelete="SET NULL",
            onupdate="CASCADE",
        ),
    )
    Table("bird", m, key(), Column("aviary_id", ForeignKey("aviary.id", name="home")))


@animal()
def mutual_keys_without_a_word(m: MetaData):
    Table("ring_a", m, key(), Column("b_id", ForeignKey("ring_b.id")))
    Table("ring_b", m, key(), Column("c_id", ForeignKey("ring_c.id")))
    Table("ring_c", m, key(), Column("a_id", ForeignKey("ring_a.id"), nullable=False))
    Table("ring_d", m, key(), Column("a_id", ForeignKey("ring_a.id")))


@animal()
def mutual_keys_of_two_columns(m: MetaData):
    Table(
        "left",
        m,
        Column("a", Integer, primary_key=True, autoincrement=False),
        Column("b", String(5), primary_key=True),
        Column("right_a", Integer),
        Column("right_b", String(5)),
        sa.ForeignKeyConstraint(["right_a", "right_b"], ["right.a", "right.b"], use_alter=True),
    )
    Table(
        "right",
        m,
        Column("a", Integer, primary_key=True, autoincrement=False),
        Column("b", String(5), primary_key=True),
        sa.ForeignKeyConstraint(["a", "b"], ["left.a", "left.b"]),
    )


@animal()
def a_key_to_itself(m: MetaData):
    Table(
        "node",
        m,
        key(),
        Column("parent_id", ForeignKey("node.id", use_alter=True), index=True),
        Column("root_id", ForeignKey("node.id", ondelete="CASCADE")),
    )


@animal("sqlite", "postgresql")  # MariaDB's create_all fails at the name that the convention gives
def checks_of_columns(m: MetaData):
    Table(
        "scale",
        m,
        key(),
        Column("a", Integer, sa.CheckConstraint("a > 0")),
        Column("b", String(9), sa.CheckConstraint("b <> 'x\\:y 5%'"), nullable=False),
        Column("c", Integer, sa.CheckConstraint("c < id")),
        sa.CheckConstraint("a <> 7", name="seven"),
    )


@animal()
def colons(m: MetaData):
    Table(
        "colons",
        m,
        key(),
        Column("a", String(20), server_default=":a b"),
        Column(
            "b",
            Integer,
            sa.Computed("CASE WHEN a = '\\:x y' THEN 1 ELSE 0 END", persisted=True),
        ),
        sa.CheckConstraint("a <> '\\:c d'", name="colon"),
    )


@animal("sqlite", "postgresql")
def named_and_double_checks_of_columns(m: MetaData):
    Table(
        "lock",
        m,
        key(),
        Column("a", Integer, sa.CheckConstraint("a > 0", name="positive")),
        Column("b", Integer, sa.CheckConstraint("b > 0"), sa.CheckConstraint("b < 9")),
        Column("c", Integer, sa.CheckConstraint("c IN (1, 2)", name="few"), server_default="1"),
    )


@animal()
def indexes_of_columns(m: MetaData):
    Table(
        "shelf",
        m,
        key(),
        Column("a", Integer, index=True),
        Column("b", String(20), unique=True),
        Column("c", String(20), index=True, unique=True),
        Column("d", Integer, key="dee"),
        Column("Mixed Case", Integer, index=True),
        Index("ix_shelf_many", "a", "b", "dee"),
        Index("Odd Name", "b", "a", unique=True),
        sa.UniqueConstraint("a", "dee"),
        sa.UniqueConstraint("c", "a", name="pairs"),
    )


@animal("sqlite", "postgresql")
def indexes_on_expressions(m: MetaData):
    t = Table(
        "drawer",
        m,
        key(),
        Column("name", String(40)),
        Column("other", String(40)),
        Column("size", Integer),
        Index("uq_drawer_text", sa.text("lower(name)"), unique=True),
        Index("ix_drawer_two", sa.text("lower(other)"), "size"),
        Index("ix_drawer_desc", sa.text("size DESC")),
        Index("ix_drawer_odd", sa.text("(name || '\\:x 5% ''y''')")),
    )
    Index("uq_drawer_func", sa.func.lower(t.c.other), unique=True)
    Index("ix_drawer_sum", t.c.size + 1, t.c.name)
    Index("ix_drawer_order", t.c.size.desc())
    Index("ix_drawer_nested", sa.func.coalesce(sa.func.upper(t.c.name), "it's"))
    where = t.c.size > 5
    Index("ix_drawer_part", t.c.name, sqlite_where=where, postgresql_where=where)
    where = sa.and_(t.c.other != "x:y 5%", t.c.size.isnot(None))
    Index(
        "uq_drawer_part",
        sa.func.lower(t.c.name),
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )


@animal("sqlite")
def indexes_of_sqlite(m: MetaData):
    t = Table("box", m, key(), Column("name", String(40)), Column("n", Integer))
    Index("ix_box_collated", sa.collate(t.c.name, "NOCASE"))
    Index("ix_box_text", sa.text("name COLLATE NOCASE DESC"), "n")


@animal("postgresql")
def indexes_of_postgresql(m: MetaData):
    t = Table(
        "crate",
        m,
        key(),
        Column("name", String(40)),
        Column("data", postgresql.JSONB),
        Column("n", Integer),
        Column("tags", postgresql.ARRAY(Text)),
        sa.UniqueConstraint("n", name="no_nulls", postgresql_nulls_not_distinct=True),
        sa.UniqueConstraint(
            "name", name="with_more", **taken(sa.UniqueConstraint, postgresql_include=["n"])
        ),
    )
    Index("ix_crate_gin", "data", postgresql_using="gin", postgresql_ops={"data": "jsonb_path_ops"})
    Index("ix_crate_tags", "tags", postgresql_using="gin")
    Index("ix_crate_like", "name", postgresql_ops={"name": "varchar_pattern_ops"})
    Index("ix_crate_cover", "name", postgresql_include=["n"])
    Index("ix_crate_nulls", "n", unique=True, postgresql_nulls_not_distinct=True)
    Index("ix_crate_with", "n", postgresql_with={"fillfactor": 50})
    Index("ix_crate_hash", "name", postgresql_using="hash")
    Index("ix_crate_last", t.c.n.desc().nulls_last())
    Index("ix_crate_path", t.c.data["a"]["b"].astext)
    Index(
        "ix_crate_labelled",
        sa.func.lower(t.c.name).label("low"),
        postgresql_ops={"low": "text_pattern_ops"},
    )
    Index("ix_crate_brin", "n", postgresql_using="brin", postgresql_with={"pages_per_range": 4})


@animal("postgresql")
def a_collation_of_an_index(m: MetaData):
    t = Table("case", m, key(), Column("name", String(40)))
    Index("ix_case_collated", sa.collate(t.c.name, "C"))


@animal("mysql")
def indexes_of_mariadb(m: MetaData):
    Table(
        "trunk",
        m,
        key(),
        Column("name", String(40)),
        Column("body", Text),
        Column("n", Integer),
        Index("ix_trunk_body", "body", mysql_length=10),
        Index("ix_trunk_two", "name", "body", mysql_length={"name": 5, "body": 7}),
        Index("ix_trunk_words", "body", mysql_prefix="FULLTEXT"),
        Index("ix_trunk_tree", "n", mysql_using="btree"),
    )


@animal()
def generated_columns(m: MetaData):
    Table(
        "sum",
        m,
        key(),
        Column("a", Integer),
        Column("stored", Integer, sa.Computed("a + 1", persisted=True), index=True),
    )


@animal("sqlite", "mysql")
def virtual_columns(m: MetaData):
    Table(
        "mirage",
        m,
        key(),
        Column("a", Integer),
        Column("virtual", Integer, sa.Computed("a * 2", persisted=False)),
        Column("silent", Integer, sa.Computed("a * 3")),
    )


@animal()
def comments(m: MetaData):
    Table(
        "label",
        m,
        key(comment="the number"),
        Column("a", String(9), comment='it\'s 5% of "all" \\ :x\nand more'),
        comment="a table's 5% \\ :comment\nof two lines",
    )


@animal()
def actions_of_foreign_keys(m: MetaData):
    Table("parent", m, key(), Column("code", String(5), unique=True), Column("n", Integer))
    Table(
        "child",
        m,
        key(),
        Column("a", ForeignKey("parent.id", ondelete="CASCADE", onupdate="RESTRICT")),
        Column("b", ForeignKey("parent.code", ondelete="SET NULL"), index=True),
        Column("c", ForeignKey("parent.id", ondelete="RESTRICT", name="by_hand"), nullable=False),
    )


@animal("sqlite", "postgresql")
def foreign_keys_that_wait(m: MetaData):
    Table(
        "waiting",
        m,
        key(),
        Column("a", ForeignKey("parent.id", deferrable=True, initially="DEFERRED")),
        Column("b", ForeignKey("parent.id", deferrable=True, initially="IMMEDIATE")),
        Column("c", ForeignKey("parent.id", deferrable=False)),
        Column("d", ForeignKey("parent.id", match="FULL")),
        Column(
            "e", ForeignKey("waiting.id", use_alter=True, deferrable=True, initially="DEFERRED")
        ),
    )


@animal("postgresql")
def constraints_of_postgresql(m: MetaData):
    Table(
        "rule",
        m,
        Column("a", Integer, autoincrement=False),
        Column("b", Integer),
        Column("c", Integer),
        sa.PrimaryKeyConstraint("b", "a", deferrable=True, initially="DEFERRED"),
        sa.UniqueConstraint("a", deferrable=True, initially="IMMEDIATE"),
        sa.ForeignKeyConstraint(["c"], ["parent.id"], name="later", postgresql_not_valid=True),
        sa.CheckConstraint("a > 1", name="unlooked", postgresql_not_valid=True),
    )
    Table(
        "covering",
        m,
        Column("a", Integer, autoincrement=False),
        Column("b", Integer),
        sa.PrimaryKeyConstraint(
            "a", name="key_of_covering", **taken(sa.PrimaryKeyConstraint, postgresql_include=["b"])
        ),
    )


@animal("postgresql")
def what_no_two_rows_may_share(m: MetaData):
    Table(
        "booking",
        m,
        key(),
        Column("span", postgresql.INT4RANGE),
        postgresql.ExcludeConstraint(("span", "&&"), name="apart", where=sa.text("id > 5")),
    )


@animal()
def primary_keys(m: MetaData):
    Table("by_word", m, Column("word", String(9), primary_key=True))
    Table("big", m, Column("id", sa.BigInteger, primary_key=True))
    Table("small", m, Column("id", sa.SmallInteger, primary_key=True))
    Table("own_number", m, Column("id", Integer, primary_key=True, autoincrement=False))
    Table(
        "turned",
        m,
        Column("a", Integer, nullable=False, autoincrement=False),
        Column("b", String(4), nullable=False),
        sa.PrimaryKeyConstraint("b", "a", name="a_key_of_its_own"),
    )
    Table("no_key", m, Column("a", Integer), Column("b", Integer, nullable=False))


@animal("postgresql", "mysql")
def a_number_within_a_key_of_two(m: MetaData):
    Table(
        "counted",
        m,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("b", Integer, primary_key=True),
    )


class Mood(enum.Enum):
    good = 1
    bad = 2


@animal()
def enums(m: MetaData):
    mood = sa.Enum(Mood, name="mood")
    Table("today", m, key(), Column("mood", mood, nullable=False), Column("two", mood))
    Table("tomorrow", m, key(), Column("mood", mood, server_default="good"))
    Table(
        "words",
        m,
        key(),
        Column("plain", sa.Enum("a", "it's", name="plain", native_enum=False)),
        Column(
            "checked",
            sa.Enum("a", "x:y", "5%", name="checked", native_enum=False, create_constraint=True),
        ),
        Column("flag", sa.Boolean(create_constraint=True, name="flag"), nullable=False),
    )


@animal("postgresql")
def enums_of_postgresql(m: MetaData):
    Table(
        "palette",
        m,
        key(),
        Column("one", postgresql.ENUM("r", "g", name="colour")),
        Column("many", postgresql.ARRAY(postgresql.ENUM("r", "g", name="colour"))),
        Column("other", postgresql.ARRAY(sa.Enum("x", "it's", name="sign"))),
    )


@animal()
def inherited_tables(m: MetaData):
    Table("animal", m, key(), Column("type", String(20), index=True))
    Table(
        "dog",
        m,
        Column("id", Integer, ForeignKey("animal.id"), primary_key=True),
        Column("bark", String(20)),
    )
    Table("puppy", m, Column("id", Integer, ForeignKey("dog.id"), primary_key=True))


@animal()
def an_association(m: MetaData):
    Table("tag", m, key(), Column("name", String(20), unique=True, nullable=False))
    Table(
        "dog_tag",
        m,
        Column("dog_id", ForeignKey("dog.id", ondelete="CASCADE"), primary_key=True, index=True),
        Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True, index=True),
        Column("no", Integer, index=True),
    )


@animal()
def odd_names(m: MetaData):
    Table(
        "Order 66",
        m,
        key(),
        Column("select", Integer, index=True),
        Column("it's", String(5), unique=True),
        Column("50% off", Integer),
        Column("Größe", Integer),
        Column("parent", ForeignKey("Order 66.id")),
    )


@animal("sqlite")
def options_of_sqlite(m: MetaData):
    strict = taken(Table, sqlite_strict=True)
    Table("strict", m, key(), Column("a", Text), **strict)
    Table("flat", m, Column("a", Text, primary_key=True), sqlite_with_rowid=False)
    Table("both", m, Column("a", Text, primary_key=True), sqlite_with_rowid=False, **strict)
    Table("never_again", m, key(), Column("a", Text), sqlite_autoincrement=True)
    Table(
        "conflict",
        m,
        Column("id", Integer, primary_key=True, sqlite_on_conflict_primary_key="REPLACE"),
        Column("a", Integer, nullable=False, sqlite_on_conflict_not_null="FAIL"),
        Column("b", Integer, unique=True, sqlite_on_conflict_unique="IGNORE"),
        Column("c", Integer),
        sa.UniqueConstraint("b", "c", sqlite_on_conflict="ABORT"),
        sa.CheckConstraint("c > 1", name="one", sqlite_on_conflict="FAIL"),
    )
    Table(
        "conflict_two",
        m,
        Column("a", Integer),
        Column("b", Integer),
        sa.PrimaryKeyConstraint("a", "b", sqlite_on_conflict="REPLACE"),
    )
    Table("nocase", m, key(), Column("a", String(9, collation="NOCASE"), index=True))


@animal("postgresql")
def options_of_postgresql(m: MetaData):
    Table("thin", m, key(), Column("a", Text), **taken(Table, postgresql_with={"fillfactor": 70}))
    Table("in_c", m, key(), Column("a", String(9, collation="C"), index=True))
    Table("spaced", m, key(), postgresql_tablespace="pg_default")


@animal("postgresql")
def a_table_that_inherits(m: MetaData):
    Table("giver", m, key(), Column("a", Text))
    Table("heir", m, Column("more", Integer), postgresql_inherits="giver")


@animal("postgresql")
def a_table_that_is_not_logged(m: MetaData):
    Table("scratch", m, key(), prefixes=["UNLOGGED"])


@animal("postgresql")
def a_table_in_parts(m: MetaData):
    Table(
        "parted",
        m,
        Column("id", Integer, primary_key=True, autoincrement=False),
        postgresql_partition_by="RANGE (id)",
    )


@animal("mysql")
def options_of_mariadb(m: MetaData):
    Table("isam", m, key(), Column("a", String(9)), mysql_engine="MyISAM")
    Table(
        "swedish",
        m,
        key(),
        Column("a", String(9)),
        Column("b", mysql.VARCHAR(9, charset="ascii", collation="ascii_bin")),
        Column("c", String(9, collation="utf8mb4_bin"), index=True),
        mysql_charset="latin1",
        mysql_collate="latin1_swedish_ci",
        mysql_row_format="DYNAMIC",
    )
    Table("packed", m, key(), mysql_row_format="COMPRESSED", mysql_key_block_size="8")
    Table(
        "types",
        m,
        Column("id", mysql.BIGINT(unsigned=True), primary_key=True),
        Column("n", mysql.INTEGER(unsigned=True, zerofill=True, display_width=6)),
        Column("stamp", mysql.TIMESTAMP(fsp=3), nullable=False, server_default=sa.func.now(3)),
        Column(
            "touched",
            sa.TIMESTAMP,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"),
        ),
        Column("e", mysql.ENUM("a", "it's")),
        Column("s", mysql.SET("a", "b")),
        Column("t", mysql.LONGTEXT(collation="utf8mb4_bin")),
        Column("j", sa.JSON, nullable=False),
    )


@animal("postgresql")
def identities(m: MetaData):
    Table("always", m, Column("id", Integer, sa.Identity(always=True), primary_key=True))
    Table(
        "from_forty",
        m,
        Column("id", sa.BigInteger, sa.Identity(start=40, increment=2), primary_key=True),
        Column("n", Integer, sa.Identity(on_null=False, cycle=True, maxvalue=99)),
    )


@animal("postgresql")
def schemas(m: MetaData):
    Table(
        "event",
        m,
        key(),
        Column("parent_id", ForeignKey("parent.id"), index=True),
        Column("mood", sa.Enum("up", "down", name="mood2", schema="audit")),
        schema="audit",
    )
    Table(
        "entry",
        m,
        key(),
        Column("event_id", ForeignKey("audit.event.id", use_alter=True), unique=True),
        schema="audit",
    )
