"""Scenes in which tools are wrong about replication and connections, each on real servers of one major.

A scene is asked of dbops as people ask, and returns whether its bar holds and what was measured. It has servers of its
own in the group, under names that no other scene uses; scenes that share the pair of primary and standby leave it streaming.
"""

import contextlib
import os
import threading
import time

from nodes import DEAD, Writer, ask, plan, target, wait
from pg import ServerError, Session

IDLE_S = int(os.environ.get("BENCH_IDLE", "60"))
SAMPLES = int(os.environ.get("BENCH_SAMPLES", "4000"))
IDLE_BAR, SAMPLES_BAR = 600, 4000
STATUS = ("replication", "status")
SEGMENT = 16 << 20
RULES = """rules:
  - { id: up, metric: node.up, expect: [up] }
  - { id: state, metric: replica.state, expect: [streaming] }
  - { id: lag, metric: replica.visible_lag, warn: "> 100ms", critical: "> 1s" }
"""
SLOTS = """rules:
  - { id: slot, metric: slot.wal_status, expect: [reserved, extended] }
  - { id: kept, metric: slot.retained_bytes, warn: "> 1000GB" }
"""
FULL = """rules:
  - { id: up, metric: node.up, expect: [up] }
  - { id: used, metric: conn.effective_used, warn: "> 70%", critical: "> 80%" }
  - { id: role, metric: conn.role_used, warn: "> 80%", critical: ">= 100%" }
"""
# What a role without pg_monitor is not shown. Lag by the probe, gaps by positions and slots it can see.
HIDDEN = {
    "replica.state": "expect: [streaming]",
    "conn.used": 'warn: "> 100000"',
    "conn.effective_used": 'warn: "> 99%"',
    "conn.role_used": 'warn: "> 99%"',
    "conn.database_used": 'warn: "> 99%"',
    "conn.idle_in_transaction_age": 'warn: "> 30d"',
    "conn.idle_age": 'warn: "> 30d"',
    "wal.size": 'warn: "> 1000GB"',
    "archive.oldest_unarchived_age": 'warn: "> 30d"',
    "xmin.held_age": 'warn: "> 2000000000"',
}
# Holders of xmin in catalogs that everybody may read.
PLAIN_HOLDERS = {"prepared", "slot", "slot-catalog"}
NAIVE = "select coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), 0)"
# 0 when all that was received is replayed, else the age of the last commit.
EQ0 = f"select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0 else ({NAIVE}) end"


class Pair:
    """A primary and its standby `menu`, with plan files for both and for the primary alone."""

    def __init__(self, dbops, group):
        self.dbops, self.group = dbops, group
        self.primary = group.server("primary", archive_mode="on", archive_command="true")
        self.menu = group.standby(self.primary, "menu", slot=True, wal_retrieve_retry_interval="100ms")
        self.policy = plan(f"{group.home}/pair.yaml", target(self.primary, [(self.menu, "")]), RULES)
        self.alone = plan(f"{group.home}/alone.yaml", target(self.primary), RULES)
        self.primary.sql("create table rows (number int)")
        self.primary.caught_up(self.menu)

    def streaming(self):
        wait("menu streams", lambda: self.primary.sql("select from pg_stat_replication where state = 'streaming'"))
        self.primary.caught_up(self.menu)

    def check(self, *words):
        return ask(self.dbops, self.policy, "check", *words)


def figure(one):
    """The worst value of a finding of `check`, the least where it has no upper end; none where it is not known."""
    return next((one[key] for key in ("value", "high", "low") if one[key] is not None), None)


def codes(answer, least):
    """Codes of the findings of `status` that are at least so severe."""
    severe = {"warning": ("warning", "critical"), "critical": ("critical",)}[least]
    return sorted({one["code"] for one in answer.json["targets"][0]["findings"] if one["severity"] in severe})


def critical(answer):
    """Rules of `check` that say critical."""
    return sorted({one["id"] for one in answer.findings() if one["status"] == "critical"})


def within(samples, bar):
    """Words for a shorter run than the bar asks for."""
    return "" if samples >= bar else f" (bar: {bar} samples)"


def idle(pair):
    """R-01: one write, then nothing; lag by what the servers show, for the probe would be a write."""
    pair.primary.sql("insert into rows values (1)")
    pair.primary.caught_up(pair.menu)
    above = alerts = unknown = samples = 0
    begin = time.monotonic()
    for samples in range(1, IDLE_S + 1):
        answer = pair.check("--no-probe")
        [lag] = answer.findings("lag")
        value = figure(lag)
        above += value is not None and value > 0.1
        unknown += value is None
        alerts += any(one["status"] != "ok" for one in answer.findings())
        time.sleep(max(0.0, begin + samples - time.monotonic()))
    naive = float(pair.menu.value(NAIVE))
    probed = [figure(pair.check().findings("lag")[0]) for _ in range(10)]
    above += sum(value is None or value > 0.1 for value in probed)
    return above + alerts + unknown == 0, (
        f"{above} above 100 ms, {alerts} alerts in {samples}{within(samples, IDLE_BAR)}; age of the last commit {naive:.0f} s; probe at most {max(filter(None, probed)) * 1000:.1f} ms")


