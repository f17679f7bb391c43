// Agenda's side of the benchmarks: `node agenda_side.mjs fill|burst SETTINGS`; the last line on stdout is the answer.
//
// Tuned as its documentation has it: many job names (it looks for work once for each, side by side), a concurrency
// that is no bound, for each name and in all, and its index, which it makes itself. Limits on locks of 20 to 500 for a
// name, which its documentation also has, with looks every 100 ms, were tried: they made it slower. It looks five
// seconds ahead and is started 4.9 s before its jobs are due, so that it has nearly all of that time to lock them in.
import { readFileSync } from 'node:fs';
import { Agenda } from 'agenda';
import { MongoBackend } from '@agendajs/mongo-backend';
import { MongoClient } from 'mongodb';

const [what, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const NAMES = Array.from({ length: 20 }, (_, number) => `nightly-${number}`);
const FILL_AT_ONCE = 200;
const AHEAD = 5000;
const STARTED_BEFORE = AHEAD - 100;

process.stdin.on('end', () => process.exit(1)).resume(); // whoever started this is gone

const agenda = new Agenda({
  backend: new MongoBackend({ address: settings.uri }),
  processEvery: AHEAD,
  maxConcurrency: 10_000,
  defaultConcurrency: 1_000,
  defaultLockLimit: 0, // none
  lockLimit: 0,
});
agenda.on('error', error => console.error(error));

async function fill() {
  const due = new Date(Date.now() + 12 * 3_600_000);
  for (let first = 0; first < settings.due; first += FILL_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(FILL_AT_ONCE, settings.due - first) }, (_, n) => first + n);
    await Promise.all(numbers.map(number => save(number, due)));
  }
  return { filled: settings.due };
}

async function save(number, due) {
  const job = agenda.create(NAMES[number % NAMES.length], { dataset: `set-${number}` });
  job.repeatEvery('30 2 * * *', { timezone: 'UTC' });
  job.attrs.nextRunAt = due; // all at the same instant, as at a tick
  await job.save();
}

async function burst() {
  const idle = resident('VmRSS');
  let [called, stored, lastCalled, lastStored] = [0, 0, 0, 0];
  const done = new Promise(resolve => {
    agenda.on('complete', () => {
      lastStored = performance.now();
      stored += 1;
      if (stored === settings.due) resolve();
    });
  });
  for (const name of NAMES) {
    agenda.define(name, async () => {
      called += 1;
      lastCalled = performance.now();
    });
  }
  const client = await new MongoClient(settings.uri).connect();
  const jobs = client.db().collection('agendaJobs');
  const due = new Date(Date.now() + STARTED_BEFORE);
  const { matchedCount } = await jobs.updateMany({}, { $set: { nextRunAt: due } });
  if (matchedCount !== settings.due) throw new Error(`${matchedCount} jobs are stored`);
  const started = performance.now() + (due - Date.now());
  await agenda.start();
  await Promise.race([done, new Promise(resolve => setTimeout(resolve, settings.limit_seconds * 1000))]);
  return {
    calls: called,
    stored,
    called_seconds: (lastCalled - started) / 1000,
    stored_seconds: (lastStored - started) / 1000,
    idle_mb: idle,
    peak_mb: resident('VmHWM'),
  };
}

function resident(field) {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)[1]) / 1024;
}

await agenda.ready;
const answer = await (what === 'fill' ? fill() : burst());
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));
