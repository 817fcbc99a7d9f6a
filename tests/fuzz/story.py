"""One application's life: models, a migration, rows, a change, its migration, up, again, down, up.

Every command is the real one, in a process of its own. What it must do is judged by the database's
own catalogue beside one that `create_all()` makes of the same models, and by the rows.
"""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from random import Random
from typing import Any

import databases
import kept_rows
import looks
import revising
import sqlalchemy as sa
import written
from change import Marks
from drawn import Schema
from projects import Answer, Project
from sqlalchemy.exc import OperationalError

HEADER = (
    "import datetime\nimport decimal\nimport uuid\n\nimport sqlalchemy as sa\n"
    "from sqlalchemy.dialects.postgresql import JSONB\nfrom sqlalchemy.orm import mapped_column\n\n"
)
IMPORT = "from my_app.extensions import db\nfrom my_app.shouted import Shouted\n\n\n"
# a type of the application's own
SHOUTED = """from sqlalchemy import String, TypeDecorator


class Shouted(TypeDecorator):
    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value.upper()
"""
# what may stop newmigration where the rows that are there may not fit
REFUSALS = [
    "fails its proof in the step 'upgrade': line",
    # a column that gets NOT NULL with a value, and becomes unique as well
    "is unique, and .* would stand in every row that needs a value",
]
# the second says of SQLite's models what SQLite does not show: JSONB, an Enum without a CHECK
NOTHING = ("there is nothing to migrate", "The rest of the models and the history agree: no file")

NOBODYS = "would refer to nothing|violates foreign key|foreign key constraint fails"


class Fault(AssertionError):
    """Something that must not happen.

    :param stage: where it happened
    """

    def __init__(self, stage: str, said: str) -> None:
        super().__init__(f"{stage}: {said}")
        self.stage = stage
        self.said = said


class Refused(Exception):
    """A command refused what may be refused."""


class Halfway(Refused):
    """What was refused in the middle ends the story, where nothing is undone: on MySQL, and online."""


