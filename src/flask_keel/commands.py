"""The commands `db ...`: those of Flask-Migrate that go through all databases, and ours."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import click
import flask_migrate
import flask_migrate.cli
from alembic.util import CommandError
from flask import current_app, g
from flask.cli import with_appcontext

from . import binds, errors, heads, health, history, loading, multidb, output, urls, waiting
from .compat import purging
from .project import AGREED, PLANNED, Project
from .scratch import databases, servers
from .typing import Options, Value

COMMANDS = dict(flask_migrate.cli.db.commands)
COMMANDS["stamp"] = purging(COMMANDS["stamp"])
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout.")
QUICK = click.Option(
    ["--quick"],
    is_flag=True,
    help="Look at the files alone, without a database: one head, lint of what has changed.",
)


# what a command takes that does one thing with the application's databases
COMMON = [*COMMANDS["check"].params, multidb.OPTION]


@click.command("check", params=[*COMMON, QUICK, JSON])
@with_appcontext
def check(directory: str | None, quick: bool, as_json: bool) -> None:
    """Check the history for CI: one head, equal to the models, linted and proved."""
    from . import check as check_module

    empty: Options = {"head": None, "migrations": [], "schema": None}
    run = check_module.quick if quick else check_module.run
    with output.printed(as_json, empty, errors.of_the_application):
        _require_what_binds_can(quick)
        multidb.in_turn(lambda _: run(_project()), directory, collects=True)


def _require_what_binds_can(quick: bool = False) -> None:
    """Say what is touched by nothing, and stop at a key from one database to another."""
    for said in binds.notes(current_app, binds.home(history.folder())):
        output.say(f"{said}.")
    if not quick and len(multidb.chosen()) > 1:
        multidb.require_own_keys()


@click.command("report", params=[*COMMON])
@click.option(
    "--base",
    metavar="REF",
    help="Compare with where this branch left that branch or commit, in the place of the main branch.",
)
@click.option("--markdown", is_flag=True, help="Write it for GitHub, as the summary of a job.")
@with_appcontext
def report(directory: str | None, base: str | None, markdown: bool) -> None:
    """Say what the branch does to the schema: operations, SQL, lint and proof of each new migration."""
    from . import report as report_module

    write = report_module.markdown if markdown else report_module.plain

    def run(_: str | None) -> None:
        click.echo(write(report_module.of(_project(), base)), nl=False)

    multidb.in_turn(run, directory)


@click.command("status", params=[*COMMON, JSON])
@with_appcontext
def status(directory: str | None, as_json: bool) -> None:
    """Say what is applied, pending, not generated, changed by hand or edited afterwards."""
    from . import status as status_module

    empty = status_module.Status("", []).facts()
    with (
        output.printed(as_json, empty, errors.of_the_application, several=True),
        output.quiet_alembic(),
    ):
        _require_what_binds_can(quick=True)
        for name in binds.left_out(current_app):
            output.say(f"{name} is left out (Keel's binds=): no command touches it.")
        codes = multidb.in_turn(lambda _: status_module.run(_project()), directory, collects=True)
        code = status_module.worst(codes)
        if code:
            raise click.exceptions.Exit(code)


@click.command("schema", params=[*COMMON])
@with_appcontext
def schema(directory: str | None) -> None:
    """Write the schema file anew, as the migrations make it."""
    multidb.in_turn(_write_schema, directory)


def _write_schema(_: str | None) -> None:
    from . import catalog

    project = _project()
    file = catalog.path(project.folder, project.dialect)
    with databases.at_head(project) as connection:
        changed = catalog.write(file, catalog.text(connection, project.version_table))
    _say_written(project, file, changed)


def _say_written(project: Project, file: Path, changed: bool) -> None:
    output.say(f"{project.shown(file)} is {'written' if changed else 'as it was'}.")


def _project() -> Project:
    return Project.of(current_app, history.config())


@click.command("diagram", params=[*COMMON])
@with_appcontext
def diagram(directory: str | None) -> None:
    """Draw the models into docs/schema.md."""
    multidb.in_turn(_draw, directory)


def _draw(_: str | None) -> None:
    from . import diagram as diagram_module

    project = _project()
    changed = diagram_module.write(project)
    _say_written(project, diagram_module.path(project), changed)


@click.command("backup", params=[*COMMON])
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="A file, or a folder, in the place of var/backups.",
)
@with_appcontext
def backup(directory: str | None, to: Path | None) -> None:
    """Copy the database, while the application runs."""
    from . import backup as backup_module

    if to is not None and not to.is_dir():
        multidb.only("--to names the file of one copy")

    def run(_: str | None) -> None:
        with servers.interruptible():
            made = backup_module.of(_project()).make(to)
        output.say(f"{_shown()} is copied.")
        click.echo(made)

    multidb.in_turn(run, directory)


@click.command("restore", params=[*COMMON])
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--yes", is_flag=True, help="Replace the database without a question.")
@with_appcontext
def restore(directory: str | None, file: Path | None, yes: bool) -> None:
    """Put a backup in the place of the database: FILE, or the newest. What it replaces is kept."""
    from . import backup as backup_module

    if file is not None:
        multidb.only("A backup is of one database")
    if len(multidb.chosen()) > 1:  # all have one, before the first is replaced
        for bind in binds.migrated(current_app, binds.home(history.folder())):
            backup_module.of(multidb.project(bind)).find()
    multidb.in_turn(
        lambda _: _restore(backup_module.of(_project()), file, yes), directory, moves=True
    )


def _restore(copies: Value, file: Path | None, yes: bool) -> None:
    file = copies.find(file)
    if not yes:
        _agree(copies, file)
    with servers.interruptible():
        kept = copies.restore(file)
    output.say(f"{_shown()} is what {file} holds.")
    if kept:
        output.say(f"What it was before is kept: {kept}")


def _agree(copies: Value, file: Path) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(
            f"restore replaces {_shown()}, and nobody is here to be asked: type db restore --yes "
            f"{shlex.quote(str(file))}."
        )
    output.say(f"{_shown()}: {copies.describe()}")
    output.say(f"{file}: {copies.describe(file)}")
    if not output.agreed("Put the second in the place of the first?"):
        raise CommandError("Stopped at the question: nothing was changed.")


def _shown() -> str:
    return urls.shown(binds.engine(current_app, binds.of(history.folder())).url)


@click.command("shell", params=[*COMMON])
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def shell(directory: str | None, arguments: tuple[str, ...]) -> None:
    """Open the database's own client: sqlite3, psql or mariadb. What stands after -- is handed to it."""
    from . import backup as backup_module

    multidb.only("A shell is of one database")
    project = multidb.project(multidb.chosen()[0])
    with backup_module.of(project).client() as (command, more):
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's
        try:
            ran = subprocess.run([*command, *arguments], env={**os.environ, **more})
        finally:
            signal.signal(signal.SIGINT, before)
    raise click.exceptions.Exit(ran.returncode)


