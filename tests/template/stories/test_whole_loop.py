"""From a model to a changed, undone and rebuilt database, on each of the three."""

import clients

KIND = """id: Mapped[int] = mapped_column(primary_key=True)
name: Mapped[str] = mapped_column(sa.String(40), unique=True)
"""
ITEM = """id: Mapped[int] = mapped_column(primary_key=True)
kind_id: Mapped[int] = mapped_column(sa.ForeignKey("kind.id", ondelete="CASCADE"), index=True)
title: Mapped[str] = mapped_column(sa.String(80))
old: Mapped[str | None] = mapped_column(sa.String(20))
done: Mapped[bool] = mapped_column(default=False)
made: Mapped[datetime] = mapped_column(server_default=sa.func.now())
more: Mapped[dict | None] = mapped_column(sa.JSON)
price: Mapped[float] = mapped_column(sa.Numeric(10, 2), server_default="0")
"""
CHANGED = (
    ITEM.replace("old: Mapped[str | None] = mapped_column(sa.String(20))\n", "").replace(
        "sa.String(80))", "sa.String(200), index=True)"
    )
    + "note: Mapped[str | None] = mapped_column(sa.Text)\n"
    + "picture: Mapped[bytes | None]\n"
)
# each statement in one of the ways that a migration has, with text that is easily mangled
DATA = r"""from datetime import datetime
kind = sa.table("kind", sa.column("id", sa.Integer), sa.column("name", sa.String))
item = sa.table(
    "item", sa.column("id", sa.Integer), sa.column("kind_id", sa.Integer),
    sa.column("title", sa.String), sa.column("done", sa.Boolean), sa.column("note", sa.Text),
    sa.column("made", sa.DateTime), sa.column("more", sa.JSON), sa.column("price", sa.Numeric),
    sa.column("picture", sa.LargeBinary),
)
op.bulk_insert(kind, [{"id": 7, "name": "it's 100%\t\\n"}, {"id": 8, "name": ":colon; -- Ü€"}])
bind = op.get_bind()
bind.execute(sa.insert(kind), [{"id": 9, "name": "nine"}, {"id": 10, "name": "ten"}])
bind.execute(
    sa.text(
        "INSERT INTO item (id, kind_id, title, done, note, price)"
        " VALUES (:id, :kind, :title, :done, :note, :price)"
    ),
    {"id": 3, "kind": 7, "title": "a 'b' \\ \"c\" %s", "done": True, "note": None, "price": 1.5},
)
bind.execute(
    sa.insert(item).values(kind_id=8, price=2),
    {"id": 4, "title": "four", "done": False, "note": "x", "more": {"a": [1, None, "é\\"]}},
)
bind.execute(sa.update(item).where(item.c.id == sa.bindparam("which")), {"which": 3, "note": "a\tb"})
op.execute(sa.text("UPDATE item SET made = :made WHERE id > 2").bindparams(made=datetime(2026, 1, 2, 3)))
op.bulk_insert(item, [
    {"id": 5, "kind_id": 8, "title": "five", "done": False, "price": 5, "more": None,
     "picture": bytes(range(256)), "made": datetime(2026, 1, 1)},
])
op.execute("DELETE FROM kind WHERE name LIKE 'te%'")"""

UNDONE = """op.execute("DELETE FROM item WHERE kind_id > 6")
op.execute("DELETE FROM kind WHERE id > 6")"""


def step(project, url, twin, command="upgrade"):
    """Run a command, and feed what it says with --sql to the twin: both end the same."""
    sql = project.db(command, "--sql").assert_ok()
    clients.feed(twin, sql.out)
    project.db(command).assert_ok()
    assert clients.dump(url) == clients.dump(twin)


def test_a_model_becomes_a_database_and_changes_with_it(any_database, url, twin):
    project = any_database
    project.model("kind", KIND)
    project.model("item", ITEM)
    first = project.new_migration()
    assert "create kind and item" in first.read_text()
    step(project, url, twin)
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
    for each in (url, twin):
        clients.run(
            each,
            "INSERT INTO kind (id, name) VALUES (1, 'one')",
            "INSERT INTO item (id, kind_id, title, old, done) VALUES (1, 1, 'first', 'gone', '1')",
            "UPDATE item SET made = '2026-01-01 10:00:00'",
        )

    project.model("item", CHANGED)
    second = project.new_migration("-x", "rename=none")
    project.migration("aaaa00000003", second.name[:12], DATA, UNDONE)
    assert clients.rows(url, "SELECT old FROM item") == [("gone",)]  # writing changes no database
    step(project, url, twin)
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
    assert clients.rows(url, "SELECT title, note FROM item WHERE id = 3") == [
        ("a 'b' \\ \"c\" %s", "a\tb")
    ]
    assert clients.rows(url, "SELECT name FROM kind WHERE id = 8") == [(":colon; -- Ü€",)]

    step(project, url, twin, "downgrade")
    step(project, url, twin, "downgrade")
    assert clients.rows(url, "SELECT title, old FROM item") == [("first", None)]

    rebuilt = project.db("rebuild").assert_ok()
    assert "is fresh: at aaaa00000003" in rebuilt.err
    assert clients.rows(url, "SELECT count(*) FROM item") == [(3,)]
    assert "nothing to migrate" in project.db("migrate").assert_ok().err
