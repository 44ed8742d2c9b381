package main

import (
	"slices"
	"strings"

	"weir/config"
	"weir/internal/capability"
)

// A canRow is what is known of a target's model.
type canRow struct {
	Context   int64    `json:"context,omitempty"` // tokens; absent: unknown
	MaxOutput int64    `json:"max_output,omitempty"`
	Yes       []string `json:"yes,omitempty"`
	No        []string `json:"no,omitempty"`
}

func newCanRow(f capability.Facts) *canRow {
	row := canRow{Context: f.Context, MaxOutput: f.MaxOutput, Yes: f.Has.Names(), No: f.Lacks.Names()}
	if row.Context == 0 && row.MaxOutput == 0 && row.Yes == nil && row.No == nil {
		return nil
	}
	return &row
}

// factsOf is what is known of a target's model. One that is as the client asks
// has the name of its route, where that is no glob.
func factsOf(c *config.Config, r config.Route, t config.Target) capability.Facts {
	model := t.Model
	if model == "" && !strings.ContainsAny(r.Model, `*?[\`) {
		model = r.Model
	}
	return capability.Resolve(model, c.Provider(t.Provider).Can, c.Models)
}

// choosing are the members that a route chooses its targets by.
const choosing = capability.Tools | capability.Vision | capability.Audio | capability.Video | capability.Files |
	capability.Schema | capability.ImageOutput | capability.AudioOutput | capability.Streaming

// passedOver says for what a target is passed over in favour of another of its
// route that is known to be able to; "": for nothing.
func passedOver(c *config.Config, r config.Route, t config.Target) string {
	lacks := factsOf(c, r, t).Lacks & choosing
	var others capability.Set
	for _, other := range slices.Concat(r.Targets, r.Fallbacks) {
		others |= factsOf(c, r, other).Has
	}
	if lacks &= others; lacks == 0 {
		return ""
	}
	return "passed over for " + strings.Join(lacks.Names(), ", ")
}
