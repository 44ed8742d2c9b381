package mockllm

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// pixel is a PNG of one.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// field is a parameter, from JSON or from a form.
func (c *call) field(name string) string {
	if c.form.fields != nil {
		return c.form.fields[name]
	}
	n := c.body.get(name)
	if n.kind == text {
		return n.text
	}
	return n.raw
}

func serveImages(c *call) *fault {
	n, _ := strconv.Atoi(c.field("n"))
	n = min(max(n, 1), 10)
	prompt := c.field("prompt")
	in, image := tokens(prompt), 0
	for _, f := range c.form.files {
		image += f.size / 1024
	}
	usage := obj("total_tokens", in+image+272*n, "input_tokens", in+image, "output_tokens", 272*n,
		"input_tokens_details", obj("text_tokens", in, "image_tokens", image))
	if c.streams() {
		kind := "image_generation"
		if c.rest == "images/edits" {
			kind = "image_edit"
		}
		about := []any{"b64_json", pixel, "created_at", c.created(), "size", "1024x1024", "quality", "low", "background", "opaque", "output_format", "png"}
		partial := kind + ".partial_image"
		c.o.event(partial, obj(append([]any{"type", partial, "partial_image_index", 0}, about...)...), 1)
		done := append([]any{"type", kind + ".completed", "usage", c.wholeUsage(func() raw { return usage })}, about...)
		c.o.event(kind+".completed", c.beside(obj(done...)), 1)
		c.o.finish()
		return nil
	}
	var data []raw
	byURL := c.field("response_format") == "url" || strings.HasPrefix(c.model, "dall-e") && c.field("response_format") == ""
	for i := range n {
		if byURL {
			data = append(data, obj("revised_prompt", prompt, "url", "https://images.example.com/"+c.id("img-", i)+".png"))
		} else {
			data = append(data, obj("b64_json", pixel))
		}
	}
	told := when(!byURL || c.b.UsageJSON != nil, c.wholeUsage(func() raw { return usage }))
	c.json(c.beside(obj("created", c.created(), "data", data, "usage", told)))
	return nil
}

// noise is bytes that follow from a seed.
type noise struct {
	state uint64
	left  int
}

func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	size := min(len(p), n.left)
	for i := range size {
		n.state = n.state*6364136223846793005 + 1442695040888963407
		p[i] = byte(n.state >> 56)
	}
	n.left -= size
	return size, nil
}

var audioTypes = map[string]string{
	"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm",
}

// bytesPerToken is how much audio a token of text makes.
const bytesPerToken = 2400

func serveSpeech(c *call) *fault {
	format := c.body.get("response_format").text
	if format == "" {
		format = "mp3"
	}
	kind := audioTypes[format]
	if kind == "" {
		return invalidValue("response_format", format, "mp3", "opus", "aac", "flac", "wav", "pcm")
	}
	input := c.body.get("input").text
	if len(input) > 4096 {
		return refuse("input", "string_above_max_length", "Invalid 'input': string too long. Expected a string with maximum length 4096, but got a string with length %d instead.", len(input))
	}
	n := max(tokens(input), 1)
	size := n * bytesPerToken
	if c.body.get("stream_format").text == "sse" {
		src := &noise{c.hash, size}
		buf := make([]byte, bytesPerToken)
		for range n {
			k, _ := src.Read(buf)
			c.o.event("", obj("type", "speech.audio.delta", "audio", base64.StdEncoding.EncodeToString(buf[:k])), 1)
		}
		c.o.event("", obj("type", "speech.audio.done", "usage", c.wholeUsage(func() raw {
			return obj("input_tokens", n, "output_tokens", n*20, "total_tokens", n*21)
		})), 0)
		c.o.finish()
		return nil
	}
	head := ""
	if format == "wav" {
		head = wavHeader(size)
	}
	c.o.stream = true
	c.o.copy(kind, -1, io.MultiReader(strings.NewReader(head), &noise{c.hash, size}))
	return nil
}

// wavHeader is that of 16 bit mono PCM at 24 kHz.
func wavHeader(size int) string {
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, 24000, 48000, 2 | 16<<16} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(binary.LittleEndian.AppendUint32(append(b, "data"...), uint32(size)))
}

// serveTranscription hears how many bytes it was sent. A second of audio is
// 16,000 of them.
func serveTranscription(c *call) *fault {
	f := c.form.file("file")
	said := fmt.Sprintf("You sent %d bytes of audio named %s.", f.size, f.name)
	if c.b.Text != "" {
		said = c.b.Text
	}
	pieces := words(said, c.b.Words)
	said = strings.Join(pieces, "")
	seconds := max(f.size/16000, 1)
	in := seconds * 10
	usage := obj("type", "tokens", "input_tokens", in, "input_token_details", obj("text_tokens", 0, "audio_tokens", in),
		"output_tokens", len(pieces), "total_tokens", in+len(pieces))
	if strings.HasPrefix(c.model, "whisper") {
		usage = obj("type", "duration", "seconds", seconds)
	}
	if c.streams() {
		for _, p := range pieces {
			c.o.event("", obj("type", "transcript.text.delta", "delta", p), 1)
		}
		c.o.event("", c.beside(obj("type", "transcript.text.done", "text", said, "usage", c.wholeUsage(func() raw { return usage }))), 0)
		c.o.finish()
		return nil
	}
	plain := "text/plain; charset=utf-8"
	switch format := c.form.fields["response_format"]; format {
	case "", "json":
		c.json(c.beside(obj("text", said, "usage", c.wholeUsage(func() raw { return usage }))))
	case "verbose_json":
		c.json(obj("task", "transcribe", "language", "english", "duration", seconds, "text", said,
			"segments", list(obj("id", 0, "seek", 0, "start", 0, "end", seconds, "text", said, "tokens", raw("[]"), "temperature", 0, "avg_logprob", -0.25, "compression_ratio", 1, "no_speech_prob", 0)),
			"usage", c.wholeUsage(func() raw { return obj("type", "duration", "seconds", seconds) })))
	case "text":
		c.o.body(200, plain, []byte(said+"\n"))
	case "srt":
		c.o.body(200, plain, []byte("1\n00:00:00,000 --> 00:00:01,000\n"+said+"\n\n"))
	case "vtt":
		c.o.body(200, plain, []byte("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n"+said+"\n\n"))
	default:
		return invalidValue("response_format", format, "json", "text", "srt", "verbose_json", "vtt")
	}
	return nil
}
