"""Bar 61: thirty rules over a primary, three standbys and a PgBouncer, against one action of check_postgres."""

import os
import re
import shutil
import time

from cluster import ROOT, run, server_bin
from months import RUNS
from nodes import Group, ask, own_peak_mb, plan, target, wait
from report import median, ms, table, verdict

TITLE = "Check: 30 rules over a primary, 3 standbys and PgBouncer, against one action of check_postgres"
COMMAND = ("check",)
RULES = (ROOT / "tests" / "fixtures" / "thirty_rules.yaml").read_text(encoding="utf-8")
TIMES_PEER, TIMES_PSQL, MOST_MB, MOST_STATEMENTS = 0.6, 3.0, 25, 8
IDLE_MS, LOADED_MS, LOADED = 150, 400, 5
JUDGED, PASSIVE = "dbops check", "dbops check --no-probe"
# Then the rate of WAL is measured too, for the time until a slot is lost.
LIMITED, LIMIT = "dbops check, slots limited", {"max_slot_wal_keep_size": "1GB"}
CHECKPOINT_AGE = 12
# It is told the folder of the real psql: Debian's wrapper would be counted as its time.
PEER, PEER_BOTH, PSQL = "check_postgres backends", "check_postgres hot_standby_delay", "psql -c 'select 1'"
LOGGED = {"log_statement": "all", "log_connections": "on"}


def scene(group):
    """A primary, its three standbys and a pooler."""
    primary = group.server("primary", archive_mode="on", archive_command="true")
    standbys = [group.standby(primary, name, slot=True) for name in ("menu", "olap", "far")]
    return primary, standbys, group.pooler("pgb", primary)


def cost(server, offset):
    """Connections and statements of dbops since then. Each message that runs something is one, BEGIN, SET and COMMIT among them."""
    lines = [line for line in server.log_since(offset).splitlines() if "|dbops" in line or "application_name=dbops" in line]
    return (sum("connection authorized" in line for line in lines),
            sum("|LOG:  statement: " in line or "|LOG:  execute " in line for line in lines))


def counted(servers, pooler, check):
    """What one run costs each node, as the nodes log it."""
    for server in servers:
        server.set(**LOGGED)
    offsets = {server: server.log_size() for server in [*servers, pooler]}
    check()
    costs = {server.name: cost(server, offsets[server]) for server in servers}
    logins = len(re.findall(r"login attempt", pooler.log_since(offsets[pooler])))
    for server in servers:
        server.set(**dict.fromkeys(LOGGED))
    return costs, logins


def measure(cluster, dbops):
    peer = shutil.which("check_postgres")
    if not peer:
        raise SystemExit("check_postgres is not here; run scripts/install-deps bench")
    with Group(server_bin()) as group:
        primary, standbys, pooler = scene(group)
        path = f"{group.home}/plan.yaml"
        plan(path, target(primary, [(one, "") for one in standbys], [("pgb", pooler)]), RULES)
        environment = {**os.environ, "PATH": f"{group.bin}:{os.environ['PATH']}"}
        at = lambda *servers: ["-H", ",".join(one.socket_dir for one in servers), "-p", str(primary.port), "-u", "postgres", "--dbname", "postgres"]
        commands = {
            PEER: [peer, "--action=backends", *at(primary)],
            PEER_BOTH: [peer, "--action=hot_standby_delay", "-w", "64000000", "-c", "1000000000", *at(primary, standbys[0])],
            PSQL: [f"{group.bin}/psql", "-X", "-A", "-t", "-d", primary.url(), "-c", "select 1"],
        }
        if dbops:
            commands[JUDGED] = [dbops.path, "check", "--plan", path, "--output", "json"]
            commands[PASSIVE] = [*commands[JUDGED], "--no-probe"]
            wait("the check is green", lambda: ask(dbops, path, "check").code == 0, pause=0.2)
        times, said = {name: [] for name in commands}, {}
        load = os.getloadavg()[0]
        for turn in range(max(RUNS, 9) + 1):
            for name, command in commands.items():
                ran = run(command, env=environment)
                if ran.code != 0:
                    raise SystemExit(f"{name} ended with {ran.code}: {ran.out[:2000]}{ran.err}")
                said[name] = ran.out
                if turn:
                    times[name].append(ran.seconds)
        load = max(load, os.getloadavg()[0])
        if dbops:
            primary.set(**LIMIT)
            # The rate of WAL is that since the last checkpoint, once that is ten seconds old; before it takes a second.
            time.sleep(CHECKPOINT_AGE)
            times[LIMITED] = [run(commands[JUDGED], check=True).seconds for _ in range(max(RUNS, 9))]
        middle = {name: median(values) for name, values in times.items()}
        rows = [[name, ms(middle[name]), ms(min(values)), ms(max(values)), f"{middle[name] / middle[PSQL]:.2f}"] for name, values in times.items()]
        text = table(["contestant", "median", "fastest", "slowest", "x psql"], rows)
        if not dbops:
            return text
        report = ask(dbops, path, "check")
        rules = RULES.count("- { id:")
        counts, logins = counted([primary, *standbys], pooler, lambda: ask(dbops, path, "check"))
        peak = max(own_peak_mb(commands[name]) for name in (JUDGED, PASSIVE) for _ in range(3))
    limit = IDLE_MS if load < LOADED else LOADED_MS
    bars = []
    for name in (JUDGED, LIMITED):
        mine, other = middle[name], " (without the probe {:.2f})" if name == JUDGED else ""
        bars += [
            [f"{name} <= {TIMES_PEER} x {PEER}", f"{mine / middle[PEER]:.2f}{other.format(middle[PASSIVE] / middle[PEER])}", verdict(mine <= TIMES_PEER * middle[PEER])],
            [f"{name} <= {TIMES_PSQL:.0f} x psql", f"{mine / middle[PSQL]:.2f}{other.format(middle[PASSIVE] / middle[PSQL])}", verdict(mine <= TIMES_PSQL * middle[PSQL])],
            [f"{name} <= {limit} ms at this load ({load:.1f})", ms(mine), verdict(mine * 1000 <= limit)],
        ]
    bars += [
        ["1 connection a node", ", ".join([*(f"{name} {one[0]}" for name, one in counts.items()), f"pgb {logins}"]),
         verdict(all(one[0] == 1 for one in counts.values()) and logins == 1)],
        [f"1 to {MOST_STATEMENTS} statements a server", ", ".join(f"{name} {one[1]}" for name, one in counts.items()),
         verdict(all(1 <= one[1] <= MOST_STATEMENTS for one in counts.values()))],
        [f"peak memory <= {MOST_MB} MB", f"{peak:.1f} MB", verdict(0 < peak <= MOST_MB)],
        ["nothing unknown", f"{report.json['counts']}".replace("'", ""), verdict(report.json["counts"].get("unknown", 0) == 0)],
    ]
    return text + "\n\n" + table(["bar", "measured", "verdict"], bars) + (
        f"\n\nMedians of {max(RUNS, 9)} alternated runs. dbops judges {rules} rules on five nodes, with the flags that it has by default: the probe writes a "
        "commit and waits until each standby shows it. Where slots have a limit (max_slot_wal_keep_size), slot.time_to_loss needs the rate of WAL, which "
        f"is that since the last checkpoint (here {CHECKPOINT_AGE} s old or more; within 10 s of one the check measures for a second); servers have no limit by default. check_postgres answers one question: backends of one server; hot_standby_delay of two. "
        "Connections and statements are those that the servers log in one more run, BEGIN and settings among them; memory is sampled in six more."
    )
