"""A Galera cluster of three nodes: one migrator at a time, whichever node it asks. With LONG_DRILLS=1."""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import clients
import databases
import pytest

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
ROUNDS = 20
# rsync, which copies a node, is nobody where it is started by root
ACCOUNT = {"user": "mysql"} if os.geteuid() == 0 else {}
pytestmark = pytest.mark.drill


def ports(number):
    """Ports that the system gives nobody by itself."""
    found = []
    while len(found) < number:
        with suppress(OSError):
            port = random.randrange(12000, 30000)
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
    return found


class Node:
    def __init__(self, folder, number, address, own):
        self.folder = folder / f"node{number}"
        self.socket = self.folder / "socket"
        data = self.folder / "data"
        self.folder.mkdir()
        if ACCOUNT:
            shutil.chown(self.folder, ACCOUNT["user"])
        common = ["--no-defaults", f"--datadir={data}"]
        install = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            ["mariadb-install-db", *common, *install], check=True, capture_output=True, **ACCOUNT
        )
        self.command = [
            shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin"),
            *common,
            f"--socket={self.socket}",
            f"--port={own[0]}",
            "--bind-address=127.0.0.1",
            f"--tmpdir={self.folder}",
            f"--pid-file={self.folder / 'pid'}",
            f"--log-error={self.folder / 'log.err'}",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-autoinc-lock-mode=2",
            "--binlog-format=ROW",
            "--wsrep-on=ON",
            f"--wsrep-provider={PROVIDER}",
            f"--wsrep-cluster-address={address}",
            f"--wsrep-node-address=127.0.0.1:{own[1]}",
            f"--wsrep-node-name=node{number}",
            f"--wsrep-sst-receive-address=127.0.0.1:{own[3]}",
            "--wsrep-sst-method=rsync",
            "--wsrep-provider-options="
            f"gmcast.listen_addr=tcp://127.0.0.1:{own[1]};ist.recv_addr=127.0.0.1:{own[2]};"
            "gcache.size=16M",
        ]
        self.url = f"mysql://root@localhost/?unix_socket={self.socket}"

    def start(self, *more):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **ACCOUNT}
        self.process = subprocess.Popen([*self.command, *more], **quiet)
        ends = time.monotonic() + 120
        ready = "SHOW STATUS LIKE 'wsrep_ready'"
        while True:
            with suppress(Exception):
                if clients.rows(self.url, ready) == [("wsrep_ready", "ON")]:
                    return
            assert self.process.poll() is None, (self.folder / "log.err").read_text()[-3000:]
            assert time.monotonic() < ends, (self.folder / "log.err").read_text()[-3000:]
            time.sleep(0.2)

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(60)


@contextmanager
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="keel-galera-"))
    folder.chmod(0o755)
    own = [ports(4) for _ in range(3)]
    address = "gcomm://" + ",".join(f"127.0.0.1:{one[1]}" for one in own)
    nodes = [Node(folder, number, address, own[number]) for number in range(3)]
    started = []
    try:
        for number, node in enumerate(nodes):
            started.append(node)
            node.start(*(["--wsrep-new-cluster"] if not number else []))
        yield nodes
    finally:
        for node in reversed(started):
            node.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def nodes():
    if not PROVIDER.exists():
        databases.missing("no Galera: apt-get install galera-4 mariadb-server")
    with cluster() as made:
        yield made


@pytest.fixture
def project(new_project, nodes):
    made = new_project(starter="bare", database="mysql")
    made.env["DEV_DATABASE_URL"] = at(nodes[0])
    return made


def at(node):
    return node.url.replace("localhost/", "localhost/app")


def empty(nodes):
    clients.run(nodes[0].url, "DROP DATABASE IF EXISTS app", "CREATE DATABASE app")
    for node in nodes:
        while ("app",) not in clients.rows(node.url, "SHOW DATABASES"):
            time.sleep(0.05)


TABLE = "op.create_table('a', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"


def histories(project):
    project.migration("f1", None, f"{TABLE}\nop.execute('INSERT INTO a VALUES (1, 0), (2, 0)')")
    for number in (2, 3):
        body = f"op.execute('UPDATE a SET n = n + 1')\nop.create_index('ix_{number}', 'a', ['n'])"
        project.migration(f"f{number}", f"f{number - 1}", body)


