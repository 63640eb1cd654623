"""Holds what `dbops queries n-plus-one` says against what the application counted, and writes the tables of it."""

import collections
import json
import re
import time

import report
from cluster import run
from skeleton import skeleton

LEAST_CALLS = 20  # statements with fewer are not judged, by dbops neither
BUDGET_S = 30  # bar: an endpoint with a loop hit ten times in 20 s is named within this


def observe(dbops, cluster, database, scenario):
    """Runs dbops for the scenario's windows; gives its report, and how long it took."""
    began = time.monotonic()
    ran = run([dbops, "queries", "n-plus-one", "--database-url", cluster.url(database), "--only-database", database,
               "--windows", str(scenario["windows"]), "--window", f"{round(scenario['window'] * 1000)}ms", "--all", "--output", "json"])
    if ran.code not in (0, 1) or not ran.out:
        raise SystemExit(f"dbops queries n-plus-one: exit {ran.code}\n{ran.err}{ran.out[:2000]}")
    return json.loads(ran.out)["targets"][0], time.monotonic() - began


def column_class(text, schema):
    """What a statement does or which column it looks for: the class under which it is counted."""
    plain = skeleton(text)
    if plain.startswith("insert"):
        return "insert"
    if plain.startswith("update"):
        return "update"
    if re.search(r"\bcount\s*\(", plain):
        return "count"
    compared = {name.lower() for pair in re.findall(r'(\w+)"?\s*=\s*\?|\?\s*=\s*[\w".]*?(\w+)"?(?=\W|$)', plain) for name in pair if name}
    references = {t["columns"][name].lower() for t in schema["tables"].values() for name, kind in t["types"].items() if kind.startswith("ref:")}
    keys = {t["columns"][name].lower() for t in schema["tables"].values() for name, kind in t["types"].items() if kind == "key"}
    return "reference" if compared & references else "own key" if compared & keys else "other column"


def judge(said, counts, parents, calls, schema):
    """One dictionary for each statement that counts: what it is, what dbops said, whether the parent is right."""
    suspects = {}
    for suspect in said["suspects"]:
        if suspect["verdict"] in ("suspect", "strong"):
            suspects[skeleton(suspect["text"])] = suspect
    judged = []
    for keys in _entries(suspects.values(), calls):
        key = keys[0]
        number, text = sum(calls[one][0] for one in keys), calls[key][1]
        inside, outside = (sum(counts.get(one, (0, 0))[side] for one in keys) for side in (0, 1))
        if number < LEAST_CALLS or not inside + outside or not re.match(r"(with|select|insert|update|delete)\b", key):
            continue
        share = inside / (inside + outside)
        if 0.1 < share < 0.5:
            continue
        suspect = suspects.get(key)
        known = collections.Counter()
        for one in keys:
            known.update(parents.get(one, {}))
        right = {parent for parent, count in known.items() if count >= 0.05 * sum(known.values())}
        named = suspect and suspect["parent"] and skeleton(suspect["parent"]["text"])
        judged.append({"text": text[:300], "class": column_class(text, schema), "loop": share >= 0.5, "flagged": bool(suspect),
                       "parent": named in right if right and suspect and share >= 0.5 else None,
                       "named": named, "right": sorted(right),
                       "score": suspect["score"] if suspect else None, "inside": inside, "outside": outside})
    return judged


def _entries(suspects, calls):
    """Skeletons that are judged together: dbops shows texts that differ by their aliases alone as one statement."""
    left = dict.fromkeys(calls)
    for suspect in suspects:
        first = skeleton(suspect["text"])
        keys = [first, *(key for key in left if key != first and calls[key][2] & set(suspect["queryids"]))]
        if all(key in left for key in keys):
            for key in keys:
                del left[key]
            yield keys
    yield from ([key] for key in left)


def calls(snap):
    """Skeleton -> executions, one text and the queryids, of a reading taken after a reset."""
    found = {}
    for row in snap:
        key = skeleton(row["query"])
        number, _, queryids = found.get(key, (0, "", set()))
        found[key] = (number + row["calls"], row["query"], queryids | {row["queryid"]})
    return found