def no_commits(pair):
    """R-03: WAL without commits, fifty records a second; the last commit grows old."""
    above = unknown = fooled = 0
    highest = 0.0
    with Writer(pair.primary, "select pg_create_restore_point('bench')", 0.02), pair.menu.session() as standby:
        time.sleep(2)  # from then on the age of the last commit is a wrong lag
        for _ in range(SAMPLES):
            fooled += float(standby.value(EQ0)) > 1
            lag = next(one for one in ask(pair.dbops, pair.policy, *STATUS, "--no-probe").json["targets"][0]["nodes"] if one["name"] == "menu")["lag"]
            value = lag.get("value")
            high = value and value["high_s"]
            unknown += high is None
            above += high is not None and high > 1
            highest = max(highest, high or 0)
    return above == 0, (f"{above} of {SAMPLES} above 1 s{within(SAMPLES, SAMPLES_BAR)}, highest {highest * 1000:.1f} ms, {unknown} unknown; "
                        f"received = replayed ? 0 : age of the last commit: {fooled} above 1 s")


def disconnected(pair):
    """R-02: the standby's upstream is gone; rows that it lacks are written."""
    before = pair.menu.value("select setting from pg_settings where name = 'primary_conninfo'")
    pair.menu.set(primary_conninfo=DEAD)
    said = []
    try:
        wait("menu is cut off", lambda: not pair.menu.sql("select from pg_stat_wal_receiver") and not pair.primary.sql("select from pg_stat_replication"))
        pair.primary.sql("insert into rows select generate_series(1, 500)")
        for words in ((), ("--no-probe",)):
            answer = pair.check(*words)
            said.append((answer.code == 1 and "state" in critical(answer) and answer.seconds <= 3, answer, " ".join(words) or "probe"))
    finally:
        pair.menu.set(primary_conninfo=before)
        pair.streaming()
    return all(good for good, *_ in said), "; ".join(f"{words}: {', '.join(critical(one)) or 'no'} critical in {one.seconds:.2f} s" for _, one, words in said)


def frozen(pair):
    """R-07 with the probe: all processes of the standby stand still, or its receiver alone."""
    said = []

    def hold(words, answer, found):
        said.append((bool(found) and answer.seconds <= 5, f"{words}: {', '.join(found) or 'nothing'} critical in {answer.seconds:.2f} s"))

    with Writer(pair.primary, "insert into rows values (1)", 0.05):
        with pair.menu.frozen():
            answer = pair.check()
            hold("check", answer, critical(answer))
            answer = ask(pair.dbops, pair.alone, *STATUS)
            hold("status of the primary alone", answer, codes(answer, "critical"))
        pair.streaming()
        with pair.menu.frozen([int(pair.menu.value("select pid from pg_stat_wal_receiver"))]):
            answer = pair.check()
            hold("receiver alone, check", answer, critical(answer))
    pair.streaming()
    return all(good for good, _ in said), "; ".join(text for _, text in said)


def frozen_passive(pair):
    """R-07 without the probe: how long until there is a warning."""
    def until_warned(find):
        begin = time.monotonic()
        while time.monotonic() - begin < 40:
            found = find()
            if found:
                return time.monotonic() - begin, ", ".join(found)
            time.sleep(0.25)
        return 40.0, "nothing"

    with Writer(pair.primary, "insert into rows values (1)", 0.05):
        with pair.menu.frozen():
            alone = until_warned(lambda: codes(ask(pair.dbops, pair.alone, *STATUS, "--no-probe"), "warning"))
        pair.streaming()
        with pair.menu.frozen([int(pair.menu.value("select pid from pg_stat_wal_receiver"))]):
            receiver = until_warned(lambda: sorted({one["id"] for one in pair.check("--no-probe").findings() if one["status"] in ("warning", "critical")}))
    pair.streaming()
    return all(seconds <= 25 for seconds, _ in (alone, receiver)), (
        f"status of the primary alone: {alone[1]} after {alone[0]:.1f} s; receiver alone, check: {receiver[1]} after {receiver[0]:.1f} s")


