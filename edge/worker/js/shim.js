// The Worker's entry. Packs a request into one text, lets WASM decide, and makes a Response of
// what it says; runs the errands of journeys that have to read or send something. Decides
// nothing. The only place with a clock, randomness and I/O.
import * as glue from "./index_bg.js";
import wasmModule from "./index.wasm";

// The registers, by their places, as in src/output.rs.
const STATUS = 0, JOURNEY = 1, ERRAND = 2, ARGUMENT = 3, TIMEOUT_MS = 4, IS_FINAL = 5;
const HAS_LANDED = 6, REFRESH = 7, DELIVER = 8, TEMPLATE = 9, TEXT = 10, FIRST_BYTES = 11;
const HEADER_BYTES = 12, TEMPLATE_BYTES = 13, BODY_BYTES = 14, REPLY = 15, REGISTERS = 16;
// What a step of a journey returns, if not the status of a reply.
const PENDING = 0, GONE = 2;
// Errands.
const ADMIT = 1, PAUSE = 2, POST = 3, READ = 4, WAIT = 5;

// What an errand came back with: a code, or the status of an answer; a text, and bytes.
const FAILED = { code: 0, first: "", body: null };
const NOTHING = { code: 1, first: "", body: null };
const DONE = { code: 2, first: "", body: null };
const BEGIN = { code: 3, first: "", body: null };

// Room for a request or an outcome in WASM memory, as in src/instance.rs. Larger ones get more.
const INPUT_BYTES = 32 * 1024;
// Longest URL and headers together, in characters. Cloudflare sends at most 16 KB and 128 KB.
const REQUEST_MAX_CHARS = 160 * 1024;
// Most of a form that is read (FORM_MAX_BYTES of waypost-core), and the longest wait for it.
const FORM_MAX_BYTES = 4096, FORM_TIMEOUT_MS = 5_000;
// Largest value or answer that is taken in. Records have a few KB; the state of edges has 200, and
// with the longest keys 1.4 MB.
const VALUE_MAX_BYTES = 2 * 1024 * 1024;
// Broken instances that are kept until their clicks are sent, each with its memory of records, and
// how long that can take: as long as the platform lets anything run after an answer.
const RESCUES_MAX = 4, RESCUE_MS = 30_000;
// The same trouble is logged once in this time; so many troubles are told apart.
const LOG_EVERY_MS = 60_000, TROUBLES_MAX = 64;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
// Random words, drawn many at a time: asking for two costs as much.
const random = new Uint32Array(512);
let drawn = random.length;
const nowhere = {};

/** An instance of the module. */
class Engine {
  constructor() {
    const { exports } = new WebAssembly.Instance(wasmModule, { "./index_bg.js": glue });
    // The glue serves whichever instance is the newest, and only while it starts.
    glue.__wbg_set_wasm(exports);
    exports.__wbindgen_start?.();
    this.exports = exports;
    this.isBroken = false;
    this.panicAt = exports.panics();
    this.registersAt = exports.registers();
    this.templates = [];
    this.replies = [];
    this.waiting = new Map();
    this.makeRoom(0);
  }

  /** Makes room for so many bytes of input, or gives back what was made before. */
  makeRoom(bytes) {
    this.inputAt = this.exports.input(bytes);
    this.inputBytes = Math.max(bytes, INPUT_BYTES);
    this.look();
  }

  /** Memory that grew is another buffer. */
  look() {
    const { buffer } = this.exports.memory;
    this.bytes = new Uint8Array(buffer);
    this.registers = new Uint32Array(buffer, this.registersAt, REGISTERS);
    this.input = new Uint8Array(buffer, this.inputAt, this.inputBytes);
  }

  /** Puts a text, and bytes behind it, into the input; returns the length of the text there. */
  put(text, bytes) {
    const more = bytes === null ? 0 : bytes.length;
    // No character takes more than three bytes.
    if (text.length * 3 + more > this.inputBytes) this.makeRoom(text.length * 3 + more);
    const { written } = encoder.encodeInto(text, this.input);
    if (more > 0) this.input.set(bytes, written);
    return written;
  }

  begin(variables) {
    const bytes = this.put(variables, null);
    drawn = random.length;
    const isUsable = this.exports.begin(bytes, draw(), draw(), Date.now()) !== 0;
    this.look();
    return isUsable;
  }

  follow(text, form) {
    const bytes = this.put(text, form);
    const formBytes = form === null ? 0 : form.length;
    return this.after(this.exports.follow(bytes, formBytes, draw(), draw(), Date.now()));
  }

