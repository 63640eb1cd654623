"""Bar 6: SIGKILL at any moment, then one more run.

The test suite has the fixtures for it (tests/it/crash.rs); here it runs with many more points.
"""

import os
import pathlib
import re
import subprocess

from report import table, verdict

TITLE = "SIGKILL at random points, then one re-run"
POINTS = 30
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def measure(_cluster, _dbops):
    environment = dict(os.environ, DBOPS_CRASH_POINTS=str(POINTS), DBOPS_TEST_MAJORS="system")
    ran = subprocess.run(
        ["cargo", "test", "--locked", "--test", "it", "--", "crash"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )
    trials = re.findall(r"^test (\S+)\s+\.\.\. (\w+)$", ran.stdout, re.MULTILINE)
    rows = [[name.split("::")[-1].replace("_", " "), points_of(name), result] for name, result in trials]
    passed = bool(trials) and ran.returncode == 0 and all(result == "ok" for _, result in trials)
    total = sum(points_of(name) for name, _ in trials)
    return (
        table(["case", "points", "result"], rows)
        + "\n\n"
        + table(
            ["bar", "measured", "verdict"],
            [["one more run gives the same catalog and rows every time; 0 pending, 0 orphans", f"{total} points", verdict(passed)]],
        )
        + "\n\nEach point: a fresh pair of tables with months of rows, SIGKILL of dbops or of its server process at a random"
        " moment of the run (or while a concurrent detach is pending), one more run, and a digest of every relation, bound,"
        " comment, constraint and row count compared with that of an undisturbed run."
    )


def points_of(trial):
    return 3 if "concurrently" in trial else POINTS
