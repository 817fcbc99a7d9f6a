"""Where the template came from: its folder, its commit, and whether its links arrived."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
PROJECT = "<<cookiecutter.project>>"

# link inside of the project's folder -> what it points to
LINKS = {
    "Makefile": "../Makefile.template",
    "etc/conf/dev.conf": "../../../etc/conf/dev.conf",
    "etc/conf/test.conf": "../../../etc/conf/test.conf",
    "etc/conf/prod.conf": "../../../etc/conf/prod.conf",
}


def lost_links(template: Path = TEMPLATE) -> list[str]:
    """Name the links that are missing or became a small file holding the path they pointed to.

    That is how a link comes out of a zip archive that Python unpacks (zipfile writes the
    target's path into a plain file), and out of git where `core.symlinks` is false.
    """
    return [link for link, target in LINKS.items() if _is_lost(template / PROJECT / link, target)]


def _is_lost(place: Path, target: str) -> bool:
    if not place.is_file():
        return True
    # a copy that followed the links holds the whole text: as good as the link
    return place.stat().st_size < 80 and place.read_bytes().strip() == target.encode()


def template_commit(template: Path = TEMPLATE) -> str:
    """The template's commit, or the empty string when its folder is no git checkout.

    A folder that merely lies inside of somebody's repository is no checkout of its own.
    """
    # a git hook exports GIT_DIR, which would answer for another repository
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        git = subprocess.run(
            ["git", "-C", str(template), "rev-parse", "--show-toplevel", "HEAD"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    top, _, commit = os.fsdecode(git.stdout).strip().rpartition("\n")
    return commit if Path(top).resolve() == template.resolve() else ""