NO_LOG = "{database} has no log that this account may read: db upgrade keeps one from its next run."


@click.command("log", params=[*COMMON, JSON])
@click.option(
    "-n", "number", type=click.IntRange(1, 10**9), default=20, show_default=True, help="How many."
)
@with_appcontext
def log(directory: str | None, as_json: bool, number: int) -> None:
    """Print what was run on the database, the newest last."""
    found: list[Options] = []
    with output.printed(as_json, {}, errors.of_the_application):
        output.add("databases", found)
        multidb.in_turn(lambda _: found.append(_log(as_json, number)), directory)


def _log(as_json: bool, number: int) -> Options:
    from . import log as log_module

    project = _project()
    schema = project.options.get("version_table_schema")

    def look() -> list[Options]:
        with project.reader.connect() as connection:
            return log_module.entries(connection, schema, number)

    entries = waiting.undisturbed(look)
    if not entries:
        output.say(NO_LOG.format(database=project.database))
    elif not as_json:
        click.echo("\n".join(log_module.lines(entries)))
    return {"database": project.database, "log": entries}


REVISION = click.Argument(["revision"], required=False)


@click.command("rebase", params=[*COMMON, REVISION])
@with_appcontext
def rebase(directory: str | None, revision: str | None) -> None:
    """Put one of two heads after the other: REVISION, or the one that is not on the main branch."""
    from . import rebase as rebase_module

    if revision is not None:
        multidb.only("A revision is of the history of one database")

    def run(_: str | None) -> None:
        with heads.claimed(history.folder()):
            rebase_module.run(_project(), revision)

    multidb.in_turn(run, directory)


