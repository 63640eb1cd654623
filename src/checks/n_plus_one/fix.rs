//! What to do about a loop: in general, and in the words of the ORM that wrote it.

use super::gate::Kind;
use super::orm::Orm;

/// Returns the advice, one sentence or two.
pub(super) fn fix(kind: Kind, orm: Orm, table: &str, batch: Option<usize>) -> String {
    let general = match kind {
        Kind::BelongsTo | Kind::HasMany | Kind::ManyToMany => {
            "Fetch the rows of all parents by one query: a join, `= ANY($1)`, or a DataLoader."
        }
        Kind::Count => {
            "Count for all parents by one query: `GROUP BY` with `= ANY($1)`, or keep a counter column."
        }
        Kind::Insert => {
            "Insert all rows by one statement: several rows in VALUES, `INSERT … SELECT FROM unnest($1, …)`, or COPY."
        }
        Kind::Update => {
            "Update all rows by one statement: `WHERE id = ANY($1)`, or `UPDATE … FROM unnest($1, $2)`."
        }
        Kind::Delete => "Delete all rows by one statement: `WHERE id = ANY($1)`.",
    };
    let mut text = general.to_owned();
    if let Some(words) = words(kind, orm) {
        text.push(' ');
        text.push_str(&words.replace("{}", table));
    }
    if let Some(few) = batch {
        text.push_str(&format!(
            " It is batched already, {few} keys at a time: raise the size of the batch."
        ));
    }
    text
}

fn words(kind: Kind, orm: Orm) -> Option<&'static str> {
    let read = matches!(kind, Kind::BelongsTo | Kind::HasMany | Kind::ManyToMany);
    Some(match (orm, kind) {
        (Orm::Prisma, _) if read => {
            "Prisma: `include` or `select` the relation to `{}` in the query of the list."
        }
        (Orm::Prisma, Kind::Count) => "Prisma: `include: { _count: { select: … } }` or `groupBy`.",
        (Orm::Prisma, Kind::Insert) => "Prisma: `createMany`.",
        (Orm::Prisma, Kind::Update) => "Prisma: `updateMany`.",
        (Orm::Prisma, Kind::Delete) => "Prisma: `deleteMany`.",
        (Orm::TypeOrm, _) if read => {
            "TypeORM: name the relation to `{}` in `relations`, or `leftJoinAndSelect`."
        }
        (Orm::TypeOrm, Kind::Count) => {
            "TypeORM: `loadRelationCountAndMap`, or a query builder with `groupBy`."
        }
        (Orm::TypeOrm, Kind::Insert) => "TypeORM: `insert([…])`.",
        (Orm::TypeOrm, Kind::Update | Kind::Delete) => {
            "TypeORM: one `update` or `delete` with `In([…])`."
        }
        (Orm::Sequelize, _) if read => "Sequelize: `include` the model of `{}`.",
        (Orm::Sequelize, Kind::Count) => "Sequelize: `findAll` with `group` and `fn('COUNT', …)`.",
        (Orm::Sequelize, Kind::Insert) => "Sequelize: `bulkCreate`.",
        (Orm::Sequelize, Kind::Update | Kind::Delete) => {
            "Sequelize: one `update` or `destroy` with `where: { id: […] }`."
        }
        (Orm::Drizzle, _) if read => {
            "Drizzle: `with: { … }` in the relational query, or `inArray`."
        }
        (Orm::Drizzle, Kind::Count) => "Drizzle: `inArray` with `groupBy` and `count()`.",
        (Orm::Drizzle, Kind::Insert) => "Drizzle: `insert(…).values([…])`.",
        (Orm::Drizzle, Kind::Update | Kind::Delete) => "Drizzle: one statement with `inArray`.",
        (Orm::Knex, _) if read => "Objection: `withGraphFetched`; Knex: `whereIn`.",
        (Orm::Knex, Kind::Count) => "Knex: `whereIn` with `groupBy` and `count`.",
        (Orm::Knex, Kind::Insert) => "Knex: `batchInsert`, or `insert([…])`.",
        (Orm::Knex, Kind::Update | Kind::Delete) => "Knex: one statement with `whereIn`.",
        (Orm::Django, Kind::BelongsTo) => "Django: `select_related` on the query of the list.",
        (Orm::Django, Kind::HasMany | Kind::ManyToMany) => {
            "Django: `prefetch_related` on the query of the list."
        }
        (Orm::Django, Kind::Count) => "Django: `annotate(n=Count(…))`.",
        (Orm::Django, Kind::Insert) => "Django: `bulk_create`.",
        (Orm::Django, Kind::Update) => "Django: `bulk_update`, or `filter(…).update(…)`.",
        (Orm::Django, Kind::Delete) => "Django: `filter(pk__in=…).delete()`.",
        (Orm::SqlAlchemy, Kind::BelongsTo) => {
            "SQLAlchemy: `joinedload` or `selectinload` in the options of the list."
        }
        (Orm::SqlAlchemy, Kind::HasMany | Kind::ManyToMany) => {
            "SQLAlchemy: `selectinload` in the options of the list."
        }
        (Orm::SqlAlchemy, Kind::Count) => {
            "SQLAlchemy: `func.count()` with `group_by`, or a `column_property`."
        }
        (Orm::SqlAlchemy, Kind::Insert) => "SQLAlchemy: `insert(…)` with a list of parameters.",
        (Orm::SqlAlchemy, Kind::Update | Kind::Delete) => {
            "SQLAlchemy: one `update` or `delete` with `in_`."
        }
        (Orm::ActiveRecord, _) if read => {
            "ActiveRecord: `includes` or `preload` on the relation to `{}`."
        }
        (Orm::ActiveRecord, Kind::Count) => "ActiveRecord: `counter_cache`, or `group(…).count`.",
        (Orm::ActiveRecord, Kind::Insert) => "ActiveRecord: `insert_all`.",
        (Orm::ActiveRecord, Kind::Update) => "ActiveRecord: `update_all`.",
        (Orm::ActiveRecord, _) => "ActiveRecord: `where(id: …).delete_all`.",
        (Orm::Hibernate, _) if read => {
            "Hibernate: `JOIN FETCH` or an entity graph; `@BatchSize` lessens it."
        }
        (Orm::Hibernate, Kind::Count) => "Hibernate: `group by` in HQL, or `@Formula`.",
        (Orm::Hibernate, _) => "Hibernate: `hibernate.jdbc.batch_size`, or one statement in HQL.",
        (Orm::Ecto, _) if read => "Ecto: `preload`.",
        (Orm::Ecto, Kind::Insert) => "Ecto: `insert_all`.",
        (Orm::Eloquent, _) if read => "Eloquent: `with('…')` on the query of the list.",
        (Orm::Eloquent, Kind::Count) => "Eloquent: `withCount`.",
        _ => return None,
    })
}
