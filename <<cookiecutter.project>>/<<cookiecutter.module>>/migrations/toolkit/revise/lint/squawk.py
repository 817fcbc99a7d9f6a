"""PostgreSQL's SQL, judged by squawk (https://squawkhq.com), where its program is installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .finding import LOCKS, Finding

# what our own rules say, in the words of this project, and what env.py sees to
OURS = [
    "ban-drop-column",
    "ban-drop-table",
    "renaming-column",
    "renaming-table",
    "adding-required-field",
    "adding-not-nullable-field",
    "changing-column-type",
    "ban-drop-not-null",
    "require-timeout-settings",
    "require-lock-timeout",
    "require-statement-timeout",
    "ban-drop-database",
    "prefer-robust-stmts",
    "transaction-nesting",
    "ban-uncommitted-transaction",
    "require-table-schema",
    "prefer-text-field",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-timestamptz",
    "ban-char-field",
    "identifier-too-long",
]


def program() -> str | None:
    """Return the path of squawk, which its wheel puts beside Python."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def findings(sql: str) -> list[Finding]:
    """Return what squawk says of one migration's SQL; nothing where it is not installed.

    :param sql: of the migration alone, as ``db upgrade --sql`` prints it
    """
    squawk = program()
    if squawk is None or not sql.strip():
        return []
    command = [squawk, "--reporter", "json", "--assume-in-transaction"]
    command += [f"--exclude={rule}" for rule in OURS]
    ran = subprocess.run(command, input=sql, capture_output=True, text=True)
    try:
        reported = json.loads(ran.stdout or "[]")
    except json.JSONDecodeError:
        return []
    found = {}
    for violation in reported:
        name = violation.get("rule_name") or violation["rule"]
        help_ = violation.get("help") or ""
        facts = {"what": violation["message"].rstrip("."), "instead": help_}
        found[name, violation["message"]] = Finding(name, LOCKS, None, facts)
    return list(found.values())
