"""Django: models with lazy relations, `select_related` and `prefetch_related` for eager loading."""

import contextlib
import uuid

import django
from django.apps import AppConfig
from django.conf import settings
from raw import take_jobs
from trace import record, traced


class Bench(AppConfig):
    """The application that the models belong to; Django sees reverse relations of installed ones only."""

    name, label = __name__, "bench"


class Adapter:
    """One connection, autocommit, as Django runs requests by default."""

    def __init__(self, order):
        self.schema = order["schema"]
        settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": order["database"], "USER": "app",
                                   "HOST": order["socket"], "PORT": str(order["port"])}},
            INSTALLED_APPS=["orm_django.Bench"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        )
        django.setup()
        from django.db import connection

        self.connection = connection
        self.models = self._models()

    def _models(self):
        from django.db import models

        key = {"serial": models.AutoField, "bigserial": models.BigAutoField, "uuid": models.UUIDField}[self.schema["key"]]
        alias, made = self.schema["alias"], {}
        related = {("item", "account_id"): "items", ("line", "item_id"): "lines"}
        for role, table in self.schema["tables"].items():
            meta = type("Meta", (), {"app_label": "bench", "db_table": table["name"], "managed": False})
            body = {"__module__": __name__, "Meta": meta}
            for name, kind in table["types"].items():
                column = table["columns"][name]
                if kind == "key":
                    body[name] = key(primary_key=True, db_column=column, **({"default": uuid.uuid4} if self.schema["key"] == "uuid" else {}))
                elif kind == "textkey":
                    body[name] = models.TextField(primary_key=True, db_column=column)
                elif kind.startswith("ref:"):
                    to = kind[4:].rstrip("?")
                    body[name.removesuffix("_id")] = models.ForeignKey(
                        f"bench.{self._class(alias.get(to, to))}", models.DO_NOTHING, db_column=column, null=kind.endswith("?"),
                        related_name=related.get((role, name), "+"))
                elif kind.startswith("text"):
                    body[name] = models.TextField(db_column=column)
                else:
                    body[name] = {"time": models.DateTimeField, "int": models.IntegerField}[kind](db_column=column, null=kind == "time")
            if role == "item":
                body["tags"] = models.ManyToManyField("bench.Tag", through="bench.ItemTag", related_name="items")
            made[role] = type(self._class(role), (models.Model,), body)
        return made

    @staticmethod
    def _class(role):
        return role.title().replace("_", "")

    def _where(self, where):
        return {(f"{name}__isnull" if value is None else name): (True if value is None else value) for name, value in where.items()}

    @contextlib.contextmanager
    def request(self):
        def seen(execute, sql, parameters, many, context):
            record(sql, len(parameters) if many else 1)
            return execute(sql, parameters, many, context)

        with self.connection.execute_wrapper(seen):
            yield

    @traced
    def list(self, role, limit, offset, where, include):
        query = self.models[role].objects.filter(**self._where(where)).order_by("-id")
        for path in include:
            query = query.select_related(path) if path == "account" else query.prefetch_related(path.replace(".", "__"))
        return list(query[offset:offset + limit])

    @traced
    def get(self, role, key):
        return self.models[role].objects.get(pk=key)

    @traced
    def first(self, role, **where):
        try:
            return self.models[role].objects.get(**self._where(where))
        except self.models[role].DoesNotExist:
            return None

    @traced
    def latest(self, role, **where):
        return self.models[role].objects.filter(**self._where(where)).order_by("-id").first()

    @traced
    def find(self, role, **where):
        return list(self.models[role].objects.filter(**self._where(where)))

    @traced
    def find_in(self, role, name, keys, where):
        return list(self.models[role].objects.filter(**{f"{name}__in": keys}, **self._where(where)))

    @traced
    def related(self, row, relation):
        value = getattr(row, relation)
        return list(value.all()) if hasattr(value, "all") else value

    @traced
    def count(self, role, **where):
        return self.models[role].objects.filter(**self._where(where)).count()

    @traced
    def count_by(self, role, name, keys, where):
        from django.db.models import Count

        return list(self.models[role].objects.filter(**{f"{name}__in": keys}, **self._where(where)).values(name).annotate(n=Count("pk")))

    @traced
    def insert(self, role, row):
        self.models[role].objects.create(**row)

    @traced
    def insert_many(self, role, rows):
        self.models[role].objects.bulk_create([self.models[role](**row) for row in rows])

    @traced
    def save(self, row, **patch):
        for name, value in patch.items():
            setattr(row, name, value)
        row.save(update_fields=list(patch))

    @traced
    def update(self, role, key, **patch):
        self.models[role].objects.filter(pk=key).update(**patch)

    @traced
    def update_many(self, role, keys, **patch):
        self.models[role].objects.filter(pk__in=keys).update(**patch)

    @traced
    def take(self, limit):
        with self.connection.cursor() as cursor:
            cursor.execute(take_jobs(self.schema, limit))
            return cursor.fetchall()
