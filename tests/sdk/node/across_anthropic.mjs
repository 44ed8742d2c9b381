// Every vendor's models by the @anthropic-ai/sdk package.
import { BASE, CITY_SCHEMA, KEY, SYSTEM, error, run } from "./harness.mjs";
import { scenarios, toolList, turn } from "./across.mjs";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: BASE, apiKey: KEY });
const join = (blocks, type, member) => blocks.filter((b) => b.type === type).map((b) => b[member]).join("");

class Talk {
  failure = (e) => ({ ...error(e, "status", "type"), message: e.error.error.message });

  constructor(c, model) {
    Object.assign(this, { c, model, thread: [] });
  }

  say(text, image) {
    const content = [{ type: "text", text }];
    if (image) content.push({ type: "image", source: { type: "base64", media_type: "image/png", data: image } });
    this.thread.push({ role: "user", content });
  }

  give(results) {
    this.thread.push({ role: "user", content: results.map((r) => ({ type: "tool_result", tool_use_id: r.id, content: r.text })) });
  }

  wish({ tools, force, schema, think, limit } = {}) {
    return {
      model: this.model,
      max_tokens: limit ?? 4000,
      system: SYSTEM,
      messages: this.thread,
      ...(tools && { tools: toolList((name, description, input_schema) => ({ name, description, input_schema })) }),
      ...(force && { tool_choice: { type: "any" } }),
      ...(schema && { output_config: { format: { type: "json_schema", schema: CITY_SCHEMA } } }),
      ...(think && { thinking: { type: "enabled", budget_tokens: 2048 } }),
    };
  }

  async ask(stream, want) {
    const r = stream ? await client.messages.stream(this.wish(want)).finalMessage() : await client.messages.create(this.wish(want));
    const u = r.usage;
    this.c.used(this.model, u.input_tokens + (u.cache_creation_input_tokens ?? 0) + (u.cache_read_input_tokens ?? 0), u.output_tokens);
    this.thread.push({ role: "assistant", content: r.content });
    const calls = r.content.filter((b) => b.type === "tool_use").map((b) => ({ id: b.id, name: b.name, args: b.input }));
    return turn(join(r.content, "text", "text"), calls, r.stop_reason, join(r.content, "thinking", "thinking"));
  }

  async *pieces() {
    const s = await client.messages.create({ ...this.wish(), stream: true });
    for await (const e of s) if (e.type === "content_block_delta") yield e.delta.text;
  }
}

await run(scenarios("", Talk));
