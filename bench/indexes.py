"""What the index bars share: plan files, the state of all indexes, and what the server's log says of index commands."""

import re
import time
from dataclasses import dataclass

from pg import Session

HEAD = "version: 1\nlock_budget: { max_block: 100ms, give_up_after: 60s, patience: 5min }\nindexes:\n"
APPLY = ("indexes", "apply")
STATE = """
select c.relname, i.indrelid::regclass::text, pg_get_indexdef(c.oid), i.indisvalid, i.indisready,
       (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid), x.contype, c.relfilenode::text
from pg_index i join pg_class c on c.oid = i.indexrelid left join pg_constraint x on x.conindid = c.oid and x.contype in ('p', 'u')
where c.relnamespace = 'public'::regnamespace order by 2, 1
"""
# Everything but what a primary key made; a leaf's index goes with its parent's.
CLEAR = """
do $$ declare old record; begin
  for old in
    select indexrelid::regclass as name from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace and not i.indisprimary and not c.relispartition
  loop execute 'drop index ' || old.name; end loop;
end $$
"""


def plan(*entries):
    """A plan file of index entries in flow style: `{ name: …, table: …, columns: [ … ] }`."""
    return HEAD + "".join(f"  - {entry}\n" for entry in entries)


@dataclass(frozen=True)
class Index:
    """One index as the catalog has it."""

    name: str
    table: str
    definition: str
    valid: bool
    ready: bool
    parent: str
    constraint: str
    file: str

    @property
    def meaning(self):
        """All but where it is stored."""
        return (self.name, self.table, self.definition, self.valid, self.ready, self.parent, self.constraint)


def state(cluster, database):
    """All indexes of the schema public by name."""
    rows = cluster.sql(database, STATE)
    found = [Index(n, t, d, v == "t", r == "t", p, c, f) for n, t, d, v, r, p, c, f in rows]
    return {index.name: index for index in found}


def clear(cluster, database, *more):
    """Takes every index away but primary keys, then runs more SQL."""
    with Session(cluster, database) as session:
        session.query("drop schema if exists dbops cascade")
        session.query(CLEAR)
        for sql in more:
            session.query(sql)


def wait_for(condition, seconds=30, pause=0.005):
    """Whether the condition came true in time."""
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            return False
        time.sleep(pause)
    return True


@dataclass
class Build:
    """One CREATE INDEX command as the server's log saw it."""

    pid: int
    what: str  # table, method, keys and options: all but the name
    finished: bool = False
    beside: bool = False  # another backend was building the same when it began


ENTRY = re.compile(r"^(\d+) \S*\|(LOG|ERROR|FATAL|PANIC|WARNING):  (.*(?:\n\t.*)*)", re.MULTILINE)
CREATE = re.compile(r"(?:statement|execute [^:]*): *create +(unique +)?index +(?:concurrently +)?(?:if not exists +)?.*? on ((only )?.*)", re.I | re.S)
CRASHED = "terminating any other active server processes"


def builds(log):
    """The CREATE INDEX commands of a log written with `log_statement = ddl` and `log_duration = on`.

    A command ends with the next line of its own backend: its duration, or an error.
    """
    found, running = [], {}
    for pid, level, text in ENTRY.findall(log):
        if text.startswith(CRASHED):
            running.clear()
        pid = int(pid)
        if level == "WARNING":
            continue
        if pid in running:
            running.pop(pid).finished = level == "LOG" and text.startswith("duration:")
        if created := CREATE.match(text):
            what = " ".join(f"{created[1] or ''}{created[2]}".lower().split()).rstrip("; ")
            build = Build(pid, what, beside=any(other.what == what for other in running.values()))
            running[pid] = build
            found.append(build)
    return found


LOG_BUILDS = {"log_statement": "ddl", "log_duration": "on"}
