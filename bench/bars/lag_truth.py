"""Bar 64: scenes in which other tools are wrong about replication and connections, on every major."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import truth
from bars.probe_delay import REPEATS, measured
from nodes import MAJORS, Group, installs
from report import table, verdict

TITLE = "Replication and connections: what is so and what is said, on every major"
COMMAND = ("replication", "status")
THREE = [13, 15, 18]
# Bar, what it asks for, the scene, whether majors take it side by side (those that wait), on which majors.
SCENES = {
    "1": ("idle: 0 samples above 100 ms, 0 alerts", truth.idle, True, None),
    "2": ("WAL without commits: 0 samples above 1 s", truth.no_commits, True, THREE),
    "3": ("cut off: critical in the first run, <= 3 s", truth.disconnected, False, None),
    "4": ("frozen: critical <= 5 s with the probe", truth.frozen, False, None),
    "4b": ("frozen: a warning <= 25 s without", truth.frozen_passive, True, None),
    "6": ("lost slot: critical, warned >= 16 MB before", truth.lost_slot, False, None),
    "7": ("first refused login: >= 100 %, critical", truth.refused, False, None),
    "8": ("role with 4 parallel workers: 1 of 2; tightest wall", truth.limits, False, None),
    "11": ("failing apply: critical <= 15 s", truth.failing_apply, True, None),
    "12": ("no privilege: unknown, 0 ok", truth.unprivileged, False, None),
}


def measure(cluster, dbops):
    if not dbops:
        return "Nothing to compare with."
    asked = os.environ.get("BENCH_SCENES")
    wanted = asked.split(",") if asked else [*SCENES, "5"]
    found = {}
    with ExitStack() as stack:
        pairs = {major: truth.Pair(dbops, stack.enter_context(Group(bin_folder))) for major, bin_folder in installs().items()}
        for bar, (_, scene, together, only) in SCENES.items():
            if bar in wanted:
                chosen = [major for major in MAJORS if only is None or major in only]
                with ThreadPoolExecutor(len(chosen) if together else 1) as lanes:
                    found[bar] = dict(zip(chosen, lanes.map(lambda major: scene(pairs[major]), chosen)))
    words = {bar: one[0] for bar, one in SCENES.items()}
    if "5" in wanted:
        words["5"] = "declared delay: probe error <= max(20 ms, 5 %)"
        majors = [major for major in THREE if major in MAJORS]
        _, held = measured(dbops, majors, {delay: min(count, 5) for delay, count in REPEATS.items()})
        found["5"] = {major: (all(good), f"{sum(good)} of {len(good)} delays") for major, good in held.items()}
    order = sorted(found, key=lambda bar: (int(bar.rstrip("b")), bar))
    cell = lambda bar, major: verdict(found[bar][major][0]) if major in found[bar] else "not measured"
    lines = [[f"{bar}. {words[bar]}", *(cell(bar, major) for major in MAJORS)] for bar in order]
    detail = [[bar, major, *(found[bar][major][1:]), verdict(found[bar][major][0])] for bar in order for major in found[bar]]
    return table(["bar", *MAJORS], lines) + "\n\n" + table(["bar", "PostgreSQL", "measured", "verdict"], detail) + (
        f"\n\nThrough the binary, by `check` and `replication status`, with the time that a process takes to start. Bar 1 took {truth.IDLE_S} samples a major, "
        f"one a second, of {truth.IDLE_BAR} asked for (BENCH_IDLE), and ten with the probe after them; bar 2 {truth.SAMPLES} of {truth.SAMPLES_BAR} (BENCH_SAMPLES). "
        "Scenes 1, 2, 4 without the probe and 11 run on all majors at the same time, the others one after the other. Bar 5 is measured in full by its own entry."
    )
