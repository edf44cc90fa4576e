// Mozilla's own retriever, tests and grades; its scan() takes no ports, so its few lines of sums stand here.
import fs from "node:fs";
import { fileURLToPath } from "node:url";

const tool = new URL("node_modules/@mdn/mdn-http-observatory/", import.meta.url);
const preloaded = fileURLToPath(new URL("conf/hsts-preload.json", tool));
// Browsers' list of sites with HSTS, which a script of its installation would download: loopback is not in it.
if (!fs.existsSync(preloaded)) fs.writeFileSync(preloaded, "{}");

const load = (path) => import(new URL(`src/${path}`, tool).href);
const { retrieve } = await load("retriever/retriever.js");
const { ALL_TESTS } = await load("constants.js");
const { getGradeForScore, getScoreModifier, getScoreDescription } = await load("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await load("grader/charts.js");

const [httpPort, httpsPort, path] = process.argv.slice(2);
const requests = await retrieve("localhost", { httpPort, httpsPort, path });
const results = ALL_TESTS.map((test) => test(requests));
const points = results.map((result) => getScoreModifier(result.result));
const lost = points.filter((number) => number < 0).reduce((sum, number) => sum + number, 100);
const all = points.reduce((sum, number) => sum + number, 100);
const { score, grade } = getGradeForScore(lost >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? all : lost);
const told = results.map((result, index) => ({
  name: result.constructor.name,
  passed: result.pass,
  points: points[index],
  words: getScoreDescription(result.result).replace(/<[^>]*>/g, "").replace(/\s+/g, " ").trim(),
}));
console.log(JSON.stringify({ status: requests.responses.auto?.status ?? 0, score, grade, told }));
