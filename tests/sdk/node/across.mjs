// The scenarios that every SDK runs against the models of every vendor; see python/across.py, which
// says what a program's class has. Here ask and give may be async, and pieces gives up by a
// break of its loop.
import { CITY_SCHEMA, MODELS, PROMPT, tagged } from "./harness.mjs";

const TOOLS = { get_weather: "The weather of a city", get_time: "The time in a city" };
export const RESULTS = { get_weather: "sky-blue", get_time: "at-noon" };
// One pixel.
const PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const toolList = (wrap) => Object.entries(TOOLS).map(([name, description]) => wrap(name, description, CITY_SCHEMA));

// A turn of the model: calls are { id, name, args }. thought is null where the SDK cannot show it.
export const turn = (text, calls, finish, thought = null) => ({ text: text ?? "", calls, finish, thought });

// A turn without its ids, which are checked here: each once, none empty.
export function told(t) {
  const ids = t.calls.map((k) => k.id);
  const good = new Set(ids).size === ids.length && ids.every(Boolean);
  return { ...t, calls: t.calls.map(({ name, args }) => ({ name, args })), ids: good ? "unlike" : JSON.stringify(ids) };
}

const give = (talk, t) => talk.give(t.calls.map((k) => ({ ...k, text: RESULTS[k.name] })));

async function chat(talk, stream) {
  talk.say(tagged(PROMPT));
  return told(await talk.ask(stream));
}

// Three turns: two calls at once, two more that are forced, and the answer.
async function tools(talk, stream) {
  talk.say(tagged("Use get_weather and get_time in Paris."));
  const turns = [];
  for (const want of [{}, { force: true }, {}]) {
    const t = await talk.ask(stream, { tools: true, ...want });
    turns.push(told(t));
    if (t.calls.length) give(talk, t);
  }
  return turns;
}

// Two questions, each answered by calls and then by words, with thoughts before.
async function thinking(talk, stream) {
  const turns = [];
  for (const text of ["Use get_weather and get_time in Paris.", "And get_weather in Rome?"]) {
    talk.say(tagged(text));
    for (let i = 0; i < 2; i++) {
      const t = await talk.ask(stream, { tools: true, think: true });
      turns.push(told(t));
      if (t.calls.length) give(talk, t);
    }
  }
  return turns;
}

async function refused(talk, stream) {
  talk.say(tagged(PROMPT));
  try {
    await talk.ask(stream);
    return "no error";
  } catch (e) {
    return talk.failure(e);
  }
}

async function structured(talk) {
  talk.say(tagged(PROMPT));
  const got = told(await talk.ask(false, { schema: true }));
  return { ...got, text: JSON.parse(got.text) };
}

async function image(talk) {
  talk.say(tagged("What is in this picture?"), PICTURE);
  return told(await talk.ask(false));
}

async function short(talk) {
  talk.say(tagged(PROMPT));
  return told(await talk.ask(false, { limit: 16 }));
}

async function abort(talk) {
  talk.say(tagged(PROMPT));
  const text = [];
  for await (const piece of talk.pieces()) {
    if (piece) text.push(piece);
    if (text.length === 3) break;
  }
  return { text };
}

// The upstream ends the stream early and cleanly: through Weir that is told.
async function truncated(talk) {
  talk.say(tagged(PROMPT));
  let text = "";
  try {
    for await (const piece of talk.pieces()) text += piece ?? "";
    return { text, failed: false };
  } catch {
    return { text, failed: true };
  }
}

// The upstream tells of an error after some text.
async function failing(talk) {
  talk.say(tagged(PROMPT));
  let text = "";
  try {
    for await (const piece of talk.pieces()) text += piece ?? "";
    return { text: !!text, failed: null };
  } catch (e) {
    return { text: !!text, failed: e?.constructor?.name ?? typeof e };
  }
}

// Texts to embed, the last of them with the name of the case.
export const few = () => ["one", "two words", tagged("three words more")];
export const many = () => [...Array(150).keys()].map((i) => `word${i} of ${i % 7}`).concat(tagged("the last"));

// What embeddings are: all that can be compared, which the last one cannot, since its text names the case.
export const vectors = (all) => ({ count: all.length, vectors: all.slice(0, -1) });

// The cases of one API.
export function scenarios(prefix, Talk) {
  const cases = {};
  const add = (name, model, fn) => {
    cases[prefix + name] = (c) => fn(new Talk(c, MODELS[model] + (model.startsWith("retry") ? `-${prefix}${name}` : "")));
  };
  for (const [end, stream] of [["", false], ["_stream", true]]) {
    add("chat" + end, "chat", (t) => chat(t, stream));
    add("tools" + end, "tools", (t) => tools(t, stream));
    add("thinking" + end, "think", (t) => thinking(t, stream));
    add("error_400" + end, "400", (t) => refused(t, stream));
  }
  add("prefixed", "prefixed", (t) => chat(t, false));
  add("failing", "failing", failing);
  add("error_401", "401", (t) => refused(t, false));
  add("error_404", "404", (t) => refused(t, false));
  add("structured", "chat", structured);
  add("image", "chat", image);
  add("short", "long", short);
  add("retry_429", "retry_429", (t) => chat(t, false));
  add("abort", "slow", abort);
  add("truncated", "truncated", truncated);
  if (Talk.prototype.kept) {
    add("kept", "chat", (t) => t.kept(false));
    add("kept_stream", "chat", (t) => t.kept(true));
  }
  return cases;
}
