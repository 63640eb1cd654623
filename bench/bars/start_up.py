"""Bar 8: how long the program takes to start, and how large it is."""

import os

from cluster import run
from report import median, ms, table, verdict

TITLE = "Start-up and size"
COMMAND = ()  # any version will do
TURNS = 60


def measure(cluster, dbops):
    programs = {"psql": [f"{cluster.bin}/psql", "--version"]}
    if dbops:
        programs["dbops"] = [dbops.path, "--version"]
    times = {name: [] for name in programs}
    for turn in range(TURNS + 3):
        for name, command in programs.items():
            seconds = run(command, check=True).seconds
            if turn >= 3:
                times[name].append(seconds)
    middle = {name: median(values) for name, values in times.items()}
    text = table(["program", "median", "fastest", "slowest"], [[f"`{n} --version`", ms(middle[n]), ms(min(v)), ms(max(v))] for n, v in times.items()])
    if dbops:
        ratio, size = middle["dbops"] / middle["psql"], os.path.getsize(dbops.path) / 2**20
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            ["dbops <= 0.5 x psql", f"{ratio:.2f}", verdict(ratio <= 0.5)], ["size of the release binary", f"{size:.1f} MiB", "noted"]])
    return text + f"\n\n{TURNS} alternated runs. psql is the server package's own binary, not Debian's wrapper in /usr/bin."