  resume(journey, outcome) {
    const bytes = this.put(outcome.first, outcome.body);
    const more = outcome.body === null ? 0 : outcome.body.length;
    return this.after(this.exports.resume(journey, outcome.code, bytes, more, Date.now()));
  }

  after(status) {
    if (this.inputBytes > INPUT_BYTES) this.makeRoom(0);
    else if (this.registers.length === 0) this.look();
    if (this.registers[HAS_LANDED] !== 0) {
      for (let flight; (flight = this.exports.next_landed()) !== 0; ) this.wake(flight);
    }
    return status;
  }

  wake(flight) {
    const waiting = this.waiting.get(flight);
    this.waiting.delete(flight);
    if (waiting !== undefined) for (const resolve of waiting) resolve();
  }

  text(at, bytes) {
    return bytes === 0 ? "" : decoder.decode(this.bytes.subarray(at, at + bytes));
  }

  /** The first text: what is to be logged, mostly. */
  said() {
    return this.text(this.registers[TEXT], this.registers[FIRST_BYTES]);
  }

  /** What the last panic said, read without running anything. */
  lastWords() {
    this.look();
    const [at, bytes] = new Uint32Array(this.exports.memory.buffer, this.panicAt, 2);
    return this.text(at, bytes);
  }

  /** The reply that was put out. */
  response() {
    const { registers } = this;
    const remembered = registers[REPLY];
    // Copying another response costs least.
    if (remembered !== 0 && registers[TEXT] === 0) {
      return new Response(null, this.replies[remembered]);
    }
    const first = registers[TEXT];
    const own = first + registers[FIRST_BYTES];
    const shared = own + registers[HEADER_BYTES];
    const body = shared + registers[TEMPLATE_BYTES];
    const end = body + registers[BODY_BYTES];
    let template = this.templates[registers[TEMPLATE]];
    if (template === undefined) {
      const headers = pairs(this.text(shared, body - shared));
      template = new Response(null, { status: registers[STATUS], headers });
      if (registers[TEMPLATE] !== 0) this.templates[registers[TEMPLATE]] = template;
    }
    const response = new Response(body === end ? null : this.bytes.slice(body, end), template);
    if (own > first) response.headers.set("location", this.text(first, own - first));
    if (shared > own) {
      for (const [name, value] of pairs(this.text(own, shared - own))) {
        response.headers.append(name, value);
      }
    }
    if (remembered !== 0) this.replies[remembered] = new Response(null, response);
    return response;
  }

  /** Begins the errand that was put out. */
  errand(env) {
    const { registers } = this;
    const argument = registers[ARGUMENT], timeoutMs = registers[TIMEOUT_MS];
    const first = registers[TEXT];
    const own = first + registers[FIRST_BYTES];
    const body = own + registers[HEADER_BYTES];
    switch (registers[ERRAND]) {
      case ADMIT:
        return admit(env, this.said(), timeoutMs);
      case PAUSE:
        return pause(argument);
      case POST: {
        const headers = pairs(this.text(own, body - own));
        const bytes = this.bytes.slice(body, body + registers[BODY_BYTES]);
        return post(this.said(), headers, bytes, timeoutMs);
      }
      case READ:
        return read(env, this.said(), argument, timeoutMs);
      case WAIT:
        return wait(this.waiting, argument, timeoutMs);
    }
    return FAILED;
  }
}

function draw() {
  if (drawn === random.length) {
    crypto.getRandomValues(random);
    drawn = 0;
  }
  return random[drawn++];
}

/** Names and values, a line each. */
function pairs(text) {
  const lines = text.split("\n");
  const found = [];
  for (let at = 0; at + 1 < lines.length; at += 2) found.push([lines[at], lines[at + 1]]);
  return found;
}

// Errands. Every wait has a bound.

/** Settles as the promise does, or fails after a time. */
function bounded(promise, ms) {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`no answer in ${ms} ms`));
    const timer = setTimeout(late, ms);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

async function read(env, key, cacheTtl, timeoutMs) {
  try {
    const value = await bounded(env.LINKS.get(key, { type: "arrayBuffer", cacheTtl }), timeoutMs);
    if (value === null) return NOTHING;
    if (value.byteLength > VALUE_MAX_BYTES) throw new Error("a value is too large");
    return { code: DONE.code, first: "", body: new Uint8Array(value) };
  } catch (error) {
    trouble("the store LINKS", error);
    return FAILED;
  }
}

async function post(url, headers, body, timeoutMs) {
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const request = { method: "POST", headers, body, signal, redirect: "manual" };
    const answer = await fetch(url, request);
    const first = answer.headers.get("x-waypost-signature") ?? "";
    return { code: answer.status, first, body: await whole(answer) };
  } catch (error) {
    trouble(`a request to ${new URL(url).host}`, error);
    return FAILED;
  }
}

