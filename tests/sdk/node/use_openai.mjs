// Chat, Responses and embeddings by the openai package.
import { BAD_KEY, BASE, CITY_SCHEMA, KEY, MODELS, PROMPT, SYSTEM, all, error, run } from "./harness.mjs";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: BASE + "/v1", apiKey: KEY });
const messages = [
  { role: "system", content: SYSTEM },
  { role: "user", content: PROMPT },
];
const weather = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city", parameters: CITY_SCHEMA, strict: true },
};
const Trip = z.object({ city: z.string(), days: z.number().int() });

const note = (c, model, u) => c.used(model, u.prompt_tokens, u.completion_tokens);
const failure = (e) => error(e, "status", "code", "type", "param", "requestID", "error");

async function collect(stream) {
  const chunks = await all(stream);
  return { chunks, text: chunks.map((k) => k.choices[0]?.delta?.content ?? "").join("") };
}

async function refused(model, options, stream = false) {
  try {
    const more = stream ? { stream, stream_options: { include_usage: true } } : {};
    await client.chat.completions.create({ model, messages, ...more }, options);
    return "no error";
  } catch (e) {
    return failure(e);
  }
}

async function retried(c, model) {
  const r = await client.chat.completions.create({ model, messages });
  note(c, model, r.usage);
  return { text: r.choices[0].message.content };
}

await run({
  async chat(c) {
    const { data, request_id } = await client.chat.completions
      .create({ model: MODELS.chat, messages, temperature: 0.2 })
      .withResponse();
    note(c, MODELS.chat, data.usage);
    return { reply: data, request_id };
  },

  async stream(c) {
    const s = await client.chat.completions.create({
      model: MODELS.chat, messages, stream: true, stream_options: { include_usage: true },
    });
    const got = await collect(s);
    note(c, MODELS.chat, got.chunks.at(-1).usage);
    return got;
  },

  // Without include_usage: the usage that the proxy asks for must not show.
  async stream_plain(c) {
    c.used(MODELS.chat, null, null);
    const { chunks, text } = await collect(await client.chat.completions.create({ model: MODELS.chat, messages, stream: true }));
    return { text, chunks: chunks.map((k) => ({ choices: k.choices, usage: k.usage ?? null })) };
  },

  async stream_helper(c) {
    const s = client.chat.completions.stream({
      model: MODELS.chat, messages, stream_options: { include_usage: true },
    });
    const pieces = [];
    s.on("content", (delta) => pieces.push(delta));
    const final = await s.finalChatCompletion();
    note(c, MODELS.chat, final.usage);
    return { pieces, final };
  },

  async tools(c) {
    const thread = [...messages];
    const turns = [];
    for (let i = 0; i < 4; i++) {
      const r = await client.chat.completions.create({ model: MODELS.tools, messages: thread, tools: [weather] });
      note(c, MODELS.tools, r.usage);
      const m = r.choices[0].message;
      turns.push({ finish: r.choices[0].finish_reason, message: m });
      if (!m.tool_calls?.length) break;
      thread.push(m);
      for (const t of m.tool_calls) {
        const asked = JSON.parse(t.function.arguments);
        thread.push({ role: "tool", tool_call_id: t.id, content: JSON.stringify({ asked, sky: "blue" }) });
      }
    }
    return turns;
  },

  async stream_tools(c) {
    const s = client.chat.completions.stream({
      model: MODELS.tools, messages, tools: [weather], stream_options: { include_usage: true },
    });
    const final = await s.finalChatCompletion();
    note(c, MODELS.tools, final.usage);
    return final;
  },

  async structured(c) {
    const r = await client.chat.completions.parse({
      model: MODELS.chat, messages, response_format: zodResponseFormat(Trip, "trip"),
    });
    note(c, MODELS.chat, r.usage);
    return { parsed: r.choices[0].message.parsed, finish: r.choices[0].finish_reason };
  },

  async responses(c) {
    const r = await client.responses.create({ model: MODELS.chat, instructions: SYSTEM, input: PROMPT });
    c.used(MODELS.chat, r.usage.input_tokens, r.usage.output_tokens);
    return { text: r.output_text, reply: r };
  },

  async responses_stream(c) {
    const s = await client.responses.create({ model: MODELS.chat, instructions: SYSTEM, input: PROMPT, stream: true });
    const events = await all(s);
    const { usage } = events.at(-1).response;
    c.used(MODELS.chat, usage.input_tokens, usage.output_tokens);
    return events;
  },

  async responses_structured(c) {
    const r = await client.responses.parse({
      model: MODELS.chat, input: PROMPT, text: { format: zodTextFormat(Trip, "trip") },
    });
    c.used(MODELS.chat, r.usage.input_tokens, r.usage.output_tokens);
    return { parsed: r.output_parsed };
  },

  async embeddings(c) {
    const r = await client.embeddings.create({ model: MODELS.embed, input: ["one", "two words"] });
    c.used(MODELS.embed, r.usage.prompt_tokens, 0);
    return r;
  },

  error_400: () => refused(MODELS["400"]),
  error_401: () => refused(MODELS["401"]),
  error_404: () => refused(MODELS["404"]),
  error_429: () => refused(MODELS["429"], { maxRetries: 0 }),
  error_500: () => refused(MODELS["500"]),
  error_stream: () => refused(MODELS["500"], { maxRetries: 0 }, true),
  retry_429: (c) => retried(c, MODELS.retry_429),
  retry_500: (c) => retried(c, MODELS.retry_500),
  absorbed: (c) => retried(c, MODELS.absorbed), // by Weir's own retries
  exhausted: () => refused(MODELS.exhausted), // so are those: not to be retried on top

  async abort() {
    const s = await client.chat.completions.create({ model: MODELS.slow, messages, stream: true });
    const text = [];
    for await (const k of s) {
      if (k.choices[0]?.delta?.content) text.push(k.choices[0].delta.content);
      if (text.length === 3) break; // ends the request
    }
    return { text, aborted: s.controller.signal.aborted };
  },

  // The upstream ends the stream early and cleanly: through Weir that is told.
  async truncated() {
    let text = "";
    try {
      const s = await client.chat.completions.create({ model: MODELS.truncated, messages, stream: true });
      for await (const k of s) text += k.choices[0]?.delta?.content ?? "";
      return { text, failed: null };
    } catch (e) {
      return { text, failed: e.constructor.name };
    }
  },

  timeout: () => refused(MODELS.late, { timeout: 1000, maxRetries: 0 }),
  model_list: async () => (await all(client.models.list())).map((m) => m.id),
  unknown_model: () => refused(MODELS.unknown),

  async bad_key() {
    try {
      await new OpenAI({ baseURL: BASE + "/v1", apiKey: BAD_KEY }).chat.completions.create({ model: MODELS.chat, messages });
      return "no error";
    } catch (e) {
      return failure(e);
    }
  },
});
