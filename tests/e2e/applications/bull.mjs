// What the first page of bullmq's documentation shows: a queue, a worker, jobs of which one comes later.
import { createRequire } from "node:module";
const { Queue, Worker } = createRequire(process.env.NODE_MODULES + "/")("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]) };
const queue = new Queue("paint", { connection });
const results = [];
const all = new Promise((resolve, reject) => {
  const worker = new Worker("paint", async (job) => job.data.number * 2, { connection });
  worker.on("completed", (job, result) => {
    results.push(result);
    if (results.length === 21) resolve(worker);
  });
  worker.on("failed", (_, error) => reject(error));
  worker.on("error", reject);
});
for (let number = 0; number < 20; number++) await queue.add("car", { number });
await queue.add("late car", { number: 20 }, { delay: 200 });
const worker = await all;
console.log(JSON.stringify({ results: results.sort((a, b) => a - b), counts: await queue.getJobCounts("active", "failed") }));
await worker.close();
await queue.close();
process.exit(0);
