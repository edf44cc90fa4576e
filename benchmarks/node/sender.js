// node's web-push as a sender: reads jobs from standard input, sends, and prints how long it took.
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { createInterface } from "node:readline";
import webpush from "web-push";

const IN_FLIGHT = 100;
const kit = JSON.parse(readFileSync(process.argv[2], "utf8"));
const options = {
  TTL: 86400,
  urgency: "high",
  agent: new Agent({ keepAlive: true, maxSockets: IN_FLIGHT }),
  vapidDetails: { subject: kit.subject, publicKey: kit.public_key, privateKey: kit.private_key },
};

function subscription(prefix, number) {
  return { endpoint: prefix + number, keys: kit.keys[number % kit.keys.length] };
}

async function oneAfterAnother(queue) {
  for (const device of queue) await webpush.sendNotification(device, kit.payload, options);
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  // One iterator that all take from, so each device comes once.
  const queue = Array.from({ length: job.devices }, (_, number) => subscription(job.prefix, number)).values();
  const started = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, () => oneAfterAnother(queue)));
  console.log(JSON.stringify({ seconds: (performance.now() - started) / 1000 }));
}
