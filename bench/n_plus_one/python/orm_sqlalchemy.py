"""SQLAlchemy: declarative classes with lazy relationships, `selectinload` and `joinedload` for eager loading."""

import contextlib
import uuid

import sqlalchemy as sa
from raw import take_jobs
from sqlalchemy.orm import DeclarativeBase, Session, joinedload, relationship, selectinload
from trace import record, traced


class Adapter:
    """One session for each request, as web frameworks do."""

    def __init__(self, order):
        self.schema, self.session = order["schema"], None
        url = sa.URL.create("postgresql+psycopg", username="app", database=order["database"], query={"host": order["socket"], "port": str(order["port"])})
        self.engine = sa.create_engine(url, pool_size=1, max_overflow=2)
        sa.event.listen(self.engine, "before_cursor_execute",
                        lambda _c, _u, text, parameters, _x, many: record(text, len(parameters) if many else 1))
        self.models = self._models()

    def _models(self):
        tables, uuids = self.schema["tables"], self.schema["key"] == "uuid"

        class Base(DeclarativeBase):
            pass

        key = {"serial": sa.Integer, "bigserial": sa.BigInteger, "uuid": sa.Uuid}[self.schema["key"]]
        made = {}
        for role, table in tables.items():
            body = {"__tablename__": table["name"]}
            for name, kind in table["types"].items():
                column = table["columns"][name]
                if kind == "key":
                    body[name] = sa.orm.mapped_column(column, key, primary_key=True, **({"default": uuid.uuid4} if uuids else {}))
                elif kind == "textkey":
                    body[name] = sa.orm.mapped_column(column, sa.Text, primary_key=True)
                else:
                    body[name] = sa.orm.mapped_column(column, sa.Text if kind.startswith("text") else {"time": sa.DateTime(timezone=True), "int": sa.Integer}.get(kind, key))
            made[role] = type(role.title().replace("_", ""), (Base,), body)

        def link(child, name, parent):
            return sa.orm.foreign(getattr(made[child], name)) == made[parent].id

        made["item"].account = relationship(made["account"], primaryjoin=link("item", "account_id", "account"), uselist=False, viewonly=True)
        made["account"].items = relationship(made["item"], primaryjoin=link("item", "account_id", "account"), viewonly=True)
        made["item"].lines = relationship(made["line"], primaryjoin=link("line", "item_id", "item"), viewonly=True)
        made["item"].tags = relationship(
            made["tag"], secondary=made["item_tag"].__table__, viewonly=True,
            primaryjoin=made["item"].id == sa.orm.foreign(made["item_tag"].item_id),
            secondaryjoin=made["tag"].id == sa.orm.foreign(made["item_tag"].tag_id),
        )
        sa.orm.configure_mappers()
        return made

    @contextlib.contextmanager
    def request(self):
        with Session(self.engine, expire_on_commit=False) as self.session:
            yield
            self.session.commit()

    def _eager(self, include):
        options = []
        for path in include:
            if any(other.startswith(f"{path}.") for other in include):
                continue
            option, role = None, "account" if path.split(".")[0] == "items" else "item"
            for step in path.split("."):
                attribute = getattr(self.models[role], step)
                make = (joinedload if step == "account" else selectinload) if option is None else option.selectinload
                option, role = make(attribute), "item"
            options.append(option)
        return options

    @traced
    def list(self, role, limit, offset, where, include):
        model = self.models[role]
        query = sa.select(model).filter_by(**where).order_by(model.id.desc()).limit(limit).offset(offset).options(*self._eager(include))
        return list(self.session.scalars(query).unique())

    @traced
    def get(self, role, key):
        return self.session.get(self.models[role], key)

    @traced
    def first(self, role, **where):
        return self.session.scalars(sa.select(self.models[role]).filter_by(**where).limit(1)).first()

    @traced
    def latest(self, role, **where):
        model = self.models[role]
        return self.session.scalars(sa.select(model).filter_by(**where).order_by(model.id.desc()).limit(1)).first()

    @traced
    def find(self, role, **where):
        return list(self.session.scalars(sa.select(self.models[role]).filter_by(**where)))

    @traced
    def find_in(self, role, name, keys, where):
        model = self.models[role]
        return list(self.session.scalars(sa.select(model).where(getattr(model, name).in_(keys)).filter_by(**where)))

    @traced
    def related(self, row, relation):
        return getattr(row, relation)

    @traced
    def count(self, role, **where):
        return self.session.scalar(sa.select(sa.func.count()).select_from(self.models[role]).filter_by(**where))

    @traced
    def count_by(self, role, name, keys, where):
        model = self.models[role]
        column = getattr(model, name)
        return self.session.execute(sa.select(column, sa.func.count()).where(column.in_(keys)).filter_by(**where).group_by(column)).all()

    @traced
    def insert(self, role, row):
        self.session.add(self.models[role](**row))
        self.session.flush()

    @traced
    def insert_many(self, role, rows):
        self.session.add_all([self.models[role](**row) for row in rows])
        self.session.flush()

    @traced
    def save(self, row, **patch):
        for name, value in patch.items():
            setattr(row, name, value)
        self.session.flush()

    @traced
    def update(self, role, key, **patch):
        model = self.models[role]
        self.session.execute(sa.update(model).where(model.id == key).values(**patch), execution_options={"synchronize_session": False})

    @traced
    def update_many(self, role, keys, **patch):
        model = self.models[role]
        self.session.execute(sa.update(model).where(model.id.in_(keys)).values(**patch), execution_options={"synchronize_session": False})

    @traced
    def take(self, limit):
        return [tuple(row) for row in self.session.execute(sa.text(take_jobs(self.schema, limit)))]
