package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

const testMark = "0123456789abcdef0123456789abcdef"

// shrunk is a body's short form; nil: it has none.
func shrunk(t tester, body []byte) *Shrunk {
	t.Helper()
	v, err := ReadView(Chat, body)
	if err != nil {
		return nil
	}
	s, err := Shrink(bytes.NewReader(body), int64(len(body)), v.Long, testMark)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The law of shrinking: the short body expands to the body, byte for byte, and
// is JSON of the same shape whose strings keep their lengths modulo four.
func checkShrink(t tester, body []byte) {
	t.Helper()
	s := shrunk(t, body)
	if s == nil {
		return
	}
	if !json.Valid(s.Body) {
		t.Fatalf("not JSON: %.200q", s.Body)
	}
	if n := len(body) - len(s.Body); n < 0 || n%4 != 0 {
		t.Fatalf("shorter by %d bytes", n)
	}
	e := s.Expand(s.Body)
	r := e.Reader()
	if len(body) < 50_000 {
		r = iotest.OneByteReader(r)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, body) || e.Size() != int64(len(body)) || !e.Complete() {
		t.Fatalf("expanded to %d bytes (%d said, complete %v), want %d: %v", len(got), e.Size(), e.Complete(), len(body), err)
	}
	if err := iotest.TestReader(e.Reader(), body); err != nil {
		t.Fatal(err)
	}
	if whole := s.Whole(string(s.Body)); whole != string(body) {
		t.Fatal("Whole is not the body")
	}
}

func TestShrinkExpands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"iVBORw0KGgo", "AAAA", "+/-_", "=", `\/`, `\n`, "\\u003d", "ä", " ", testMark, "data:", ","})
		value := rapid.Custom(func(t *rapid.T) string {
			head := rapid.SampledFrom([]string{"", "data:image/png;base64,", "data:", "https://x/", "data:text/plain;charset=utf-8,"}).Draw(t, "head")
			return head + strings.Repeat(letters.Draw(t, "letters"), rapid.IntRange(1, 2000).Draw(t, "times")) + letters.Draw(t, "tail")
		})
		var b strings.Builder
		b.WriteString(`{"model":"m","messages":[`)
		for i := range rapid.IntRange(1, 5).Draw(t, "strings") {
			if i > 0 {
				b.WriteString(", ")
			}
			key := rapid.SampledFrom([]string{"data", "url", "image_url", "file_data", "text"}).Draw(t, "key")
			fmt.Fprintf(&b, `{"type":"x","%s":"%s"}`, key, value.Draw(t, "value"))
		}
		b.WriteString(`]}`)
		checkShrink(t, []byte(b.String()))
	})
}

