// Puts links into the local store of `wrangler dev`, from what `waypost edge export` writes:
//
//   node edge/worker/seed.mjs [FILE]      without FILE: tests/data/edge-links.json
//
// One by one, because `wrangler kv bulk put --local` takes values for text and damages records.
// For a store in the cloud `wrangler kv bulk put FILE --remote` is right, and fast.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [file = "tests/data/edge-links.json"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "waypost-"));
try {
  const path = join(folder, "value");
  for (const { key, value } of JSON.parse(readFileSync(file, "utf8"))) {
    writeFileSync(path, Buffer.from(value, "base64"));
    const put = ["kv", "key", "put", key, "--path", path, "--binding", "LINKS", "--local"];
    execFileSync("wrangler", put, { stdio: ["ignore", "ignore", "inherit"] });
    console.log(key);
  }
} finally {
  rmSync(folder, { recursive: true });
}
