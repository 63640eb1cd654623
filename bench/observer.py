"""A separate observer: who waits for a lock behind sessions of a given application, for how long.

Run by bar 5 as a process of its own: `observer.py SOCKET_DIR PORT DATABASE APPLICATION`; on SIGTERM it
prints one JSON object. It trusts the server's own `waitstart`, not its own clock, so it reads high by
nothing and low by at most one pause.
"""

import json
import signal
import sys
import time
import types

from pg import Session

PAUSE_SECONDS = 0.003
WAITERS = """
select w.pid, coalesce(l.waitstart, clock_timestamp())::text,
       extract(epoch from clock_timestamp() - coalesce(l.waitstart, clock_timestamp())) * 1000, l.mode, a.application_name
from pg_locks l
join pg_stat_activity a on a.pid = l.pid
cross join lateral (select l.pid) w
where not l.granted and a.application_name not like '{application}%'
  and exists (select from unnest(pg_blocking_pids(l.pid)) b
              join pg_stat_activity d on d.pid = b where d.application_name like '{application}%')
"""


def main(socket_dir, port, database, application):
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    waits, samples, slowest, before = {}, 0, 0.0, time.perf_counter()
    with Session(types.SimpleNamespace(socket_dir=socket_dir, port=port), database, "bench-observer") as session:
        print("ready", flush=True)
        while going:
            for pid, since, waited, mode, name in session.query(WAITERS.format(application=application)):
                waits[(pid, since)] = (max(float(waited), waits.get((pid, since), (0.0,))[0]), mode, name)
            now = time.perf_counter()
            slowest, before, samples = max(slowest, now - before), now, samples + 1
            time.sleep(PAUSE_SECONDS)
    longest = max((wait for wait, _, _ in waits.values()), default=0.0)
    print(json.dumps({"longest_ms": longest, "count": len(waits), "samples": samples, "slowest_sample_ms": slowest * 1000}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
