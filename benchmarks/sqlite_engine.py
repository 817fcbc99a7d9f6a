"""The SQLite engine against its peers: `python benchmarks/sqlite_engine.py [--large] [--out FOLDER]`.

Each figure is a whole process, less the same process with nothing to do; the peers take turns in one run,
and the median is taken. Absolute seconds say little on another machine: the ratios are what counts.
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

from engine.changes import CHANGES
from engine.peers import PEERS, Alembic
from engine.table import build

LEAST = 0.0005  # seconds: a difference below this is noise


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    arguments.add_argument("--large", action="store_true", help="5 million rows too")
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--only", help="a part of the change's name")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    sizes = [*chosen.rows, *([5_000_000] if chosen.large else [])]
    changes = [change for change in CHANGES if not chosen.only or chosen.only in change.name]
    results = [measured for rows in sizes for measured in measure(rows, changes, chosen.runs)]
    print(table(results))
    chosen.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{os.cpu_count()} cores, {platform.system()}",
        "results": results,
    }
    (chosen.out / "sqlite_engine.json").write_text(json.dumps(facts, indent=2) + "\n")
    draw(results, chosen.out / "sqlite_engine.svg")


def measure(rows: int, changes: list, runs: int) -> list[dict]:
    """Run every change with every peer, in turns."""
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        fresh, database = folder / "fresh.db", folder / "bench.db"
        build(fresh, rows)
        peers = [Peer(folder / Peer.__name__, database) for Peer in PEERS]
        for change in changes:
            able = [peer for peer in peers if peer.prepare(change)]
            times: dict[str, list[tuple[float, float]]] = {peer.name: [] for peer in able}
            memory: dict[str, int] = {}
            disk: dict[str, int] = {}
            for _ in range(runs):
                for peer in able:
                    shutil.copyfile(fresh, database)
                    if isinstance(peer, Alembic):
                        at_head(database)
                    idle, _, _ = run(peer, database, nothing=True)
                    shutil.copyfile(fresh, database)
                    taken, memory[peer.name], disk[peer.name] = run(peer, database, nothing=False)
                    times[peer.name].append((taken, idle))
            idle = {name: statistics.median(i for _, i in pairs) for name, pairs in times.items()}
            net = {
                name: max(LEAST, statistics.median(t for t, _ in pairs) - idle[name])
                for name, pairs in times.items()
            }
            stock = net["stock Alembic"]
            found.append(
                {
                    "rows": rows,
                    "change": change.name,
                    "seconds": {name: round(value, 4) for name, value in net.items()},
                    "ratio to stock": {
                        name: round(stock / value, 2) for name, value in net.items()
                    },
                    "target": change.target,
                    "peak memory MB": memory,
                    "peak disk MB": disk,
                }
            )
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


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
    env = {key: value for key, value in os.environ.items() if key != "SETTINGS"}
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
    """The ratios as a Markdown table, with what was to be reached."""
    names = [Peer.name for Peer in PEERS if Peer.name != "stock Alembic"]
    lines = [
        "| rows | change | stock Alembic | " + " | ".join(names) + " | to reach |",
        "|---|---|---|" + "---|" * (len(names) + 1),
    ]
    for result in results:
        cells = [
            f"{result['seconds'][name]:.3f} s, {result['ratio to stock'][name]:g}x"
            if name in result["seconds"]
            else "-"
            for name in names
        ]
        target = f"{result['target']}x" if result["target"] else "1.1 times the floor"
        lines.append(
            f"| {result['rows']:,} | {result['change']} | {result['seconds']['stock Alembic']:.3f} s | "
            + " | ".join(cells)
            + f" | {target} |"
        )
    return "\n".join(lines)


def draw(results: list[dict], path: Path) -> None:
    """Bars on a log scale, for the largest table that was measured."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    rows = max(result["rows"] for result in results)
    chosen = [result for result in results if result["rows"] == rows]
    names = [Peer.name for Peer in PEERS]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(chosen) + 1.5))
    for offset, name in enumerate(names):
        places = [at + (offset - 2) * 0.16 for at, r in enumerate(chosen) if name in r["seconds"]]
        values = [r["seconds"][name] for r in chosen if name in r["seconds"]]
        axes.barh(places, values, 0.15, label=name)
    axes.set_yticks(range(len(chosen)), [result["change"] for result in chosen])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(f"seconds at {rows:,} rows, less a run with nothing to do (log scale)")
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
