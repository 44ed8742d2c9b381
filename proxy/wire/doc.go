// Package wire knows the vendors' dialects: which API a path means, what a
// request asks for, what a reply and an event stream say, and how errors are
// written. It reads and edits bytes and never decodes a body into a tree. It
// is pure: no clock, no goroutine, and no I/O but the readers it is given.
package wire
