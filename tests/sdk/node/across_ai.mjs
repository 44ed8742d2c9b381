// Every vendor's models by the Vercel AI SDK: its OpenAI provider (Chat and Responses) and its Anthropic one.
import { BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, error, run } from "./harness.mjs";
import { few, many, scenarios, toolList, turn, vectors } from "./across.mjs";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, embedMany, generateText, jsonSchema, streamText, tool } from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: BASE + "/v1", apiKey: KEY });
const anthropic = createAnthropic({ baseURL: BASE + "/v1", apiKey: KEY });
const tools = Object.fromEntries(toolList((name, description, schema) => [name, tool({ description, inputSchema: jsonSchema(schema) })]));

class Talk {
  failure = (e) => ({ ...error(e, "statusCode", "isRetryable") });

  constructor(c, model) {
    Object.assign(this, { c, model, thread: [] });
  }

  say(text, image) {
    const content = [{ type: "text", text }];
    if (image) content.push({ type: "image", image, mediaType: "image/png" });
    this.thread.push({ role: "user", content });
  }

  give(results) {
    this.thread.push({
      role: "tool",
      content: results.map((r) => ({ type: "tool-result", toolCallId: r.id, toolName: r.name, output: { type: "text", value: r.text } })),
    });
  }

  wish({ tools: offer, force, schema, think, limit } = {}) {
    return {
      model: this.provider(this.model),
      system: SYSTEM,
      messages: this.thread,
      ...(offer && { tools }),
      ...(force && { toolChoice: "required" }),
      ...(schema && { output: Output.object({ schema: jsonSchema(CITY_SCHEMA) }) }),
      ...(think && { providerOptions: this.thinks }),
      ...(limit && { maxOutputTokens: limit }),
    };
  }

  async ask(stream, want) {
    let failed;
    const r = stream ? streamText({ ...this.wish(want), onError: ({ error: e }) => { failed = e; } }) : await generateText(this.wish(want));
    if (stream) {
      await r.consumeStream();
      if (failed) throw failed;
    }
    const usage = await r.usage;
    this.c.used(this.model, usage.inputTokens, usage.outputTokens);
    this.thread.push(...(await r.response).messages);
    const calls = (await r.toolCalls).map((k) => ({ id: k.toolCallId, name: k.toolName, args: k.input }));
    return turn(await r.text, calls, await r.finishReason, this.shows ? ((await r.reasoningText) ?? "") : null);
  }

  async *pieces() {
    const stop = new AbortController();
    let failed;
    const r = streamText({ ...this.wish(), abortSignal: stop.signal, onError: ({ error: e }) => { failed = e; } });
    try {
      for await (const piece of r.textStream) yield piece;
      if (failed) throw failed;
    } finally {
      stop.abort();
    }
  }
}

class Chat extends Talk {
  provider = openai.chat;
  thinks = { openai: { reasoningEffort: "medium" } };
}

class Responses extends Talk {
  provider = openai.responses;
  thinks = { openai: { reasoningEffort: "medium", reasoningSummary: "auto", store: false, include: ["reasoning.encrypted_content"], forceReasoning: true } };
  shows = true;
}

// What was said and thought is kept by who serves it, and the SDK refers to it by its ids.
class Referring extends Responses {
  thinks = { openai: { ...this.thinks.openai, store: true, include: undefined } };

  wish(want) {
    return { providerOptions: { openai: { store: true } }, ...super.wish(want) };
  }
}

class Claude extends Talk {
  provider = anthropic;
  thinks = { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } };
  shows = true;
}

async function embed(c, values) {
  const providerOptions = { openai: { dimensions: 16 } };
  const r = await embedMany({ model: openai.embedding(MODELS.embed), values, providerOptions, maxRetries: 0 });
  c.used(MODELS.embed, r.usage.tokens, 0);
  return vectors(r.embeddings);
}

const embeddings = {
  embeddings: (c) => embed(c, few()),
  embeddings_many: (c) => embed(c, many()), // more than some vendors take at once
};

await run({ ...embeddings, ...scenarios("", Chat), ...scenarios("responses_", Responses), ...scenarios("responses_referring_", Referring), ...scenarios("claude_", Claude) });
