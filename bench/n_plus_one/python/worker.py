"""One process of the application: serves one request at a time, told what to do by one JSON argument.

Prints `ready`, starts at `go` on its input, ends at `stop` and prints what it counted.
"""

import importlib
import json
import math
import random
import sys
import threading
import time

import trace
from endpoints import Endpoints


def main():
    order = json.loads(sys.argv[1])
    dice = random.Random(order["seed"])
    adapter = importlib.import_module(f"orm_{order['orm']}").Adapter(order)
    serve = Endpoints(adapter, order["schema"], dice, order["ids"])
    mix, scheduled = order["mix"], list(order["scheduled"])

    def request(name):
        with adapter.request():
            if order["session"] and name not in ("poll", "heartbeat") and not name.startswith(("worker_", "insert_")):
                serve.before()
            getattr(serve, name)()

    for name in {**mix, **{hit["endpoint"]: 1 for hit in scheduled}}:
        request(name)
    stopped = threading.Event()
    print("ready", flush=True)
    if sys.stdin.readline().strip() != "go":
        return
    started = time.monotonic()
    trace.reset()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
    drifted, drift, served = 0, dict.fromkeys(mix, 1.0), 0
    while not stopped.is_set():
        now = time.monotonic() - started
        if now - drifted > 2:
            drifted, drift = now, {name: math.exp((dice.random() - 0.5) * 0.8) for name in mix}
        if scheduled and scheduled[0]["at"] <= now:
            request(scheduled.pop(0)["endpoint"])
            continue
        usual = {name: mix[name] * drift[name] for name in mix}
        active = {b["endpoint"]: b["factor"] for b in order["bursts"] if b["at"] <= now < b["at"] + b["seconds"]}
        weight = {name: usual[name] * active.get(name, 1) for name in mix}
        chosen = dice.choices(list(weight), list(weight.values()))[0]
        begin = time.monotonic()
        request(chosen)
        served += 1
        pause = dice.expovariate(order["rate"] * sum(weight.values()) / sum(usual.values()))
        if scheduled:
            pause = min(pause, max(0, scheduled[0]["at"] - (begin - started)))
        stopped.wait(max(0, pause - (time.monotonic() - begin)))
    print(json.dumps({"served": served, **trace.report()}), flush=True)


main()
