"""Bar 43: verdicts on percentiles, and slower told from noise, on simulated statements."""

import re
import subprocess

from cluster import ROOT
from report import table, verdict

TITLE = "Statements: p95 verdicts and compare, simulated"
COMMAND = ()
TESTS = {
    "p95 verdicts over 9 shapes x 1,000 draws: never wrong, at most 35 % unknown with the limit 2x above": "checks::queries::p95",
    "compare: 95 % of twofold slowdowns found among unchanged ones with 5 % noise, at most 1 false alarm in 10,000": "checks::queries::compare",
}


def measure(cluster, dbops):
    rows = []
    for bar, tests in TESTS.items():
        ran = subprocess.run(
            ["cargo", "test", "--release", "--locked", "--lib", tests, "--", "--nocapture", "--test-threads=1"],
            cwd=ROOT, capture_output=True, text=True, check=False)
        said = re.findall(r"(unknown with the limit at .*|\d+ of 400 found.*)", ran.stdout)
        counted = re.search(r"(\d+) passed; (\d+) failed", ran.stdout)
        held = ran.returncode == 0 and counted and int(counted[1]) > 0
        rows.append([bar, "; ".join(said) or (f"{counted[1]} tests" if counted else "did not run"), verdict(bool(held))])
    return table(["bar", "measured", "verdict"], rows) + "\n\nThe tests hold the bars by themselves, with fixed seeds."