DRY = click.Option(
    ["--dry-run", "dry"], is_flag=True, help="Change nothing, and say what would be done."
)
UNDO = click.Option(["--undo"], is_flag=True, help="Put Flask-Migrate's own files back.")


@click.command("adopt", params=[*COMMANDS["check"].params, DRY, UNDO])
@with_appcontext
def adopt(directory: str | None, dry: bool, undo: bool) -> None:
    """Let migrations that are there already be run, linted and proved by this library."""
    from . import adopt as adopt_module

    if undo:
        adopt_module.undo()
    else:
        adopt_module.run(dry)


def register() -> None:
    """Let Alembic know the post-write hook ``review``.

    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#post-write-hooks
    """
    from alembic.script import write_hooks

    write_hooks.register("review")(post_write)


def post_write(path: str, options: Mapping[str, str]) -> None:
    """The hook: judge the migration that was just written.

    :raises CommandError: when its proof fails; the file stays
    """
    from . import check as check_module
    from .project import with_new

    project = with_new(_project(), path)
    file = project.shown(path)
    output.say(f"  {output.paint(file, bold=True)}")
    output.add("file", file)
    context = click.get_current_context(silent=True)
    begun = context if context and context.info_name in ("revision", "merge") else None
    if begun and not begun.params.get("autogenerate"):
        output.say(
            "Next: fill in upgrade() and downgrade(), then type make check (db check)."
        )  # nothing is in it yet that could be judged
        return
    check_module.judge_new(project, project.revision_of(path))
    output.say("Next: read the file, then type make migrate (db upgrade).")
    output.add("next", output.as_typed("make migrate"))


@contextmanager
def _written() -> Iterator[None]:
    """Let head.txt follow the migrations that are written inside; none stays where the disk is full."""
    folder = history.folder()
    following = heads.following(folder, history.files)
    with heads.claimed(folder), following, history.migrations():
        yield


@click.command(
    "migrate",
    params=[*COMMANDS["migrate"].params, multidb.OPTION, JSON],
    help=COMMANDS["migrate"].help,
)
@with_appcontext
def migrate(as_json: bool, directory: str | None, **options: Value) -> None:
    typed = options.pop("x_arg") or g.get("x_arg", ())
    given = _as_facts(typed)
    empty: Options = {"operations": [], "answers": given, "file": None, "revision": None}
    empty |= {"findings": [], "proof": None, "schema": None, "next": None}
    with (
        loading.rarely(),  # the models are here by now, and stay
        output.printed(as_json, empty, errors.of_the_application),
        output.quiet_alembic(),
    ):
        _require_what_binds_can()
        answers = multidb.answers(typed)

        def run(folder: str | None) -> None:
            own = answers(binds.of(history.folder()))
            g.x_arg = ()  # who reads both would read twice
            if "empty" in given and "empty" not in _as_facts(own):
                return  # the file without a comparison is one database's
            with _written():
                if conflict := heads.conflict(history.folder()):
                    raise CommandError(f"{conflict}.")
                if own:
                    said = ", ".join(f"{key}={value}" for key, value in _as_facts(own).items())
                    output.say(f"  answered: {said}")
                COMMANDS["migrate"].callback(directory=folder, x_arg=own, **options)

        multidb.in_turn(run, directory, writes=True)
        multidb.say_what_moves(g.get("keel_tables", {}))