/** The whole body of an answer that is not too large. */
async function whole(answer) {
  const parts = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > VALUE_MAX_BYTES) throw new Error("the answer is too large");
    parts.push(part);
  }
  if (parts.length === 1) return parts[0];
  const body = new Uint8Array(bytes);
  for (let at = 0; parts.length > 0; at += parts.shift().length) body.set(parts[0], at);
  return body;
}

async function admit(env, key, timeoutMs) {
  if (env.MISSES === undefined) return DONE;
  try {
    const { success } = await bounded(env.MISSES.limit({ key }), timeoutMs);
    return success ? DONE : NOTHING;
  } catch (error) {
    trouble("the rate limit MISSES", error);
    return FAILED;
  }
}

async function pause(ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return DONE;
}

/** Waits for another request's read. The timer is this request's own: the other may be gone. */
async function wait(waiting, flight, timeoutMs) {
  const { promise, resolve } = Promise.withResolvers();
  const timer = setTimeout(resolve, timeoutMs);
  const others = waiting.get(flight);
  if (others === undefined) waiting.set(flight, new Set([resolve]));
  else others.add(resolve);
  await promise;
  clearTimeout(timer);
  waiting.get(flight)?.delete(resolve);
  return DONE;
}

// Requests.

let engine = new Engine();
/** What the engine was begun with, and what is wrong with it. */
let begunFor = null;
let faults = "";

/** Begins with the settings of `env`, if that has not been done; says whether they are usable. */
function begin(env) {
  if (env === begunFor) {
    if (faults !== "") trouble("the settings", faults);
    return faults === "";
  }
  engine ??= new Engine();
  const settings = Object.entries(env).filter(([name]) => name.startsWith("WAYPOST_"));
  // Variables may be JSON; no setting is, so that this is said instead of passed over.
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : value);
  const lines = settings.map(([name, value]) => `${name}=${text(value)}`);
  const isUsable = engine.begin(lines.join("\0"));
  const remarks = engine.said();
  faults = isUsable ? "" : remarks;
  if (typeof env.LINKS?.get !== "function") {
    faults = `${faults}\nLINKS: is not bound to a KV namespace`.trimStart();
  }
  begunFor = env;
  if (faults !== "") trouble("the settings", faults);
  else if (remarks !== "") console.warn(`waypost: ${remarks}`);
  return faults === "";
}

/** The text that src/facts.rs reads. */
function pack(request, method) {
  const { headers } = request;
  const cf = request.cf ?? nowhere;
  const purpose = headers.get("sec-purpose") ?? headers.get("purpose") ?? headers.get("x-moz");
  const tracks = headers.get("dnt") !== "1" && headers.get("sec-gpc") !== "1";
  return `${method}
${request.url}
${headers.get("user-agent") ?? ""}
${headers.get("accept-language") ?? ""}
${headers.get("referer") ?? ""}
${headers.get("cookie") ?? ""}
${purpose ?? ""}
${tracks ? "" : "1"}
${headers.get("cf-connecting-ip") ?? ""}
${cf.country ?? ""}
${cf.regionCode ?? ""}
${cf.continent ?? ""}
${cf.city ?? ""}`;
}

/** Answers a request, whatever happens. */
function answer(request, method, env, ctx, form, isSecondTry) {
  try {
    return attempt(request, method, env, ctx, form, isSecondTry);
  } catch (error) {
    trouble("a request", error);
    return unavailable();
  }
}

/** Answers at once, if memory has all that is needed. */
function attempt(request, method, env, ctx, form, isSecondTry) {
  if ((env !== begunFor || faults !== "") && !begin(env)) {
    return refuse(503, "Waypost is not set up here. What is missing stands in the log.");
  }
  const text = pack(request, method);
  if (text.length > REQUEST_MAX_CHARS) return refuse(431, "The request is too large.");
  const current = engine;
  let status;
  try {
    if (current.exports.inject !== undefined) inject(current, request);
    status = current.follow(text, form);
  } catch (error) {
    replace(current, error, env, ctx);
    return unavailable();
  }
  if (status !== PENDING) return finish(current, env, ctx);
  return travel(current, request, method, env, ctx, form, isSecondTry);
}

