package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is what is wrong at one place of a file.
type Problem struct {
	File string
	Line int    // 0: of the file as a whole
	What string // with the path of the key in front
	Hint string // the cure, where it is known
}

// Error returns "file:line: what".
func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.What
	case p.Line == 0:
		return p.File + ": " + p.What
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What)
}

// Problems are all that is wrong with a file, by line. It is an error.
type Problems []Problem

// Error returns one problem per line.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return ps
}

// nearest returns the name that a word was probably meant to be, or "".
func nearest(word string, names []string) string {
	best, at := "", max(2, len(word)/3)+1
	for _, name := range names {
		if len(name) > 64 || len(word) > 64 {
			continue
		}
		if n := distance(strings.ToLower(word), name); n < at && n < len(name) {
			best, at = name, n
		}
	}
	return best
}

// meant is the end of a message about an unknown word.
func meant(word string, names []string) string {
	if name := nearest(word, names); name != "" {
		return fmt.Sprintf(" (did you mean %q?)", name)
	}
	return ""
}

// distance counts the edits between two words: insert, delete, replace, and
// swap of neighbours (optimal string alignment).
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
