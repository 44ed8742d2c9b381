package neutral

import (
	"strings"
	"testing"
)

// TestPictureGoesBack: a picture that a model has drawn for a Responses client
// is the model's own again at Gemini, with its seal; where no model's turn
// takes one, the refusal says what to do.
func TestPictureGoesBack(t *testing.T) {
	reply := &Reply{ID: "r", Choices: []Candidate{{Stop: StopEnd, Parts: []Part{
		{Text: "here"},
		{Kind: Image, Media: &Media{MIME: "image/png", Data: png}},
		{Kind: Thinking, Thought: &Thought{Signature: "c2Vh", From: Generate}},
	}}}}
	out := byAPI(Responses).EncodeReply(reply, &Request{From: Responses})
	var told struct {
		Output []rawValue `json:"output"`
	}
	if err := decode(out, &told); err != nil {
		t.Fatal(err)
	}
	body := `{"model":"m","input":[{"role":"user","content":"draw"}`
	for _, item := range told.Output {
		body += "," + string(item)
	}
	body += `,{"role":"user","content":"now in red"}]}`
	got, named, refusal := carriedInto(t, Responses, Generate, body, false)
	want := `{"role":"model","parts":[{"text":"here"},{"inlineData":{"mimeType":"image/png","data":"` + png + `"},"thoughtSignature":"c2Vh"}]}`
	if refusal != nil || len(named) > 0 || !strings.Contains(got, want) {
		t.Errorf("%v, %q: %s", refusal, named, got)
	}
	if _, _, refusal = carriedInto(t, Responses, Chat, body, false); refusal == nil || refusal.Member != "input" || !strings.Contains(refusal.Msg, "leave it out") {
		t.Errorf("chat: %v", refusal)
	}
	empty := strings.Replace(body, png, "", 1)
	if got, _, _ = carriedInto(t, Responses, Generate, empty, false); strings.Contains(got, "inlineData") {
		t.Errorf("no picture: %s", got)
	}
}
