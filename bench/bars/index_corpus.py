"""Bar 21: every index shape converges on every major.

The corpus is the test suite's (tests/it/index_corpus.rs); here it runs on all majors.
"""

import os
import pathlib
import re
import subprocess

from report import table, verdict

TITLE = "Indexes: a corpus of shapes converges on every major"
COMMAND = ()  # the test suite builds its own
SHAPES, MAJORS = 90, 6
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def measure(_cluster, dbops):
    if dbops is None:
        return "not measured without dbops"
    corpus = (ROOT / "tests/fixtures/index_corpus/shapes.yaml").read_text(encoding="utf-8")
    shapes = re.findall(r"^- \{.*$", corpus, re.MULTILINE)
    environment = dict(os.environ, DBOPS_TEST_MAJORS="all")
    ran = subprocess.run(
        ["cargo", "test", "--locked", "--test", "it", "--", "index_corpus"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )
    trials = re.findall(r"^test (\S+?)::\S+::(\S+)\s+\.\.\. (\w+)$", ran.stdout, re.MULTILINE)
    rows = []
    for major, name, result in trials:
        later = sum(int(since[1]) > int(major[2:]) for shape in shapes if (since := re.search(r"since: (\d+)", shape))) if major[2:].isdigit() else 0
        rows.append([major, name.replace("_", " "), f"{len(shapes) - later}" if major[2:].isdigit() else f"up to {len(shapes)}", result])
    good = sum(result == "ok" for _, _, result in trials)
    why = re.findall(r"^.* are wrong:$|^.*error:.*$", ran.stdout + ran.stderr, re.MULTILINE)[:3] if ran.returncode else []
    return (
        table(["major", "case", "shapes that it can have", "result"], rows)
        + "\n\n" + table(["bar", "measured", "verdict"], [
            [f"at least {SHAPES} shapes on {MAJORS} majors: declared as they are, nothing to do; as the server prints them, nothing to do; every change seen",
             f"{good} of {len(trials)} cases, {len(shapes)} shapes" + "".join(f"; {line.strip()[:200]}" for line in why),
             verdict(ran.returncode == 0 and good == len(trials) >= MAJORS and len(shapes) >= SHAPES)]])
        + "\n\nOne case holds all shapes of its major: each index is made, declared as it was made, declared by the server's own text of it, and declared"
        " with one to four changes of meaning each. A case fails when one shape or one change is judged wrongly. Shapes of an extension that the server lacks are left out."
    )