def upgrading(project, nodes):
    return [
        project.start(*project.manage, "db", "upgrade", DEV_DATABASE_URL=at(node)) for node in nodes
    ]


def test_three_upgrades_on_three_nodes_run_each_revision_once(project, nodes):
    histories(project)
    for round_ in range(ROUNDS):
        empty(nodes)
        processes = upgrading(project, nodes)
        said = [process.communicate(timeout=300) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], f"{round_} {said}"
        for node in nodes:
            url = at(node)
            sync = "SET SESSION wsrep_sync_wait = 1"
            with databases.engine(url).connect() as connection:
                connection.exec_driver_sql(sync)
                rows = connection.exec_driver_sql("SELECT id, n FROM a ORDER BY id").all()
                done = connection.exec_driver_sql(
                    "SELECT revision, outcome FROM alembic_log ORDER BY id"
                ).all()
            assert [tuple(row) for row in rows] == [(1, 2), (2, 2)], round_
            assert [tuple(row) for row in done] == [(f"f{n}", "done") for n in (1, 2, 3)], round_


LOOKS = [
    ["status"],
    ["current", "--verbose"],
    ["wait"],
    ["log"],
    ["upgrade", "--plan"],
    ["upgrade"],
]


@contextmanager
def changing(node, tables):
    """DDL without end on a node: it ends whoever has the table in a transaction on another."""

    def change(over):
        with databases.engine(at(node)).connect() as connection:
            for number in itertools.count():
                for table in tables:
                    if over.is_set():
                        return
                    time.sleep(0.02)
                    connection.exec_driver_sql(
                        f"ALTER TABLE {table} ALTER COLUMN {tables[table]} SET DEFAULT {number % 2}"
                    )

    with clients.meanwhile(change):
        yield


def test_who_looks_at_one_node_is_answered_while_another_changes_the_tables(project, nodes):
    histories(project)
    empty(nodes)
    project.db("upgrade").assert_ok()
    tables = {"a": "n", "alembic_log": "format", "alembic_version": "version_num"}
    with changing(nodes[0], tables):
        for round_ in range(ROUNDS):
            for command in LOOKS:
                said = project.db(*command, DEV_DATABASE_URL=at(nodes[1 + round_ % 2]))
                # it tells what was changed, or that it comes at a bad time
                codes = (0, 1, 3) if command == ["status"] else (0,)
                assert said.code in codes and "Error" not in said.said, (command, said.said)
                assert said.code != 3 or "A migration runs on it just now" in said.err, said.said


def test_a_node_that_goes_in_the_middle_is_followed_by_another(project, nodes):
    """kill -9 of the node that an upgrade works on: the next goes on through another one."""
    empty(nodes)
    project.migration("f1", None, f"{TABLE}\nop.execute('INSERT INTO a VALUES (1, 0)')")
    body = (
        "op.execute('UPDATE a SET n = n + 1')\nop.create_index('ix', 'a', ['n'])\n"
        "import os, time\nopen('there', 'w').close()\ntime.sleep(10 if os.environ.get('WAITS') else 0)\n"
        "op.execute('UPDATE a SET n = n + 10')\nop.create_index('ix_2', 'a', ['n', 'id'])"
    )
    project.migration("f2", "f1", body)
    process = project.start(
        *project.manage, "db", "upgrade", DEV_DATABASE_URL=at(nodes[2]), WAITS="1"
    )
    while not (project.path / "there").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    nodes[2].end(signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in err, out + err
    try:
        said = project.db("upgrade", DEV_DATABASE_URL=at(nodes[1]))
        said.assert_ok()
        found = clients.rows(at(nodes[0]), "SELECT n FROM a")
        assert found == [(11,)], said.said
    finally:
        nodes[2].start()


def test_the_plan_says_what_a_statement_does_to_the_other_nodes(project, nodes):
    empty(nodes)
    histories(project)
    project.db("upgrade", "f1").assert_ok()
    assert "on all nodes of this Galera cluster" in project.db("upgrade", "--plan").assert_ok().out
