"""The SQLite engine against its peers: `python benchmarks/sqlite_engine.py [--large] [--out FOLDER]`.

Each figure is a whole process, less the same process with nothing to do right before it; the peers take
turns in one run, and the median of the differences is taken. A difference of milliseconds between processes
of half a second takes more turns; where noise still covers it, it is Alembic's upgrade command inside of the
processes that is compared. Absolute seconds say little on another machine: the ratios are what counts.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from engine.changes import CHANGES, Change
from engine.peers import PEERS, Alembic, Peer
from engine.table import build

SMALL = 0.7  # seconds: a difference below this takes more turns
ROUGH = 0.05  # of the difference: noise above this covers it


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    arguments.add_argument("--large", action="store_true", help="5 million rows too")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--fine", type=int, default=15, help="turns for what takes no time")
    arguments.add_argument("--only", help="a part of the change's name")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    sizes = [*chosen.rows, *([5_000_000] if chosen.large else [])]
    changes = [change for change in CHANGES if not chosen.only or chosen.only in change.name]
    results = []
    for rows in sizes:
        measured = measure(rows, changes, chosen)
        print(f"{rows:,} rows\n\n{table(measured)}\n", flush=True)
        results += measured
    chosen.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{os.cpu_count()} cores, {platform.system()}",
        "results": results,
    }
    (chosen.out / "sqlite_engine.json").write_text(json.dumps(facts, indent=2) + "\n")
    draw(results, chosen.out / "sqlite_engine.svg")


def measure(rows: int, changes: list, chosen: argparse.Namespace) -> list[dict]:
    """Run every change with every peer, in turns."""
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        fresh, database = folder / "fresh.db", folder / "bench.db"
        build(fresh, rows)
        peers = [kind(folder / kind.__name__, database) for kind in PEERS]
        for change in changes:
            series = [Series(peer, fresh, database) for peer in peers if peer.prepare(change)]
            for turn in range(max(chosen.runs, chosen.fine)):
                for one in series:
                    if turn < chosen.runs or one.median < SMALL:
                        one.turn()
            found.append(outcome(rows, change, series))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


class Series:
    """The turns of one peer with one change."""

    def __init__(self, peer: Peer, fresh: Path, database: Path) -> None:
        self.peer, self.fresh, self.database = peer, fresh, database
        self.whole: list[float] = []
        self.inside: list[float] = []
        self.memory = self.disk = 0

    def turn(self) -> None:
        """Run the process with nothing to do, then with the change."""
        shutil.copyfile(self.fresh, self.database)
        alembic = isinstance(self.peer, Alembic)
        if alembic:
            at_head(self.database)
        idle, _, _ = run(self.peer, self.database, nothing=True)
        idle_inside = float(self.peer.inside.read_text()) if alembic else 0
        shutil.copyfile(self.fresh, self.database)
        taken, memory, disk = run(self.peer, self.database, nothing=False)
        self.whole.append(taken - idle)
        if alembic:
            self.inside.append(float(self.peer.inside.read_text()) - idle_inside)
        self.memory, self.disk = max(self.memory, memory), max(self.disk, disk)

    @property
    def median(self) -> float:
        return statistics.median(self.whole)

    @property
    def noise(self) -> float:
        """The standard error of the median, from the median deviation."""
        deviation = statistics.median(abs(one - self.median) for one in self.whole)
        return 1.253 * 1.4826 * deviation / len(self.whole) ** 0.5

    @property
    def covered(self) -> bool:
        """Whether the difference does not stand out of the processes' noise."""
        return bool(self.inside) and self.noise > ROUGH * self.median

    @property
    def seconds(self) -> float:
        return statistics.median(self.inside) if self.covered else self.median


def outcome(rows: int, change: Change, series: list[Series]) -> dict:
    """What is written down of one change."""
    stock = series[0]

    def ratio(one: Series) -> float:
        same = statistics.median(stock.inside) if one.covered else stock.median
        return round(same / one.seconds, 2)

    return {
        "rows": rows,
        "change": change.name,
        "turns": {one.peer.name: len(one.whole) for one in series},
        "seconds": {one.peer.name: round(one.seconds, 4) for one in series},
        "whole process, median": {one.peer.name: round(one.median, 4) for one in series},
        "whole process, noise": {one.peer.name: round(one.noise, 4) for one in series},
        "inside the process": {
            one.peer.name: round(statistics.median(one.inside), 4) for one in series if one.inside
        },
        "taken inside": [one.peer.name for one in series if one.covered],
        "ratio to stock": {one.peer.name: ratio(one) for one in series},
        "target": change.target,
        "peak memory MB": {one.peer.name: one.memory for one in series},
        "peak disk MB": {one.peer.name: one.disk for one in series},
    }


def at_head(database: Path) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.close()


def run(peer, database: Path, nothing: bool) -> tuple[float, int, int]:
    """Run the process; return seconds, peak memory and peak disk in MB."""
    for suffix in ("-wal", "-shm", "-journal"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    os.sync()
    # as on a machine where nothing is set: byte code is kept, SETTINGS says nothing
    env = {k: v for k, v in os.environ.items() if k != "SETTINGS" and not k.startswith("PYTHON")}
    begun = time.perf_counter()
    process = subprocess.Popen(
        peer.command(nothing),
        cwd=peer.folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    watch = Watch(database)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{peer.name} failed:\n{output}")
    return taken, usage.ru_maxrss // 1024, watch.stop() // 1_000_000


class Watch(threading.Thread):
    """Looks how large the database and the files beside it become."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database, self.peak, self.over = database, 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.02):
            size = 0
            for file in self.database.parent.glob(f"{self.database.name}*"):
                with contextlib.suppress(FileNotFoundError):
                    size += file.stat().st_size
            self.peak = max(self.peak, size)

    def stop(self) -> int:
        self.over.set()
        self.join()
        return self.peak


def table(results: list[dict]) -> str:
    """The figures of one size as a Markdown table, with what was to be reached."""
    names = [kind.name for kind in PEERS]
    lines = [f"| | {' | '.join(names)} | to reach |", "|---|" + "---|" * (len(names) + 1)]
    for result in results:
        cells = [cell(result, name) if name in result["seconds"] else "-" for name in names]
        target = f"{result['target']}x" if result["target"] else "1.1 times the floor"
        lines.append(f"| {result['change']} | {' | '.join(cells)} | {target} |")
    return "\n".join(lines)


def cell(result: dict, name: str) -> str:
    mark = "*" if name in result["taken inside"] else ""
    ratio = result["ratio to stock"][name]
    shown = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
    seconds = f"{result['seconds'][name]:.3f} s{mark}"
    return seconds if name == PEERS[0].name else f"{seconds}, {shown}x"


def draw(results: list[dict], path: Path) -> None:
    """Bars on a log scale, for the largest table that was measured."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    rows = max(result["rows"] for result in results)
    chosen = [result for result in results if result["rows"] == rows]
    names = [kind.name for kind in PEERS]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(chosen) + 1.5))
    for offset, name in enumerate(names):
        places = [at + (offset - 2) * 0.16 for at, r in enumerate(chosen) if name in r["seconds"]]
        values = [r["seconds"][name] for r in chosen if name in r["seconds"]]
        axes.barh(places, values, 0.15, label=name)
    axes.set_yticks(range(len(chosen)), [result["change"] for result in chosen])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(f"seconds at {rows:,} rows, less a run with nothing to do (log scale)")
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncol=len(names))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
