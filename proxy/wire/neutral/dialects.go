package neutral

import (
	"slices"
	"strings"
)

// fieldOf is what becomes of a feature on its way from a client of one API to
// an upstream of another.
func fieldOf(client, target API, feature string) Field {
	for _, p := range pairs {
		if p.client == client && p.target == target && p.Feature == feature {
			return p.Field
		}
	}
	c := byAPI(target)
	if i := slices.IndexFunc(c.Fields, func(f Field) bool { return f.Feature == feature }); i >= 0 {
		return c.Fields[i]
	}
	return Field{Feature: feature, Fate: Dropped}
}

// pairs are the declarations that hold between two dialects only, most of
// them one vendor's.
var pairs = []struct {
	client, target API
	Field
}{
	{Chat, Responses, Field{FeatureFileIDs, "input.content.file_id", Carried, "both are OpenAI's"}},
	{Responses, Chat, Field{FeatureFileIDs, "messages.content.file.file_id", Carried, "both are OpenAI's"}},
	{Messages, Generate, Field{FeatureTier, "", Carried, "standard is the only one"}},
}

// fateWords are the fates in words.
var fateWords = map[Fate]string{Carried: "carried", Mapped: "mapped", Dropped: "dropped", Refused: "refused"}

// titles are the dialects in words.
var titles = map[API]string{
	Chat: "chat completions", Responses: "responses", Messages: "messages", Generate: "generateContent",
}

// Tables are the tables of docs/dialects.md: for every pair of dialects, what
// becomes of each feature that the client has a word for.
func Tables() []byte {
	var b strings.Builder
	order := []API{Chat, Responses, Messages, Generate}
	for _, client := range order {
		b.WriteString("\n## Clients of " + titles[client] + "\n")
		for _, target := range order {
			if target != client {
				writePair(&b, client, target)
			}
		}
	}
	b.WriteString("\n## Members of one dialect alone\n\nWhat becomes of them in every other dialect, but for what the note says; what is not here and not above is\ndropped and named.\n")
	for _, client := range order {
		b.WriteString("\n| a member of " + titles[client] + " | fate | note |\n|---|---|---|\n")
		for _, m := range ownMembers[client] {
			b.WriteString("| `" + m.name + "` | " + fateWords[m.fate] + " | " + m.note + " |\n")
		}
	}
	b.WriteString("\n## Words\n\nWhat a member takes, by the client's API; `[]` stands for each element. Any other word is refused, or dropped and named.\n")
	for _, client := range order {
		b.WriteString("\n| a member of " + titles[client] + " | words | any other |\n|---|---|---|\n")
		for i := range apiWords[client] {
			w := &apiWords[client][i]
			b.WriteString("| `" + w.path + "` | `" + strings.Join(w.list, "` `") + "` | " + fateWords[w.fate] + " |\n")
		}
	}
	return []byte(b.String())
}

// writePair writes the table of one pair.
func writePair(b *strings.Builder, client, target API) {
	b.WriteString("\n### " + titles[client] + " → " + titles[target] + "\n\n")
	b.WriteString("| what | the client's member | fate | there | note |\n|---|---|---|---|---|\n")
	for _, feature := range Features() {
		i := slices.IndexFunc(byAPI(client).Fields, func(f Field) bool { return f.Feature == feature })
		if i < 0 || byAPI(client).Fields[i].Member == "" {
			continue
		}
		f, there := fieldOf(client, target, feature), ""
		if f.Fate <= Mapped && f.Member != "" {
			there = "`" + f.Member + "`"
		}
		note := strings.ReplaceAll(f.Note, "|", "\\|")
		b.WriteString("| " + feature + " | `" + byAPI(client).Fields[i].Member + "` | " + fateWords[f.Fate] + " | " + there + " | " + note + " |\n")
	}
}
