//go:build linux

package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// A loop serves many sockets from one thread by epoll, so that neither the
// load nor the mock costs what a goroutine per connection would. It measures
// and waits in nanoseconds; Go's own poller rounds waits up to milliseconds.
type loop struct {
	epoll  int
	tasks  []task // by file descriptor
	timers []alarm
	base   time.Time
	stop   bool
}

// A task is a socket's owner. Only the loop's thread calls it.
type task interface {
	ready()        // the socket can be read, or written again
	due(now int64) // an alarm has run out
}

type alarm struct {
	at int64
	t  task
}

const (
	sysEpollPwait2  = 441 // the same on every architecture; Linux 5.11
	prSetTimerSlack = 29
)

func newLoop() (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	return &loop{epoll: fd, base: time.Now()}, nil
}

// now is the time since the loop was made, monotonic, in ns.
func (l *loop) now() int64 { return int64(time.Since(l.base)) }

// add watches fd for input on behalf of t.
func (l *loop) add(fd int, t task) error {
	for len(l.tasks) <= fd {
		l.tasks = append(l.tasks, nil)
	}
	l.tasks[fd] = t
	return l.control(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN)
}

func (l *loop) control(op, fd int, events uint32) error {
	return syscall.EpollCtl(l.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (l *loop) remove(fd int) {
	l.tasks[fd] = nil
	syscall.Close(fd) //nolint:errcheck // it leaves the epoll with it
}

// run serves until stop is set. It keeps its thread to itself.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may be late by the slack: 50 µs unless told otherwise.
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0) //nolint:errcheck // only less exact without it
	var events [256]syscall.EpollEvent
	for !l.stop {
		n, err := l.wait(events[:])
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			if t := l.tasks[e.Fd]; t != nil {
				t.ready()
			}
		}
		l.fire()
	}
	return nil
}

func (l *loop) wait(events []syscall.EpollEvent) (int, error) {
	var limit *syscall.Timespec
	if len(l.timers) > 0 {
		ts := syscall.NsecToTimespec(max(l.timers[0].at-l.now(), 0))
		limit = &ts
	}
	n, _, errno := syscall.Syscall6(sysEpollPwait2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(limit)), 0, 0)
	if errno == syscall.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("wait for sockets: %w", errno)
	}
	return int(n), nil
}

func (l *loop) fire() {
	if len(l.timers) == 0 {
		return
	}
	for now := l.now(); len(l.timers) > 0 && l.timers[0].at <= now; {
		l.pop().due(now)
	}
}

// after sets an alarm. A task may have any number.
func (l *loop) after(at int64, t task) {
	h := append(l.timers, alarm{at, t})
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	l.timers = h
}

func (l *loop) pop() task {
	h := l.timers
	first := h[0].t
	last := len(h) - 1
	h[0], h[last] = h[last], alarm{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < last && h[c].at < h[least].at {
				least = c
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	l.timers = h
	return first
}

// A sock is a non-blocking TCP socket in a loop.
type sock struct {
	l    *loop
	fd   int
	rest []byte // what the kernel had no room for yet
}

// write sends p, now or when there is room.
func (s *sock) write(p []byte) error {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, p...)
		return nil
	}
	n, err := rawWrite(s.fd, p)
	if err != nil {
		return err
	}
	if n < len(p) {
		s.rest = append(s.rest[:0], p[n:]...)
		return s.l.control(syscall.EPOLL_CTL_MOD, s.fd, syscall.EPOLLIN|syscall.EPOLLOUT)
	}
	return nil
}

// flush sends what is left of earlier writes.
func (s *sock) flush() error {
	if len(s.rest) == 0 {
		return nil
	}
	n, err := rawWrite(s.fd, s.rest)
	if err != nil {
		return err
	}
	s.rest = s.rest[:copy(s.rest, s.rest[n:])]
	if len(s.rest) == 0 {
		return s.l.control(syscall.EPOLL_CTL_MOD, s.fd, syscall.EPOLLIN)
	}
	return nil
}

func rawWrite(fd int, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EAGAIN, syscall.EINTR:
		return 0, nil
	}
	return 0, errno
}

// rawRead returns 0 where nothing is there yet, and io.EOF's errno 0 with
// done where the other side has closed.
func rawRead(fd int, p []byte) (n int, done bool, err error) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		syscall.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(r), r == 0, nil
	case syscall.EAGAIN, syscall.EINTR:
		return 0, false, nil
	}
	return 0, true, errno
}
