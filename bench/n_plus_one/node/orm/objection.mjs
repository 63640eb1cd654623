// Objection on Knex: models with relations, `$relatedQuery` for lazy and `withGraphFetched` for eager loading.
import knexOf from 'knex';
import objection from 'objection';
import { takeJobs } from '../raw.mjs';

const { Model } = objection;

export async function open({ socket, port, database, schema }) {
  const knex = knexOf({ client: 'pg', connection: { host: socket, port, database, user: 'app' }, pool: { min: 0, max: 4 } });
  const models = {};
  for (const [role, table] of Object.entries(schema.tables)) {
    const back = Object.fromEntries(Object.entries(table.columns).map(([name, column]) => [column, name]));
    const rename = (names) => (row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [names[name] ?? name, value]));
    models[role] = class extends Model {
      static tableName = table.name;
      static idColumn = table.columns.id ?? table.columns.key;
      static columnNameMappers = { parse: rename(back), format: rename(table.columns) };
    };
    models[role].knex(knex);
  }
  const c = (role, name) => `${schema.tables[role].name}.${schema.tables[role].columns[name]}`;
  models.item.relationMappings = {
    account: { relation: Model.BelongsToOneRelation, modelClass: models.account, join: { from: c('item', 'account_id'), to: c('account', 'id') } },
    lines: { relation: Model.HasManyRelation, modelClass: models.line, join: { from: c('item', 'id'), to: c('line', 'item_id') } },
    tags: { relation: Model.ManyToManyRelation, modelClass: models.tag, join: { from: c('item', 'id'), through: { from: c('item_tag', 'item_id'), to: c('item_tag', 'tag_id') }, to: c('tag', 'id') } },
  };
  models.account.relationMappings = { items: { relation: Model.HasManyRelation, modelClass: models.item, join: { from: c('account', 'id'), to: c('item', 'account_id') } } };
  const column = (role, name) => schema.tables[role].columns[name];
  const filter = (query, role, where) => {
    for (const [name, value] of Object.entries(where)) value === null ? query.whereNull(column(role, name)) : query.where(column(role, name), value);
    return query;
  };
  const query = (role, where) => filter(models[role].query(), role, where);
  const graph = (include) => (include.includes('items.lines') ? 'items.lines' : include[0]);
  return {
    parallel: true,
    list: (role, { limit, offset, where, include }) => {
      const list = query(role, where).orderBy(column(role, 'id'), 'desc').limit(limit).offset(offset);
      return include.length ? list.withGraphFetched(graph(include)) : list;
    },
    get: (role, id) => models[role].query().findById(id),
    first: (role, where) => query(role, where).first().limit(1),
    latest: (role, where) => query(role, where).orderBy(column(role, 'id'), 'desc').first().limit(1),
    find: (role, where) => query(role, where),
    findIn: (role, property, list, where) => query(role, where).whereIn(column(role, property), list),
    related: (row, _role, relation) => row.$relatedQuery(relation),
    count: (role, where) => query(role, where).resultSize(),
    countBy: (role, property, list, where) => query(role, where).whereIn(column(role, property), list).select(column(role, property)).count().groupBy(column(role, property)),
    insert: (role, row) => models[role].query().insert(row),
    insertMany: (role, rows) => models[role].query().insert(rows),
    save: (row, _role, patch) => row.$query().patch(patch),
    update: (role, id, patch) => models[role].query().findById(id).patch(patch),
    updateMany: (role, list, patch) => models[role].query().findByIds(list).patch(patch),
    take: async (limit) => (await knex.raw(takeJobs(schema, limit))).rows,
  };
}
