// Messages by the @anthropic-ai/sdk package.
import { BAD_KEY, BASE, CITY_SCHEMA, KEY, MODELS, PROMPT, SYSTEM, all, error, run } from "./harness.mjs";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

const client = new Anthropic({ baseURL: BASE, apiKey: KEY });
const messages = [{ role: "user", content: PROMPT }];
const weather = { name: "get_weather", description: "The weather of a city", input_schema: CITY_SCHEMA };
const Trip = z.object({ city: z.string(), days: z.number().int() });

const note = (c, model, u) =>
  c.used(model, u.input_tokens + (u.cache_creation_input_tokens ?? 0) + (u.cache_read_input_tokens ?? 0), u.output_tokens);
const failure = (e) => error(e, "status", "type", "requestID", "error");
const ask = (more) => ({ model: MODELS.chat, max_tokens: 200, system: SYSTEM, messages, ...more });

async function refused(more, options) {
  try {
    await client.messages.create(ask(more), options);
    return "no error";
  } catch (e) {
    return failure(e);
  }
}

async function retried(c, model) {
  const r = await client.messages.create(ask({ model }));
  note(c, model, r.usage);
  return r.content;
}

await run({
  async chat(c) {
    const { data, request_id } = await client.messages.create(ask({ temperature: 0.2 })).withResponse();
    note(c, MODELS.chat, data.usage);
    return { reply: data, request_id };
  },

  async stream(c) {
    const events = await all(await client.messages.create(ask({ stream: true })));
    const start = events[0].message.usage;
    const end = events.findLast((e) => e.type === "message_delta").usage;
    note(c, MODELS.chat, { ...start, output_tokens: end.output_tokens });
    return events;
  },

  async stream_helper(c) {
    const s = client.messages.stream(ask());
    const pieces = [];
    s.on("text", (delta) => pieces.push(delta));
    const final = await s.finalMessage();
    note(c, MODELS.chat, final.usage);
    return { pieces, final };
  },

  async tools(c) {
    const thread = [...messages];
    const turns = [];
    for (let i = 0; i < 4; i++) {
      const r = await client.messages.create(ask({ model: MODELS.tools, messages: thread, tools: [weather] }));
      note(c, MODELS.tools, r.usage);
      turns.push({ stop: r.stop_reason, content: r.content });
      const calls = r.content.filter((b) => b.type === "tool_use");
      if (!calls.length) break;
      thread.push({ role: "assistant", content: r.content });
      thread.push({ role: "user", content: calls.map((b) => ({ type: "tool_result", tool_use_id: b.id, content: "blue" })) });
    }
    return turns;
  },

  async stream_tools(c) {
    const final = await client.messages.stream(ask({ model: MODELS.tools, tools: [weather] })).finalMessage();
    note(c, MODELS.tools, final.usage);
    return final;
  },

  async structured(c) {
    const r = await client.messages.parse(ask({ output_config: { format: zodOutputFormat(Trip) } }));
    note(c, MODELS.chat, r.usage);
    return { parsed: r.parsed_output, stop: r.stop_reason };
  },

  count_tokens: () => client.messages.countTokens({ model: MODELS.chat, system: SYSTEM, messages, tools: [weather] }),

  error_400: () => refused({ model: MODELS["400"] }),
  error_401: () => refused({ model: MODELS["401"] }),
  error_404: () => refused({ model: MODELS["404"] }),
  error_429: () => refused({ model: MODELS["429"] }, { maxRetries: 0 }),
  error_529: () => refused({ model: MODELS["529"] }),
  error_stream: () => refused({ model: MODELS["500"], stream: true }, { maxRetries: 0 }),
  retry_429: (c) => retried(c, MODELS.retry_429),
  retry_500: (c) => retried(c, MODELS.retry_500),
  absorbed: (c) => retried(c, MODELS.absorbed), // by Weir's own retries
  exhausted: () => refused({ model: MODELS.exhausted }), // so are those: not to be retried on top

  async abort() {
    const s = await client.messages.create(ask({ model: MODELS.slow, stream: true }));
    const text = [];
    for await (const e of s) {
      if (e.type === "content_block_delta") text.push(e.delta.text);
      if (text.length === 3) break;
    }
    return { text, aborted: s.controller.signal.aborted };
  },

  // The upstream ends the stream early and cleanly: through Weir that is told.
  async truncated() {
    let text = "";
    try {
      const s = await client.messages.create(ask({ model: MODELS.truncated, stream: true }));
      for await (const e of s) if (e.type === "content_block_delta") text += e.delta.text;
      return { text, failed: null };
    } catch (e) {
      return { text, failed: e.constructor.name };
    }
  },

  timeout: () => refused({ model: MODELS.late }, { timeout: 1000, maxRetries: 0 }),
  model_list: async () => (await all(client.models.list())).map((m) => m.id),
  unknown_model: () => refused({ model: MODELS.unknown }),

  async bad_key() {
    try {
      await new Anthropic({ baseURL: BASE, apiKey: BAD_KEY }).messages.create(ask());
      return "no error";
    } catch (e) {
      return failure(e);
    }
  },
});
