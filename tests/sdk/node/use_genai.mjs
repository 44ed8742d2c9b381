// The Gemini API by the @google/genai package.
import { BAD_KEY, BASE, CITY_SCHEMA, KEY, MODELS, PROMPT, SYSTEM, all, error, run } from "./harness.mjs";
import { GoogleGenAI, Type } from "@google/genai";

const connect = (apiKey, retryOptions) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: BASE, retryOptions } });
const client = connect(KEY);
const config = { systemInstruction: SYSTEM, temperature: 0.2 };
const weather = { name: "get_weather", description: "The weather of a city", parametersJsonSchema: CITY_SCHEMA };
const retries = { attempts: 3, initialDelay: 0.2, maxDelay: 0.5, jitter: 0 };

const note = (c, model, u) =>
  c.used(model, (u.promptTokenCount ?? 0) + (u.toolUsePromptTokenCount ?? 0),
    (u.candidatesTokenCount ?? 0) + (u.thoughtsTokenCount ?? 0));
const failure = (e) => error(e, "status");
// A reply without the SDK's copy of the HTTP headers, which the log has.
const dump = ({ sdkHttpResponse, ...r }) => r;

async function refused(model, { key = KEY, retry } = {}) {
  try {
    await connect(key, retry).models.generateContent({ model, contents: PROMPT });
    return "no error";
  } catch (e) {
    return failure(e);
  }
}

async function retried(c, model) {
  const r = await connect(KEY, retries).models.generateContent({ model, contents: PROMPT });
  note(c, model, r.usageMetadata);
  return { text: r.text };
}

await run({
  async chat(c) {
    const r = await client.models.generateContent({ model: MODELS.chat, contents: PROMPT, config });
    note(c, MODELS.chat, r.usageMetadata);
    return { text: r.text, reply: dump(r) };
  },

  async stream(c) {
    const chunks = await all(
      await client.models.generateContentStream({ model: MODELS.chat, contents: PROMPT, config }));
    note(c, MODELS.chat, chunks.at(-1).usageMetadata);
    return { text: chunks.map((k) => k.text ?? "").join(""), chunks: chunks.map(dump) };
  },

  async tools(c) {
    const contents = [{ role: "user", parts: [{ text: PROMPT }] }];
    const turns = [];
    for (let i = 0; i < 4; i++) {
      const r = await client.models.generateContent({
        model: MODELS.tools, contents, config: { ...config, tools: [{ functionDeclarations: [weather] }] },
      });
      note(c, MODELS.tools, r.usageMetadata);
      turns.push(dump(r));
      if (!r.functionCalls?.length) break;
      contents.push(r.candidates[0].content);
      contents.push({
        role: "user",
        parts: r.functionCalls.map((f) => ({ functionResponse: { id: f.id, name: f.name, response: { asked: f.args, sky: "blue" } } })),
      });
    }
    return turns;
  },

  async structured(c) {
    const r = await client.models.generateContent({
      model: MODELS.chat, contents: PROMPT,
      config: {
        ...config,
        responseMimeType: "application/json",
        responseSchema: { type: Type.OBJECT, properties: { city: { type: Type.STRING }, days: { type: Type.INTEGER } }, required: ["city", "days"] },
      },
    });
    note(c, MODELS.chat, r.usageMetadata);
    return JSON.parse(r.text);
  },

  async embeddings(c) {
    const r = await client.models.embedContent({ model: MODELS.embed, contents: ["one", "two words"] });
    c.used(MODELS.embed, null, null);
    return dump(r);
  },

  async count_tokens() {
    return dump(await client.models.countTokens({ model: MODELS.chat, contents: PROMPT }));
  },

  error_400: () => refused(MODELS["400"]),
  error_401: () => refused(MODELS["401"]),
  error_404: () => refused(MODELS["404"]),
  error_429: () => refused(MODELS["429"]),
  error_500: () => refused(MODELS["500"], { retry: retries }),
  retry_429: (c) => retried(c, MODELS.retry_429),
  retry_500: (c) => retried(c, MODELS.retry_500),

  async abort() {
    const stop = new AbortController();
    const s = await client.models.generateContentStream({
      model: MODELS.slow, contents: PROMPT, config: { abortSignal: stop.signal },
    });
    const text = [];
    let ended = "";
    try {
      for await (const k of s) {
        if (k.text) text.push(k.text);
        if (text.length === 3) stop.abort();
      }
    } catch (e) {
      ended = e.name;
    }
    return { text: text.slice(0, 3), ended };
  },

  // The upstream ends the stream early and cleanly: through Weir that is told.
  async truncated() {
    let text = "";
    try {
      const s = await client.models.generateContentStream({ model: MODELS.truncated, contents: PROMPT });
      for await (const k of s) text += k.text ?? "";
      return { text, failed: null };
    } catch (e) {
      return { text, failed: e.constructor.name };
    }
  },

  model_list: async () => (await all(await client.models.list())).map((m) => m.name),
  unknown_model: () => refused(MODELS.unknown),
  bad_key: () => refused(MODELS.chat, { key: BAD_KEY }),
});
