package config

import (
	"fmt"
	"strings"
)

// In a flow mapping, {token: ${NAME:-}}, the braces of a variable are YAML's
// own. So before the text is parsed, the characters of a variable that YAML
// could take for its own are swapped for private ones, which scalars swap
// back. Lines and columns stay what they were.
const (
	yamlsOwn = "{}[],:#?"
	private  = '\uE000' // stands for yamlsOwn[0], and so on
)

// mask hides the variables of a text from the YAML parser. It returns the
// line of a character that it would need itself, or 0.
func mask(text string) (masked string, taken int) {
	if i := strings.IndexFunc(text, isPrivate); i >= 0 {
		return "", 1 + strings.Count(text[:i], "\n")
	}
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		end := variableEnd(text[i:])
		if end < 0 {
			b.WriteString("${")
			text = text[i+2:]
			continue
		}
		for j := i; j < i+end; j++ {
			if k := strings.IndexByte(yamlsOwn, text[j]); k >= 0 {
				b.WriteRune(private + rune(k))
			} else {
				b.WriteByte(text[j])
			}
		}
		text = text[i+end:]
	}
	b.WriteString(text)
	return b.String(), 0
}

// variableEnd returns the length of the variable that a text begins with, on
// one line, or -1. A default may hold another variable.
func variableEnd(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '\n', '\r':
			return -1
		}
	}
	return -1
}

func isPrivate(r rune) bool { return r >= private && r < private+rune(len(yamlsOwn)) }

// unmask undoes mask.
func unmask(s string) string {
	if strings.IndexFunc(s, isPrivate) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isPrivate(r) {
			return rune(yamlsOwn[r-private])
		}
		return r
	}, s)
}

// maxNesting bounds variables within defaults of variables.
const maxNesting = 8

// expand replaces the variables of a scalar: ${NAME}, ${NAME:-default},
// ${NAME:?why}; $${ is a plain ${. What a variable holds is not looked at again.
func expand(s string, env Env, nesting int) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	if nesting > maxNesting {
		return "", fmt.Errorf("variables nest more than %d deep", maxNesting)
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		end := variableEnd(s[i:])
		if end < 0 {
			return "", fmt.Errorf("a ${ without its }")
		}
		value, err := variable(s[i+2:i+end-1], env, nesting)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		s = s[i+end:]
	}
}

// variable returns the value of what stands between the braces.
func variable(inner string, env Env, nesting int) (string, error) {
	n := 0
	for n < len(inner) && isNameByte(inner[n], n) {
		n++
	}
	name, rest := inner[:n], inner[n:]
	fallback, hasDefault := strings.CutPrefix(rest, ":-")
	why, needed := strings.CutPrefix(rest, ":?")
	if name == "" || rest != "" && !hasDefault && !needed {
		return "", fmt.Errorf("${%s}: want ${NAME}, ${NAME:-default} or ${NAME:?why}", clip(inner))
	}
	value, ok := env(name)
	switch {
	case hasDefault && value == "":
		return expand(fallback, env, nesting+1)
	case needed && value == "":
		if why == "" {
			why = "it is needed"
		}
		return "", fmt.Errorf("%s is not set in the environment: %s", name, why)
	case !ok && rest == "":
		return "", fmt.Errorf("%s is not set in the environment (${%s:-} allows that)", name, name)
	}
	return value, nil
}

func isNameByte(b byte, at int) bool {
	return b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' || at > 0 && b >= '0' && b <= '9'
}

// clip shortens a text for a message.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
