// Every vendor's models by the openai package, with Chat Completions and with Responses.
import { BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, error, run, tagged } from "./harness.mjs";
import { RESULTS, few, many, scenarios, told, toolList, turn, vectors } from "./across.mjs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: BASE + "/v1", apiKey: KEY });
const failure = (e) => ({ ...error(e, "status", "type"), message: e.error.message });
const read = (calls, id, args) => calls.map((k) => ({ id: id(k), name: args(k).name, args: JSON.parse(args(k).arguments) }));

class Chat {
  failure = failure;

  constructor(c, model) {
    Object.assign(this, { c, model, thread: [{ role: "system", content: SYSTEM }] });
  }

  say(text, image) {
    const content = image ? [{ type: "text", text }, { type: "image_url", image_url: { url: "data:image/png;base64," + image } }] : text;
    this.thread.push({ role: "user", content });
  }

  give(results) {
    for (const r of results) this.thread.push({ role: "tool", tool_call_id: r.id, content: r.text });
  }

  wish({ tools, force, schema, think, limit } = {}) {
    return {
      model: this.model,
      messages: this.thread,
      ...(tools && { tools: toolList((name, description, parameters) => ({ type: "function", function: { name, description, parameters } })) }),
      ...(force && { tool_choice: "required" }),
      ...(schema && { response_format: { type: "json_schema", json_schema: { name: "trip", schema: CITY_SCHEMA, strict: true } } }),
      ...(think && { reasoning_effort: "medium" }),
      ...(limit && { max_completion_tokens: limit }),
    };
  }

  async ask(stream, want) {
    let r, thought;
    if (stream) {
      const s = client.chat.completions.stream({ ...this.wish(want), stream_options: { include_usage: true } });
      thought = ""; // the SDK's message has only the last piece of it
      s.on("chunk", (k) => { thought += k.choices[0]?.delta?.reasoning_content ?? ""; });
      r = await s.finalChatCompletion();
    } else {
      r = await client.chat.completions.create(this.wish(want));
    }
    this.c.used(this.model, r.usage.prompt_tokens, r.usage.completion_tokens);
    const { parsed, ...m } = r.choices[0].message;
    this.thread.push(m);
    return turn(m.content, read(m.tool_calls ?? [], (k) => k.id, (k) => k.function), r.choices[0].finish_reason, thought ?? m.reasoning_content ?? "");
  }

  async *pieces() {
    const s = await client.chat.completions.create({ ...this.wish(), stream: true });
    for await (const k of s) yield k.choices[0]?.delta?.content;
  }
}

class Responses {
  failure = failure;

  constructor(c, model) {
    Object.assign(this, { c, model, thread: [] });
  }

  say(text, image) {
    const content = [{ type: "input_text", text }];
    if (image) content.push({ type: "input_image", detail: "auto", image_url: "data:image/png;base64," + image });
    this.thread.push({ role: "user", content });
  }

  give(results) {
    for (const r of results) this.thread.push({ type: "function_call_output", call_id: r.id, output: r.text });
  }

  wish({ tools, force, schema, think, limit } = {}) {
    return {
      model: this.model,
      instructions: SYSTEM,
      input: this.thread,
      store: false,
      ...(tools && { tools: toolList((name, description, parameters) => ({ type: "function", name, description, parameters, strict: true })) }),
      ...(force && { tool_choice: "required" }),
      ...(schema && { text: { format: { type: "json_schema", name: "trip", schema: CITY_SCHEMA, strict: true } } }),
      ...(think && { reasoning: { effort: "medium", summary: "auto" }, include: ["reasoning.encrypted_content"] }),
      ...(limit && { max_output_tokens: limit }),
    };
  }

  async respond(stream, request) {
    const r = stream ? await client.responses.stream(request).finalResponse() : await client.responses.create(request);
    this.c.used(this.model, r.usage.input_tokens, r.usage.output_tokens);
    return r;
  }

  async ask(stream, want) {
    const r = await this.respond(stream, this.wish(want));
    const bare = ({ parsed_arguments, ...item }) => item;
    this.thread.push(...r.output.map((i) => (i.content ? { ...i, content: i.content.map(({ parsed, ...p }) => p) } : bare(i))));
    return this.turn(r);
  }

  turn(r) {
    const thought = r.output.filter((i) => i.type === "reasoning").flatMap((i) => i.summary.map((p) => p.text)).join("");
    const text = r.output.filter((i) => i.type === "message").flatMap((i) => i.content.map((p) => p.text)).join("");
    return turn(text, read(r.output.filter((i) => i.type === "function_call"), (k) => k.call_id, (k) => k),
      r.incomplete_details?.reason ?? r.status, thought);
  }

  // Three turns, each of which names the one before, and what is kept of them.
  async kept(stream) {
    this.say(tagged("Use get_weather and get_time in Paris."));
    let request = { ...this.wish({ tools: true }), store: true };
    const seen = [], replies = [];
    for (let i = 0; i < 3; i++) {
      const r = await this.respond(stream, request);
      replies.push(r);
      seen.push(told(this.turn(r)));
      this.thread = [];
      this.give(r.output.filter((k) => k.type === "function_call").map((k) => ({ id: k.call_id, text: RESULTS[k.name] })));
      if (!this.thread.length) this.say("Hello again.");
      request = { ...this.wish({ tools: true }), store: true, previous_response_id: r.id };
    }
    const [, middle, last] = replies;
    const again = await client.responses.retrieve(last.id);
    const items = (await client.responses.inputItems.list(middle.id, { order: "asc" })).data;
    await client.responses.delete(last.id);
    const gone = await client.responses.retrieve(last.id).then(() => "still there", (e) => e.constructor.name);
    return [...seen, {
      stored: replies.map((r) => r.store),
      follows: last.previous_response_id === middle.id,
      gone,
      same: again.id === last.id && again.status === last.status && again.output_text === last.output_text,
      items: items.map((i) => i.type),
      ids: new Set(items.map((i) => i.id)).size === items.length,
    }];
  }

  async *pieces() {
    const s = await client.responses.create({ ...this.wish(), stream: true });
    for await (const e of s) if (e.type === "response.output_text.delta") yield e.delta;
  }
}

async function embed(c, input, more) {
  const r = await client.embeddings.create({ model: MODELS.embed, input, dimensions: 16, ...more });
  c.used(MODELS.embed, r.usage.prompt_tokens, 0);
  return vectors(r.data.map((d) => [...d.embedding]));
}

const embeddings = {
  embeddings: (c) => embed(c, few()), // as base64, which the SDK asks for by itself
  embeddings_numbers: (c) => embed(c, few(), { encoding_format: "float" }),
  embeddings_many: (c) => embed(c, many()), // more than some vendors take at once
};

await run({ ...embeddings, ...scenarios("", Chat), ...scenarios("responses_", Responses) });
