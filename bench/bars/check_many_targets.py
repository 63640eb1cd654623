"""Bar 62: two hundred targets of which one hangs, or twenty."""

import contextlib
import socket
import threading

from bars.check_thirty_rules import RULES
from cluster import server_bin
from months import RUNS
from nodes import Group, ask, own_peak_mb, plan
from report import median, ms, table, verdict

TITLE = "Check: 200 targets, one of which never answers"
COMMAND = ("check",)
SERVERS, DATABASES = 10, 20
TARGETS = SERVERS * DATABASES
TIMES_SLOWEST, MOST_MB = 3.0, 150
TIMEOUT_S = 15  # of a target, by default
ALL = ("check", "--target", "all")


@contextlib.contextmanager
def hanging():
    """A listener that takes connections and never says a word; its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    held = []

    def hold():
        with contextlib.suppress(OSError):  # closed
            while True:
                held.append(listener.accept()[0])

    threading.Thread(target=hold, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        for one in [*held, listener]:
            one.close()


def targets(servers, port, hang):
    """Entries of all targets; those with these numbers hang."""
    urls = [servers[number % SERVERS].url(f"d{number // SERVERS}") for number in range(TARGETS)]
    return "".join(
        f"  t{number:03}: {{ primary: {{ url: \"{f'postgresql://postgres@127.0.0.1:{port}/postgres' if number in hang else url}\" }} }}\n"
        for number, url in enumerate(urls))


def hang_numbers(count):
    """The last one, which begins after all others; or evenly among them."""
    return {TARGETS - 1 - at * (TARGETS // count) for at in range(count)}


def finished(answer, hang):
    """Whether each target was judged: those that hang are down, of all others something holds."""
    for number in range(TARGETS):
        mine = answer.findings(target=f"t{number:03}")
        down = any(one["metric"] == "node.up" and one["state"] == "down" for one in mine)
        if down != (number in hang) or (number not in hang and not any(one["status"] == "ok" for one in mine)):
            return False
    return True


def measure(cluster, dbops):
    if not dbops:
        return "Nothing to compare with."
    # What is one target's is asked of its own line: the tail of the fixture that begins at `rules:`.
    rules = RULES[RULES.index("rules:"):]
    scenes, memory = {}, 0.0
    with Group(server_bin()) as group, hanging() as port:
        servers = [group.server(f"s{number}") for number in range(SERVERS)]
        for server in servers:
            for number in range(DATABASES):
                server.sql(f"create database d{number}")
        plans = {count: plan(f"{group.home}/{count}.yaml", targets(servers, port, hang_numbers(count) if count else set()), rules) for count in (0, 1, 20)}
        hang = hang_numbers(1)
        alone = {number: ask(dbops, plans[1], "check", "--target", f"t{number:03}").seconds for number in range(TARGETS) if number not in hang}
        slowest = max(alone, key=alone.get)
        # One long turn of a busy machine would be a generous limit: the slowest is measured again.
        again = median([ask(dbops, plans[1], "check", "--target", f"t{slowest:03}").seconds for _ in range(max(RUNS, 9))])
        for count in plans:
            hang = hang_numbers(count) if count else set()
            answers = [ask(dbops, plans[count], *ALL) for _ in range(3)]
            if not all(finished(answer, hang) for answer in answers):
                raise SystemExit(f"with {count} that hang, targets were not judged as they are: {answers[0].json['counts']}")
            scenes[count] = [answer.seconds for answer in answers]
            memory = max(memory, own_peak_mb([dbops.path, *ALL, "--plan", plans[count], "--output", "json"]))
    text = table(["targets that hang", "median", "fastest", "slowest"], [
        [f"{count} of {TARGETS}", ms(median(values)), ms(min(values)), ms(max(values))] for count, values in scenes.items()])
    limit, took = TIMES_SLOWEST * again + TIMEOUT_S, median(scenes[1])
    return text + "\n\n" + table(["bar", "measured", "verdict"], [
        [f"one hangs: <= {TIMES_SLOWEST:.0f} x the slowest healthy target alone ({ms(again)}) + its time-out ({TIMEOUT_S} s) = {limit:.2f} s", ms(took), verdict(took <= limit)],
        [f"peak memory <= {MOST_MB} MB", f"{memory:.1f} MB", verdict(0 < memory <= MOST_MB)],
    ]) + (
        f"\n\n{DATABASES} databases on each of {SERVERS} servers, {rules.count('- { id:')} rules. The one that hangs is the last, which begins after all others: it accepts the "
        f"connection and never answers. Alone, healthy targets took {ms(min(alone.values()))} to {ms(max(alone.values()))}; the slowest was measured {max(RUNS, 9)} times more, the limit is made of their median. "
        "That 20 hang has no bar; they stand evenly among the others."
    )
