"""Bar 34: the size that the dry run foretells, against the size that the index then has."""

import json

from indexes import APPLY, plan
from report import table, verdict

TITLE = "Indexes: foretold size against measured size"
COMMAND = APPLY
ROWS = 400_000
LOW, HIGH, WANTED = 0.7, 1.6, 7
SETUP = (
    "create table t (id bigint not null, user_id int not null, name text not null, state text not null, email text, at timestamptz not null, gone_at timestamptz);"
    " insert into t select i, hashint8(i) % 100000, md5(i::text), (array['open', 'paid', 'sent', 'done'])[1 + i % 4], 'customer-' || i || '@example.com',"
    f" timestamptz '2026-01-01 00:00+00' + i * interval '7 seconds', case when i % 100 = 0 then now() end from generate_series(1, {ROWS}) i"
)
SHAPES = {
    "bigint, unique values": ("columns: [id]", "(id)"),
    "int and timestamptz": ("columns: [user_id, at]", "(user_id, at)"),
    "text of 32 characters": ("columns: [name]", "(name)"),
    "four values of text": ("columns: [state]", "(state)"),
    "expression": ("columns: [{ expr: lower(email) }]", "(lower(email))"),
    "partial, 1 in 100 rows": ("columns: [at], where: gone_at is not null", "(at) where gone_at is not null"),
    "with INCLUDE": ("columns: [user_id], include: [name]", "(user_id) include (name)"),
    "BRIN": ("columns: [at], using: brin", "using brin (at)"),
}


def foretold(ran):
    """Estimated bytes by index name."""
    try:
        return {step["index"]["name"]["name"] if isinstance(step["index"]["name"], dict) else step["index"]["name"].split(".")[-1]: step["index"]["bytes"]
                for one in json.loads(ran.out)["runs"] for step in one["changeset"]["steps"] if step.get("index")}
    except (json.JSONDecodeError, KeyError, TypeError):
        return {}


def measure(cluster, dbops):
    cluster.sql("postgres", "create database idx_size")
    cluster.sql("idx_size", SETUP)
    cluster.sql("idx_size", "vacuum analyze")
    names = {words: f"t_{number}" for number, words in enumerate(SHAPES)}
    said = {}
    if dbops:
        policy = dbops.plan("size", plan(*(f"{{ name: {names[words]}, table: public.t, {keys} }}" for words, (keys, _) in SHAPES.items())))
        said = foretold(dbops("idx_size", policy, *APPLY, "--dry-run"))
    rows, right = [], 0
    for words, (_, sql) in SHAPES.items():
        name = names[words]
        cluster.sql("idx_size", f"create index {name} on t {sql}")
        size = int(cluster.sql("idx_size", f"select pg_relation_size('{name}')")[0][0])
        guess = said.get(name)
        ratio = None if guess is None else guess / size
        right += ratio is not None and LOW <= ratio <= HIGH
        rows.append([words, "-" if guess is None else f"{guess / 2**20:.2f} MiB", f"{size / 2**20:.2f} MiB", "-" if ratio is None else f"{ratio:.2f}"])
    text = table(["index", "foretold", "measured", "foretold / measured"], rows)
    if dbops:
        text += "\n\n" + table(["bar", "measured", "verdict"], [
            [f"within {LOW} to {HIGH} of the size for {WANTED} of {len(SHAPES)}", f"{right} of {len(SHAPES)}", verdict(right >= WANTED)]])
    return text + f"\n\n{ROWS:,} rows, analyzed. Expressions have no statistics before their index is there."
