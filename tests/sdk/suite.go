package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"
)

// A suite is one run of everything and what came of it.
type suite struct {
	options
	dir      string
	programs []program

	direct   map[string]map[string]line // what each program saw of the mock itself, by case
	passed   int
	failures []string
	columns  []string
	cells    map[[2]string]*cell
}

// A cell of the table counts the checks of a program in a phase.
type cell struct {
	cases, failed int
}

// check counts one check; what is wrong with it is printed at once.
func (s *suite) check(phase, program, name string, wrong ...string) {
	c := s.cells[[2]string{program, phase}]
	if c == nil {
		c = &cell{}
		s.cells[[2]string{program, phase}] = c
	}
	c.cases++
	if len(wrong) == 0 {
		s.passed++
		return
	}
	c.failed++
	what := fmt.Sprintf("%s: %s: %s", phase, program, name)
	s.failures = append(s.failures, what)
	fmt.Println("FAIL", what)
	for _, w := range wrong {
		fmt.Println("    ", w)
	}
}

// run goes through the phases, each with a fresh mock.
func (s *suite) run(ctx context.Context) error {
	if len(s.programs) == 0 {
		return nil
	}
	if err := s.directly(ctx); err != nil {
		return err
	}
	if err := s.through(ctx, "off"); err != nil {
		return err
	}
	if err := s.through(ctx, "keys"); err != nil {
		return err
	}
	return s.spent(ctx)
}

// phase runs all programs against a server.
func (s *suite) phase(ctx context.Context, name string, to server) (map[string][]line, error) {
	began := time.Now()
	s.columns = append(s.columns, name)
	lines, err := runAll(ctx, s.programs, to, s.cases)
	fmt.Printf("%s: %d programs in %.1fs\n", name, len(s.programs), time.Since(began).Seconds())
	return lines, err
}

// directly runs the programs against the mock and keeps what they see.
func (s *suite) directly(ctx context.Context) error {
	mock, err := s.mock(ctx, "mock-direct")
	if err != nil {
		return err
	}
	defer mock.stop()
	lines, err := s.phase(ctx, "direct", server{mock.base, clientKey})
	if err != nil {
		return err
	}
	s.direct = map[string]map[string]line{}
	for program, list := range lines {
		s.direct[program] = map[string]line{}
		for _, l := range list {
			s.direct[program][l.Case] = l
			s.check("direct", program, l.Case, nonEmpty(sound(l))...)
		}
	}
	return nil
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// through runs the programs against a Weir of that auth and compares.
func (s *suite) through(ctx context.Context, auth string) error {
	mock, err := s.mock(ctx, "mock-"+auth, "--key", providerKey) // and no other: the client's must not arrive
	if err != nil {
		return err
	}
	defer mock.stop()
	weir, config, err := s.gateway(ctx, auth, auth, mock.base, providerKey)
	if err != nil {
		return err
	}
	defer weir.stop()
	key := clientKey
	if auth == "keys" {
		if key, err = s.newKey(ctx, config, weir.base); err != nil {
			return err
		}
	}
	lines, err := s.phase(ctx, auth, server{weir.base, key})
	if err != nil {
		return err
	}
	books, err := s.settled(config, lines)
	if err != nil {
		return err
	}
	for _, p := range s.programs {
		s.judge(auth, p.name, lines[p.name], books)
	}
	return nil
}

// judge compares a program's run through Weir with the direct one, and with the ledger.
func (s *suite) judge(auth, program string, lines []line, books ledger) {
	seen := map[string]bool{}
	for _, l := range lines {
		seen[l.Case] = true
		direct := s.direct[program][l.Case]
		switch {
		case l.Case == "bad_key" && auth == "keys":
			s.check(auth, program, l.Case, refused(s.direct[program]["error_401"], l)...)
		case l.Case == "unknown_model":
			s.check(auth, program, l.Case, refused(s.direct[program]["error_404"], l)...)
		default:
			s.check(auth, program, l.Case, compare(direct, l)...)
		}
		s.check(auth, program, l.Case+" in the ledger", books.audit(program, l, auth == "keys")...)
	}
	for name := range s.direct[program] {
		if !seen[name] {
			s.check(auth, program, name, "it did not run")
		}
	}
}

// refused checks an error of Weir's own against the vendor's: the same class
// of error for the SDK's user, and no retry.
func refused(vendors, ours line) (wrong []string) {
	class := func(l line) any {
		m, _ := l.Seen.(map[string]any)
		e, _ := m["error"].(map[string]any)
		return fmt.Sprint(e["class"], " ", e["status"], " ", e["status_code"], " ", e["statusCode"], " ", e["type"], " ", e["code"])
	}
	if class(vendors) != class(ours) {
		wrong = append(wrong, fmt.Sprintf("Weir's own error is %v, the vendor's is %v", class(ours), class(vendors)))
	}
	if len(ours.HTTP) != 1 {
		wrong = append(wrong, fmt.Sprintf("it was tried %d times", len(ours.HTTP)))
	}
	return wrong
}

// settled reads the ledger once all calls that the programs made are closed in
// it: a client that leaves does not wait for its row.
func (s *suite) settled(config string, lines map[string][]line) (ledger, error) {
	want := 0
	for _, list := range lines {
		for _, l := range list {
			switch l.Case {
			case "bad_key": // a stranger has no row
			case "timeout": // a client that has left sees no answer
				want++
			default:
				want += len(l.HTTP)
			}
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		books, err := readLedger(s.weir, config)
		if err != nil || books.closed >= want || time.Now().After(deadline) {
			return books, err
		}
	}
}

// newKey makes a virtual key by the command line, as its operator would, and
// waits until the running server takes it.
func (s *suite) newKey(ctx context.Context, config, base string) (string, error) {
	cmd := exec.CommandContext(ctx, s.weir, "keys", "create", "sdk", "--config", config)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("weir keys create: %w\n%s", err, stderr.String())
	}
	key := strings.TrimSpace(string(out))
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/models", nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return key, nil
		}
	}
	return "", errors.New("the running server does not take the key that weir keys create made")
}

// print shows the checks by program and phase.
func (s *suite) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprint(tw, "\nSDK")
	for _, phase := range s.columns {
		fmt.Fprintf(tw, "\t%s", phase)
	}
	fmt.Fprintln(tw)
	rows := []string{}
	for _, p := range s.programs {
		rows = append(rows, p.name)
	}
	for _, name := range append(rows, shapeRows...) {
		fmt.Fprint(tw, name)
		for _, phase := range s.columns {
			c := s.cells[[2]string{name, phase}]
			switch {
			case c == nil:
				fmt.Fprint(tw, "\t-")
			case c.failed > 0:
				fmt.Fprintf(tw, "\t%d of %d FAILED", c.failed, c.cases)
			default:
				fmt.Fprintf(tw, "\t%d ok", c.cases)
			}
		}
		fmt.Fprintln(tw)
	}
	_ = tw.Flush()
}
