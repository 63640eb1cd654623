"""A throw-away cluster and the programs measured: where they are, how they start, what they cost."""

import glob
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass

from pg import Session

ROOT = pathlib.Path(__file__).resolve().parent.parent

# fsync=off takes the disk out of the comparison: every program measured runs on this one cluster.
# max_locks_per_transaction is raised because pg_partman's run_maintenance() is one transaction.
SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "1024",
    "jit": "off",
    "log_line_prefix": "'%p %v|'",
    "log_min_messages": "warning",
    "timezone": "UTC",
}


@dataclass
class Ran:
    """What one execution of a program cost and said."""

    seconds: float
    code: int
    out: str
    err: str
    peak_rss_mb: float
    started: float  # time.time(), to be held against pgbench's logs


def run(command, env=None, check=False):
    """Runs a program and measures its wall time and its own peak memory."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started, begin = time.time(), time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        ran = Ran(seconds, child.returncode, out.read().decode(), err.read().decode(), usage.ru_maxrss / 1024, started)
    if check and ran.code != 0:
        raise SystemExit(f"{' '.join(map(str, command))[:300]}\nexit {ran.code}\n{ran.err}{ran.out}")
    return ran


def server_bin(programs=("initdb", "pgbench")):
    """The folder of the server's own programs; Debian's /usr/bin/psql is a wrapper that costs time."""
    places = [os.environ.get("DBOPS_PG_BIN"), *sorted(glob.glob("/usr/lib/postgresql/15/bin"))]
    for place in filter(None, places):
        if all(os.access(f"{place}/{program}", os.X_OK) for program in programs):
            return place
    raise SystemExit(
        "PostgreSQL 15 with pgbench is not here; `apt-get install postgresql-15 postgresql-15-partman`"
        " or set DBOPS_PG_BIN to the folder of its programs"
    )


class Cluster:
    """A cluster of its own in a temporary folder, reached by its socket, removed at the end."""

    programs = ("initdb", "pgbench")  # what must be there; a bench without pgbench asks for less

    def __init__(self, **settings):
        self.settings = {**SETTINGS, **settings}
        self.bin = server_bin(self.programs)
        self.home = tempfile.mkdtemp(prefix="dbops-bench-")
        self.data, self.log = f"{self.home}/data", f"{self.home}/log"
        self.socket_dir, self.port = self.home, 54329
        # The server refuses to run as root: then it runs as `postgres`.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        os.chmod(self.home, 0o755)
        if self.user:
            shutil.chown(self.home, "postgres", "postgres")

    def __enter__(self):
        try:
            self._server("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C")
            with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as conf:
                conf.writelines(f"{name} = {value}\n" for name, value in self.settings.items())
                conf.write(f"unix_socket_directories = '{self.socket_dir}'\nport = {self.port}\n")
            self._server("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if os.path.exists(f"{self.data}/postmaster.pid"):
            self._server("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.home, ignore_errors=True)

    def restart(self):
        """Empties the server's own caches; the system's cache of its files stays."""
        self._server("pg_ctl", "-D", self.data, "-l", self.log, "-m", "fast", "-w", "restart")

    def set(self, **settings):
        """Changes settings of the whole cluster; None takes one back."""
        with Session(self, "postgres") as session:
            for name, value in settings.items():
                session.query(f"alter system reset {name}" if value is None else f"alter system set {name} = '{value}'")
            session.query("select pg_reload_conf()")
        time.sleep(0.2)  # every backend reads it when it comes to its next statement

    def _server(self, program, *arguments):
        done = subprocess.run(
            [f"{self.bin}/{program}", *arguments], cwd="/", stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL, stderr=subprocess.STDOUT, **self.user,
        )
        if done.returncode != 0:
            raise SystemExit(f"{program} failed: {(done.stdout or b'').decode()}")

    def url(self, database):
        return f"postgresql://postgres@{self.socket_dir.replace('/', '%2F')}:{self.port}/{database}"

    def psql(self, database, *arguments, env=None):
        """Runs the real psql, quiet, without a start-up file; a failure ends the bench."""
        command = [f"{self.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), *arguments]
        return run(command, env=env, check=True)

    def sql(self, database, text):
        with Session(self, database) as session:
            return session.query(text)

    def fresh(self, database, template):
        """Makes a database anew as a copy of another, so that every run begins alike."""
        with Session(self, "postgres") as session:
            session.query(f'drop database if exists "{database}" with (force)')
            session.query(f'create database "{database}" template "{template}"')
            session.query("checkpoint")

    def log_size(self):
        return os.path.getsize(self.log)

    def log_since(self, offset):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


def dbops_path():
    """The release binary, built now unless DBOPS names another."""
    if os.environ.get("DBOPS"):
        return os.environ["DBOPS"]
    built = subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=False)
    if built.returncode != 0:
        raise SystemExit("cargo build --release failed")
    target = os.environ.get("CARGO_TARGET_DIR", f"{ROOT}/target")
    return f"{target}/release/dbops"


class Dbops:
    """Our own program, with a plan file of its own for each bar."""

    def __init__(self, path, cluster):
        self.path, self.cluster = path, cluster

    def command(self, database, plan, *words):
        return [self.path, *words, "--plan", plan, "--database-url", self.cluster.url(database), "--output", "json"]

    def __call__(self, database, plan, *words, env=None):
        return run(self.command(database, plan, *words), env=env)

    def knows(self, *words):
        """Whether the binary knows a command."""
        return run([self.path, *words, "--help"]).code == 0

    def plan(self, name, text):
        path = f"{self.cluster.home}/{name}.yaml"
        with open(path, "w", encoding="utf-8") as plan:
            plan.write(text)
        return path
