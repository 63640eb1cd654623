// Counts what the application sends: every statement, inside or outside a loop, and the operation whose rows the loop ran over.
//
// One process serves one request at a time, so a plain variable tells truly whether a statement comes from a loop.
import pg from 'pg';

let depth = 0;
let loops = []; // the statements that gave the rows of each open loop
let last = []; // per depth, the statements of the last operation
let current = [];
let counts = new Map();
let parents = new Map();

const original = pg.Client.prototype.query;
pg.Client.prototype.query = function (config, ...rest) {
  const text = typeof config === 'string' ? config : config?.text;
  if (text) record(text);
  return original.call(this, config, ...rest);
};

function record(text) {
  current.push(text);
  const count = counts.get(text) ?? counts.set(text, [0, 0]).get(text);
  count[depth > 0 ? 0 : 1] += 1;
  if (depth > 0) {
    const known = parents.get(text) ?? parents.set(text, new Map()).get(text);
    for (const parent of new Set(loops.at(-1))) known.set(parent, (known.get(parent) ?? 0) + 1);
  }
}

// Makes every method of an adapter an operation whose statements belong together.
export function traced(adapter) {
  return new Proxy(adapter, {
    get(target, name) {
      const value = target[name];
      if (typeof value !== 'function') return value;
      return async (...words) => {
        current = [];
        try {
          return await value.apply(target, words);
        } finally {
          last[depth] = current;
        }
      };
    },
  });
}

// Runs `step` for each element: what it sends is inside a loop over the rows of the last operation.
export async function loop(items, step, { together = false, fromRows = true } = {}) {
  loops.push(fromRows ? (last[depth] ?? []) : []);
  depth += 1;
  try {
    if (together) await Promise.all(items.map(step));
    else for (const item of items) await step(item);
  } finally {
    depth -= 1;
    loops.pop();
  }
}

// What a batching loader sends goes out once for all elements of the loop around it.
export async function outside(step) {
  const kept = depth;
  depth = 0;
  try {
    return await step();
  } finally {
    depth = kept;
  }
}

export function reset() {
  counts = new Map();
  parents = new Map();
}

export function report() {
  return {
    counts: Object.fromEntries(counts),
    parents: Object.fromEntries([...parents].map(([text, known]) => [text, Object.fromEntries(known)])),
  };
}
