"""Bar 63: the probe's lag against standbys that are set to replay later, and against a row that is watched."""

import threading
import time

from months import RUNS
from nodes import Group, ask, installs, plan, target
from report import median, ms, table, verdict

TITLE = "Replication: the probe against recovery_min_apply_delay and the visibility of a row"
COMMAND = ("replication", "status")
MAJORS = [13, 15, 18]
REPEATS = {0: 10, 100: 10, 1000: 10, 5000: 5}  # by the delay in ms
LEAST_S, PART = 0.020, 0.05
PAUSE_S = 0.0005
ROW = "insert into seen select {number}, clock_timestamp()"
VISIBLE = "select extract(epoch from clock_timestamp() - at) from seen where number = {number}"


def truth(writer, reader, number):
    """Seconds from a commit until a standby shows its row; the standby's session is asked every half millisecond."""
    writer.query(ROW.format(number=number))
    while True:
        rows = reader.query(VISIBLE.format(number=number))
        if rows:
            return float(rows[0][0])
        time.sleep(PAUSE_S)


def lag_of(answer, name="menu"):
    """What dbops says of a node's lag; none where it is not known."""
    nodes = answer.json["targets"][0]["nodes"]
    return next(one for one in nodes if one["name"] == name)["lag"].get("value")


def samples(dbops, policy, primary, menu, delay_ms, repeats):
    """Pairs of what dbops says and what is so, at the same time."""
    found = []
    with primary.session() as writer, menu.session() as reader:
        for at in range(repeats):
            seen = []
            watch = threading.Thread(target=lambda: seen.append(truth(writer, reader, delay_ms * 100 + at)))
            watch.start()
            answer = ask(dbops, policy, "replication", "status", "--probe-timeout", "10s")
            watch.join()
            lag = lag_of(answer)
            if not lag or lag["basis"] != "probe" or lag["high_s"] is None:
                raise SystemExit(f"no lag by the probe: {answer.ran.out}")
            found.append((lag["low_s"], lag["high_s"], seen[0]))
    return found


def allowed(true):
    return max(LEAST_S, PART * true)


def measured(dbops, majors, repeats):
    """Rows of a table, and whether each sample is within what is allowed, by major."""
    rows, held = [], {}
    for major, bin_folder in installs(majors).items():
        with Group(bin_folder) as group:
            primary = group.server("primary")
            menu = group.standby(primary, "menu")
            policy = plan(f"{group.home}/plan.yaml", target(primary, [(menu, "")]))
            primary.sql("create table seen (number int primary key, at timestamptz not null)")
            primary.caught_up(menu)
            for delay_ms, count in repeats.items():
                menu.set(recovery_min_apply_delay=f"{delay_ms}ms")
                found = samples(dbops, policy, primary, menu, delay_ms, count)
                errors = [high - true for _, high, true in found]
                worst = max(errors, key=abs)
                good = sum(abs(high - true) <= allowed(true) for _, high, true in found)
                held.setdefault(major, []).append(good == count)
                rows.append([major, f"{delay_ms} ms", ms(median([true for *_, true in found])), ms(median([high for _, high, _ in found])),
                             ms(max(high - low for low, high, _ in found)), f"{worst * 1000:+.1f} ms", f"{good} of {count}"])
                # What waits to be replayed would hold up the next scene.
                menu.set(recovery_min_apply_delay="0")
                primary.caught_up(menu)
    return rows, held


def measure(cluster, dbops):
    if not dbops:
        return "Nothing to compare with."
    rows, held = measured(dbops, MAJORS, {delay: count * max(1, RUNS // 5) for delay, count in REPEATS.items()})
    return table(["PostgreSQL", "declared delay", "row visible after (median)", "dbops says (median)", "coarsest resolution", "worst error", "within the bar"], rows) + "\n\n" + table(
        ["bar", "measured", "verdict"], [[f"PostgreSQL {major}: error <= max({LEAST_S * 1000:.0f} ms, {PART:.0%}), every sample",
                                         f"{sum(good)} of {len(good)} delays", verdict(all(good))] for major, good in held.items()]) + (
        "\n\nThe truth is a row that a session of its own commits on the primary while dbops probes, and another watches for on the standby, every half "
        "millisecond, by the clock that both servers share. dbops's figure is the upper end of its interval, which is what it shows; the two commits are not the same."
    )
