// Puts what the Worker takes from its surroundings into the hands of a test: the clock, timers,
// randomness, the console. Must be imported before the Worker.

const realTimeout = globalThis.setTimeout.bind(globalThis);
const realClear = globalThis.clearTimeout.bind(globalThis);
const realRandom = crypto.getRandomValues.bind(crypto);
const LINES_MAX = 1_000;

/** What a test sets. */
export const world = {
  /** The time, in milliseconds. It stands still until the test moves it. */
  now: 0,
  /** Timers end when the test moves the clock that far, and not by themselves. */
  timersHeld: true,
  /** The next random numbers of 64 bits, as two words; null: real ones. */
  draw: null,
  /** Whether one more miss may be asked of the origin; null: there is no limit. */
  admitsMisses: null,
  /** Answers wait until everything is done that the Worker said it would do after them. */
  waits: true,
  /** So many reads of KV are abandoned, as if the runtime ended their requests half way. */
  abandons: 0,
  /** The env that the Worker gets. */
  env: null,
};

/** Timers that have not ended, by id, with the time they end. */
export const timers = new Map();

/** What the Worker said on the console. */
export const lines = [];

/** The memory of every WASM instance, in order of birth. */
export const memories = [];

/** Waits for real. */
export const pause = (ms) => new Promise((done) => realTimeout(done, ms));

Date.now = () => world.now;

crypto.getRandomValues = (array) => {
  if (world.draw === null || !(array instanceof Uint32Array)) {
    return realRandom(array);
  }
  array.forEach((_, at) => {
    array[at] = world.draw[at % 2];
  });
  return array;
};

let isAbandoned = false;

/** KV, as far as it answers: what is abandoned never does, nor is there an end to the wait. */
export const nearby = (store) => ({
  get: (key, options) => {
    if (world.abandons > 0 && !key.startsWith("!")) {
      world.abandons -= 1;
      isAbandoned = true;
      return new Promise(() => {});
    }
    return store.get(key, options);
  },
});

globalThis.setTimeout = (run, ms = 0, ...rest) => {
  if (isAbandoned) {
    isAbandoned = false;
    return 0;
  }
  const due = world.now + ms;
  let id;
  const end = () => {
    timers.delete(id);
    run(...rest);
  };
  if (!world.timersHeld) {
    id = realTimeout(end, ms);
  } else {
    // In the context of whoever set it: no other request may run it. What is still to be done
    // belongs to the real id of the moment.
    const look = () => (world.now >= due ? end() : timers.set(id, { due, real: realTimeout(look, 1) }));
    id = realTimeout(look, 0);
  }
  timers.set(id, { due, real: id });
  return id;
};

globalThis.clearTimeout = (id) => {
  const timer = timers.get(id);
  timers.delete(id);
  realClear(timer?.real ?? id);
};

AbortSignal.timeout = (ms) => {
  const controller = new AbortController();
  const late = () => controller.abort(new DOMException("The operation timed out", "TimeoutError"));
  setTimeout(late, ms);
  return controller.signal;
};

for (const level of ["debug", "error", "info", "log", "warn"]) {
  console[level] = (...parts) => {
    lines.push([level, ...parts.map(String)].join(" "));
    if (lines.length > LINES_MAX) {
      lines.shift();
    }
  };
}

const born = (instance) => {
  const memory = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Memory);
  memories.push(memory);
  return instance;
};
const RealInstance = WebAssembly.Instance;
WebAssembly.Instance = new Proxy(RealInstance, {
  construct: (target, parts) => born(new target(...parts)),
});
const realInstantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (...parts) => {
  const result = await realInstantiate(...parts);
  born(result.instance ?? result);
  return result;
};
