"""The library's version and its wheel, made from the template's own checkout.

A wheel is a zip with METADATA and RECORD
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/): the standard
library can write it, so that generating needs neither pip nor a build backend nor a network.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
PACKAGE = Path("src", "flask_keel")
REST = "LICENSE", "README.md", "VERSION", "py.typed"  # the files of the library that are no Python


def version(template: Path = TEMPLATE) -> str:
    """The library's version, with a local label that is a digest of its files.

    pip and uv keep an old wheel under an unchanged version: the label changes with the library,
    and with nothing else.
    """
    digest = hashlib.sha256(_fields(template).encode())
    for name, content in _files(template):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    number = (template / PACKAGE / "VERSION").read_text(encoding="utf-8").strip()
    return f"{number}+k{digest.hexdigest()[:8]}"


def write(folder: Path, template: Path = TEMPLATE) -> Path:
    """Write the library's wheel into a folder, in the place of older ones; return its path.

    Members are sorted, stored and without a time, so that the bytes are the same everywhere.
    """
    label = version(template)
    information = f"flask_keel-{label}.dist-info"
    members = dict(_files(template))
    metadata = f"Metadata-Version: 2.4\nName: flask-keel\nVersion: {label}\n{_fields(template)}\n"
    metadata += members["flask_keel/README.md"].decode()
    wheel = "Wheel-Version: 1.0\nGenerator: keel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members[f"{information}/METADATA"] = metadata.encode()
    members[f"{information}/WHEEL"] = wheel.encode()
    members[f"{information}/licenses/LICENSE"] = members["flask_keel/LICENSE"]
    record = [
        f"{name},{_hash(content)},{len(content)}\n" for name, content in sorted(members.items())
    ]
    members[f"{information}/RECORD"] = "".join([*record, f"{information}/RECORD,,\n"]).encode()
    folder.mkdir(exist_ok=True)
    path = folder / f"flask_keel-{label}-py3-none-any.whl"
    for older in folder.glob("flask_keel-*.whl"):
        older.unlink()
    _zip(path, members)
    return path


def _files(template: Path) -> list[tuple[str, bytes]]:
    here = template / PACKAGE
    paths = [*here.rglob("*.py"), *(here / name for name in REST if (here / name).exists())]
    named = ((f"flask_keel/{path.relative_to(here).as_posix()}", path) for path in paths)
    return [(name, path.read_bytes()) for name, path in sorted(named)]


def _fields(template: Path) -> str:
    """What METADATA says besides the version, read from pyproject.toml.

    cookiecutter may run in a Python that has no tomllib yet: these keys are written plainly there.
    """
    text = (template / "pyproject.toml").read_text(encoding="utf-8")
    project = text.partition("[project]\n")[2].partition("\n[")[0]
    plain = dict(re.findall(r'^([a-z-]+) = "(.*)"$', project, re.MULTILINE))
    listed = project.partition("\ndependencies = [\n")[2].partition("\n]")[0]
    extras = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    lines = [
        f"Summary: {plain['description']}",
        f"License-Expression: {plain['license']}",
        "License-File: LICENSE",
        "Description-Content-Type: text/markdown",
        f"Requires-Python: {plain['requires-python']}",
        *(f"Requires-Dist: {name}" for name in re.findall(r'^ +"(.*?)"', listed, re.MULTILINE)),
    ]
    for extra, names in re.findall(r"^([a-z]+) = \[(.*)\]", extras, re.MULTILINE):
        lines.append(f"Provides-Extra: {extra}")
        lines += [
            f'Requires-Dist: {name}; extra == "{extra}"' for name in re.findall('"(.*?)"', names)
        ]
    return "\n".join([*lines, ""])


def _hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def _zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(members.items()):
            member = zipfile.ZipInfo(name)  # of 1980, as every zip without a time is
            member.create_system = 3  # whatever system it is written on
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