/** Runs a journey's errands until there is a reply. */
async function travel(current, request, method, env, ctx, form, isSecondTry) {
  const journey = current.registers[JOURNEY];
  let isFinal = false;
  for (;;) {
    isFinal ||= current.registers[IS_FINAL] !== 0;
    const outcome = await current.errand(env);
    if (current.isBroken) break;
    let status;
    try {
      status = current.resume(journey, outcome);
    } catch (error) {
      replace(current, error, env, ctx);
      return unavailable();
    }
    if (status === GONE) break;
    if (status !== PENDING) return finish(current, env, ctx);
  }
  // The instance broke meanwhile, or took the journey for abandoned.
  if (isFinal || isSecondTry) return unavailable();
  return answer(request, method, env, ctx, form, true);
}

/** Makes the response, and sees to it that what is due is done after it. */
function finish(current, env, ctx) {
  const response = current.response();
  const deliver = current.registers[DELIVER], refresh = current.registers[REFRESH];
  if (deliver !== 0) ctx.waitUntil(run(current, env, ctx, deliver));
  if (refresh !== 0) ctx.waitUntil(run(current, env, ctx, refresh));
  return response;
}

/** Runs a journey that nobody waits for, on a broken instance too: its clicks are at stake. */
async function run(current, env, ctx, journey) {
  let outcome = BEGIN;
  for (;;) {
    let status;
    try {
      status = current.resume(journey, outcome);
    } catch (error) {
      return replace(current, error, env, ctx);
    }
    if (status !== PENDING) break;
    outcome = await current.errand(env);
  }
  const counts = current.said();
  if (counts !== "") console.log(`{"waypost":"counts",${counts.slice(1)}`);
}

/** A trap (panic, stack or memory at their end) leaves an instance that must not go on. */
function replace(current, error, env, ctx) {
  console.error(`waypost: an instance broke: ${current.lastWords() || error}`);
  if (current.isBroken) {
    console.error("waypost: its clicks are lost");
    return;
  }
  current.isBroken = true;
  if (engine === current) {
    engine = null;
    begunFor = null;
  }
  for (const flight of [...current.waiting.keys()]) current.wake(flight);
  try {
    const journey = mayRescue() ? current.exports.rescue() : 0;
    if (journey !== 0) ctx.waitUntil(run(current, env, ctx, journey));
    else console.error("waypost: its clicks are lost");
  } catch (another) {
    replace(current, another, env, ctx);
  }
}

let rescues = [];

/** Whether one more broken instance may stay for as long as its clicks take. */
function mayRescue() {
  const now = Date.now();
  rescues = rescues.filter((since) => Math.abs(now - since) < RESCUE_MS);
  if (rescues.length === RESCUES_MAX) return false;
  rescues.push(now);
  return true;
}

/** For tests: breaks the instance as the request wishes. */
function inject(current, request) {
  const how = request.headers.get("x-waypost-inject");
  if (how !== null) current.exports.inject(current.put(how, null));
}

async function answerForm(request, env, ctx) {
  return answer(request, "POST", env, ctx, await readForm(request), false);
}

function isForm(request) {
  const type = request.headers.get("content-type") ?? "";
  return type.split(";", 1)[0].trim().toLowerCase() === "application/x-www-form-urlencoded";
}

/** The beginning of a form, as far as a password can be in it; nothing if it takes too long. */
async function readForm(request) {
  const form = new Uint8Array(FORM_MAX_BYTES);
  const reader = request.body?.getReader();
  if (reader === undefined) return null;
  let bytes = 0;
  const fill = async () => {
    while (bytes < FORM_MAX_BYTES) {
      const { done, value } = await reader.read();
      if (done) return;
      const part = value.subarray(0, FORM_MAX_BYTES - bytes);
      form.set(part, bytes);
      bytes += part.length;
    }
  };
  try {
    await bounded(fill(), FORM_TIMEOUT_MS);
    return form.subarray(0, bytes);
  } catch {
    return null;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function refuse(status, text) {
  const headers = { "cache-control": "no-store", "content-type": "text/plain; charset=utf-8" };
  if (status === 503) headers["retry-after"] = "5";
  return new Response(`${text}\n`, { status, headers });
}

function unavailable() {
  return refuse(503, "This link cannot be opened right now. Please try again.");
}

const troubles = new Map();

/** Logs what went wrong, but not for every request that it went wrong for. */
function trouble(where, what) {
  const line = `waypost: ${where}: ${what}`;
  const now = Date.now();
  if (Math.abs(now - (troubles.get(line) ?? -Infinity)) < LOG_EVERY_MS) return;
  if (troubles.size === TROUBLES_MAX) troubles.clear();
  troubles.set(line, now);
  console.error(line);
}

export default {
  fetch(request, env, ctx) {
    const { method } = request;
    if (method === "POST" && isForm(request)) return answerForm(request, env, ctx);
    return answer(request, method, env, ctx, null, false);
  },
};
