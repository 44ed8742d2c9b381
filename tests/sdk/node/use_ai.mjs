// The Vercel AI SDK with its OpenAI provider (Chat and Responses) and its Anthropic one.
import { BAD_KEY, BASE, KEY, MODELS, PROMPT, SYSTEM, all, error, run } from "./harness.mjs";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, RetryError, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: BASE + "/v1", apiKey: KEY });
const anthropic = createAnthropic({ baseURL: BASE + "/v1", apiKey: KEY });
const Trip = z.object({ city: z.string(), days: z.number().int() });
const base = { system: SYSTEM, prompt: PROMPT };
const tools = {
  get_weather: tool({ description: "The weather of a city", inputSchema: Trip, execute: async (asked) => ({ asked, sky: "blue" }) }),
};

const note = (c, model, u) => c.used(model, u.inputTokens, u.outputTokens);
const view = (r) => ({ text: r.text, finish: r.finishReason, usage: r.usage, model: r.response.modelId });

function failure(e) {
  if (!RetryError.isInstance(e)) return error(e, "statusCode", "isRetryable", "responseBody");
  return { ...error(e, "reason"), tries: e.errors.length, last: error(e.lastError, "statusCode", "responseBody") };
}

async function refused(model, options) {
  try {
    await generateText({ ...base, model, ...options });
    return "no error";
  } catch (e) {
    return failure(e);
  }
}

async function streamed(c, name, model) {
  const r = streamText({ ...base, model });
  const pieces = await all(r.textStream);
  const usage = await r.usage;
  note(c, name, usage);
  return { pieces, finish: await r.finishReason, usage };
}

async function looped(c, name, model) {
  const r = await generateText({ ...base, model, tools, stopWhen: stepCountIs(4) });
  for (const s of r.steps) note(c, name, s.usage);
  return r.steps.map((s) => ({ finish: s.finishReason, text: s.text, calls: s.toolCalls, results: s.toolResults }));
}

async function aborted(model) {
  const stop = new AbortController();
  const r = streamText({ ...base, model, abortSignal: stop.signal, onError: () => {} });
  const text = [];
  for await (const piece of r.textStream) {
    text.push(piece);
    if (text.length === 3) stop.abort();
  }
  return { text: text.slice(0, 3) };
}

// The upstream ends the stream early and cleanly: through Weir that is told.
async function truncated(model) {
  let failed = null;
  let text = "";
  const r = streamText({ ...base, model, onError: ({ error: e }) => { failed = e?.constructor?.name ?? typeof e; } });
  try {
    for await (const piece of r.textStream) text += piece;
  } catch (e) {
    failed = e.constructor.name;
  }
  return { text, failed };
}

async function told(c, name, model) {
  const r = await generateText({ ...base, model });
  note(c, name, r.usage);
  return view(r);
}

async function shaped(c, name, model) {
  const r = await generateText({ ...base, model, output: Output.object({ schema: Trip }) });
  note(c, name, r.usage);
  return r.output;
}

const A = MODELS.anthropic;
await run({
  chat: (c) => told(c, MODELS.chat, openai.chat(MODELS.chat)),
  stream: (c) => streamed(c, MODELS.chat, openai.chat(MODELS.chat)),
  tools: (c) => looped(c, MODELS.tools, openai.chat(MODELS.tools)),
  structured: (c) => shaped(c, MODELS.chat, openai.chat(MODELS.chat)),
  responses: (c) => told(c, MODELS.chat, openai.responses(MODELS.chat)),
  responses_stream: (c) => streamed(c, MODELS.chat, openai.responses(MODELS.chat)),
  responses_tools: (c) => looped(c, MODELS.tools, openai.responses(MODELS.tools)),

  async embeddings(c) {
    const r = await embedMany({ model: openai.embedding(MODELS.embed), values: ["one", "two words"] });
    c.used(MODELS.embed, r.usage.tokens, 0);
    return r.embeddings;
  },

  error_401: () => refused(openai.chat(MODELS["401"])),
  error_404: () => refused(openai.chat(MODELS["404"])),
  error_429: () => refused(openai.chat(MODELS["429"]), { maxRetries: 0 }),
  retry_429: (c) => told(c, MODELS.retry_429, openai.chat(MODELS.retry_429)),
  retry_500: (c) => told(c, MODELS.retry_500, openai.chat(MODELS.retry_500)),
  abort: () => aborted(openai.chat(MODELS.slow)),
  truncated: () => truncated(openai.chat(MODELS.truncated)),
  claude_truncated: () => truncated(anthropic(A.truncated)),
  unknown_model: () => refused(openai.chat(MODELS.unknown)),
  bad_key: () => refused(createOpenAI({ baseURL: BASE + "/v1", apiKey: BAD_KEY }).chat(MODELS.chat)),

  claude_chat: (c) => told(c, A.chat, anthropic(A.chat)),
  claude_stream: (c) => streamed(c, A.chat, anthropic(A.chat)),
  claude_tools: (c) => looped(c, A.tools, anthropic(A.tools)),
  claude_structured: (c) => shaped(c, A.chat, anthropic(A.chat)),
  claude_error_404: () => refused(anthropic(A["404"])),
  claude_retry_500: (c) => told(c, A.retry_500, anthropic(A.retry_500)),
  claude_abort: () => aborted(anthropic(A.slow)),
});
