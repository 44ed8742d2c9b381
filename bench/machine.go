//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A machine is what the figures were measured on.
type machine struct {
	cpu    string
	cores  int
	memory string
	kernel string
	system string
	weir   string // the commit
	nginx  string
}

func readMachine() machine {
	m := machine{cores: runtime.NumCPU(), cpu: runtime.GOARCH}
	m.cpu = cutField("/proc/cpuinfo", "model name", m.cpu)
	m.memory = cutField("/proc/meminfo", "MemTotal", "")
	m.system = strings.Trim(cutField("/etc/os-release", "PRETTY_NAME", ""), `"`)
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.kernel = strings.TrimSpace(string(release))
	}
	m.weir = output("git", "rev-parse", "--short", "HEAD")
	if output("git", "status", "--porcelain", "--untracked-files=no") != "" {
		m.weir += " with changes"
	}
	m.nginx = output("nginx", "-v")
	return m
}

// cutField reads "name: value" or "name=value" out of a file.
func cutField(path, name, or string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return or
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, " \t:="))
		}
	}
	return or
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

func (m machine) describe(o options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Weir bench, %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "machine  %s, %d cores shared by load, mock and proxy; %s memory\n", m.cpu, m.cores, m.memory)
	fmt.Fprintf(&b, "system   %s, Linux %s, %s, %s\n", m.system, m.kernel, runtime.Version(), m.nginx)
	fmt.Fprintf(&b, "commit   %s; load average before %s\n", m.weir, loadAverage())
	fmt.Fprintf(&b, "request  POST of %d bytes, %d different bodies, Authorization: Bearer; answer %d bytes of JSON, or a stream of %d events and %d bytes\n",
		bodySize, bodies, replySize, events, streamSize)
	b.WriteString("weir     auth: keys, exact token counts, usage metering, metrics and the ledger in SQLite on; tracing off\n")
	if o.quick {
		b.WriteString("\nA quick run: it shows that the bench works, and nothing else.\n")
	}
	return b.String()
}

// slug names the machine in a file's name.
func (m machine) slug() string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return ' '
	}, strings.ToLower(m.cpu))
	return fmt.Sprintf("%s-%dc", strings.Join(strings.Fields(clean), "-"), m.cores)
}