def unprivileged(pair):
    """R-25: a role that may log in and nothing else."""
    pair.primary.sql("drop role if exists plain; create role plain login connection limit 50; alter database postgres connection limit 60")
    pair.primary.caught_up(pair.menu)
    rules = "rules:\n" + "".join(f"  - {{ id: r{at}, metric: {metric}, {limit} }}\n" for at, (metric, limit) in enumerate(HIDDEN.items()))
    by = {}
    for user in ("postgres", "plain"):
        policy = plan(f"{pair.group.home}/as_{user}.yaml", target(pair.primary, [(pair.menu, "")], user=user), rules)
        by[user] = ask(pair.dbops, policy, "check").findings()
    pair.primary.sql("alter database postgres connection limit -1")
    seen = {one["metric"] for one in by["postgres"] if one["status"] == "ok"}
    if not set(HIDDEN) <= seen:
        return False, f"a superuser is not told: {', '.join(sorted(set(HIDDEN) - seen))}"
    by["plain"] = [one for one in by["plain"] if one["metric"] in HIDDEN and one["labels"].get("holder") not in PLAIN_HOLDERS]
    wrong = [one for one in by["plain"] if one["status"] != "unknown" or one["reason"] != "no_privilege"]
    silent = set(HIDDEN) - {one["metric"] for one in by["plain"]}
    good = sum(one["status"] == "ok" for one in by["plain"])
    return not wrong and not silent, (f"{len(by['plain']) - len(wrong)} of {len(by['plain'])} findings of {len(HIDDEN)} metrics no_privilege, {good} ok"
                                      + "".join(f", {one['metric']} of {one['labels'].get('node')} {one['status']} {one['reason'] or ''}" for one in wrong)
                                      + "".join(f", nothing of {metric}" for metric in sorted(silent)))


def lost_slot(pair):
    """R-16, R-18: segments are written until a slot has lost what it needs."""
    server = pair.group.server("slots", max_slot_wal_keep_size="64MB", wal_keep_size="0", max_wal_size="32MB", min_wal_size="32MB")
    server.sql("select pg_create_physical_replication_slot('old', true)")
    policy = plan(f"{pair.group.home}/slots.yaml", target(server), SLOTS)
    slot = "select wal_status, safe_wal_size from pg_replication_slots"
    warned = None
    for _ in range(20):
        answer = ask(pair.dbops, policy, *STATUS)
        # Read after the answer: the room was no less when dbops looked.
        [(state, safe)] = server.sql(slot)
        if state == "lost":
            break
        if warned is None and {"slot_low", "slot_unreserved"} & set(codes(answer, "warning")):
            warned = int(safe)
        server.sql("select pg_logical_emit_message(false, 'fill', 'x'); select pg_switch_wal()")
        server.sql("checkpoint")
    told = ask(pair.dbops, policy, "check")
    bytes_told = [one for one in told.findings("kept") if figure(one) is not None]
    held = state == "lost" and warned is not None and warned >= SEGMENT and "slot_lost" in codes(answer, "critical") and "slot" in critical(told) and not bytes_told
    text = (f"warned with {'nothing' if warned is None else f'{warned / 2**20:.1f} MB'} to go, then {state}: status {', '.join(codes(answer, 'critical')) or 'nothing'}, "
            f"check {', '.join(critical(told)) or 'nothing'} critical, {len(bytes_told)} sizes shown")
    if int(server.value("show server_version_num")) >= 180000:
        server.sql("select pg_drop_replication_slot('old')")
        server.set(idle_replication_slot_timeout="1s", max_slot_wal_keep_size=None)
        server.set(max_slot_wal_keep_size="-1")
        server.sql("select pg_create_physical_replication_slot('idle', true)")
        time.sleep(2)
        server.sql("checkpoint")
        wait("the idle slot is lost", lambda: server.sql(slot)[0][0] == "lost")
        told = ask(pair.dbops, policy, "check")
        shown = [one for one in told.findings("kept") if figure(one) is not None]
        held = held and "slot" in critical(told) and not shown
        text += f"; idle_timeout: check {', '.join(critical(told)) or 'nothing'} critical, {len(shown)} sizes shown"
    server.end()
    return held, text


