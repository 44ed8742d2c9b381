package limits

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// tags are the hash tags that this process has used.
type tags struct {
	mu   sync.Mutex // guards the following field
	said map[string]time.Time
}

// tagAgain is how often a process says again that a tag is in use.
const tagAgain = 6 * time.Hour

// tagKeep is how long a tag is known that nobody uses.
const tagKeep = 41 * 24 * time.Hour

// maxTags bounds the tags that a process remembers to have said.
const maxTags = 1 << 16

// sharedTag is the name of the tag of what all projects share.
const sharedTag = "shared"

// tagKey is the key of a hash tag's clock, which the tag's other keys are named by.
func (s *store) tagKey(project string, shared bool) string {
	name := sharedTag
	if !shared {
		name = "p:" + short(project)
	}
	return s.prefix + "{" + name + "}:t"
}

// sayTag writes a tag that this process has not used of late into the list of
// those in use.
func (s *store) sayTag(ctx context.Context, project string, shared bool) error {
	member := "p:" + project
	if shared {
		member = sharedTag
	}
	s.tags.mu.Lock()
	said := s.tags.said[member]
	s.tags.mu.Unlock()
	now := time.Now()
	if now.Sub(said) < tagAgain {
		return nil
	}
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, s.tagsKey(), redis.Z{Score: float64(now.Unix()), Member: member})
		p.ZRemRangeByScore(ctx, s.tagsKey(), "-inf", oldestTag(now))
		p.Expire(ctx, s.tagsKey(), tagKeep)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write down the tag: %w", err)
	}
	s.tags.mu.Lock()
	defer s.tags.mu.Unlock()
	if s.tags.said == nil || len(s.tags.said) >= maxTags {
		s.tags.said = map[string]time.Time{}
	}
	s.tags.said[member] = now
	return nil
}

// oldestTag is when a tag must have been used to be in use.
func oldestTag(now time.Time) string { return strconv.FormatInt(now.Add(-tagKeep).Unix(), 10) }

// forgetTags makes the process say its tags again.
func (s *store) forgetTags() {
	s.tags.mu.Lock()
	defer s.tags.mu.Unlock()
	s.tags.said = nil
}

func (s *store) tagsKey() string { return s.prefix + "{tags}" }

// short is a project's name for a key: its own, where that is short and plain.
func short(name string) string {
	plain := len(name) <= 64
	for _, c := range []byte(name) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if plain {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "." + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// status is Limiter's.
func (s *store) status(ctx context.Context) (out []Standing, err error) {
	for _, shared := range []bool{false, true} {
		if out, err = s.statusOf(ctx, out, shared); err != nil {
			return nil, err
		}
	}
	sortStandings(out)
	return out, nil
}

// statusOf appends how the counts stand of all projects, or those that they share.
func (s *store) statusOf(ctx context.Context, out []Standing, shared bool) ([]Standing, error) {
	if shared {
		return s.tagStatus(ctx, out, "", true)
	}
	listCtx, cancel := context.WithTimeout(ctx, s.deadline)
	defer cancel()
	members, err := s.client.ZRangeByScore(listCtx, s.tagsKey(), &redis.ZRangeBy{Min: oldestTag(time.Now()), Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("list the tags in use: %w", err)
	}
	for _, member := range members {
		project, own := strings.CutPrefix(member, "p:")
		if !own {
			continue
		}
		if out, err = s.tagStatus(ctx, out, project, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tagStatus appends how the counts of one tag stand, in pages.
func (s *store) tagStatus(ctx context.Context, out []Standing, project string, shared bool) ([]Standing, error) {
	seen := map[string]bool{}
	for cursor := "0"; ; {
		a, err := s.run(ctx, project, shared, "status", []any{cursor})
		if err != nil {
			return out, err
		}
		for i := 1; i+4 < len(a.numbers); i += 5 {
			suffix, _ := a.numbers[i].(string)
			if seen[suffix] {
				continue
			}
			seen[suffix] = true
			if st, ok := s.standing(&a, i, project); ok {
				out = append(out, st)
			}
		}
		next, _ := a.numbers[0].(string)
		if cursor = next; cursor == "0" || cursor == "" || len(out) >= maxCounters {
			return out, nil
		}
	}
}

// standing reads a count of a page; false: nothing is in use of it.
func (s *store) standing(a *answer, i int, project string) (Standing, bool) {
	text := func(k int) string { t, _ := a.numbers[i+k].(string); return t }
	number := func(k int) int64 { n, _ := strconv.ParseInt(text(k), 10, 64); return n }
	def, value, _ := strings.Cut(text(4), "\n")
	p, err := s.plans.defined(def)
	if err != nil {
		return Standing{}, false
	}
	part := heldPart{plan: p, value: value, since: sinceOf(text(0))}
	c := counter{held: number(1), until: number(2), spent: number(3), end: part.end()}
	now := a.tick()
	if c.held == 0 && c.until <= now.elapsed && (c.spent == 0 || c.end <= now.wall) {
		return Standing{}, false
	}
	return p.standing(&c, project, value, part.since, now), true
}

// sinceOf is the begin of the period that a count's suffix has.
func sinceOf(suffix string) int64 {
	parts := strings.SplitN(suffix, ".", 3)
	if len(parts) < 3 {
		return 0
	}
	n, _ := strconv.ParseInt(parts[2], 10, 64)
	return n
}

// tellExpired tells of thresholds that expired leases passed when they were
// charged: whose, before, after.
func (s *store) tellExpired(project string, told []any) {
	for i := 0; i+2 < len(told); i += 3 {
		text, _ := told[i].(string)
		before, _ := told[i+1].(int64)
		after, _ := told[i+2].(int64)
		suffix, meta, _ := strings.Cut(text, "\n")
		def, value, _ := strings.Cut(meta, "\n")
		if p, err := s.plans.defined(def); err == nil {
			s.passed(&heldPart{plan: p, value: value, since: sinceOf(suffix)}, project, before, after, tick{})
		}
	}
}
