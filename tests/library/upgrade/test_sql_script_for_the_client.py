"""What `--sql` prints is for the server's own program, which has ideas of its own."""

import clients
import databases
from sqlalchemy import make_url

TABLE = """op.create_table(
    "thing", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer)
)
"""
TRIGGER = """op.execute("CREATE TRIGGER twice BEFORE INSERT ON thing FOR EACH ROW "
           "BEGIN SET NEW.a = 1; SET NEW.a = NEW.a + 1; END;")
op.execute("INSERT INTO thing (id) VALUES (1)")"""
FUNCTION = """op.execute("CREATE FUNCTION two() RETURNS trigger AS $$ BEGIN NEW.a = 1; NEW.a = NEW.a + 1; "
           "RETURN NEW; END; $$ LANGUAGE plpgsql;")
op.execute("CREATE TRIGGER twice BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION two()")
op.execute("INSERT INTO thing (id) VALUES (1)")"""


def test_a_trigger_with_semicolons_in_it_arrives_whole(new_project, server, server_url):
    kind = make_url(server_url).get_backend_name()
    project = new_project(starter="bare", database=kind)
    project.env["DEV_DATABASE_URL"] = server_url
    title = project.migration(
        "aaaa00000001", None, TABLE + (TRIGGER if kind == "mysql" else FUNCTION)
    )
    # a title may go on for several lines
    title.write_text(title.read_text().replace("by hand", "by hand\nDROP TABLE thing;"))
    with databases.fresh(server) as twin:
        clients.feed(twin, project.db("upgrade", "--sql").assert_ok().out)
        project.db("upgrade").assert_ok()
        assert clients.rows(twin, "SELECT id, a FROM thing") == [(1, 2)]
        assert clients.dump(twin) == clients.dump(server_url)
