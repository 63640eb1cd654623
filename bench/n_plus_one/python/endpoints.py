"""The endpoints of the application. `..._n1` sends statements in loops, `..._fixed` does the same work without; the rest is honest."""

import datetime

from trace import loop


class Endpoints:
    """The same endpoints as those of the Node.js workers (`node/endpoints.mjs`)."""

    def __init__(self, db, schema, random, ids):
        self.db, self.schema, self.random, self.ids = db, schema, random, ids
        self.scoped = schema["tenant"] or schema["soft"]
        self.tenant = random.randint(1, 4)
        self.login = schema["alias"].get("login", "login")

    # what the endpoints are made of

    def scope(self, role):
        """The predicates that this schema adds to every read of a role."""
        types = self.schema["tables"][role]["types"]
        return {**({"tenant_id": self.tenant} if "tenant_id" in types else {}), **({"deleted_at": None} if "deleted_at" in types else {})}

    def owned(self, role):
        return {"tenant_id": self.tenant} if "tenant_id" in self.schema["tables"][role]["types"] else {}

    def page(self, role, low=8, high=25, include=()):
        return self.db.list(role, self.random.randint(low, high), self.random.randint(0, 60), self.scope(role), include)

    def lines(self, item):
        return self.db.find("line", item_id=item.id, **self.scope("line")) if self.scoped else self.db.related(item, "lines")

    def owner(self, item):
        return self.db.first("account", id=item.account_id, **self.scope("account")) if self.scoped else self.db.related(item, "account")

    def items(self, account):
        return self.db.find("item", account_id=account.id, **self.scope("item")) if self.scoped else self.db.related(account, "items")

    def by_id(self, role, key):
        return self.db.first(role, id=key, **self.scope(role)) if self.owned(role) else self.db.get(role, key)

    def many(self, role, name, keys):
        return self.db.find_in(role, name, list({key for key in keys if key is not None}), self.scope(role))

    def event(self, number=0):
        return {"account_id": self.random.choice(self.ids["account"]), "action": f"a{number}", **self.owned("event")}

    def jobs(self):
        return [{"item_id": self.random.choice(self.ids["item"]), "state": "new", **self.owned("job")} for _ in range(self.random.randint(8, 16))]

    def before(self):
        session = self.db.first("session", token=f"token{self.random.randint(1, 400)}")
        self.db.get(self.login, session.login_id)

    # loops and the same work without

    def belongs_to_n1(self):
        for item in loop(self.page("item")):
            self.owner(item)

    def belongs_to_fixed(self):
        rows = self.page("item", include=() if self.scoped else ("account",))
        if self.scoped:
            self.many("account", "id", [row.account_id for row in rows])

    def has_many_n1(self):
        for item in loop(self.page("item")):
            self.lines(item)

    def has_many_fixed(self):
        rows = self.page("item", include=() if self.scoped else ("lines",))
        if self.scoped:
            self.many("line", "item_id", [row.id for row in rows])

    def latest_n1(self):
        for account in loop(self.page("account")):
            self.db.latest("item", account_id=account.id, **self.scope("item"))

    def latest_fixed(self):
        self.many("item", "account_id", [row.id for row in self.page("account")])

    def many_to_many_n1(self):
        for item in loop(self.page("item", 6, 18)):
            self.db.related(item, "tags")

    def many_to_many_fixed(self):
        self.page("item", 6, 18, ("tags",))

    def nested_n1(self):
        for account in loop(self.page("account", 3, 6)):
            for item in loop(self.items(account)[:6]):
                self.lines(item)

    def nested_fixed(self):
        rows = self.page("account", 3, 6, () if self.scoped else ("items", "items.lines"))
        if self.scoped:
            found = self.many("item", "account_id", [row.id for row in rows])
            self.many("line", "item_id", [row.id for row in found])

    def count_n1(self):
        for item in loop(self.page("item")):
            self.db.count("line", item_id=item.id, **self.scope("line"))

    def count_fixed(self):
        self.db.count_by("line", "item_id", [row.id for row in self.page("item")], self.scope("line"))

    def insert_n1(self):
        for number in loop(range(self.random.randint(8, 25)), from_rows=False):
            self.db.insert("event", self.event(number))

    def insert_fixed(self):
        self.db.insert_many("event", [self.event(number) for number in range(self.random.randint(8, 25))])

    def update_n1(self):
        for item in loop(self.page("item", 6, 18)):
            self.db.save(item, hits=item.hits + 1)

    def update_fixed(self):
        self.db.update_many("item", [row.id for row in self.page("item", 6, 18)], hits=1)

    def worker_n1(self):
        self.db.insert_many("job", self.jobs())
        for key, item in loop(self.db.take(16)):
            self.by_id("item", item)
            self.db.update("job", key, state="done")

    def worker_fixed(self):
        self.db.insert_many("job", self.jobs())
        taken = self.db.take(16)
        if taken:
            self.many("item", "id", [item for _, item in taken])
            self.db.update_many("job", [key for key, _ in taken], state="done")

    def resolvers_n1(self):
        for item in loop(self.page("item", 6, 18)):
            self.by_id("account", item.account_id)
            self.db.find("line", item_id=item.id, **self.scope("line"))

    def resolvers_fixed(self):
        # what a DataLoader does: collect the keys of one level, then ask once
        rows = self.page("item", 6, 18)
        self.many("account", "id", [row.account_id for row in rows])
        self.many("line", "item_id", [row.id for row in rows])

    # honest traffic

    def show(self):
        item = self.by_id("item", self.random.choice(self.ids["item"]))
        if not item:
            return
        self.owner(item)
        self.lines(item)
        if self.random.random() < 0.5:
            self.db.related(item, "tags")
        self.db.count("line", item_id=item.id, **self.scope("line"))

    def profile(self):
        account = self.by_id("account", self.random.choice(self.ids["account"]))
        if not account:
            return
        if account.team_id is not None:
            self.db.get("team", account.team_id)
        self.db.latest("item", account_id=account.id, **self.scope("item"))
        self.db.find("detail", account_id=account.id, **self.scope("detail"))

    def board(self):
        self.page("item")

    def directory(self):
        self.page("account", 10, 40)

    def setting(self):
        self.db.first("setting", key=f"key{self.random.randint(1, 200)}")

    def three(self):
        for _ in ("author", "editor", "approver"):
            self.by_id("account", self.random.choice(self.ids["account"]))

    def dashboard(self):
        self.db.count("item", **self.scope("item"))
        self.db.count("line", **self.scope("line"))
        self.db.list("item", 5, 0, self.scope("item"), ())

    def poll(self):
        self.db.take(1)

    def heartbeat(self):
        self.db.update(self.login, self.random.choice(self.ids[self.login]), seen=datetime.datetime.now(datetime.timezone.utc))

    def log(self):
        self.db.insert("event", self.event())

    def vote(self):
        item = self.by_id("item", self.random.choice(self.ids["item"]))
        if item:
            self.db.update("item", item.id, hits=self.random.randint(1, 99))
