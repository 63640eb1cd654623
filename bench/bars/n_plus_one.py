"""Bar 51: how well loops are told from honest traffic, on labelled and on simulated counts."""

import subprocess

from cluster import ROOT
from report import verdict

TITLE = "N+1: precision and recall"
COMMAND = ()


def measure(cluster, dbops):
    ran = subprocess.run(
        ["cargo", "test", "--release", "--locked", "--test", "n_plus_one", "--", "--nocapture", "--test-threads=1"],
        cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("|", "####"))]
    tables = "\n".join(("\n" + line + "\n") if line.startswith("####") else line for line in lines)
    return (
        "Statements with 20 executions or more, flagged from `suspect` on. Labels are counted in the applications; see "
        "`tests/fixtures/n_plus_one/README.md` and `tests/fixtures/n_plus_one_live/README.md`. Weights were chosen on even seeds and on "
        "`tune`; the rest is the measure.\n" + tables
        + f"\n\nThe floors of `tests/n_plus_one.rs`: {verdict(ran.returncode == 0)}."
    )
