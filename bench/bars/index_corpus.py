"""Bar 21: every index shape converges on every major.

The corpus is the test suite's (tests/it/index_corpus.rs); here it runs on all majors that are installed.
"""

import os
import pathlib
import re
import subprocess

from report import table, verdict

TITLE = "Indexes: a corpus of shapes converges on every major"
COMMAND = ()  # the test suite builds its own
SHAPES = 90
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def measure(_cluster, dbops):
    if dbops is None:
        return "not measured without dbops"
    environment = dict(os.environ, DBOPS_TEST_MAJORS="all")
    ran = subprocess.run(
        ["cargo", "test", "--locked", "--test", "it", "--", "index_corpus"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )
    trials = re.findall(r"^test (\S+)\s+\.\.\. (\w+)$", ran.stdout, re.MULTILINE)
    figures = sorted(set(re.findall(r"^\s*(?:index )?corpus[: ].*$", ran.stdout + ran.stderr, re.MULTILINE)))
    passed = bool(trials) and ran.returncode == 0 and all(result == "ok" for _, result in trials)
    rows = [[name.split("::")[-1].replace("_", " "), result] for name, result in trials]
    return (
        table(["case", "result"], rows)
        + ("\n\n" + "\n".join(f"- {line.strip()}" for line in figures) if figures else "")
        + "\n\n" + table(["bar", "measured", "verdict"], [
            [f"at least {SHAPES} shapes: applied, then nothing to do; imported, then nothing to do; every change detected",
             f"{sum(result == 'ok' for _, result in trials)} of {len(trials)} cases", verdict(passed)]])
    )