def _as_facts(answers: Iterable[str]) -> dict[str, str]:
    return {key: value for key, _, value in (item.partition("=") for item in answers)}


@click.command(
    "revision",
    params=[*COMMANDS["revision"].params, multidb.OPTION],
    help=COMMANDS["revision"].help,
)
@with_appcontext
def revision(directory: str | None, **options: Value) -> None:
    with _on_the_first(directory) as folder, output.quiet_alembic(), _written():
        COMMANDS["revision"].callback(directory=folder, **options)


@contextmanager
def _on_the_first(directory: str | None) -> Iterator[str | None]:
    """Let the command be for the bind that is named, else for the default."""
    first = multidb.chosen()[0]
    if first is None:
        yield directory
        return
    with multidb.on(first) as folder:
        yield folder


def _live() -> str:
    project = _project()

    def look() -> str:
        with project.reader.connect() as connection:
            return ",".join(sorted(project.applied(connection)))

    return waiting.undisturbed(look)


def _probe() -> health.Probe:
    bind = binds.of(history.folder())
    return health.probe(current_app._get_current_object(), bind)  # type: ignore[attr-defined]  # a proxy's


NEWER = click.Option(
    ["--allow-newer"],
    is_flag=True,
    help="Exit with 0 when a newer release has migrated the database already.",
)


OUTPUT = click.Option(
    ["--output", "into"],
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --sql: a folder, into which a file is written for each database.",
)
HEADS = ("head", "heads")


PLAN = click.Option(
    ["--plan"],
    is_flag=True,
    help="Change nothing, and say what would be done, rewritten and lost.",
)
YES = click.Option(["--yes"], is_flag=True, help="Lose what is lost without a question.")
FORESIGHT = [PLAN, JSON, YES]


def _planned(
    run: Callable[..., object],
    plan: bool,
    as_json: bool,
    yes: bool,
    directory: str | None,
    **options: Value,
) -> None:
    """Run a command that moves the database, or have its plan made."""
    if as_json and not plan:
        raise click.UsageError("--json prints a plan: type it with --plan.")
    if plan and options["sql"]:
        raise click.UsageError("--plan and --sql are two things: type one of them.")
    click.get_current_context().meta.update({PLANNED: plan, AGREED: yes})
    empty: Options = {"revisions": [], "asks": False}
    with output.printed(as_json, empty, errors.of_the_application):
        multidb.in_turn(lambda it: run(directory=it, **options), directory, moves=True)
        if plan:
            multidb.say_what_a_run_touches()


@click.command(
    "upgrade",
    params=[*COMMANDS["upgrade"].params, multidb.OPTION, NEWER, OUTPUT, *FORESIGHT],
    help=COMMANDS["upgrade"].help,
)
@with_appcontext
def upgrade(revision: str, into: Path | None, **options: Value) -> None:
    if revision not in HEADS:
        multidb.only("A revision is of the history of one database")
    if options["sql"] and into is None:
        multidb.only("--sql prints the script of one database (--output DIR takes those of all)")
    if into is not None and not options["sql"]:
        raise click.UsageError("--output is where --sql writes: type both.")
    _planned(_into(_upgrade, into), revision=revision, **options)


def _into(run: Callable[..., object], folder: Path | None) -> Callable[..., object]:
    """Let a command write what it prints into a file of the folder, with the name of the database."""
    if folder is None:
        return run

    def written(**options: Value) -> None:
        text = StringIO()
        with redirect_stdout(text):
            run(**options)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{binds.shown(binds.of(history.folder()))}.sql"
        history.replace(file, text.getvalue())
        output.say(f"  {file}")

    return written


