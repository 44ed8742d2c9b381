package capability

// Sets that many rows share.
const (
	text      = Chat | Streaming // talks, in events too
	agent     = text | Tools     // and calls tools
	modern    = agent | ParallelTools | Schema
	seeing    = Vision | Files // OpenAI: models that see read PDFs too, and no others do
	hearing   = Audio | AudioOutput
	showing   = ImageOutput | AudioOutput
	blind     = Vision | Files | Audio | Video | showing
	onlyText  = blind | Embeddings
	onlySight = Audio | Video | showing | Embeddings
	mute      = Chat | Completions // what embeds does not talk
	senses    = Vision | Files | Audio | Video
)

// vendors is the table. A lack stands here only where the vendor's own page says
// so, a window is the largest that is documented, options behind a header
// included: what is not sure is left out. Of a row that moves the vendor may
// change its mind without another name.
var vendors = []vendor{
	{
		name: "OpenAI", read: "2026-11-25",
		sources: []string{
			"https://developers.openai.com/api/docs/models",
			"https://developers.openai.com/api/docs/guides/structured-outputs",
			"https://developers.openai.com/api/docs/guides/pdf-files",
			"https://huggingface.co/openai/gpt-oss-120b",
		},
		rows: []row{
			{models: "text-embedding-3-small text-embedding-3-large text-embedding-ada-002", context: 8192, has: Embeddings, lacks: mute},
			{models: "gpt-3.5-turbo-instruct gpt-3.5-turbo-instruct-0914", context: 4096, maxOutput: 4096, has: Completions, lacks: Chat | Embeddings},
			{models: "davinci-002 babbage-002", context: 16384, maxOutput: 16384, has: Completions, lacks: Chat | Embeddings},
			{models: "gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-1106 gpt-3.5-turbo-16k gpt-3.5-turbo-16k-0613 gpt-35-turbo gpt-35-turbo-16k", context: 16385, maxOutput: 4096, has: agent, lacks: onlyText | Schema},
			{models: "gpt-4 gpt-4-0613 gpt-4-0314", context: 8192, maxOutput: 8192, has: text, lacks: onlyText | Schema},
			{models: "gpt-4-32k gpt-4-32k-0613 gpt-4-32k-0314", context: 32768, maxOutput: 32768, has: text, lacks: onlyText | Schema},
			{models: "gpt-4-turbo gpt-4-turbo-2024-04-09", context: 128000, maxOutput: 4096, has: agent | Vision, lacks: onlySight | Schema},
			{models: "gpt-4-turbo-preview gpt-4-0125-preview gpt-4-1106-preview", context: 128000, maxOutput: 4096, has: agent, lacks: onlyText | Schema},
			{models: "gpt-4o-audio-preview* gpt-4o-mini-audio-preview* gpt-audio gpt-audio-20* gpt-audio-mini*", context: 128000, maxOutput: 16384, has: agent | hearing, lacks: Vision | Video | ImageOutput | Embeddings, moves: true},
			{models: "gpt-4o-search-preview* gpt-4o-mini-search-preview*", context: 128000, maxOutput: 16384, has: text | Schema, lacks: Vision | Audio | Video | Embeddings, moves: true},
			{models: "gpt-4o-realtime-preview* gpt-4o-mini-realtime-preview* gpt-realtime*", context: 128000, has: Tools | hearing, lacks: mute | Embeddings, moves: true},
			{models: "chatgpt-4o-latest", context: 128000, maxOutput: 16384, has: text | Vision, lacks: onlySight, moves: true},
			{models: "gpt-4o-2024-05-13", context: 128000, maxOutput: 4096, has: agent | ParallelTools | seeing, lacks: onlySight | Schema},
			{models: "gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20 gpt-4o-mini gpt-4o-mini-2024-07-18", context: 128000, maxOutput: 16384, has: modern | seeing, lacks: onlySight},
			{models: "gpt-4.1 gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14 gpt-4.1-nano gpt-4.1-nano-2025-04-14", context: 1047576, maxOutput: 32768, has: modern | seeing, lacks: onlySight},
			{models: "gpt-4.5-preview gpt-4.5-preview-2025-02-27", context: 128000, maxOutput: 16384, has: modern | seeing, lacks: onlySight},
			{models: "o1-mini o1-mini-2024-09-12", context: 128000, maxOutput: 65536, has: text | Reasoning, lacks: onlyText | Tools | Schema},
			{models: "o1-preview o1-preview-2024-09-12", context: 128000, maxOutput: 32768, has: text | Reasoning, lacks: onlyText | Tools | Schema},
			{models: "o1-pro o1-pro-2025-03-19", context: 200000, maxOutput: 100000, has: Chat | Tools | Schema | seeing | Reasoning, lacks: onlySight},
			{models: "o1 o1-2024-12-17", context: 200000, maxOutput: 100000, has: agent | Schema | seeing | Reasoning, lacks: onlySight},
			{models: "o3-mini o3-mini-2025-01-31", context: 200000, maxOutput: 100000, has: agent | Schema | Reasoning, lacks: onlyText},
			{models: "o3 o3-2025-04-16 o4-mini o4-mini-2025-04-16", context: 200000, maxOutput: 100000, has: agent | Schema | seeing | Reasoning, lacks: onlySight},
			{models: "o3-pro o3-pro-2025-06-10", context: 200000, maxOutput: 100000, has: Chat | Tools | Schema | seeing | Reasoning, lacks: onlySight},
			{models: "o3-deep-research* o4-mini-deep-research*", context: 200000, maxOutput: 100000, has: Chat | seeing | Reasoning, lacks: onlySight, moves: true},
			{models: "codex-mini-latest", context: 200000, maxOutput: 100000, has: agent | Schema | Vision | Reasoning, lacks: onlySight, moves: true},
			{models: "gpt-5 gpt-5-2025-08-07 gpt-5-mini gpt-5-mini-2025-08-07 gpt-5-nano gpt-5-nano-2025-08-07", context: 400000, maxOutput: 128000, has: modern | seeing | Reasoning, lacks: onlySight},
			{models: "gpt-5-pro gpt-5-pro-2025-10-06", context: 400000, maxOutput: 272000, has: Chat | Tools | Schema | seeing | Reasoning, lacks: onlySight},
			{models: "gpt-5-chat-latest gpt-5.1-chat-latest gpt-5.2-chat-latest gpt-5.3-chat-latest", context: 128000, maxOutput: 16384, has: text | Vision, lacks: onlySight, moves: true},
			{models: "gpt-5-codex gpt-5.1-codex gpt-5.1-codex-mini gpt-5.1-codex-max gpt-5.2-codex gpt-5.3-codex", context: 400000, maxOutput: 128000, has: agent | Schema | Vision | Reasoning, lacks: onlySight, moves: true},
			{models: "gpt-5.3-codex-spark", context: 128000, has: agent | Reasoning, lacks: blind, moves: true},
			{models: "gpt-5.1 gpt-5.1-2025-11-13 gpt-5.2 gpt-5.2-2025-12-11", context: 400000, maxOutput: 128000, has: modern | seeing | Reasoning, lacks: onlySight},
			{models: "gpt-5.2-pro gpt-5.2-pro-2025-12-11", context: 400000, maxOutput: 128000, has: Chat | Tools | seeing | Reasoning, lacks: onlySight, moves: true},
			{models: "gpt-5.4-mini* gpt-5.4-nano*", context: 400000, maxOutput: 128000, has: modern | seeing | Reasoning, lacks: onlySight, moves: true},
			{models: "gpt-5.4 gpt-5.4-20* gpt-5.4-pro* gpt-5.5 gpt-5.5-20* gpt-5.5-pro* gpt-5.6-sol* gpt-5.6-terra* gpt-5.6-luna*", context: 1050000, maxOutput: 128000, has: agent | Schema | seeing | Reasoning, lacks: onlySight, moves: true},
			{models: "gpt-6-sol* gpt-6-luna* gpt-6-astra* gpt-6.1-sol* gpt-6.1-terra*", context: 1050000, has: agent | Vision, moves: true},
			{models: "gpt-oss-120b* gpt-oss-20b* gpt-oss-safeguard*", context: 131072, has: agent | Reasoning, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "gpt-image-* dall-e-2 dall-e-3 tts-1 tts-1-hd whisper-1", lacks: mute | Embeddings},
		},
	},
	{
		name: "Anthropic", read: "2026-11-25",
		sources: []string{
			"https://platform.claude.com/docs/en/about-claude/models/overview",
			"https://platform.claude.com/docs/en/build-with-claude/context-windows",
			"https://platform.claude.com/docs/en/build-with-claude/structured-outputs",
		},
		rows: []row{
			{models: "claude-2.0", context: 100000, maxOutput: 4096, has: text, lacks: onlyText | Schema},
			{models: "claude-2.1", context: 200000, maxOutput: 4096, has: text, lacks: onlyText | Schema},
			{models: "claude-3-haiku* claude-3-sonnet* claude-3-opus*", context: 200000, maxOutput: 4096, has: agent | Vision, lacks: onlySight | Schema},
			{models: "claude-3-5-sonnet* claude-3-5-haiku*", context: 200000, maxOutput: 8192, has: agent | ParallelTools | seeing, lacks: onlySight | Schema},
			{models: "claude-3-7-sonnet*", context: 200000, maxOutput: 128000, has: agent | ParallelTools | seeing | Reasoning, lacks: onlySight | Schema},
			{models: "claude-opus-4 claude-opus-4-0 claude-opus-4-20250514", context: 200000, maxOutput: 32000, has: agent | ParallelTools | seeing | Reasoning, lacks: onlySight | Schema},
			{models: "claude-opus-4-1 claude-opus-4-1-*", context: 200000, maxOutput: 32000, has: modern | seeing | Reasoning, lacks: onlySight},
			{models: "claude-sonnet-4 claude-sonnet-4-0 claude-sonnet-4-20250514", context: 1000000, maxOutput: 64000, has: agent | ParallelTools | seeing | Reasoning, lacks: onlySight | Schema},
			{models: "claude-sonnet-4-5 claude-sonnet-4-5-*", context: 1000000, maxOutput: 64000, has: modern | seeing | Reasoning, lacks: onlySight},
			{models: "claude-opus-4-5 claude-opus-4-5-* claude-haiku-4-5 claude-haiku-4-5-*", context: 200000, maxOutput: 64000, has: modern | seeing | Reasoning, lacks: onlySight},
			{models: "claude-opus-4-6* claude-opus-4-7* claude-opus-4-8* claude-sonnet-4-6*", context: 1000000, maxOutput: 128000, has: modern | seeing | Reasoning, lacks: onlySight, moves: true},
			{models: "claude-opus-5* claude-sonnet-5* claude-haiku-5* claude-fable-5* claude-mythos-5*", context: 1000000, maxOutput: 128000, has: modern | seeing | Reasoning, lacks: onlySight, moves: true},
		},
	},
	{
		name: "Google", read: "2026-11-25",
		sources: []string{
			"https://ai.google.dev/gemini-api/docs/models",
			"https://ai.google.dev/gemini-api/docs/embeddings",
		},
		rows: []row{
			// What is longer than these take is cut, not refused, so they have no window here.
			{models: "gemini-embedding-* text-embedding-004 embedding-001", has: Embeddings, lacks: Chat},
			{models: "gemini-*-tts gemini-*-tts-*", context: 32768, has: Chat | AudioOutput, lacks: senses | Tools | ImageOutput | Embeddings, moves: true},
			{models: "gemini-*-image gemini-*-image-*", context: 131072, has: text | Vision | ImageOutput, lacks: AudioOutput | Embeddings, moves: true},
			{models: "gemini-1.5-pro*", context: 2097152, maxOutput: 8192, has: agent | Schema | senses, lacks: showing | Embeddings},
			{models: "gemini-1.5-flash*", context: 1048576, maxOutput: 8192, has: agent | Schema | senses, lacks: showing | Embeddings},
			{models: "gemini-2.0-flash gemini-2.0-flash-001 gemini-2.0-flash-lite gemini-2.0-flash-lite-001", context: 1048576, maxOutput: 8192, has: agent | Schema | senses, lacks: showing | Embeddings},
			{models: "gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite", context: 1048576, maxOutput: 65536, has: modern | senses | Reasoning, lacks: showing | Embeddings},
			{models: "gemini-2.5-pro-preview-* gemini-2.5-flash-preview-* gemini-2.5-flash-lite-preview-*", context: 1048576, maxOutput: 65536, has: modern | senses | Reasoning, lacks: Embeddings, moves: true},
			{models: "gemini-3-pro-preview* gemini-3-flash-preview* gemini-3.1-pro-preview* gemini-3.1-flash-lite gemini-3.1-flash-lite-preview* gemini-3.5-flash gemini-3.5-flash-lite gemini-3.6-flash gemini-3.7-flash gemini-3.8-flash", context: 1048576, maxOutput: 65536, has: modern | senses | Reasoning, lacks: showing | Embeddings, moves: true},
		},
	},
	{
		name: "DeepSeek", read: "2026-11-25",
		sources: []string{"https://api-docs.deepseek.com/quick_start/pricing", "https://huggingface.co/deepseek-ai/DeepSeek-V3", "https://huggingface.co/deepseek-ai/DeepSeek-R1"},
		rows: []row{
			{models: "deepseek-chat deepseek-reasoner deepseek-flash deepseek-v4-flash* deepseek-v4-pro*", context: 1048576, maxOutput: 393216, has: agent, moves: true},
			{models: "deepseek-v3* deepseek-r1 deepseek-r1-0528*", context: 163840, has: text, lacks: Vision | Audio | Video | showing | Embeddings},
		},
	},
	{
		name: "Meta", read: "2026-11-25",
		sources: []string{
			"https://github.com/meta-llama/llama-models/tree/main/models",
			"https://console.groq.com/docs/models",
			"https://ollama.com/library",
		},
		rows: []row{
			{models: "llama-3.2-11b* llama-3.2-90b* llama3.2-vision*", context: 131072, has: text | Vision, lacks: Audio | Video | showing | Embeddings},
			{models: "llama-3.2-1b* llama-3.2-3b* llama3.2", context: 131072, has: text, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "llama-3.1-8b* llama-3.1-70b* llama-3.1-405b* llama3.1 llama3.1-8b* llama3.1-70b*", context: 131072, has: agent, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "llama-3.3-70b* llama3.3", context: 131072, has: agent, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "llama3-70b-8192 llama3-8b-8192 llama3", context: 8192, has: text, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "llama-4-scout*", context: 10485760, has: agent | Vision, lacks: Audio | showing | Embeddings},
			{models: "llama-4-maverick*", context: 1048576, has: agent | Vision, lacks: Audio | showing | Embeddings},
		},
	},
	{
		name: "Mistral", read: "2026-11-25",
		sources: []string{
			"https://docs.mistral.ai/getting-started/models",
			"https://docs.mistral.ai/capabilities/vision",
			"https://docs.mistral.ai/capabilities/embeddings",
		},
		rows: []row{
			{models: "mistral-embed* codestral-embed*", context: 8192, has: Embeddings, lacks: Chat},
			{models: "codestral-2405 codestral-2501 codestral-2508", context: 262144, has: agent, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "pixtral-12b* pixtral-large*", context: 131072, has: agent | Vision, lacks: Audio | Video | showing | Embeddings},
			{models: "mistral-large-2402 mistral-large-2407 mistral-large-2411", context: 131072, has: agent, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "open-mistral-nemo* ministral-3b-2410 ministral-8b-2410", context: 131072, has: agent, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "open-mixtral-8x7b mixtral-8x7b*", context: 32768, has: text, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "mistral-medium-2508 mistral-small-2503 mistral-small-2506", context: 131072, has: agent | Vision, lacks: Audio | Video | showing | Embeddings},
			{models: "mistral-large-2512 ministral-8b-2512 ministral-14b-2512", context: 262144, has: agent | Vision, lacks: Audio | Video | showing | Embeddings, moves: true},
		},
	},
	{
		name: "xAI", read: "2026-11-25",
		sources: []string{"https://docs.x.ai/docs/models"},
		rows: []row{
			{models: "grok-3 grok-3-beta grok-3-fast* grok-3-latest", context: 131072, has: agent | Schema, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "grok-3-mini*", context: 131072, has: agent | Schema | Reasoning, lacks: Vision | Audio | Video | showing | Embeddings},
			{models: "grok-code-fast-1*", context: 256000, has: agent | Reasoning, lacks: Vision | Audio | Video | showing | Embeddings, moves: true},
			{models: "grok-4-fast* grok-4-1-fast*", context: 2000000, has: agent | Schema | Vision, lacks: Audio | Video | showing | Embeddings, moves: true},
			{models: "grok-4 grok-4-0709 grok-4-latest", context: 256000, has: modern | Vision | Reasoning, lacks: Audio | Video | showing | Embeddings, moves: true},
		},
	},
}
