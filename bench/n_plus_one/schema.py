"""The tables of a schema: what `schemas.json` names, as complete tables, as DDL and as data.

Every schema has the same roles (an account has items, an item has lines and tags ...) under its own names, so that
one set of endpoints runs on all of them while the statements, keys and names differ.
"""

import json
import pathlib

# role: property -> type; `ref:role` is a reference, `?` after it allows NULL, `!` makes it unique.
ROLES = {
    "team": {"id": "key", "name": "text"},
    "account": {"id": "key", "email": "text!", "name": "text", "team_id": "ref:team?", "seen": "time"},
    "login": {"id": "key", "email": "text!", "name": "text", "seen": "time"},
    "session": {"id": "key", "token": "text!", "login_id": "ref:login"},
    "item": {"id": "key", "title": "text", "account_id": "ref:account", "hits": "int"},
    "line": {"id": "key", "body": "text", "item_id": "ref:item"},
    "tag": {"id": "key", "name": "text"},
    "item_tag": {"id": "key", "item_id": "ref:item", "tag_id": "ref:tag"},
    "detail": {"id": "key", "account_id": "ref:account", "status": "text"},
    "setting": {"key": "textkey", "value": "text"},
    "event": {"id": "key", "account_id": "ref:account", "action": "text"},
    "job": {"id": "key", "item_id": "ref:item", "state": "text"},
}
WITHOUT_TENANT = {"login", "session", "setting"}
ROWS = {"team": 40, "account": 400, "login": 60, "session": 400, "item": 1600, "line": 6400, "tag": 40,
        "item_tag": 4000, "detail": 400, "setting": 200, "event": 0, "job": 0}
TENANTS = 4


def load(name):
    """The schema with every role complete: `tables[role] = {name, columns: {property: column}}`."""
    everything = json.loads((pathlib.Path(__file__).parent / "schemas.json").read_text(encoding="utf-8"))
    schema = {"name": name, "alias": {}, "tenant": False, "soft": False, **everything[name]}
    tables = {}
    for role, properties in ROLES.items():
        if role in schema["alias"]:
            continue
        given = schema["tables"][role]
        types = dict(properties)
        if schema["tenant"] and role not in WITHOUT_TENANT:
            types["tenant_id"] = "int"
        if schema["soft"] and role in ("item", "line", "account", "detail"):
            types["deleted_at"] = "time"
        columns = {name: given.get("columns", {}).get(name, name) for name in types}
        tables[role] = {"name": given["name"], "columns": columns, "types": types}
    schema["tables"] = tables
    return schema


def target(schema, kind):
    """The role that `ref:role` means, an alias resolved."""
    role = kind[4:].rstrip("?")
    return schema["alias"].get(role, role)


def sql_type(schema, kind):
    key = {"serial": "integer", "bigserial": "bigint", "uuid": "uuid"}[schema["key"]]
    return "text" if kind.startswith("text") else {"key": key, "time": "timestamptz", "int": "integer"}.get(kind, key)


def ddl(schema):
    """The tables alone: what a detector may know of the catalog."""
    lines = []
    for role, table in schema["tables"].items():
        parts = []
        for name, kind in table["types"].items():
            column = f'"{table["columns"][name]}"'
            if kind == "key":
                given = "uuid default gen_random_uuid()" if schema["key"] == "uuid" else schema["key"]
                parts.append(f"{column} {given} primary key")
            elif kind == "textkey":
                parts.append(f"{column} text primary key")
            else:
                part = f"{column} {sql_type(schema, kind)}" + ("" if kind.endswith("?") or kind == "time" else " not null")
                if kind == "text!" and schema["foreign_keys"]:
                    part += " unique"
                if kind.startswith("ref:") and schema["foreign_keys"]:
                    part += f' references "{schema["tables"][target(schema, kind)]["name"]}"'
                parts.append(part)
        lines.append(f'create table "{table["name"]}" (\n    ' + ",\n    ".join(parts) + "\n);")
        for name, kind in table["types"].items():
            if kind.startswith("ref:") or name == "state" or (kind == "text!" and not schema["foreign_keys"]):
                first = '"tenant_id", ' if "tenant_id" in table["types"] and kind.startswith("ref:") else ""
                lines.append(f'create index on "{table["name"]}" ({first}"{table["columns"][name]}");')
    return "\n".join(lines) + "\n"


def data(schema):
    """Rows for every table; the references spread evenly, some accounts have no team."""
    lines = []
    for role, table in schema["tables"].items():
        if not ROWS[role]:
            continue
        names, values = [], []
        for name, kind in table["types"].items():
            if kind == "key" and schema["key"] != "uuid":
                continue
            names.append(f'"{table["columns"][name]}"')
            if kind == "key":
                value = uuid(role, "g")
            elif kind.startswith("ref:"):
                to = target(schema, kind)
                spread = {"tag": 7, "account": 7 if role == "item" else 1, "item": 13}.get(to, 1)
                number = f"(1 + (g * {spread}) % {ROWS[to]})"
                value = uuid(to, number) if schema["key"] == "uuid" else number
                if kind.endswith("?"):
                    value = f"case when g % 10 = 0 then null else {value} end"
            elif name == "deleted_at":
                value = "case when g % 17 = 0 then now() end"
            elif name == "tenant_id":
                # a child belongs to its parent's tenant because 4 divides the number of rows everywhere
                value = f"1 + (g * {13 if role in ('line', 'item_tag') else 7 if role == 'item' else 1}) % {TENANTS}" \
                    if role != "account" else f"1 + (g - 1) % {TENANTS}"
            else:
                value = {"time": "now()", "int": "0"}.get(kind, f"'{name}' || g")
            values.append(value)
        lines.append(f'insert into "{table["name"]}" ({", ".join(names)}) select {", ".join(values)} '
                     f'from generate_series(1, {ROWS[role]}) g;')
    return "\n".join(lines) + "\nanalyze;\n"


def uuid(role, number):
    return f"md5('{role}' || {number})::uuid"
