//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

func closeFD(fd int) { syscall.Close(fd) } //nolint:errcheck // nothing else can be done

// addresses are what a child listens on, told in its first line of output.
// Plain leads to the mock over HTTP/1.1, TLS over TLS.
type addresses struct {
	Plain string `json:"plain"`
	TLS   string `json:"tls"`
	Key   string `json:"key,omitempty"` // a virtual key, where one is needed
}

func announce(a addresses) { json.NewEncoder(os.Stdout).Encode(a) } //nolint:errcheck // the parent waits in vain then

// memory is what a child that is written in Go tells of itself.
type memory struct {
	Mallocs uint64 `json:"mallocs"` // since its start
	Bytes   uint64 `json:"bytes"`   // allocated since its start
	GCs     uint32 `json:"gcs"`
}

// obey answers the parent's questions on standard input until that is closed,
// as it is when the parent dies. So the contestants need no debugging port.
func obey() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		var err error
		switch words[0] {
		case "mem":
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			err = json.NewEncoder(os.Stdout).Encode(memory{m.Mallocs, m.TotalAlloc, m.NumGC})
		case "profile":
			err = startProfile(words[1])
		case "stop":
			err = stopProfile(words[1])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

func startProfile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode("profiling")
}

func stopProfile(path string) error {
	pprof.StopCPUProfile()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode("stopped")
}

// A child is a contestant's process, or the mock's.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr addresses
}

// startChild runs this program again as what the words say.
func startChild(env []string, words ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, append([]string{"child"}, words...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	c := &child{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if err := c.answer(&c.addr); err != nil {
		c.stop()
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	return c, nil
}

func (c *child) answer(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("it says nothing: %w", err)
	}
	return json.Unmarshal(line, v)
}

func (c *child) ask(question string, v any) error {
	if _, err := io.WriteString(c.in, question+"\n"); err != nil {
		return err
	}
	return c.answer(v)
}

// memory asks a Go child what it has allocated.
func (c *child) memory() (m memory, err error) {
	return m, c.ask("mem", &m)
}

// stop ends the child and waits for it.
func (c *child) stop() {
	if c.in != nil {
		c.in.Close()
	} else {
		c.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.cmd.Wait() //nolint:errcheck // how it ends doesn't matter
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		c.cmd.Process.Kill() //nolint:errcheck // it may have ended just now
		<-ended
	}
}

// ticks are the unit of times in /proc: 100 a second on every Linux.
const ticks = 10 * time.Millisecond

// cpu is the processor time that a process and its children have used.
func cpu(pid int) (time.Duration, error) {
	total := time.Duration(0)
	for _, p := range family(pid) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(stat), ") ")
		var skip string
		var user, system int64
		if _, err := fmt.Sscan(rest, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system); !ok || err != nil {
			return 0, fmt.Errorf("read /proc/%d/stat: %w", p, err)
		}
		total += time.Duration(user+system) * ticks
	}
	return total, nil
}

// rss reads a process's memory with its children's: now, and at most since
// resetPeak.
func rss(pid int) (now, peak int64, err error) {
	for _, p := range family(pid) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(status)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
				now += kib << 10
			}
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
				peak += kib << 10
			}
		}
	}
	if now == 0 {
		return 0, 0, errors.New("/proc tells no memory")
	}
	return now, peak, nil
}

// resetPeak makes the peak count from now on.
func resetPeak(pid int) {
	for _, p := range family(pid) {
		os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p), []byte("5"), 0) //nolint:errcheck // the peak is the whole run's then
	}
}

// family is a process and its children: nginx works in those.
func family(pid int) []int {
	pids := []int{pid}
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pids
	}
	for word := range strings.FieldsSeq(string(list)) {
		var p int
		if _, err := fmt.Sscan(word, &p); err == nil {
			pids = append(pids, p)
		}
	}
	return pids
}

// quiet waits until a process has gone idle, at most for patience: what a
// request leaves to be done afterwards counts as its cost too.
func quiet(pid int, patience time.Duration) {
	const pause = 100 * time.Millisecond
	before, _ := cpu(pid)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		time.Sleep(pause)
		after, _ := cpu(pid)
		if after-before <= ticks {
			return
		}
		before = after
	}
}
