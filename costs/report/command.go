package report

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// longTags is the group of tags that are too long to group by.
const longTags = "~"

// callFlags are the filters of weir calls list. No call has a prompt so far.
var callFlags = map[string]string{
	"customer": "--customer", "feature": "--feature", "model": "--tried-model", "provider": "--tried-provider", "project": "--project", "key": "--key",
	"source": "--cost-source",
}

// command lists the calls of a group of the report, those that are in no group
// among them.
func (r *Report) command(by, group []string) string {
	since, until := r.Since, r.Until
	var flags []string
	unknown := false
	filter := func(name, value string) {
		tag, isTag := strings.CutPrefix(name, "tag:")
		switch {
		case name == "prompt" && value == "": // which no call has so far
		case value == "":
			flags = append(flags, "--without", quote(name))
		case isTag && value == longTags, name == "tags":
			flags = append(flags, "--all-tags", quote(value))
		case isTag:
			flags = append(flags, "--tag", quote(tag+"="+value))
		default:
			unknown = unknown || callFlags[name] == ""
			flags = append(flags, callFlags[name], quote(value))
		}
	}
	for i, name := range by {
		start, length := time.Time{}, time.Duration(0)
		switch name {
		case "day":
			start, _ = time.ParseInLocation(time.DateOnly, group[i], r.Now.Location())
			length = start.AddDate(0, 0, 1).Sub(start)
		case "hour":
			start, _ = time.Parse(time.RFC3339, group[i])
			length = time.Hour
		default:
			filter(name, group[i])
			continue
		}
		since, until = later(since, start), earlier(until, start.Add(length))
	}
	for _, name := range slices.Sorted(maps.Keys(r.filter)) {
		if !slices.Contains(by, name) {
			filter(name, r.filter[name])
		}
	}
	if unknown {
		return "" // it is of no calls
	}
	words := []string{"weir calls list", "--since", since.UTC().Format(time.RFC3339), "--until", until.UTC().Format(time.RFC3339)}
	return strings.Join(append(words, flags...), " ")
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// quote makes one word of a shell of what a client has sent.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:@=+,", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !safe(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
