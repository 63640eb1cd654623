"""RESULTS.md: one section a bar, replaced in place, so that one bar can be run again by itself."""

import datetime
import os
import platform
import re
import statistics
import subprocess

from cluster import ROOT, run

RESULTS = ROOT / "bench" / "RESULTS.md"
HEAD = """# Results

Written by `bench/run`; do not edit by hand. Each section states when and on what it was measured. Contestants of a
section ran alternately in one run on one throw-away cluster with `fsync=off`, so ratios mean more than times.
"""


def median(values):
    return statistics.median(values)


def ms(seconds):
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def verdict(holds):
    """Words for a bar: None means that it was not measured."""
    return "not measured" if holds is None else "pass" if holds else "FAIL"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine():
    cpu = "unknown processor"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), cpu)
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {cpu}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def context(cluster, dbops):
    """One line: when, where, which versions, how busy the machine was."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    partman = cluster.sql("postgres", "select default_version from pg_available_extensions where name = 'pg_partman'")
    return (
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC; {machine()}; load average {os.getloadavg()[0]:.1f};"
        f" PostgreSQL {cluster.sql('postgres', 'show server_version')[0][0]};"
        f" pg_partman {partman[0][0] if partman else 'not installed'};"
        f" {run([dbops.path, '--version']).out.strip() or 'dbops'} ({commit.stdout.strip() or 'no commit'})"
    )


def write(number, title, when, text):
    """Puts a bar's section in its place and keeps all others."""
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    sections = dict(re.findall(r"<!-- bar (\w+) -->\n(.*?)<!-- end -->\n", old, re.S))
    sections[str(number)] = f"## {number}. {title}\n\n{text.strip()}\n\nMeasured {when}.\n"
    body = "".join(f"\n<!-- bar {key} -->\n{sections[key]}<!-- end -->\n" for key in sorted(sections, key=int))
    RESULTS.write_text(HEAD + body, encoding="utf-8")
