"""Bar 42: slow and n-plus-one over 10,000 statements against psql's copy; 100,000 from a file."""

from months import RUNS
from pg import Session
from report import median, ms, table, verdict

TITLE = "Statements: 10,000 live against psql's copy, 100,000 from a file"
COMMAND = ("queries", "slow")
COLUMNS = 400
LIVE, FILED = 10_000, 100_000
LIMIT_RATIO, LIMIT_MB = 2.0, 100
LIMIT_FILE_S, LIMIT_FILE_MB = 3.0, 400
COPY = "copy (select * from pg_stat_statements) to stdout"


def fill(session, first, last):
    """Statements that differ in the columns they name: each is an entry of its own."""
    batch = []
    for number in range(first, last):
        a, b = divmod(number, COLUMNS)
        batch.append(f"select c{a}, c{b}, c{a} + c{b} as total from wide where c{a} = {number} and c{b} > 5 order by c{b} limit 10")
        if len(batch) == 500 or number == last - 1:
            session.query(";".join(batch))
            batch = []


def measure(cluster, dbops):
    # The server knows the setting only once the library is loaded.
    cluster.set(shared_preload_libraries="pg_stat_statements")
    cluster.restart()
    cluster.set(**{"pg_stat_statements.max": str(FILED + 10_000)})
    cluster.restart()
    cluster.sql("postgres", "create database many")
    plan = dbops and dbops.plan("many", "version: 1\n")
    windows, readings = f"{cluster.home}/windows.gz", f"{cluster.home}/readings.gz"
    with Session(cluster, "many") as session:
        session.query("create extension pg_stat_statements")
        session.query("create table wide (" + ", ".join(f"c{at} int" for at in range(COLUMNS)) + ")")
        session.query("select pg_stat_statements_reset()")
        fill(session, 0, LIVE)
        contestants = {"psql -c 'copy …'": lambda: cluster.psql("many", "-c", COPY)}
        if dbops:
            recorded = dbops("many", plan, "queries", "snapshot", "--windows", "6", "--window", "0.25s", "--file", windows)
            if recorded.code != 0:
                raise SystemExit(recorded.err)
            contestants["dbops queries slow"] = lambda: dbops("many", plan, "queries", "slow")
            contestants["dbops queries n-plus-one --from"] = lambda: dbops("many", plan, "queries", "n-plus-one", "--from", windows)
        times, memory = {name: [] for name in contestants}, {name: 0.0 for name in contestants}
        for turn in range(RUNS + 1):
            for name, contestant in contestants.items():
                ran = contestant()
                if ran.code not in (0, 1, 3):
                    raise SystemExit(ran.err)
                memory[name] = max(memory[name], ran.peak_rss_mb)
                if turn:
                    times[name].append(ran.seconds)
        middle = {name: median(values) for name, values in times.items()}
        floor = middle["psql -c 'copy …'"]
        rows = [[name, ms(middle[name]), ms(min(values)), ms(max(values)), f"{memory[name]:.0f} MB"] for name, values in times.items()]
        text = table([f"{LIVE:,} statements", "median", "fastest", "slowest", "memory"], rows)
        if not dbops:
            return text
        bars = []
        for name in list(contestants)[1:]:
            bars.append([f"{name} <= {LIMIT_RATIO:.0f}x psql", f"{middle[name] / floor:.2f}x", verdict(middle[name] <= LIMIT_RATIO * floor)])
            bars.append([f"{name} <= {LIMIT_MB} MB", f"{memory[name]:.0f} MB", verdict(memory[name] <= LIMIT_MB)])
        fill(session, LIVE, FILED)
    saved = dbops("many", plan, "queries", "snapshot", "--file", readings)
    if saved.code != 0:
        raise SystemExit(saved.err)
    runs = [dbops("many", plan, "queries", "slow", "--from", readings) for _ in range(3)]
    if any(ran.code not in (0, 1, 3) for ran in runs):
        raise SystemExit(runs[0].err)
    seconds, peak = median([ran.seconds for ran in runs]), max(ran.peak_rss_mb for ran in runs)
    bars.append([f"{FILED:,} from a file <= {LIMIT_FILE_S:.0f} s", f"{seconds:.2f} s", verdict(seconds <= LIMIT_FILE_S)])
    bars.append([f"{FILED:,} from a file <= {LIMIT_FILE_MB} MB", f"{peak:.0f} MB", verdict(peak <= LIMIT_FILE_MB)])
    return text + "\n\n" + table(["bar", "measured", "verdict"], bars) + (
        f"\n\nMedians of {RUNS} alternated runs. n-plus-one reads a recording of six windows, because live it waits for its windows. "
        "psql and slow read the same server."
    )
