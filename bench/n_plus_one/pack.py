#!/usr/bin/env python3
"""Packs recordings into the fixtures of the detector's tests: `pack.py FOLDER tests/fixtures/n_plus_one_live`.

One line of JSON for each run, in `tune.jsonl.gz` and `held-out.jsonl.gz`, differences per window instead of readings.
"""

import gzip
import json
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
from skeleton import skeleton  # noqa: E402


def line(run):
    snaps = [{row["queryid"]: row for row in snap} for snap in run["snaps"]]
    texts = {query: row["query"] for snap in snaps for query, row in snap.items()}
    statements = []
    for query, text in texts.items():
        first, last = snaps[0].get(query), next(snap[query] for snap in reversed(snaps) if query in snap)
        series = {name: [snap[query][name] if query in snap else 0 for snap in snaps] for name in ("calls", "rows")}
        calls = series["calls"][-1] - series["calls"][0]
        if calls <= 0:
            continue
        spent = last["total_exec_time"] - (first["total_exec_time"] if first else 0)
        known = run["parents"].get(skeleton(text), {})
        # a list that gave a twentieth of the executions or more is a right answer
        parents = {parent for parent, count in known.items() if count >= 0.05 * sum(known.values())}
        statements.append({
            "text": text, "label": run["labels"].get(skeleton(text)), "mean_ms": round(spent / calls, 4),
            **{name: [b - a for a, b in zip(values, values[1:])] for name, values in series.items()},
            "parents": sorted(other for other in texts.values() if skeleton(other) in parents),
        })
    return {"orm": run["orm"], "major": run["port"] - 61000, "scenario": run["scn"], "half": run["half"], "schema": run["schema"],
            "traffic": run["traffic"], "window_s": run["window_s"], "endpoints": run["eps"], "statements": statements}


def main(folder, out):
    halves = {}
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        halves.setdefault(run["half"], []).append(line(run))
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for half, lines in halves.items():
        with gzip.GzipFile(out / f"{half}.jsonl.gz", "wb", compresslevel=9, mtime=0) as file:
            for run in lines:
                file.write((json.dumps(run, separators=(",", ":"), ensure_ascii=False) + "\n").encode())
        print(f"{half}: {len(lines)} runs, {(out / f'{half}.jsonl.gz').stat().st_size} bytes")
    for path in pathlib.Path(folder).glob("schema_*.sql"):
        shutil.copy(path, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
