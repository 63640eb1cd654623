"""Starts the workers of one ORM, lets them serve a scenario, and joins what they counted into labels."""

import json
import os
import pathlib
import re
import subprocess
import sys

from skeleton import skeleton

HERE = pathlib.Path(__file__).resolve().parent
NODE = ["sequelize", "typeorm", "objection", "drizzle", "prisma"]
PYTHON = ["django", "sqlalchemy"]
ORMS = NODE + PYTHON
VENV = HERE / "python" / ".venv"


def install(orms):
    """Installs what the ORMs need beside these files, once; the versions are those of the lock files."""
    if set(orms) & set(NODE) and not (HERE / "node" / "node_modules").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE / "node", check=True)
    if set(orms) & set(PYTHON) and not VENV.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin" / "pip"), "install", "-q", "-r", "requirements.txt"], cwd=HERE / "python", check=True)


def generate(schema):
    """Prisma's client of a schema; its engine for migrations would be downloaded and is not used."""
    node = HERE / "node"
    if (node / "generated" / schema["name"] / "client").exists():
        return
    subprocess.run(["node", "prisma-schema.mjs", json.dumps(schema)], cwd=node, check=True)
    environment = {**os.environ, "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}
    subprocess.run(["node_modules/.bin/prisma", "generate", "--schema", f"generated/{schema['name']}/schema.prisma"], cwd=node,
                   env=environment, stdout=subprocess.DEVNULL, check=True)


class Application:
    """The worker processes of one scenario; `go` starts their requests, `stop` returns what they counted."""

    def __init__(self, orm, scenario, schema, cluster, database, ids, seed):
        self.workers = []
        for number in range(scenario["workers"]):
            order = {"orm": orm, "schema": schema, "socket": cluster.socket_dir, "port": cluster.port, "database": database,
                     "ids": ids, "seed": seed * 100 + number, "mix": scenario["mix"], "bursts": scenario["bursts"],
                     "scheduled": scenario["scheduled"] if number == 0 else [], "rate": scenario["rate"],
                     "session": scenario["session"]}
            if orm in NODE:
                command, folder = ["node", "worker.mjs", json.dumps(order)], HERE / "node"
            else:
                command, folder = [str(VENV / "bin" / "python"), "-B", "worker.py", json.dumps(order)], HERE / "python"
            self.workers.append(subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for worker in self.workers:
            line = worker.stdout.readline().strip()
            if line != "ready":
                self.kill()
                raise SystemExit(f"a worker of {orm} did not start: {line}")

    def tell(self, word):
        for worker in self.workers:
            worker.stdin.write(f"{word}\n")
            worker.stdin.flush()

    def stop(self):
        self.tell("stop")
        said = []
        for worker in self.workers:
            out, _ = worker.communicate(timeout=60)
            if worker.returncode != 0 or not out.strip():
                self.kill()
                raise SystemExit(f"a worker ended with {worker.returncode}")
            said.append(json.loads(out.strip().splitlines()[-1]))
        return said

    def kill(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()


def _bare(key):
    """A skeleton without aliases and brackets: statements that differ in these alone are one entry up to PostgreSQL 17."""
    key = re.sub(r'\bas "?\w+"?|"?\b\w+"?\.(?=["\w])|[()]', " ", key)
    return re.sub(r"\s+", " ", re.sub(r'\b((?:from|join) "?\w+"?) "?(?!where|order|limit|inner|left|on\b)\w+"?', r"\1", key)).strip()


def settle(counts, parents, texts):
    """Gives counts of a text that the server does not show to the one under which it counted them."""
    shown = {skeleton(text) for text in texts}
    by_bare = {_bare(key): key for key in shown}
    for key in [key for key in counts if key not in shown]:
        other = by_bare.get(_bare(key))
        if other:
            inside, outside = counts.pop(key)
            entry = counts.setdefault(other, [0, 0])
            counts[other] = [entry[0] + inside, entry[1] + outside]
            into = parents.setdefault(other, {})
            for parent, count in parents.pop(key, {}).items():
                into[parent] = into.get(parent, 0) + count
    for known in parents.values():
        for parent in [parent for parent in known if parent not in shown and _bare(parent) in by_bare]:
            known[by_bare[_bare(parent)]] = known.get(by_bare[_bare(parent)], 0) + known.pop(parent)


def labels(said):
    """Skeleton -> [executions inside a loop, outside], and skeleton -> {skeleton of a parent: executions}."""
    counts, parents = {}, {}
    for worker in said:
        for text, (inside, outside) in worker["counts"].items():
            entry = counts.setdefault(skeleton(text), [0, 0])
            entry[0] += inside
            entry[1] += outside
        for text, known in worker["parents"].items():
            entry = parents.setdefault(skeleton(text), {})
            for parent, count in known.items():
                entry[skeleton(parent)] = entry.get(skeleton(parent), 0) + count
    return counts, {child: known for child, known in parents.items() if known}
