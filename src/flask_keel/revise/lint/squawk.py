"""PostgreSQL's SQL, judged by squawk (https://squawkhq.com), where its program is installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .finding import BLOCKS, LOCKS, NOTE, Finding

# what our own rules say in the words of this project, what env.py sees to, what PostgreSQL refuses,
# and what is a matter of style
OURS = [
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "ban-concurrent-index-creation-in-transaction",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-database",
    "ban-drop-not-null",
    "ban-drop-schema",
    "ban-drop-table",
    "ban-truncate-cascade",
    "ban-uncommitted-transaction",
    "changing-column-type",
    "disallowed-unique-constraint",
    "identifier-too-long",
    "renaming-column",
    "renaming-object",
    "renaming-table",
    "require-lock-timeout",
    "require-statement-timeout",
    "require-timeout-settings",
    "transaction-nesting",
    "adding-field-with-default",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-timestamptz",
    "require-table-schema",
]
SEVERITIES = {
    "require-concurrent-index-creation": LOCKS,
    "require-concurrent-index-deletion": LOCKS,
    "require-concurrent-partition-detach": LOCKS,
    "require-concurrent-reindex": LOCKS,
    "require-concurrent-refresh-materialized-view": LOCKS,
    "constraint-missing-not-valid": LOCKS,
    "ban-create-domain-with-constraint": LOCKS,
    "ban-alter-domain-with-add-constraint": LOCKS,
    "prefer-repack": LOCKS,
    "ban-drop-default": BLOCKS,
    "ban-drop-domain": BLOCKS,
    "ban-drop-function": BLOCKS,
    "ban-drop-sequence": BLOCKS,
    "ban-drop-type": BLOCKS,
    "ban-drop-view": BLOCKS,
}
INDEX = "with op.get_context().autocommit_block(): op.{function}"
INSTEAD = {
    "require-concurrent-index-creation": INDEX.format(
        function="create_index(..., postgresql_concurrently=True, if_not_exists=True)"
    ),
    "require-concurrent-index-deletion": INDEX.format(
        function="drop_index(..., postgresql_concurrently=True, if_exists=True)"
    ),
}


def program() -> str | None:
    """Return the path of squawk, which its wheel puts beside Python."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def findings(sql: list[tuple[int, str]]) -> list[Finding]:
    """Return what squawk says of one migration's SQL; nothing where it is not installed.

    :param sql: its statements, each with the line of the migration that ran it
    """
    squawk = program()
    # it reads no parameters of the driver, and rows are not its business
    schema = [(line, one.strip()) for line, one in sql if "%(" not in one and one.strip()]
    if squawk is None or not schema:
        return []
    lines = [line for line, one in schema for _ in f"{one};".splitlines()]
    statements = [one for _, one in schema for _ in f"{one};".splitlines()]
    command = [squawk, "--reporter", "json", "--assume-in-transaction"]
    command += [f"--exclude={rule}" for rule in OURS]
    text = "".join(f"{one};\n" for _, one in schema)
    ran = subprocess.run(command, input=text, capture_output=True, text=True)
    try:
        reported = json.loads(ran.stdout or "[]")
    except json.JSONDecodeError:
        return []
    found = {}
    for violation in reported:
        rule, place = violation["rule_name"], violation["line"]
        # a new constraint is spoken of by our rules; one that is validated at once is not
        if rule == "constraint-missing-not-valid" and "VALIDATE" not in statements[place].upper():
            continue
        if rule == "syntax-error":
            continue
        facts = {
            "what": " ".join(violation["message"].split()).rstrip("."),
            "instead": INSTEAD.get(rule) or " ".join((violation.get("help") or "").split()),
        }
        finding = Finding(rule, SEVERITIES.get(rule, NOTE), lines[place], facts, "postgresql")
        found[rule, lines[place], facts["what"]] = finding
    return list(found.values())
