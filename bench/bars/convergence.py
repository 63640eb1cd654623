"""Bar 6: SIGKILL at any moment, then one more run. Measured by the test suite, which has the fixtures for it."""

from report import table, verdict

TITLE = "SIGKILL at random points, then one re-run"


def measure(_cluster, _dbops):
    return table(
        ["bar", "measured", "verdict"],
        [["same catalog digest after the re-run; no pending detach, no orphan, no lost or doubled row", "see the test suite", verdict(None)]],
    )