def _upgrade(allow_newer: bool, **options: Value) -> object:
    try:
        return COMMANDS["upgrade"].callback(**options)
    except history.UnknownRevision as error:
        state = _probe().look() if allow_newer else None
        if state is None or state.schema != "ahead":
            raise
        output.say(f"{error.where}: it is newer than this release, nothing to do.")
        return None


@click.command("wait", params=[multidb.OPTION])
@click.option("--timeout", default=60.0, show_default=True, help="Seconds.")
@with_appcontext
def wait(timeout: float) -> None:
    """Wait until the database is at the head of this code's history, or ahead of it."""
    ends = time.monotonic() + timeout
    multidb.in_turn(lambda _: _wait(timeout, ends))


def _wait(timeout: float, ends: float) -> None:
    database, told = _shown(), None
    while not (state := _probe().look()).ready:
        said = "does not answer" if state.schema is None else f"is {state.schema}"
        if time.monotonic() >= ends:
            raise CommandError(
                f"{database} still {said} after {timeout:g} s: type db upgrade, or db wait --timeout "
                "with more seconds."
            )
        if said != told:
            output.say(f"{database} {said}: waiting.")
        told = said
        time.sleep(min(0.5, max(0.0, ends - time.monotonic())))
    output.say(f"{database} is {state.schema}.")


@click.command(
    "downgrade",
    params=[*COMMANDS["downgrade"].params, multidb.OPTION, *FORESIGHT],
    help=COMMANDS["downgrade"].help,
)
@with_appcontext
def downgrade(**options: Value) -> None:
    multidb.only("A downgrade is of one database")
    _planned(_downgrade, **options)


def _downgrade(sql: bool, revision: str, **options: Value) -> object:
    if sql and ":" not in revision:
        revision = f"{_live() or 'base'}:{revision}"  # Flask-Migrate would begin at the head
    return COMMANDS["downgrade"].callback(sql=sql, revision=revision, **options)


@click.command(
    "merge", params=[*COMMANDS["merge"].params, multidb.OPTION], help=COMMANDS["merge"].help
)
@with_appcontext
def merge(directory: str | None, revisions: tuple[str, ...], **options: Value) -> None:
    if not revisions:  # Alembic would write a migration that stands on nothing
        raise CommandError("Which revisions are to be merged: type db merge heads -m 'merge'.")
    with _on_the_first(directory) as folder, output.quiet_alembic(), _written():
        COMMANDS["merge"].callback(directory=folder, revisions=revisions, **options)


def _for_binds(name: str) -> click.Command:
    """Return one of Flask-Migrate's commands that goes through all databases."""
    theirs, first = COMMANDS[name], name in ("edit", "show")

    @with_appcontext
    def run(directory: str | None, **options: Value) -> None:
        if first:
            with _on_the_first(directory) as folder:
                theirs.callback(directory=folder, **options)
            return
        if options.get("rev_range") or options.get("revision", HEADS[0]) not in HEADS:
            multidb.only("A revision is of the history of one database")
        multidb.in_turn(
            lambda it: theirs.callback(directory=it, **options), directory, moves=name == "stamp"
        )

    return click.Command(
        name, callback=run, params=[*theirs.params, multidb.OPTION], help=theirs.help
    )


@click.command("rebuild", params=[multidb.OPTION])
@with_appcontext
def rebuild() -> None:
    """Delete the development database and build it again, with the starter rows."""
    from . import rebuild as rebuild_module

    rebuild_module.rebuild(current_app.extensions["keel"].sow)


ALL = (
    *map(_for_binds, ("branches", "current", "edit", "heads", "history", "show", "stamp")),
    *(migrate, revision, merge, upgrade, downgrade, wait, check, schema, rebase, rebuild),
    *(report, status, log, diagram, backup, restore, shell, adopt),
)
