// One process of the application: serves one request at a time, told what to do by one JSON argument.
//
// Prints `ready`, starts at `go` on its input, ends at `stop` and prints what it counted.
import { createInterface } from 'node:readline';
import { endpoints } from './endpoints.mjs';
import { report, reset, traced } from './trace.mjs';

const order = JSON.parse(process.argv[2]);
const { open } = await import(`./orm/${order.orm}.mjs`);
const db = traced(await open(order));

let state = order.seed >>> 0;
const random = () => { // mulberry32: the same seed gives the same requests
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const serve = endpoints(db, order.schema, random, order.ids);
const weights = { ...order.mix };
const names = Object.keys(weights);

async function request(name) {
  const plain = name === 'poll' || name === 'heartbeat' || name.startsWith('worker_') || name.startsWith('insert_');
  if (order.session && !plain) await serve.before();
  await serve[name]();
}

for (const name of new Set([...names, ...order.scheduled.map((hit) => hit.endpoint)])) await request(name);

let going = false, stopped = false, started = 0;
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'go') { going = true; started = performance.now(); reset(); }
  if (line === 'stop') stopped = true;
}).on('close', () => { stopped = true; });
console.log('ready');
while (!going && !stopped) await sleep(5);

const due = [...order.scheduled];
let drifted = 0;
const drift = Object.fromEntries(names.map((name) => [name, 1]));
let served = 0;
while (!stopped) {
  const now = (performance.now() - started) / 1000;
  if (now - drifted > 2) {
    drifted = now;
    for (const name of names) drift[name] = Math.exp((random() - 0.5) * 0.8);
  }
  if (due.length && due[0].at <= now) {
    await request(due.shift().endpoint);
    continue;
  }
  let total = 0, usual = 0;
  const weight = {};
  for (const name of names) {
    const burst = order.bursts.find((b) => b.endpoint === name && now >= b.at && now < b.at + b.seconds);
    weight[name] = weights[name] * drift[name] * (burst ? burst.factor : 1);
    total += weight[name];
    usual += weights[name] * drift[name];
  }
  let left = random() * total;
  const chosen = names.find((name) => (left -= weight[name]) < 0) ?? names[0];
  const begin = performance.now();
  await request(chosen);
  served += 1;
  const pause = (-Math.log(1 - random()) * 1000) / (order.rate * (total / usual));
  await sleep(Math.max(0, Math.min(pause, due.length ? Math.max(0, due[0].at * 1000 - (performance.now() - started)) : pause) - (performance.now() - begin)));
}
process.stdout.write(`${JSON.stringify({ served, ...report() })}\n`, () => process.exit(0)); // a pipe takes its time

