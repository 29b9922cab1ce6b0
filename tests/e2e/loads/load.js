// Loads a server or a cluster through a client library of Node.js, in its default configuration, and tells what the
// application noticed. What the job and the report mean is in ../load.py; never retries by itself.
'use strict';

const job = JSON.parse(process.argv[2]);
const GAPS_MAX = 50;
const now = () => performance.timeOrigin + performance.now();
const report = { successes: 0, errors: [], events: [], gaps: [], lost: [] };
const said = (error) => `${error.constructor.name}: ${error.message}`;
const note = (error) => report.events.push([now(), said(error)]);

async function connect() {
  const place = { host: job.host, port: job.port };
  if (job.library === 'ioredis') {
    const Redis = require('ioredis');
    const client = job.cluster ? new Redis.Cluster([place]) : new Redis(place);
    client.on('error', note);
    await client.ping();
    return client;
  }
  const redis = require('redis');
  const client = job.cluster
    ? redis.createCluster({ rootNodes: [{ socket: place }] })
    : redis.createClient({ socket: place });
  client.on('error', note);
  await client.connect();
  return client;
}

function longest(gaps) {
  return gaps.sort((a, b) => b[1] - b[0] - (a[1] - a[0])).slice(0, GAPS_MAX);
}

async function main() {
  const client = await connect();
  let ending = false;
  let warm = 0;
  let last = now();
  const succeeded = () => {
    const at = now();
    report.successes += 1;
    if (at - last > 1) report.gaps.push([last, at]);
    if (report.gaps.length > 20 * GAPS_MAX) report.gaps = longest(report.gaps);
    last = at;
  };
  const loop = async (number) => {
    const key = `${job.keys[number % job.keys.length]}:${process.pid}:${number}`;
    for (let value = 1; !ending; value += 1) {
      try {
        await client.set(key, String(value));
        succeeded();
        const read = Number(await client.get(key));
        succeeded();
        if (read < value) report.lost.push([key, value, read]);
        if (value === 1 && (warm += 1) === job.loops) process.stdout.write('ready\n');
        if (job.think_ms) await new Promise((resume) => setTimeout(resume, 2 * job.think_ms * Math.random()));
      } catch (error) {
        report.errors.push([now(), said(error)]);
        await new Promise((resume) => setTimeout(resume, 5));
      }
    }
  };
  const finish = () => {
    report.gaps = longest(report.gaps);
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
  };
  process.stdin.resume();
  process.stdin.on('end', () => {
    ending = true;
    // The time since the last success is a wait, too.
    report.gaps.push([last, now()]);
    // Requests that are never answered must not keep the report back.
    setTimeout(finish, 8000).unref();
  });
  await Promise.all(Array.from({ length: job.loops }, (_, number) => loop(number)));
  finish();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
