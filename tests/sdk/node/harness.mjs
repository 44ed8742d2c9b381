// What the Node programs share; see python/harness.py for the lines' shape.

const env = (name) => process.env[name] ?? fail(`${name} is not set`);

function fail(why) {
  throw new Error(why);
}

export const BASE = env("SDK_BASE"); // http://host:port
export const KEY = env("SDK_KEY");
export const BAD_KEY = env("SDK_BAD_KEY");
export const MODELS = JSON.parse(env("SDK_MODELS")); // purpose -> model name
const NAME = env("SDK_NAME");
const ONLY = process.env.SDK_ONLY ?? "";
const TARGETS = JSON.parse(process.env.SDK_TARGETS ?? "{}"); // vendor -> its models, where every vendor's are asked

export const PROMPT = "Say something about the weather in Paris.";
export const SYSTEM = "You are terse.";
export const CITY_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};

let now; // the case under way

// Marks each request with its case and logs each response, whatever the SDK.
const realFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  headers.set("x-weir-session", `${NAME}/${now.name}`);
  const at = performance.now();
  const response = await realFetch(input, { ...init, headers });
  now.http.push({ status: response.status, headers: [...response.headers], at });
  return response;
};

// Whole seconds waited before each retry are the SDK's answer to retry-after.
function gaps(http) {
  const times = http.map((h) => h.at);
  http.forEach((h) => delete h.at);
  return times.slice(1).map((t, i) => Math.floor((t - times[i]) / 1000));
}

class Case {
  http = [];
  usage = [];

  constructor(name) {
    this.name = name;
  }

  // Notes the tokens of one answered call: all input, all output.
  used(model, tokensIn, tokensOut) {
    this.usage.push({ model, in: tokensIn ?? null, out: tokensOut ?? null });
  }
}

// What a program that catches e can act on.
export function error(e, ...fields) {
  const seen = { class: e.constructor.name, name: e.name, message: e.message };
  for (const f of fields) seen[f] = e[f] ?? null;
  return { error: seen };
}

// Everything a stream yields (Node 20 has no Array.fromAsync).
export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

// A text with the name of its case, so that the runner finds it at the upstream.
export const tagged = (text) => `${text} [${NAME}/${now.name}]`;

// Runs the cases one after the other, each printing its line.
export async function run(cases) {
  for (const [target, models] of Object.entries(TARGETS)) {
    Object.assign(MODELS, models);
    await runAll(cases, target + ":");
  }
  if (!Object.keys(TARGETS).length) await runAll(cases, "");
}

async function runAll(cases, prefix) {
  for (const [only, fn] of Object.entries(cases)) {
    if (ONLY && only !== ONLY) continue;
    const name = prefix + only;
    now = new Case(name);
    let seen;
    try {
      seen = await fn(now);
    } catch (e) {
      seen = { raised: `${e.constructor.name}: ${e.message}` };
    }
    console.log(JSON.stringify({ case: name, seen, http: now.http, usage: now.usage, gaps: gaps(now.http) }));
  }
}
