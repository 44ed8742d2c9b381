package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads 30s, 1h30m, 500ms, and also 30d and 2w.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	bad := fmt.Errorf("want a duration like 30s, 5m or 30d, got %q", clip(s))
	var total time.Duration
	for rest := s; rest != ""; {
		n := strings.IndexAny(rest, "dw")
		if n < 0 {
			d, err := time.ParseDuration(rest)
			if err != nil || d < 0 || total+d < total {
				return 0, bad
			}
			return total + d, nil
		}
		unit := 24 * time.Hour
		if rest[n] == 'w' {
			unit *= 7
		}
		v, err := strconv.ParseUint(rest[:n], 10, 32)
		if err != nil || v > uint64((math.MaxInt64-total)/unit) {
			return 0, bad
		}
		total += time.Duration(v) * unit
		rest = rest[n+1:]
	}
	if s == "" {
		return 0, bad
	}
	return total, nil
}

// showDuration is the shortest way to write a duration.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"KB", 1e3},
	{"B", 1},
	{"", 1},
}

// parseBytes reads 4MiB (of 1024), 4MB (of 1000) and plain numbers of bytes.
func parseBytes(s string) (int64, error) {
	bad := fmt.Errorf("want a size like 4MiB or 64KiB, got %q", clip(s))
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			return 0, bad
		}
		return n * u.size, nil
	}
	return 0, bad
}

// showBytes writes a size in the largest unit that divides it.
func showBytes(n int64) string {
	for _, u := range byteUnits[:4] {
		if n > 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// parseSwitch reads on and off in all the ways that YAML has had for them.
func parseSwitch(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true", "yes":
		return true, nil
	case "off", "false", "no":
		return false, nil
	}
	return false, fmt.Errorf("want on or off, got %q", clip(s))
}

func showSwitch(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func parseWhole(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("want a whole number from 0 to %d, got %q", math.MaxInt32, clip(s))
	}
	return int(n), nil
}

// parseShare reads 0.05 and 5%.
func parseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(digits, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, errors.New("want a share from 0 to 1, or from 0% to 100%")
	}
	return f, nil
}
