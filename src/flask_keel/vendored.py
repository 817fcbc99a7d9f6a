"""What `make install` asks before and after: is vendor/ whole, and is what it holds what is installed?

make runs it out of the wheel itself, in a Python that has nothing but the standard library. Asked
because pip and uv keep an installed version whose number is the same, whatever its bytes are.
"""

import base64
import csv
import hashlib
import os
import re
import sys
import tomllib
import zipfile
import zlib
from pathlib import Path

REQUIREMENT = re.compile(r'(flask-keel(?:\[[\w,]+\])?==)([^"\',\s]+)')
OF_INSTALLERS = re.compile(
    r".*\.pyc|.*\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)"
)
BROKEN = OSError, ValueError, zipfile.BadZipFile, EOFError, RuntimeError, zlib.error
MEND = "put both back (git checkout vendor pyproject.toml), or type make update from=PATH."


def main(step: str, *wheels: str) -> str | bool:
    """Check the wheels in ``vendor/`` before installing, or what was installed of them afterwards.

    :param step: "before", or "after"
    :return: what is wrong with the wheels; else whether something else than they hold is installed
    """
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    if step == "before" and (wrong := _no_extras(text)):
        return wrong
    found = REQUIREMENT.search(text)
    if found and [*wheels] != [f"vendor/flask_keel-{found[2]}-py3-none-any.whl"]:
        held = " and ".join(wheels)
        return f"Error: pyproject.toml requires flask-keel=={found[2]}, and vendor/ holds {held}: {MEND}"
    try:
        members = read(Path(wheels[0]))
    except BROKEN as error:
        return f"Error: {wheels[0]} is no whole wheel of flask-keel ({error}): {MEND}"
    if step == "before" and _locked_otherwise(Path(wheels[0])):
        return (
            f"Error: {wheels[0]} is not the file that uv.lock was written for: put it back "
            "(git checkout vendor), or type uv lock -P flask-keel and look at what changed."
        )
    return step == "after" and not _installed(members)


def read(path: Path) -> dict[str, bytes]:
    """Return the members of a wheel of this library.

    :raises OSError, zipfile.BadZipFile, EOFError, RuntimeError, zlib.error: when it cannot be read
    :raises ValueError: when it is of something else, or does not hold what its RECORD says
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    records = [
        name for name in members if re.fullmatch(r"flask_keel-[^/]+\.dist-info/RECORD", name)
    ]
    if len(records) != 1 or "flask_keel/__init__.py" not in members:
        raise ValueError("it is of something else")
    known = {row[0]: row[1] for row in csv.reader(members[records[0]].decode().splitlines())}
    for name, content in members.items():
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        if name != records[0] and known.get(name, f"sha256={found}") != f"sha256={found}":
            raise ValueError("it does not hold what its RECORD says")
    if set(known) != set(members):
        raise ValueError("its RECORD is not of what it holds")
    return members


def _no_extras(text: str) -> str:
    """Say what make was given as an extra and is none; pip only warns of that."""
    typed = _plain(os.environ.get("EXTRAS", "")).split(",")
    try:
        known = tomllib.loads(text)["project"].get("optional-dependencies", {})
    except (ValueError, LookupError, AttributeError):
        return ""  # who installs says what is wrong
    unknown = ", ".join(sorted({*typed} - {"", *map(_plain, known)}))
    return unknown and (
        f"Error: pyproject.toml has no extra {unknown} under [project.optional-dependencies], but "
        f"{', '.join(known) or 'none'}: type extras= with one of these, or write it there."
    )


def _plain(name: str) -> str:
    """The name in the one spelling that all of its spellings have: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _locked_otherwise(wheel: Path) -> bool:
    """Whether uv.lock names this file with another hash; uv would say so in ten lines."""
    lock = Path("uv.lock")
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    named = re.search(rf'filename = "{re.escape(wheel.name)}", hash = "sha256:(\w+)"', text)
    return named is not None and named[1] != hashlib.sha256(wheel.read_bytes()).hexdigest()


def _installed(members: dict[str, bytes]) -> bool:
    (home,) = Path(".venv/lib").glob("python3*/site-packages")
    records = "\n".join(path.read_text() for path in home.glob("flask_keel-*.dist-info/RECORD"))
    names = {
        row[0] for row in csv.reader(records.splitlines()) if not OF_INSTALLERS.fullmatch(row[0])
    }
    wanted = {name for name in members if not name.endswith(".dist-info/RECORD")}
    return names == wanted and all(
        (home / name).is_file() and (home / name).read_bytes() == members[name] for name in names
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