def refused(pair):
    """C-01, C-03: ordinary logins until the first is refused, with and without reserves, as a superuser and as a monitor."""
    said = []
    major = int(pair.primary.value("show server_version_num")) // 10000
    for name, kept, reserved in (("open", 0, 0), ("kept", 3, 2)):
        settings = {"max_connections": "12", "superuser_reserved_connections": str(kept), "max_wal_senders": "2"}
        if major >= 16:
            settings["reserved_connections"] = str(reserved)
        server = pair.group.server(name, **settings)
        server.sql("create role app login; create role mon login in role pg_monitor")
        sessions = []
        with contextlib.suppress(ServerError):
            for _ in range(13):
                sessions.append(server.session(user="app"))
        for user in ("postgres", "mon") if kept else ("postgres",):
            policy = plan(f"{pair.group.home}/{name}_{user}.yaml", target(server, user=user), FULL)
            answer = ask(pair.dbops, policy, "check")
            used = [one for one in answer.findings("used") if one["status"] == "critical" and (figure(one) or 0) >= 100]
            value = figure(used[0]) if used else None
            wall = ask_wall(pair.dbops, policy)
            own = {("open", "postgres"): "refused", ("kept", "mon"): "refused"}.get((name, user), "let in")
            right = bool(used) and answer.code == 1 and (own == "refused" or wall == ("server", ""))
            said.append((right, f"reserves {kept}{f' + {reserved}' if major >= 16 and kept else ''}, {user} {own}: "
                                f"{'no figure' if value is None else f'{value:.0f} %'}{' or more' if used and used[0]['value'] is None else ''}, {', '.join(critical(answer)) or 'nothing'} critical"))
        for session in sessions:
            session.close()
        server.end()
    return all(good for good, _ in said), "; ".join(text for _, text in said)


def ask_wall(dbops, policy):
    """The first wall as `pool status` names it."""
    first = ask(dbops, policy, "pool", "status").json["targets"][0]["first_wall"]
    return first and (first["kind"], first["name"])


def limits(pair):
    """C-05, C-06: a role's limit beside parallel workers, then a database's limit that is nearer."""
    server = pair.group.server("limits", max_parallel_workers="4")
    server.sql("create role app login connection limit 2; create role other login; create table big as select generate_series(1, 20000) as i; grant select on big to app")
    server.sql("create database shop connection limit 3")
    policy = plan(f"{pair.group.home}/limits.yaml", target(server), FULL)
    busy = server.session(user="app")
    busy.query("set max_parallel_workers_per_gather = 4; set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0; set parallel_tuple_cost = 0")

    def work():
        with contextlib.suppress(ServerError, ConnectionError, OSError):
            busy.query("select count(*) from big a, big b, big c where a.i + b.i + c.i < 0")

    thread = threading.Thread(target=work)
    thread.start()
    others = []
    try:
        rows = wait("parallel workers", lambda: (lambda count: count >= 5 and count)(int(server.value("select count(*) from pg_stat_activity where usename = 'app'"))))
        [one] = ask(pair.dbops, policy, "check").findings("role", db_role="app")
        role = ask_wall(pair.dbops, policy)
        others = [Session(server, "shop", user="other") for _ in range(2)]
        database = ask_wall(pair.dbops, policy)
    finally:
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename in ('app', 'other')")
        thread.join()
        server.end()
    held = figure(one) == 50 and role == ("role", "app") and database == ("database", "shop")
    value = figure(one)
    return held, f"{rows} rows of the role, {'no figure' if value is None else f'{value:.0f} %'} of its limit 2; first walls {role}, {database}".replace("'", "")


def failing_apply(pair):
    """R-22: a subscription meets a key that is there."""
    publisher = pair.group.server("publisher", wal_level="logical")
    subscriber = pair.group.server("subscriber", wal_level="logical")
    for server in (publisher, subscriber):
        server.sql("create table item (id int primary key)")
    publisher.sql("create publication p for table item")
    subscriber.sql("insert into item values (7)")
    subscriber.sql(f"create subscription s connection '{publisher.conninfo('s')} dbname=postgres' publication p with (copy_data = false)")
    publisher.sql("insert into item values (1)")
    wait("it applies", lambda: len(subscriber.sql("select from item where id = 1")) == 1)
    policy = plan(f"{pair.group.home}/subscriber.yaml", target(subscriber))
    green = codes(ask(pair.dbops, policy, *STATUS), "warning")
    publisher.sql("insert into item values (7)")
    begin, found, answer = time.monotonic(), [], None
    while not found and time.monotonic() - begin < 30:
        answer = ask(pair.dbops, policy, *STATUS, "--fail-on", "critical")
        found = codes(answer, "critical")
        took = time.monotonic() - begin
        time.sleep(0.2)
    gap = publisher.value("select pg_current_wal_lsn() - confirmed_flush_lsn from pg_replication_slots where slot_name = 's'")
    steady = sum(bool(codes(ask(pair.dbops, policy, *STATUS), "critical")) for _ in range(20))
    subscriber.sql("alter subscription s disable")
    for server in (subscriber, publisher):
        server.end()
    return not green and found == ["apply_failing"] and answer.code == 1 and took <= 15, (
        f"{', '.join(found) or 'nothing'} critical after {took:.1f} s at a gap of {gap} B, {steady} of 20 later looks say so"
        + (f"; before: {', '.join(green)}" if green else ""))
