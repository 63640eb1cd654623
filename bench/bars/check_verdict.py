"""Bar 71: rules held against many targets, and policies with mistakes."""

import re
import subprocess

from cluster import ROOT
from report import table, verdict

TITLE = "Check: 1000 rules over 100 targets, 50 seeded mistakes, the same counts in all forms"
COMMAND = ()


def cargo(*words):
    return subprocess.run(["cargo", "test", "--release", "--locked", *words, "--", "--nocapture"],
                          cwd=ROOT, capture_output=True, text=True, check=False)


def measure(cluster, dbops):
    rows = []
    ran = cargo("--lib", "a_thousand_rules_over_a_hundred_targets")
    said = re.search(r"(1000 rules x 100 targets, \d+ findings: median ([\d.]+) ms)", ran.stdout)
    rows.append(["1000 rules x 100 targets: at most 50 ms", said[1] if said else "did not run", verdict(bool(said) and float(said[2]) <= 50)])
    for bar, words in {
        "50 seeded mistakes refused at file, line and column": ("--test", "policy_mistakes"),
        "8 forms of 200 random verdicts give the same counts": ("--lib", "all_forms_of_any_verdict"),
        "a snapshot is judged as what was measured is": ("--lib", "a_snapshot_is_judged_as"),
    }.items():
        ran = cargo(*words)
        counted = re.search(r"(\d+) passed; (\d+) failed", ran.stdout)
        held = ran.returncode == 0 and counted and int(counted[1]) > 0
        rows.append([bar, f"{counted[1]} tests" if counted else "did not run", verdict(bool(held))])
    return table(["bar", "measured", "verdict"], rows) + "\n\nThe tests hold the bars by themselves; the time is the median of nine in this run."