// A tester is what rapid's T and testing's have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func FuzzShrink(f *testing.F) {
	long := strings.Repeat("QUJD", 2000)
	for _, seed := range []string{
		`{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,` + long + `=="}}]}]}`,
		`{"contents":[{"parts":[{"inlineData":{"data":"` + long + `\/` + long + `"}}]}]}`,
		`{"messages":[{"data":"` + long, // unfinished
		`{"messages":[{"data":"` + long + `\`,
		`{"input":[{"data":"` + long + `","data":"` + testMark + `00000000"}]}`,
		`{"messages":` + strings.Repeat("[", 9000) + `{"data":"` + long + `"}` + strings.Repeat("]", 9000) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkShrink(t, body) })
}

func TestShrinkCutsOnlyData(t *testing.T) {
	data := strings.Repeat("QUJD", 2000)
	check := func(body string, cuts int) {
		t.Helper()
		got := 0
		if s := shrunk(t, []byte(body)); s != nil {
			got = len(s.cuts)
			if !strings.Contains(string(s.Body), data[:keptData]) {
				t.Errorf("the first letters are gone: %.300s", s.Body)
			}
			checkShrink(t, []byte(body))
		}
		if got != cuts {
			t.Errorf("%.60s: %d cuts, want %d", body, got, cuts)
		}
	}
	check(`{"messages":[{"data":"`+data+`"}]}`, 1)
	check(`{"messages":[{"data":"`+data+`=="},{"url":"data:image/png;base64,`+data+`"}]}`, 2)
	check(`{"contents":[{"parts":[{"inlineData":{"data":"`+data+`\u003d"}}]}]}`, 1)
	check(`{"messages":[{"text":"`+data+`"}]}`, 0)                                    // a codec may look at text
	check(`{"tools":[{"data":"`+data+`"}]}`, 0)                                       // may come back in a reply
	check(`{"messages":[{"data":"`+data[:minLong-4]+`"}]}`, 0)                        // short
	check(`{"messages":[{"url":"https://x/`+strings.Repeat("a.b?", 3000)+`"}]}`, 0)   // no data
	check(`{"messages":[{"data":"`+strings.Repeat(data[:76]+`\n`, 200)+`"}]}`, 0)     // in lines
	check(`{"messages":[{"data":"`+strings.Repeat(data[:500]+`\/`, 40)+`"}]}`, 0)     // with escapes
	check(`{"messages":[{"data":"`+data[:5000]+`\n`+data+`"}]}`, 1)                   // up to the first
	check(`{"messages":[{"data":"`+data+`"},"`+testMark+`"]}`, 0)                     // has guessed the mark
	check(`{"messages":[`+strings.Repeat(`{"data":"`+data+`"},`, 9999)+`{}]}`, 9_999) // very many
}

// What a codec makes of the short body may have a datum twice or not at all.
func TestExpandTwiceAndMissing(t *testing.T) {
	one, two := strings.Repeat("QUJD", 2000), strings.Repeat("Rk9P", 3000)
	s := shrunk(t, []byte(`{"messages":[{"data":"`+one+`"},{"data":"`+two+`"}]}`))
	words := [2]string{string(s.word(0)), string(s.word(1))}
	middles := [2]string{one[keptData:], two[keptData:]}
	check := func(text, want string, complete bool) {
		t.Helper()
		e := s.Expand([]byte(text))
		got, err := io.ReadAll(e.Reader())
		if string(got) != want || err != nil || e.Size() != int64(len(want)) || e.Complete() != complete {
			t.Errorf("%.80s: %d bytes, said %d, complete %v: %v", text, len(got), e.Size(), e.Complete(), err)
		}
	}
	check(words[1]+"-"+words[0]+"-"+words[1], middles[1]+"-"+middles[0]+"-"+middles[1], true)
	check("x"+words[1], "x"+middles[1], false)
	check("", "", false)
	check(testMark+"00000002"+words[0], testMark+"00000002"+middles[0], false) // no such cut
	check(testMark+testMark, testMark+testMark, false)
	check(testMark[:31]+words[0]+testMark, testMark[:31]+middles[0]+testMark, false)
	if got := s.Whole("<" + words[0] + ">"); got != "<"+middles[0]+">" {
		t.Errorf("whole: %.80s", got)
	}
	check(words[1], middles[1], true) // the first one was looked at
	check(words[1], middles[1], false)
	if got := s.Whole("nothing"); got != "nothing" || s.Err() != nil {
		t.Error(got, s.Err())
	}
}

// A file that cannot be read is an error, and never a short body.
func TestShrinkOfBrokenFile(t *testing.T) {
	body := []byte(`{"messages":[{"data":"` + strings.Repeat("QUJD", 50_000) + `"}]}`)
	v, err := ReadView(Chat, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []int{0, 10, 100, 100_000, len(body) - 2} {
		if s, err := Shrink(bytes.NewReader(body[:good]), int64(len(body)), v.Long, testMark); err == nil {
			t.Errorf("%d good bytes: no error, %v", good, s != nil)
		}
	}
	fault := errors.New("bad sector")
	f := &failing{ReaderAt: bytes.NewReader(body)}
	s, err := Shrink(f, int64(len(body)), v.Long, testMark)
	if err != nil {
		t.Fatal(err)
	}
	f.err = fault
	if _, err := io.ReadAll(s.Expand(s.Body).Reader()); !errors.Is(err, fault) {
		t.Errorf("read: %v", err)
	}
	s.Whole(string(s.Body))
	if !errors.Is(s.Err(), fault) {
		t.Errorf("whole: %v", s.Err())
	}
	s = shrunk(t, body)
	s.body = bytes.NewReader(body[:100_000])
	if _, err := io.ReadAll(s.Expand(s.Body).Reader()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

type failing struct {
	io.ReaderAt
	err error
}

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, at)
}
