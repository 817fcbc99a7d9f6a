"""What the migrations of public applications do, each in a small one of our own."""

import sqlalchemy as sa
from sqlalchemy import orm

TABLES = """
CREATE TABLE person (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20));
CREATE TABLE letter (
    id INTEGER NOT NULL PRIMARY KEY, person_id INTEGER, rating INTEGER,
    FOREIGN KEY(person_id) REFERENCES person (id)
);
INSERT INTO person VALUES (1, 'Ada'), (2, NULL);
INSERT INTO letter VALUES (1, 1, 5), (2, NULL, NULL);
"""
KEYS = "SELECT \"from\", on_delete FROM pragma_foreign_key_list('letter') ORDER BY id"


def test_a_foreign_key_that_could_not_be_dropped_gets_another_one_beside_it(bench):
    bench.make(TABLES)

    def change(op):
        assert op.get_bind().engine.dialect.name == "sqlite"
        with op.batch_alter_table("letter", schema=None) as batch:
            batch.create_foreign_key(
                batch.f("fk_letter_person"), "person", ["person_id"], ["id"], ondelete="CASCADE"
            )

    bench.migrate(change)
    assert sorted(bench.rows(KEYS)) == [("person_id", "CASCADE"), ("person_id", "NO ACTION")]
    with_names = sa.MetaData(naming_convention={"fk": "fk_%(table_name)s_%(column_0_name)s"})

    def drop_both(op):
        with op.batch_alter_table("letter") as batch:
            batch.drop_constraint("fk_letter_person_id", type_="foreignkey")
            batch.drop_constraint("fk_letter_person", type_="foreignkey")

    bench.migrate(drop_both, target_metadata=with_names)
    assert bench.rows(KEYS) == []


def test_a_column_is_added_filled_by_the_orm_and_made_not_null(bench):
    bench.make(TABLES)

    class Base(orm.DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str | None]
        slug: orm.Mapped[str | None]

    def change(op):
        op.add_column("person", sa.Column("slug", sa.String(), nullable=True))
        op.create_index(op.f("ix_person_slug"), "person", ["slug"], unique=False)
        session = orm.Session(bind=op.get_bind())
        for person in session.scalars(sa.select(Person)):
            person.slug = (person.name or "nobody").lower()
        session.commit()
        with op.batch_alter_table("person") as batch:
            batch.alter_column("slug", existing_type=sa.String(), nullable=False)
            batch.create_unique_constraint("uq_person_slug", ["slug"])

    bench.migrate(change)
    assert bench.rows("SELECT slug FROM person") == [("ada",), ("nobody",)]
    assert "slug VARCHAR NOT NULL" in bench.sql("person").replace('"', "")
    assert bench.sql("ix_person_slug")


def test_keys_are_made_outside_of_a_batch_and_without_a_name(bench):
    bench.make(TABLES)

    def change(op):
        op.add_column("person", sa.Column("best_id", sa.Integer(), nullable=True))
        op.create_foreign_key(None, "person", "letter", ["best_id"], ["id"], ondelete="SET NULL")
        op.create_unique_constraint(None, "person", ["name"])

    bench.migrate(change)
    assert "FOREIGN KEY(best_id) REFERENCES letter (id) ON DELETE SET NULL" in bench.sql("person")
    bench.run("UPDATE person SET best_id = 1 WHERE id = 1")
    bench.run("DELETE FROM letter WHERE id = 1")
    assert bench.rows("SELECT best_id FROM person") == [(None,), (None,)]


def test_whole_numbers_become_others_and_come_back(bench):
    bench.make(TABLES)
    before = bench.dump()

    def rating(type_, existing):
        def change(op):
            with op.batch_alter_table("letter") as batch:
                batch.alter_column("rating", existing_type=existing, type_=type_)

        return change

    bench.migrate(rating(sa.Float(), sa.Integer()))
    assert bench.rows("SELECT rating, typeof(rating) FROM letter") == [
        (5.0, "real"),
        (None, "null"),
    ]
    bench.migrate(rating(sa.Integer(), sa.Float()))
    assert bench.dump() == before


def test_a_migration_looks_at_the_database_by_an_engine_of_its_own(bench):
    bench.make(TABLES)
    seen = []

    def change(op):
        op.add_column("person", sa.Column("slug", sa.String()))
        engine = sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool)
        seen.extend(sa.inspect(engine).get_table_names())

    bench.migrate(change)
    assert seen == ["letter", "person"]
