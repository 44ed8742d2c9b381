package neutral

import "strings"

// ParseDataURL takes a data: URL apart: its type and its base64 data. ok is
// false for any other address, and for data that is not base64.
func ParseDataURL(u string) (mime, data string, ok bool) {
	rest, ok := strings.CutPrefix(u, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return "", "", false
	}
	mime, ok = strings.CutSuffix(head, ";base64")
	return mime, data, ok
}

// DataURL is the inverse of ParseDataURL.
func DataURL(mime, data string) string { return "data:" + mime + ";base64," + data }
