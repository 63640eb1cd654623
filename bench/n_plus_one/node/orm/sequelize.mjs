// Sequelize: associations with their getters, `include` for eager loading.
import { DataTypes, Op, QueryTypes, Sequelize, fn, col } from 'sequelize';
import { takeJobs } from '../raw.mjs';

export async function open({ socket, port, database, schema }) {
  const sequelize = new Sequelize({ dialect: 'postgres', host: socket, port, database, username: 'app', logging: false, pool: { max: 4 }, define: { timestamps: false, freezeTableName: true } });
  const key = { serial: DataTypes.INTEGER, bigserial: DataTypes.BIGINT, uuid: DataTypes.UUID }[schema.key];
  const type = (kind) => (kind.startsWith('text') ? DataTypes.TEXT : { time: DataTypes.DATE, int: DataTypes.INTEGER }[kind] ?? key);
  const models = {};
  for (const [role, table] of Object.entries(schema.tables)) {
    const fields = {};
    for (const [name, kind] of Object.entries(table.types)) {
      fields[name] = { type: type(kind), field: table.columns[name] };
      if (kind === 'key' || kind === 'textkey') Object.assign(fields[name], { primaryKey: true, ...(kind === 'key' ? (schema.key === 'uuid' ? { defaultValue: DataTypes.UUIDV4 } : { autoIncrement: true }) : {}) });
    }
    models[role] = sequelize.define(role, fields, { tableName: table.name });
  }
  const { account, item, line, tag, item_tag, team } = models;
  item.belongsTo(account, { as: 'account', foreignKey: 'account_id' });
  account.hasMany(item, { as: 'items', foreignKey: 'account_id' });
  item.hasMany(line, { as: 'lines', foreignKey: 'item_id' });
  account.belongsTo(team, { as: 'team', foreignKey: 'team_id' });
  item.belongsToMany(tag, { as: 'tags', through: item_tag, foreignKey: 'item_id', otherKey: 'tag_id' });
  const nested = (paths) => paths.filter((path) => !path.includes('.')).map((path) => ({
    association: path,
    include: nested(paths.filter((other) => other.startsWith(`${path}.`)).map((other) => other.slice(path.length + 1))),
  }));
  const getter = { account: 'getAccount', items: 'getItems', lines: 'getLines', tags: 'getTags', team: 'getTeam' };
  await sequelize.authenticate();
  return {
    parallel: true,
    list: (role, { limit, offset, where, include }) => models[role].findAll({ where, order: [['id', 'DESC']], limit, offset, include: nested(include) }),
    get: (role, id) => models[role].findByPk(id),
    first: (role, where) => models[role].findOne({ where }),
    latest: (role, where) => models[role].findOne({ where, order: [['id', 'DESC']] }),
    find: (role, where) => models[role].findAll({ where }),
    findIn: (role, property, list, where) => models[role].findAll({ where: { [property]: { [Op.in]: list }, ...where } }),
    related: (row, _role, relation) => row[getter[relation]](),
    count: (role, where) => models[role].count({ where }),
    countBy: (role, property, list, where) => models[role].findAll({ where: { [property]: list, ...where }, attributes: [property, [fn('count', col(schema.tables[role].columns.id)), 'n']], group: [property], raw: true }),
    insert: (role, row) => models[role].create(row),
    insertMany: (role, rows) => models[role].bulkCreate(rows),
    save: (row, _role, patch) => row.update(patch),
    update: (role, id, patch) => models[role].update(patch, { where: { id } }),
    updateMany: (role, list, patch) => models[role].update(patch, { where: { id: list } }),
    take: (limit) => sequelize.query(takeJobs(schema, limit), { type: QueryTypes.SELECT }),
  };
}
