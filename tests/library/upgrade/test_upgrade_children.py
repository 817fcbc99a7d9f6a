"""SQLite deletes the children of a table that is rebuilt, unless foreign keys are off before BEGIN."""

import sys

from sqlite_contents import contents, rows

from .families import REBUILD

CHILDREN = ("cascaded", "nulled", "restricted", "tree")

# what the application does, after it has migrated in its own process
IN_THE_APPLICATION = """
import flask_migrate
from my_app import create_app
from my_app.extensions import db

with create_app("dev.conf").app_context() as context:
    db.session.execute(db.text("SELECT 1"))
    db.session.commit()
    flask_migrate.upgrade()
    print(db.session.execute(db.text("PRAGMA foreign_keys")).scalar())
    try:
        db.session.execute(db.text("INSERT INTO nulled VALUES (9, 99)"))
        db.session.commit()
    except db.exc.IntegrityError as error:
        print(error.orig)
"""


def test_children_survive_a_rebuild_of_their_parent(family):
    family.migration("f2", "f1", REBUILD)
    before = contents(family.database)
    family.db("upgrade").assert_ok()
    after = contents(family.database)
    assert before["schema"] != after["schema"], "nothing was rebuilt"
    for table in CHILDREN:
        assert after[table] == before[table], table
    assert after["parent"] == before["parent"]
    assert rows(family.database, "PRAGMA foreign_key_check") == []


def test_the_keys_of_a_rebuilt_parent_still_do_their_work(family):
    family.migration("f2", "f1", REBUILD)
    family.db("upgrade").assert_ok()
    rows(family.database, "DELETE FROM restricted")
    rows(family.database, "DELETE FROM parent WHERE id = 1")
    rows(family.database, "DELETE FROM tree WHERE id = 1")
    assert rows(family.database, "SELECT id FROM cascaded") == [(3,)]
    assert rows(family.database, "SELECT parent_id FROM nulled ORDER BY id") == [
        (None,),
        (None,),
        (2,),
    ]
    assert rows(family.database, "SELECT id FROM tree") == []


def test_the_application_checks_foreign_keys_after_it_migrated_in_its_own_process(family):
    family.migration("f2", "f1", REBUILD)
    answer = family.warm(sys.executable, "-c", IN_THE_APPLICATION).assert_ok()
    assert answer.out.split("\n")[:2] == ["1", "FOREIGN KEY constraint failed"]
    assert len(rows(family.database, "SELECT * FROM cascaded")) == 3
