"""Throw-away servers of any major with standbys and poolers, for the bars of replication, pools and checks."""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from cluster import run
from pg import ServerError, Session

MAJORS = [int(word) for word in os.environ.get("BENCH_MAJORS", "13,14,15,16,17,18").split(",")]
DEAD = "host=127.0.0.1 port=1"  # nobody listens there
SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_line_prefix": "'%p|%a|'",
    "hot_standby": "on",
}


def installs(majors=None):
    """Folders of server programs by major: the system's, then those that scripts/fetch-postgres fetched."""
    cache = os.environ.get("DBOPS_PG_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    caches = [cache] if cache else [f"{home}/dbops/postgres", "/var/cache/dbops/postgres"]
    places = glob.glob("/usr/lib/postgresql/*/bin") + [place for one in caches for place in glob.glob(f"{one}/*/bin")]
    found = {}
    for place in places:
        major = int(re.match(r"\d+", place.split("/")[-2])[0])
        if all(os.access(f"{place}/{program}", os.X_OK) for program in ("initdb", "pg_ctl", "postgres")):
            found.setdefault(major, place)
    missing = [major for major in majors or MAJORS if major not in found]
    if missing:
        raise SystemExit(f"PostgreSQL {', '.join(map(str, missing))} is not here; run scripts/fetch-postgres {' '.join(map(str, missing))}")
    return {major: found[major] for major in majors or MAJORS}


def wait(what, condition, seconds=60, pause=0.02):
    """Waits until something holds and returns it; a scene that does not come about ends the bench."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(ServerError, OSError):
            held = condition()
            if held:
                return held
        time.sleep(pause)
    raise SystemExit(f"{what}: not within {seconds} s")


class Group:
    """Servers of one major in a folder of their own, all made from one initdb: any can be a standby of any other."""

    def __init__(self, bin_folder):
        self.bin = bin_folder
        root = os.path.dirname(bin_folder)
        fetched = os.path.exists(f"{root}/pg-symlinks.json")
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", **({"LD_LIBRARY_PATH": f"{root}/lib"} if fetched else {})}
        # The server refuses to run as root: then it runs as `postgres`.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self.home = tempfile.mkdtemp(prefix="dbops-bench-")
        os.chmod(self.home, 0o755)
        if self.user:
            shutil.chown(self.home, "postgres", "postgres")
        self.members = []

    def __enter__(self):
        try:
            self.program("initdb", "-D", f"{self.home}/template", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for member in reversed(self.members):
            member.end()
        shutil.rmtree(self.home, ignore_errors=True)

    def program(self, name, *arguments):
        # A server that goes on must not hold a pipe of ours open: what is said goes to a file.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [f"{self.bin}/{name}", *arguments], cwd="/", env=self.env, stdin=subprocess.DEVNULL, check=False,
                stdout=said, stderr=subprocess.STDOUT, **self.user)
            said.seek(0)
            if done.returncode != 0:
                raise SystemExit(f"{name} failed: {said.read().decode()}")

    def server(self, name, **settings):
        return Server(self, name, settings)

    def standby(self, of, name, slot=False, **settings):
        """A standby that streams from its upstream's first segment on, under its own name."""
        if slot:
            of.sql(f"select pg_create_physical_replication_slot('{name}')")
        return Server(self, name, {
            "primary_conninfo": f"'{of.conninfo(name)}'",
            **({"primary_slot_name": f"'{name}'"} if slot else {}),
            **settings,
        }, standby=True)

    def pooler(self, name, of):
        return Pooler(self, name, of)


class Server:
    """One server, reached by the socket in its own folder; a Session takes it as its cluster."""

    def __init__(self, group, name, settings, standby=False):
        self.group, self.name = group, name
        self.socket_dir, self.port = f"{group.home}/{name}", 54330
        self.data, self.log = f"{self.socket_dir}/data", f"{self.socket_dir}/log"
        subprocess.run(["mkdir", "-p", self.socket_dir], check=True, **group.user)
        subprocess.run(["cp", "-a", f"{group.home}/template", self.data], check=True, **group.user)
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in {**SETTINGS, **settings}.items())
            conf.write(f"unix_socket_directories = '{self.socket_dir}'\nport = {self.port}\n")
        if standby:
            subprocess.run(["touch", f"{self.data}/standby.signal"], check=True, **group.user)
        group.members.append(self)
        group.program("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")

    def conninfo(self, application):
        return f"host={self.socket_dir} port={self.port} user=postgres application_name={application}"

    def url(self, database="postgres", user="postgres"):
        return f"postgresql://{user}@{self.socket_dir.replace('/', '%2F')}:{self.port}/{database}"

    def session(self, database="postgres", user="postgres", name="bench"):
        return Session(self, database, name, user)

    def sql(self, text, database="postgres"):
        with self.session(database) as session:
            return session.query(text)

    def value(self, text):
        return self.sql(text)[0][0]

    def set(self, **settings):
        """Changes settings, of a standby too; None takes one back."""
        with self.session() as session:
            for name, value in settings.items():
                session.query(f"alter system reset {name}" if value is None else f"alter system set {name} = '{value}'")
            session.query("select pg_reload_conf()")
        time.sleep(0.2)  # every backend reads it when it comes to its next statement

    def log_size(self):
        return os.path.getsize(self.log)

    def log_since(self, offset):
        with open(self.log, "rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def pids(self):
        """The postmaster and its own processes."""
        with open(f"{self.data}/postmaster.pid", encoding="utf-8") as lines:
            postmaster = int(lines.readline())
        with open(f"/proc/{postmaster}/task/{postmaster}/children", encoding="utf-8") as children:
            return [postmaster, *map(int, children.read().split())]

    @contextlib.contextmanager
    def frozen(self, pids=None):
        """Within it these processes (all, when none are given) stand still, as on a machine that has stopped."""
        pids = pids or self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def caught_up(self, standby):
        at = self.value("select pg_current_wal_flush_lsn()")
        wait(f"{standby.name} replays", lambda: standby.value(f"select pg_last_wal_replay_lsn() >= '{at}'") == "t")

    def end(self):
        if os.path.exists(f"{self.data}/postmaster.pid"):
            self.group.program("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")


class Pooler:
    """A PgBouncer before a server."""

    def __init__(self, group, name, of):
        self.socket_dir, self.port = f"{group.home}/{name}", 54331
        self.log = f"{self.socket_dir}/log"
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if not program:
            raise SystemExit("PgBouncer is not here; run scripts/install-deps")
        subprocess.run(["mkdir", "-p", self.socket_dir], check=True, **group.user)
        for file, text in {
            "users.txt": '"postgres" ""\n',
            "pgbouncer.ini": f"[databases]\n* = host={of.socket_dir} port={of.port}\n[pgbouncer]\nlisten_port = {self.port}\n"
                             f"unix_socket_dir = {self.socket_dir}\nauth_type = trust\nauth_file = users.txt\nadmin_users = postgres\n"
                             "pool_mode = transaction\nlog_connections = 1\n",
        }.items():
            with open(f"{self.socket_dir}/{file}", "w", encoding="utf-8") as out:
                out.write(text)
            os.chmod(f"{self.socket_dir}/{file}", 0o644)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program, "pgbouncer.ini"], cwd=self.socket_dir, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, **group.user)
        group.members.append(self)
        wait("PgBouncer answers", lambda: Session(self, "pgbouncer").close() or True)

    url, log_size, log_since = Server.url, Server.log_size, Server.log_since

    def end(self):
        # Nothing less is sure: a shell that starts the bench in the background has it ignore SIGQUIT, and newer
        # versions wait for their clients at SIGTERM.
        self.process.kill()
        self.process.wait()


