// Every vendor's models by the @google/genai package.
import { BASE, CITY_SCHEMA, KEY, MODELS, SYSTEM, all, error, run } from "./harness.mjs";
import { few, many, scenarios, toolList, turn, vectors } from "./across.mjs";
import { FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";

const retryOptions = { attempts: 3, initialDelay: 0.2, maxDelay: 0.5, jitter: 0 };
const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: BASE, retryOptions } });

class Talk {
  failure = (e) => error(e, "status");

  constructor(c, model) {
    Object.assign(this, { c, model, thread: [] });
  }

  say(text, image) {
    const parts = [{ text }];
    if (image) parts.push({ inlineData: { mimeType: "image/png", data: image } });
    this.thread.push({ role: "user", parts });
  }

  give(results) {
    this.thread.push({
      role: "user",
      parts: results.map((r) => ({ functionResponse: { id: r.id, name: r.name, response: { result: r.text } } })),
    });
  }

  wish({ tools, force, schema, think, limit, abortSignal } = {}) {
    const config = {
      systemInstruction: SYSTEM,
      ...(tools && { tools: [{ functionDeclarations: toolList((name, description, parametersJsonSchema) => ({ name, description, parametersJsonSchema })) }] }),
      ...(force && { toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } } }),
      ...(schema && { responseMimeType: "application/json", responseJsonSchema: CITY_SCHEMA }),
      ...(think && { thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } }),
      ...(limit && { maxOutputTokens: limit }),
      ...(abortSignal && { abortSignal }),
    };
    return { model: this.model, contents: this.thread, config };
  }

  async ask(stream, want) {
    const chunks = stream
      ? await all(await client.models.generateContentStream(this.wish(want)))
      : [await client.models.generateContent(this.wish(want))];
    const u = chunks.at(-1).usageMetadata;
    this.c.used(this.model, (u.promptTokenCount ?? 0) + (u.toolUsePromptTokenCount ?? 0),
      (u.candidatesTokenCount ?? 0) + (u.thoughtsTokenCount ?? 0));
    const parts = chunks.flatMap((k) => k.candidates?.[0]?.content?.parts ?? []);
    this.thread.push({ role: "model", parts });
    const calls = parts.filter((p) => p.functionCall).map((p) => p.functionCall);
    const words = (thought) => parts.filter((p) => p.text && !!p.thought === thought).map((p) => p.text).join("");
    return turn(words(false), calls.map((f) => ({ id: f.id, name: f.name, args: f.args })),
      chunks.at(-1).candidates[0].finishReason, words(true));
  }

  async *pieces() {
    const stop = new AbortController();
    const s = await client.models.generateContentStream(this.wish({ abortSignal: stop.signal }));
    try {
      for await (const k of s) yield k.text;
    } finally {
      stop.abort();
    }
  }
}

async function embed(c, contents) {
  const config = { outputDimensionality: 16, taskType: "RETRIEVAL_QUERY" };
  const r = await client.models.embedContent({ model: MODELS.embed, contents, config });
  c.used(MODELS.embed, null, null);
  return vectors(r.embeddings.map((e) => e.values));
}

const embeddings = {
  embeddings: (c) => embed(c, few()),
  embeddings_many: (c) => embed(c, many()), // more than Gemini takes at once
};

await run({ ...embeddings, ...scenarios("", Talk) });
