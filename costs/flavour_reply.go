package costs

// UsageIn returns the usage object of a reply or event as a vendor sends it:
// the member usage, usageMetadata or usage_info at the root, or in a response,
// message, result or x_groq. What has none is returned as it is: it may be a
// usage object itself.
func UsageIn(raw []byte) []byte {
	at := func(names ...string) []byte {
		inner := raw
		for _, name := range names {
			if inner = memberOf(inner, name); inner == nil {
				return nil
			}
		}
		return inner
	}
	for _, usage := range []string{"usage", "usageMetadata", "usage_info"} {
		for _, path := range [][]string{{usage}, {"response", usage}, {"message", usage}, {"result", usage}, {"x_groq", usage}} {
			if found := at(path...); len(found) > 0 && found[0] == '{' {
				return found
			}
		}
	}
	return raw
}

// memberOf returns the value of an object's member; nil where there is none.
func memberOf(raw []byte, name string) (value []byte) {
	s := found{p: raw}
	if !s.byte('{') {
		return nil
	}
	for {
		s.space()
		key, ok := s.str()
		if !ok || !s.byte(':') {
			return value
		}
		s.space()
		start := s.at
		if !s.skip() {
			return nil
		}
		if string(key) == name {
			value = raw[start:s.at]
		}
		if !s.byte(',') {
			return value
		}
	}
}
