// Runs the Workers in turn and compares them; tests/bench/edge.sh calls it.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [seconds, rounds] = process.argv.slice(2).map(Number);
const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, "../../../edge/worker/build/worker");
const scratch = mkdtempSync(join(tmpdir(), "waypost-bench-"));

// What a browser sends.
const headers = [
  "Host: go.example",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
  "Accept-Language: de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3",
  "Referer: https://news.example/today",
  "CF-Connecting-IP: 203.0.113.9",
  "Sec-Fetch-Mode: navigate",
];
const zeros = (digits) => "0".repeat(digits);
const settings = {
  WAYPOST_PUBLIC_URL: "http://go.example",
  WAYPOST_DOMAINS: "go.example unchecked",
  WAYPOST_EDGE_KEYS: `check:${zeros(32)} cookie:${zeros(64)} origin:${zeros(64)} sticky:${zeros(32)}`,
  WAYPOST_SQS_QUEUE_URL: "https://sqs.eu-central-1.amazonaws.com/123456789012/clicks",
  WAYPOST_AWS_ACCESS_KEY_ID: "A",
  WAYPOST_AWS_SECRET_ACCESS_KEY: "S",
};
const plain = (file) => ({ modules: [[file, join(here, file)]], settings: {} });
const waypost = (more) => ({
  modules: [["shim.mjs", join(built, "shim.mjs")], ["index.wasm", join(built, "index.wasm")]],
  settings: { ...settings, ...more },
});
const workers = {
  "constant 302": plain("floor.js"),
  "constant 302, same headers": plain("same.js"),
  "waypost, in memory": waypost({}),
  "hand-written, from KV": { ...plain("handwritten.js"), isMany: true },
  "waypost, from KV": { ...waypost({ WAYPOST_CACHE_BYTES: "0" }), isMany: true },
};
/** The Worker's module behind a constant answer. */
const started = {
  modules: [["started.js", join(here, "started.js")], ...waypost({}).modules],
  settings: {},
};

function configure(worker, port) {
  const date = `compatibilityDate = "2026-04-01"`;
  // Files are named from where the configuration is.
  const module = ([name, path]) => {
    copyFileSync(path, join(scratch, name));
    return `(name = "${name}", ${name.endsWith(".wasm") ? "wasm" : "esModule"} = embed "${name}")`;
  };
  const binding = ([name, text]) => `(name = "${name}", text = "${text}")`;
  const bindings = Object.entries(worker.settings).map(binding);
  const stub = (file) => `(modules = [${module([file, join(here, file)])}], ${date})`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "store", worker = .store), (name = "queue", worker = .queue)],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
const main :Workerd.Worker = (
  modules = [${worker.modules.map(module).join(", ")}],
  bindings = [${['(name = "LINKS", kvNamespace = "store")', ...bindings].join(", ")}],
  globalOutbound = "queue", ${date}
);
const store :Workerd.Worker = ${stub("store.js")};
const queue :Workerd.Worker = ${stub("queue.js")};
`;
}

const begun = [];

/** Starts a Worker; resolves when it has answered once, with the milliseconds that took. */
async function start(worker, port) {
  const path = join(scratch, `${port}.capnp`);
  writeFileSync(path, configure(worker, port));
  const since = process.hrtime.bigint();
  const child = spawn(process.env.WAYPOST_WORKERD, ["serve", path], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  begun.push(child);
  for (;;) {
    if (child.exitCode !== null) throw new Error("workerd ended");
    if (await answers(port)) break;
  }
  return { child, port, isMany: worker.isMany, ms: Number(process.hrtime.bigint() - since) / 1e6 };
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`GET /hello HTTP/1.1\r\n${headers.join("\r\n")}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (part) => {
      if (!part.toString().startsWith("HTTP/1.1 302")) throw new Error(part.toString());
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

function stop(child) {
  return new Promise((resolve) => {
    child.on("exit", resolve);
    child.kill("SIGKILL");
  });
}

/** Processor time of a process so far, in seconds. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function round({ child, port, isMany }) {
  const many = isMany ? ["-s", join(here, "many.lua")] : [];
  const asked = headers.flatMap((header) => ["-H", header]);
  const before = cpu(child.pid);
  const load = ["-t1", "-c16", `-d${seconds}s`, ...many, ...asked];
  const text = execFileSync("wrk", [...load, `http://127.0.0.1:${port}/hello`]).toString();
  if (text.includes("Non-2xx")) throw new Error(text);
  const requests = Number(/(\d+) requests in/.exec(text)[1]);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]);
  return { rate, micros: ((cpu(child.pid) - before) / requests) * 1e6 };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

try {
  const starts = { "constant 302": [], "waypost, in memory": [], started: [] };
  for (let turn = 0; turn < 15; turn += 1) {
    for (const [name, times] of Object.entries(starts)) {
      const { child, ms } = await start(workers[name] ?? started, 18_190);
      times.push(ms);
      await stop(child);
    }
  }
  const [floor, ours, module] = Object.values(starts).map(median);
  const [answered, loaded] = [ours, module].map((ms) => (ms - floor).toFixed(1));
  console.log(`\nmore than the ${floor.toFixed(1)} ms that a constant 302 takes from start to first answer:`);
  console.log(`${loaded} ms to load the module, ${answered} ms to the first answer\n`);

  const running = [];
  for (const [at, [name, worker]] of Object.entries(workers).entries()) {
    running.push({ name, ...(await start(worker, 18_200 + at)), rates: [], micros: [] });
  }
  // The first round warms up and does not count.
  for (let turn = 0; turn <= rounds; turn += 1) {
    for (const one of turn % 2 === 0 ? running : running.toReversed()) {
      const { rate, micros } = round(one);
      if (turn > 0) {
        one.rates.push(rate);
        one.micros.push(micros);
      }
    }
  }
  console.log(`${"Worker".padEnd(28)} requests/s   us of a core`);
  for (const { name, rates, micros } of running) {
    const rate = median(rates).toFixed(0).padStart(10);
    console.log(`${name.padEnd(28)} ${rate} ${median(micros).toFixed(1).padStart(14)}`);
  }
  /** Medians of the ratios within each round: rates, and processor time the other way round. */
  const ratio = (ours, measure, goal) => {
    const of = (key) => running.map((one) => one[key]);
    const [rates, micros] = [of("rates"), of("micros")];
    const byRate = median(rates[ours].map((rate, at) => rate / rates[measure][at])).toFixed(2);
    const byTime = median(micros[ours].map((us, at) => micros[measure][at] / us)).toFixed(2);
    const [name, other] = [running[ours].name, running[measure].name];
    console.log(`${name} / ${other}: ${byRate} of its rate, ${byTime} by processor time${goal}`);
  };
  console.log();
  ratio(2, 0, " (goal: 0.85)");
  ratio(2, 1, "");
  ratio(4, 3, " (goal: 0.90)");
} finally {
  for (const child of begun) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true });
}