class Tally:
    """Right and wrong answers of a group."""

    def __init__(self):
        self.found = self.wrong = self.missed = self.honest = self.parents = self.right = 0

    def add(self, one):
        self.found += one["loop"] and one["flagged"]
        self.missed += one["loop"] and not one["flagged"]
        self.wrong += not one["loop"] and one["flagged"]
        self.honest += not one["loop"] and not one["flagged"]
        self.parents += one["parent"] is not None
        self.right += one["parent"] is True

    def row(self, name):
        precision = self.found / (self.found + self.wrong) if self.found + self.wrong else None
        recall = self.found / (self.found + self.missed) if self.found + self.missed else None
        f1 = 2 * self.found / (2 * self.found + self.wrong + self.missed) if recall is not None else None
        share = self.right / self.parents if self.parents else None
        return [name, self.found, self.wrong, self.missed, self.honest, *("-" if v is None else f"{v:.3f}" for v in (precision, recall, f1, share))]


HEADER = ["", "found", "wrong", "missed", "honest", "precision", "recall", "F1", "right parent"]


def _table(runs, title, group):
    tallies = collections.defaultdict(Tally)
    for one in runs:
        for statement in one["judged"]:
            tallies[group(one, statement)].add(statement)
    return report.table([title, *HEADER[1:]], [tallies[name].row(name) for name in sorted(tallies)])


def text(runs):
    """The section for RESULTS.md."""
    parts = []
    for half in ("held-out", "tune"):
        chosen = [one for one in runs if one["half"] == half]
        if not chosen:
            continue
        total = Tally()
        for one in chosen:
            for statement in one["judged"]:
                total.add(statement)
        words = "Held-out scenarios: nothing was fitted to them" if half == "held-out" else "Scenarios that weights may be fitted to"
        parts.append(f"**{words}** ({len(chosen)} runs)")
        parts.append(report.table(HEADER, [total.row("all")]))
        for title, group in (("ORM", lambda r, _: r["orm"]), ("statement", lambda _, s: s["class"]), ("schema", lambda r, _: r["schema"]),
                             ("traffic", lambda r, _: r["traffic"])):
            parts.append(_table(chosen, title, group))
    hits = [one for one in runs if one["traffic"] == "ten hits"]
    if hits:
        rows, good = [], 0
        for one in sorted(hits, key=lambda r: (r["orm"], r["scenario"])):
            loops = [s for s in one["judged"] if s["loop"]]
            ok = bool(loops) and all(s["flagged"] for s in loops) and one["seconds"] <= BUDGET_S
            good += ok
            rows.append([one["orm"], one["scenario"], f"{sum(s['flagged'] for s in loops)} of {len(loops)}", f"{one['seconds']:.1f} s",
                         sum(s["flagged"] and not s["loop"] for s in one["judged"])])
        parts.append(report.table(["ORM", "ten hits in 20 s", "loops named", "time", "wrong"], rows))
        parts.append(report.table(["bar", "measured", "verdict"], [[f"each named within {BUDGET_S} s", f"{good} of {len(hits)}", report.verdict(good == len(hits))]]))
    confused = collections.Counter()
    for one in runs:
        for s in one["judged"]:
            if s["loop"] != s["flagged"]:
                confused[("missed" if s["loop"] else "wrong", one["traffic"], s["class"], one["schema"])] += 1
    if confused:
        parts.append(report.table(["confused", "traffic", "statement", "schema", "times"], [[*key, n] for key, n in sorted(confused.items(), key=lambda p: (-p[1], p[0]))]))
    loads = [one["load"] for one in runs if "load" in one]
    parts.append("Loops are statements of which the application itself sent half or more inside a loop; honest ones a tenth or fewer; what is"
                 f" between, and what ran fewer than {LEAST_CALLS} times, is left out. Parents: whether the list named is one whose rows the loop went over."
                 " Two to six processes, 8 to 70 requests a second."
                 + (f" Load average of the machine after each run: {min(loads)} to {max(loads)}." if loads else ""))
    return "\n\n".join(parts)
