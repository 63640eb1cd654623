"""What the applications are made to do: schema, mix of endpoints, bursts, load and length of every scenario.

Half of them are there to choose weights by (`tune`), half to measure only (`held-out`); each kind of traffic is in
both halves, on another schema.
"""

HONEST = {"show": 6, "profile": 4, "board": 5, "directory": 2, "setting": 6, "three": 1, "dashboard": 1, "poll": 3,
          "heartbeat": 2, "log": 2, "vote": 2}
BAD = ["belongs_to", "has_many", "latest", "many_to_many", "nested", "count", "insert", "update", "worker", "resolvers"]


def _mix(suffix, *kinds, weight=2, honest=HONEST):
    return {**honest, **{f"{kind}_{suffix}": weight for kind in kinds}}


def _bursts(endpoint, factor=10, seconds=1.5, every=4, until=20):
    return [{"endpoint": endpoint, "factor": factor, "at": at, "seconds": seconds} for at in range(2, until, every)]


def _hits(endpoint, hits=10, seconds=20):
    # uneven on purpose, the same in every run: people do not click by the clock
    return [{"endpoint": endpoint, "at": round(0.4 + (n + (n * 7 % 5) / 6) * seconds / (hits + 0.5), 2)} for n in range(hits)]


def _scenario(name, half, schema, mix, **rest):
    return {"name": name, "half": half, "schema": schema, "mix": mix, "traffic": "steady", "bursts": [], "scheduled": [],
            "workers": 3, "rate": 12, "window": 0.6, "windows": 30, "session": True, **rest}


def _pairs():
    """Each kind of loop by itself, and the same work done without a loop."""
    places = [("blog", "tune", ["belongs_to", "has_many", "many_to_many"]), ("legacy", "tune", ["count", "nested", "has_many"]),
              ("saas", "tune", ["belongs_to", "has_many", "update"]), ("clinic", "tune", ["worker", "insert"]),
              ("shop", "held-out", ["nested", "count", "latest"]), ("legacy", "held-out", ["belongs_to", "many_to_many", "update"]),
              ("saas", "held-out", ["latest", "count", "nested"]), ("clinic", "held-out", ["resolvers", "update"]),
              ("shop", "tune", ["resolvers", "latest"]), ("blog", "held-out", ["worker", "insert", "has_many"])]
    for schema, half, kinds in places:
        for suffix in ("n1", "fixed"):
            yield _scenario(f"{schema}-{'-'.join(kinds)}-{suffix}".replace("_", "-"), half, schema, _mix(suffix, *kinds),
                            traffic="steady" if suffix == "n1" else "fixed")


def _all():
    yield from _pairs()
    # crawler, cron and people: one honest endpoint ten times as often for a while
    yield _scenario("blog-crawler", "tune", "blog", _mix("n1", "has_many", weight=1), traffic="burst", bursts=_bursts("show"))
    yield _scenario("shop-crawler", "held-out", "shop", _mix("n1", "belongs_to", "latest", weight=1), traffic="burst", bursts=_bursts("show"))
    yield _scenario("legacy-cron", "tune", "legacy", _mix("n1", "count", weight=1), traffic="burst",
                    bursts=_bursts("profile", seconds=2, every=6) + _bursts("log", every=6))
    yield _scenario("clinic-cron", "held-out", "clinic", _mix("n1", "latest", weight=1), traffic="burst",
                    bursts=_bursts("profile", seconds=1, every=5) + _bursts("vote", every=5))
    yield _scenario("saas-crawler-fixed", "tune", "saas", _mix("fixed", "has_many", "count"), traffic="burst",
                    bursts=_bursts("show", factor=12, seconds=1))
    yield _scenario("clinic-three-burst-fixed", "held-out", "clinic", {**_mix("fixed", "belongs_to", "update"), "three": 3},
                    traffic="burst", bursts=_bursts("three", factor=12, seconds=1))
    # a bad endpoint that comes in bursts
    yield _scenario("shop-bad-burst", "tune", "shop", _mix("n1", "has_many", "count", weight=0.4), traffic="bad burst",
                    bursts=_bursts("has_many_n1", factor=12, seconds=1, every=7))
    yield _scenario("saas-bad-burst", "held-out", "saas", _mix("n1", "belongs_to", "has_many", weight=0.4), traffic="bad burst",
                    bursts=_bursts("belongs_to_n1", factor=12, seconds=1, every=7))
    # load
    yield _scenario("blog-busy", "tune", "blog", _mix("n1", "latest", "update", "resolvers", weight=1), traffic="busy", workers=6, rate=12, window=0.5)
    yield _scenario("shop-busy", "held-out", "shop", _mix("n1", "belongs_to", "many_to_many", "insert", weight=1), traffic="busy", workers=6, rate=12, window=0.5)
    yield _scenario("clinic-quiet", "tune", "clinic", _mix("n1", "has_many", "belongs_to", weight=1.5), traffic="quiet", workers=2, rate=4, window=0.8)
    yield _scenario("legacy-quiet", "held-out", "legacy", _mix("n1", "latest", "has_many", weight=1.5), traffic="quiet", workers=2, rate=4, window=0.8)
    # a bad endpoint hit ten times in 20 s: to be flagged within 30 s
    for schema, half, kind in (("blog", "tune", "has_many"), ("legacy", "tune", "belongs_to"), ("shop", "held-out", "has_many"),
                               ("clinic", "held-out", "count")):
        yield _scenario(f"{schema}-ten-hits-{kind}".replace("_", "-"), half, schema, dict(HONEST), traffic="ten hits",
                        scheduled=_hits(f"{kind}_n1"), workers=2, rate=4, window=0.7)


SCENARIOS = {scenario["name"]: scenario for scenario in _all()}
assert all(name.removesuffix("_n1").removesuffix("_fixed") in {*HONEST, *BAD} for s in SCENARIOS.values() for name in s["mix"])
