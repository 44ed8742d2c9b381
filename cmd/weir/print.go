package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"weir/config"
)

// A rowFlags is how a verb that prints rows was asked to print them.
type rowFlags struct {
	json, csv bool
	limit     int
	since     string
}

// maxLimit is the largest --limit.
const maxLimit = 10_000_000

// add puts the flags on a command. rows is the default of --limit.
func (f *rowFlags) add(cmd *cobra.Command, rows int) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON array")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "print CSV with a header line")
	cmd.Flags().IntVar(&f.limit, "limit", rows, "print at most `N` rows")
	cmd.Flags().StringVar(&f.since, "since", "", "only rows since `WHEN`: 24h, 7d, 2026-11-25, 2026-11-25T10:00:00Z")
}

// from returns the time that --since means; zero where it isn't given.
func (f *rowFlags) from(now time.Time) (time.Time, error) {
	if f.since == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, f.since, time.UTC); err == nil {
			return t, nil
		}
	}
	d, err := config.ParseDuration(f.since)
	if err != nil {
		return time.Time{}, &failure{code: 2, err: fmt.Errorf("read --since: want 24h, 7d or a date like 2026-11-25, got %q", f.since)}
	}
	return now.Add(-d), nil
}

// check refuses flags that mean nothing.
func (f *rowFlags) check() error {
	if f.json && f.csv {
		return &failure{code: 2, err: errors.New("want --json or --csv, not both")}
	}
	if f.limit < 0 || f.limit > maxLimit {
		return &failure{code: 2, err: fmt.Errorf("read --limit: want 0 to %d, got %d", maxLimit, f.limit)}
	}
	return nil
}

// A column is how one field of a row reads in tables and CSV.
type column[T any] struct {
	name string
	text func(T) string
}

// printRows prints rows as they come: JSON (the row's own), CSV, a table on a
// terminal, TSV in a pipe.
func printRows[T any](w io.Writer, f rowFlags, columns []column[T], rows iter.Seq2[T, error]) error {
	if err := f.check(); err != nil {
		return err
	}
	switch {
	case f.json:
		return printJSONRows(w, rows)
	case f.csv:
		out := csv.NewWriter(w)
		err := eachRow(columns, rows, func(cells []string) error { return out.Write(noFormulas(cells)) })
		out.Flush()
		return firstError(err, out.Error())
	case isTerminal(w):
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		err := eachRow(columns, rows, func(cells []string) error { return writeTabbed(out, cells) })
		return firstError(err, out.Flush())
	}
	return eachRow(columns, rows, func(cells []string) error { return writeTabbed(w, cells) })
}

// eachRow writes a header and the rows' cells.
func eachRow[T any](columns []column[T], rows iter.Seq2[T, error], write func([]string) error) error {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.name
	}
	if err := write(cells); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		for i, c := range columns {
			cells[i] = plain(c.text(row))
		}
		if err := write(cells); err != nil {
			return err
		}
	}
	return nil
}

// noFormulas puts a quote before what a spreadsheet would run: customers and
// tags are what clients have sent. Numbers stay numbers. The dash that stands
// for nothing in a table is an empty cell.
func noFormulas(cells []string) []string {
	for i, cell := range cells {
		if cell == "-" {
			cells[i] = ""
			continue
		}
		if cell == "" || !strings.ContainsRune("=+-@", rune(cell[0])) {
			continue
		}
		if _, err := strconv.ParseFloat(cell, 64); err != nil {
			cells[i] = "'" + cell
		}
	}
	return cells
}

func writeTabbed(w io.Writer, cells []string) error {
	_, err := io.WriteString(w, strings.Join(cells, "\t")+"\n")
	return err
}

// plain keeps what a client has written (a tag, a model's name) from moving
// the cursor or breaking a line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

func printJSONRows[T any](w io.Writer, rows iter.Seq2[T, error]) error {
	sep := "[\n"
	for row, err := range rows {
		if err != nil {
			return err
		}
		b, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("encode a row: %w", err)
		}
		if _, err := fmt.Fprintf(w, "%s%s", sep, b); err != nil {
			return err
		}
		sep = ",\n"
	}
	if sep == "[\n" {
		_, err := io.WriteString(w, "[]\n")
		return err
	}
	_, err := io.WriteString(w, "\n]\n")
	return err
}

// printJSON prints one value.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// timeless are the rows of a configuration, up to the limit: they have no
// time that --since could leave out.
func timeless[T any](f rowFlags, list []T) (iter.Seq2[T, error], error) {
	_, err := f.from(time.Now())
	if err := firstError(f.check(), err); err != nil {
		return nil, err
	}
	return all(list[:min(len(list), f.limit)]), nil
}

// all is a slice as rows.
func all[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func printProblem(w io.Writer, p config.Problem, kind string) {
	if p.File == "" {
		p.File = "no file"
	}
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	fmt.Fprintf(w, "%s: %s%s\n", at, kind, p.What)
	if p.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", p.Hint)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