class Writer:
    """Runs a statement again and again in a thread, with a pause between; within `with`."""

    def __init__(self, server, statement, pause):
        self.server, self.statement, self.pause = server, statement, pause
        self.going = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.count = 0

    def _work(self):
        with self.server.session() as session:
            while not self.going.wait(self.pause):
                session.query(self.statement)
                self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.going.set()
        self.thread.join()


def target(primary, replicas=(), poolers=(), more="", user="postgres", name="main"):
    """The entry of `targets:` for these nodes."""
    text = f"  {name}:\n    primary: {{ url: \"{primary.url(user=user)}\" }}\n"
    if replicas:
        text += "    replicas:\n" + "".join(f"      - {{ name: {one.name}, url: \"{one.url(user=user)}\"{words} }}\n" for one, words in replicas)
    if poolers:
        text += "    poolers:\n" + "".join(f"      - {{ name: {at}, kind: pgbouncer, url: \"{one.url('pgbouncer')}\" }}\n" for at, one in poolers)
    return text + more


def plan(path, targets, rules=""):
    with open(path, "w", encoding="utf-8") as out:
        out.write("version: 1\ntargets:\n" + targets + rules)
    return path


class Asked:
    """What dbops answered, read as JSON."""

    def __init__(self, ran):
        self.ran, self.seconds, self.code = ran, ran.seconds, ran.code
        try:
            self.json = json.loads(ran.out)
        except ValueError as error:
            raise SystemExit(f"dbops ended with {ran.code} and no JSON:\n{ran.err}{ran.out[:500]}") from error

    def findings(self, rule=None, **labels):
        """Findings of `check`: of a rule, with these labels."""
        return [one for one in self.json["findings"]
                if (rule is None or one["id"] == rule) and all(one["labels"].get(key) == value for key, value in labels.items())]


def ask(dbops, policy, *words):
    """Runs dbops as people do and returns what it says."""
    return Asked(run([dbops.path, *words, "--plan", policy, "--output", "json"]))


def own_peak_mb(command):
    """The peak memory of a program itself, sampled each millisecond: what wait4 tells has Python's own in it, which the
    child is before it becomes the program."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        with contextlib.suppress(OSError, TypeError):  # a process that has ended has no memory
            # Before it becomes the program it is Python.
            if os.readlink(f"/proc/{child.pid}/exe") == os.path.realpath(command[0]):
                with open(f"/proc/{child.pid}/status", encoding="utf-8") as status:
                    peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]))
        time.sleep(0.001)
    return peak / 1024