class Story:
    """An application with its database.

    :param fresh: makes an empty database and gives its URL, for what create_all() makes
    """

    def __init__(self, project: Project, dialect: str, fresh: Callable[[], Any]) -> None:
        self.project = project
        self.dialect = dialect
        self.fresh = fresh
        self.commands: list[str] = []
        self.file = ""
        self.said = ""
        self.convention = True
        self.conf = project.path / "etc" / "conf" / "dev.conf"
        self.settings = self.conf.read_text()
        self.online = False

    @property
    def undoes(self) -> bool:
        """Whether a revision that fails leaves nothing behind."""
        return self.dialect == "sqlite" or (self.dialect == "postgresql" and not self.online)

    def begin(self, schema: Schema, random: Random) -> None:
        """Empty the project, make the first migration of the models, and rows."""
        for folder in (self.project.versions, self.project.path / "var"):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.project.package / "migrations" / "schema", ignore_errors=True)
        self.conf.write_text(f"{self.settings}\nZERO_DOWNTIME = {self.online}\n")
        self.models(schema)
        self.migrate("the first migration", [])
        self.db("the first upgrade", "upgrade")
        self.compare("schema after the first upgrade", self.look(), self.made(schema))
        self.nothing("a second migration after the first")
        self.well("status after the first upgrade", random)
        kept_rows.add(schema, self.metadata(schema), self.engine(), random)

    def change(self, before: Schema, after: Schema, marks: Marks, random: Random) -> bool:
        """Change the models from one schema to another; return whether that came to be."""
        look, rows = self.look(), looks.rows(self.engine(), before)
        files = revising.files(self.project)
        self.models(after)
        try:
            arguments = self.answers(marks)
            if marks.asked and random.random() < 0.4:
                arguments = self.suggested(marks)
                # what may be NULL until now is not asked for
                marks.narrow |= not all(f"fill={n}:" in " ".join(arguments) for n in marks.fills)
            wrote = self.migrate("migrate", arguments, marks.narrow)
            cut = self.cut(before, after, marks)
            marks.lost |= cut
            marks.narrow |= bool(cut)  # rows that hold such values stop it
            if wrote:
                self.upgrade(marks, look)
        except Refused as refused:
            if not self.undoes and "db upgrade" in self.commands[-1:]:
                raise Halfway(str(refused)) from refused
            for name in revising.files(self.project) - files:
                (self.project.versions / name).unlink()
            self.models(before)
            self.db("the schema file after a refusal", "schema")
            self.compare("schema after a refusal", self.look(), look)
            self.same("rows after a refusal", rows, looks.rows(self.engine(), before), Marks(0))
            return False
        wanted = self.made(after)
        self.compare("schema after the upgrade", self.look(), wanted)
        self.well("status after the upgrade", random)
        then = looks.rows(self.engine(), after)
        self.same("rows after the upgrade", rows, then, marks)
        self.nothing("a second migration")
        if wrote:
            self.back(before, look, rows, marks)
            self.db("the upgrade after the downgrade", "upgrade")
            self.compare("schema after up, down, up", self.look(), wanted)
        return True

    def cut(self, before: Schema, after: Schema, marks: Marks) -> set[tuple[int, int]]:
        """The columns of which newmigration said that a server cuts values to the new type."""
        found = set()
        for uid, column in marks.loose if self.dialect != "sqlite" else ():
            tables = [t for t in [*before.tables, *after.tables] if t.uid == uid]
            names = {f"{t.name}.{c.name}" for t in tables for c in t.columns if c.uid == column}
            said = (rf" {re.escape(name)}(:| from) .*loses data\]" for name in names)
            if any(re.search(line, self.said) for line in said):
                found.add((uid, column))
        return found

    def upgrade(self, marks: Marks, look: dict[str, Any]) -> None:
        answer = self.db("upgrade", "upgrade", code=None)
        if answer.code == 0:
            return
        if not marks.narrow:
            raise Fault("upgrade", answer.said)
        raise Refused(answer.said)

    def back(self, before: Schema, look: dict[str, Any], rows: dict, marks: Marks) -> None:
        """Undo the migration."""
        answer = self.db("downgrade", "downgrade", code=None)
        if answer.code:
            # a key that is gone, and a value for its NULLs that no row of the other table has
            nobodys = marks.filled and re.search(NOBODYS, answer.said)
            if nobodys or "# irreversible because" in self.file:
                if not self.undoes:
                    raise Halfway(answer.said)
                return
            raise Fault("downgrade", answer.said)
        self.compare("schema after the downgrade", self.look(), look)
        marks = Marks(0, lost=marks.lost, loose=marks.loose, filled=marks.filled)
        self.same("rows after the downgrade", rows, looks.rows(self.engine(), before), marks)

    # commands

    def db(self, stage: str, *arguments: str, code: int | None = 0) -> Answer:
        """Run a command; what is no sentence for a person is a fault."""
        answer = self.project.db(*arguments)
        self.commands.append(" ".join(["db", *arguments]))
        said = answer.said
        for word in ("Traceback", "Warning", "[SQL:", "(sqlite3.", "(psycopg.", "(pymysql."):
            if word in said:
                raise Fault(f"{stage} (says {word})", said)
        errors = [line for line in answer.err.splitlines() if line.startswith("Error: ")]
        if answer.code not in (0, 1) or len(errors) != answer.code:
            raise Fault(f"{stage} (exit code {answer.code})", said)
        if code is not None and answer.code != code:
            raise Fault(stage, said)
        return answer

    def well(self, stage: str, random: Random) -> None:
        """Let status compare the database with what the run left, or without a log with the schema file."""
        if random.random() < 0.5:
            with self.engine().connect() as connection:
                connection.exec_driver_sql("DELETE FROM alembic_log")
                connection.commit()
        answer = self.project.db("status", "--json")
        self.commands.append("db status")
        if answer.code not in (0, 3) or "Traceback" in answer.said:
            raise Fault(stage, answer.said)
        (found,) = json.loads(answer.out)
        if found["drift"]["found"] or found["drift"]["against"] is None:
            raise Fault(stage, answer.said)

    def migrate(self, stage: str, arguments: list[str], narrow: bool = False) -> bool:
        """Run newmigration; return whether it wrote a file.

        :raises Refused: when it says what it may say
        """
        before = revising.files(self.project)
        self.file = ""
        answer = self.db(stage, "migrate", *arguments, code=None)
        new = revising.files(self.project) - before
        self.said = answer.said
        for name in new:
            self.file = (self.project.versions / name).read_text()
        if answer.code:
            if narrow and any(re.search(pattern, answer.said) for pattern in REFUSALS):
                raise Refused(answer.said)
            # the proof saw what the lint had said
            held = re.search(r"in the step 'upgrade': (.+?) held ", answer.said)
            if held and re.search(rf" {re.escape(held[1])} from .*loses data\]", answer.said):
                raise Refused(answer.said)
            raise Fault(stage, answer.said)
        if not new and not any(words in answer.err for words in NOTHING):
            raise Fault(stage, answer.said)
        return bool(new)

    def suggested(self, marks: Marks) -> list[str]:
        """The answers that newmigration says to type when it is given none for a column."""
        stage, files = "migrate without an answer", revising.files(self.project)
        arguments = [part for part in self.answers(marks) if not part.startswith("fill=")]
        arguments = [part for part in arguments if part != "-x"]
        answer = self.db(stage, "migrate", "-x", *arguments, code=1)
        if revising.files(self.project) != files:
            raise Fault(stage, "a file was written")
        typed = re.search(r"type make newmigration (.*) \(after the colon", answer.err)
        if typed is None:
            raise Fault(stage, answer.said)
        return [part for word in shlex.split(typed[1]) for part in ("-x", word)]

    def nothing(self, stage: str) -> None:
        """A migration that finds nothing to do."""
        answer = self.db(stage, "migrate")
        if not any(words in answer.err for words in NOTHING):
            raise Fault(stage, answer.said + self.newest())

    def check(self) -> None:
        """What was proved when it was written is proved when it is checked."""
        answer = self.db("check", "check", code=None)
        agree = "the models and the history agree" in answer.said
        if not (agree or "does not hold this" in answer.said) or "proof" in answer.err:
            raise Fault("check", answer.said)

    def newest(self) -> str:
        files = sorted(self.project.versions.glob("*.py"), key=lambda path: path.stat().st_mtime)
        return files[-1].read_text() if files else ""

    def answers(self, marks: Marks) -> list[str]:
        """The answers of a person who knows what was changed."""
        renames = [f"{old}:{new}" for old, new in marks.renames.items()]
        arguments = ["-x", "rename=" + ",".join([*renames, "none"])]
        for name, text in marks.fills.items():
            arguments += ["-x", f"fill={name}:{text}"]
        return arguments

    # the database

    def engine(self) -> sa.Engine:
        return revising.engine(self.project)

    def look(self) -> dict[str, Any]:
        return looks.schema(self.engine(), self.convention)

    def models(self, schema: Schema) -> None:
        self.text = written.source(schema)
        self.project.write(f"{self.project.module}/shouted.py", SHOUTED)
        file = f"{self.project.module}/models/everything.py"
        self.project.write(file, HEADER + IMPORT + self.text)
        self.extensions(schema)

    def extensions(self, schema: Schema) -> None:
        """Say whether the models have a naming convention."""
        path = self.project.package / "extensions.py"
        given, none = "MetaData(naming_convention=naming_convention)", "MetaData()"
        text = path.read_text().replace(given, none)
        path.write_text(text.replace(none, given) if schema.convention else text)
        self.convention = schema.convention

    def metadata(self, schema: Schema) -> sa.MetaData:
        """The models as the application has them, in this process."""
        extensions = self.project.package / "extensions.py"
        names: dict[str, Any] = {"__name__": "models", "__file__": str(extensions)}
        exec(extensions.read_text(), names)
        exec(SHOUTED, names)
        exec(HEADER + written.source(schema), names)
        return names["db"].metadata

    def made(self, schema: Schema) -> dict[str, Any]:
        """What an empty database looks like after create_all()."""
        with self.fresh() as url:
            engine = databases.engine(url)
            try:
                self.metadata(schema).create_all(engine)
            except OperationalError as error:
                # SQLAlchemy adds keys in no order, and to MariaDB one that refers to a primary key in another
                # order than its own can be added only after the key that brings the index for it
                if "errno: 150" in str(error):
                    raise Halfway(str(error)) from error
                raise
            return looks.schema(engine, schema.convention)

    # judging

    def compare(self, stage: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        different = looks.differences(found, wanted)
        if different:
            raise Fault(stage, "\n".join(different))

    def same(self, stage: str, before: dict, after: dict, marks: Marks) -> None:
        """Compare the rows of the columns that both have."""
        for said in kept_rows.differences(before, after, marks):
            raise Fault(stage, said)
