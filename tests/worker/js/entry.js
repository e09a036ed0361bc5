// The main module in tests: hands requests to the Worker as they came, with the env and the clock
// that a test set through the entry point `control`.

import { lines, memories, nearby, pause, timers, world } from "./before.js";
import worker from "./shim.mjs";

const counts = { began: 0, ended: 0, failed: 0, duties: 0, dutiesFailed: 0 };

/** What the Worker knows of `ctx`, and what it promised with it. */
class Context {
  #real;
  #promised = [];

  constructor(real) {
    this.#real = real;
  }

  waitUntil(promise) {
    counts.duties += 1;
    const done = Promise.resolve(promise)
      .catch((error) => {
        counts.dutiesFailed += 1;
        console.error("a duty failed:", error?.stack ?? error);
      })
      .finally(() => {
        counts.duties -= 1;
      });
    this.#promised.push(done);
    this.#real.waitUntil(done);
  }

  passThroughOnException() {}

  async done() {
    while (this.#promised.length > 0) {
      await this.#promised.shift();
    }
  }
}

const answer = async (request, ctx) => {
  const context = new Context(ctx);
  counts.began += 1;
  try {
    const response = await worker.fetch(request, world.env, context);
    if (world.waits) {
      await context.done();
    }
    return response;
  } catch (error) {
    counts.failed += 1;
    console.error("a request failed:", error?.stack ?? error);
    throw error;
  } finally {
    counts.ended += 1;
  }
};

export default {
  fetch: (request, _env, ctx) => answer(request, ctx),
};

const status = () => ({
  ...counts,
  now: world.now,
  dues: [...timers.values()].map((timer) => timer.due - world.now).sort((a, b) => a - b),
  lines,
  memories: memories.map((memory) => memory?.buffer.byteLength ?? 0),
});

const commands = {
  /**
   * A new env: whatever the Worker remembers belongs to the old one. With a `record`, KV has it
   * under every key, and nobody outside is asked.
   */
  begin({ vars, record }, env) {
    world.env = { ...env, ...vars, LINKS: nearby(env.LINKS) };
    if (world.admitsMisses !== null) {
      world.env.MISSES = { limit: async () => ({ success: world.admitsMisses }) };
    }
    if (record) {
      const bytes = Uint8Array.from(record).buffer;
      world.env.LINKS = { get: async (key) => (key.startsWith("!") ? null : bytes.slice(0)) };
    }
  },

  set(changes) {
    Object.assign(world, changes);
  },

  /** Moves the clock, and ends the timers on the way, one time after the other. */
  async advance({ to }) {
    for (;;) {
      const due = Math.min(...[...timers.values()].map((timer) => timer.due));
      world.now = Math.min(due, to);
      if (due > to) {
        return;
      }
      // Every timer looks at the clock once a millisecond, so after a few of these those that are
      // due have ended, and what they led to has begun, its timers included.
      for (let turn = 0; turn < 5; turn += 1) {
        await pause(1);
      }
      // What is left belongs to requests that are over, and went with them.
      for (const [id, timer] of timers) {
        if (timer.due <= due) {
          timers.delete(id);
        }
      }
    }
  },

  /** Requests from within, one `url` for each number, `width` at a time. */
  async loop({ url, from, count, width }, _env, ctx) {
    const statuses = {};
    let next = from;
    const visitor = async () => {
      while (next < from + count) {
        const number = next;
        next += 1;
        const request = new Request(url.replaceAll("{}", number.toString(36)), { redirect: "manual" });
        const response = await answer(request, ctx);
        await response.arrayBuffer();
        statuses[response.status] = (statuses[response.status] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: width }, visitor));
    return { statuses };
  },

  status() {},
};

/** A list of commands, carried out in order; the status at the end, and what they answered. */
export const control = {
  async fetch(request, env, ctx) {
    const results = [];
    try {
      for (const { command, ...parts } of await request.json()) {
        results.push((await commands[command](parts, env, ctx)) ?? null);
      }
    } catch (error) {
      return new Response(String(error?.stack ?? error), { status: 500 });
    }
    return Response.json({ ...status(), results });
  },
};
