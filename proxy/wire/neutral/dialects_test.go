package neutral

import (
	"bytes"
	_ "embed"
	"strings"
	"testing"
)

//go:embed testdata/dialects_intro.md
var dialectsIntro []byte

//go:embed testdata/dialects_embed.md
var dialectsEmbed []byte

// TestDialectsDoc holds docs/dialects.md against the declarations.
func TestDialectsDoc(t *testing.T) {
	var b bytes.Buffer
	b.Write(dialectsIntro)
	writeStops(t, &b)
	b.Write(Tables())
	b.Write(dialectsEmbed)
	b.Write(EmbedTables())
	holdGolden(t, "../../../docs/dialects.md", b.Bytes())
}

// stopNames are the reasons to stop in words.
var stopNames = []struct {
	reason StopReason
	words  string
}{
	{StopEnd, "it has said what it wanted"},
	{StopSequence, "a stop sequence"},
	{StopLength, "the output limit"},
	{StopTools, "it wants tools called"},
	{StopFilter, "a safety system cut it off"},
	{StopRefusal, "it refused"},
	{StopPause, "a server tool's turn is to be continued"},
	{StopContext, "the context window is full"},
	{StopFault, "the upstream gave up"},
}

// writeStops writes what clients are told about why a model has stopped, as
// the codecs tell it.
func writeStops(t *testing.T, b *bytes.Buffer) {
	b.WriteString("## Why a model stopped\n\nThe same in a stream and in a whole reply.\n\n| reason |")
	for _, api := range apis {
		b.WriteString(" " + titles[api] + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(apis)) + "|\n")
	for _, s := range stopNames {
		b.WriteString("| " + s.words + " |")
		for _, api := range apis {
			b.WriteString(" `" + stopTold(t, api, s.reason) + "` |")
		}
		b.WriteString("\n")
	}
}

// stopTold is the word that a codec has for a reason.
func stopTold(t *testing.T, api API, reason StopReason) string {
	t.Helper()
	parts := []Part{{Kind: Text, Text: "x"}}
	if reason == StopTools {
		parts = []Part{{Kind: Call, Call: &ToolCall{ID: "c", Name: "f", Args: "{}"}}}
	}
	out := byAPI(api).EncodeReply(&Reply{ID: "x", Choices: []Candidate{{Parts: parts, Stop: reason}}}, &Request{From: api})
	var reply struct {
		Choices []struct {
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Status     string `json:"status"`
		Incomplete struct {
			Reason string `json:"reason"`
		} `json:"incomplete_details"`
		StopReason string `json:"stop_reason"`
		Candidates []struct {
			FinishReason string `json:"finishReason"`
		} `json:"candidates"`
	}
	if err := decode(out, &reply); err != nil {
		t.Fatalf("%s: %v: %s", api, err, out)
	}
	switch {
	case len(reply.Choices) > 0:
		return reply.Choices[0].FinishReason
	case len(reply.Candidates) > 0:
		return reply.Candidates[0].FinishReason
	case reply.Incomplete.Reason != "":
		return reply.Status + ": " + reply.Incomplete.Reason
	case reply.Status != "":
		return reply.Status
	}
	return reply.StopReason
}
