package mockllm

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

func intOr(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

// A tray takes a reply that is for the mock itself.
type tray struct {
	bytes.Buffer
	header http.Header
	status int
}

func (t *tray) Header() http.Header    { return t.header }
func (t *tray) WriteHeader(status int) { t.status = status }
func (t *tray) FlushError() error      { return nil }

// run answers one request of a batch.
func (c *call) run(path string, body []byte) (status int, reply raw) {
	r, err := http.NewRequestWithContext(c.r.Context(), http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadRequest, obj("error", obj("message", err.Error()))
	}
	r.Header = c.r.Header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Del("Content-Encoding")
	t := &tray{header: http.Header{}}
	inner := &call{s: c.s, r: r, b: c.s.opts.Default, quiet: true}
	inner.o = out{c: inner, w: t, rc: http.NewResponseController(t), b: &inner.b}
	inner.route()
	inner.serve()
	return t.status, raw(bytes.TrimSpace(t.Bytes()))
}

var openAIBatches, messageBatches *objectKind

func init() {
	openAIBatches = &objectKind{
		kind: "batches", create: createBatch, list: openAIList, act: cancelBatch, lost: lost("No batch found with id: "),
	}
	messageBatches = &objectKind{
		kind: "message batches", create: createMessageBatch, list: openAIList, act: actOnMessageBatch, lost: lost("No batch found with id: "),
		gone: func(id string) raw { return obj("id", id, "type", "message_batch_deleted") },
	}
}

// createBatch runs the lines of a file. The batch is being validated when it
// is first shown, and done the next time.
func createBatch(c *call) *fault {
	for _, name := range []string{"input_file_id", "endpoint", "completion_window"} {
		if !c.body.has(name) {
			return missingField(name)
		}
	}
	input := c.s.objects.get("files", c.body.get("input_file_id").text)
	if input == nil {
		return refuse("input_file_id", "", "Invalid 'input_file_id': no such file.")
	}
	batchID := c.id("batch_", 0)
	results, ran := c.lines(input.content)
	resultsID := id("file-", c.hash, 9)
	about := obj("object", "file", "id", resultsID, "purpose", "batch_output", "filename", batchID+"_output.jsonl",
		"bytes", len(results), "created_at", c.created(), "status", "processed")
	c.s.objects.put(&stored{kind: "files", id: resultsID, body: about, content: results, mime: "application/octet-stream"})
	s := &stored{kind: "batches", id: batchID}
	s.body, s.later = c.batch(batchID, "validating", "", batchRun{}), c.batch(batchID, "completed", resultsID, ran)
	c.s.objects.put(s)
	c.json(c.s.objects.show(s))
	return nil
}

// A batchRun is what became of a batch's lines.
type batchRun struct {
	done, failed int
	model        string
	in, cached   int // tokens of all lines
	out, thought int
}

// count adds what a line's reply has used.
func (b *batchRun) count(reply raw) {
	n, err := parse(string(reply))
	if err != nil {
		return
	}
	b.model = cmp.Or(b.model, n.get("model").text)
	u := n.get("usage")
	b.in += u.either("input_tokens", "prompt_tokens").int(0)
	b.cached += u.either("input_tokens_details", "prompt_tokens_details").get("cached_tokens").int(0)
	b.out += u.either("output_tokens", "completion_tokens").int(0)
	b.thought += u.either("output_tokens_details", "completion_tokens_details").get("reasoning_tokens").int(0)
}

func (b *batchRun) usage() raw {
	return obj("input_tokens", b.in, "input_tokens_details", obj("cached_tokens", b.cached),
		"output_tokens", b.out, "output_tokens_details", obj("reasoning_tokens", b.thought), "total_tokens", b.in+b.out)
}

func (c *call) batch(batchID, status, results string, ran batchRun) raw {
	now := c.created()
	over := status == "completed"
	return obj("id", batchID, "object", "batch", "endpoint", c.body.get("endpoint"), "errors", nil,
		"input_file_id", c.body.get("input_file_id"), "completion_window", c.body.get("completion_window"), "status", status,
		"output_file_id", orNull(over, results), "error_file_id", nil, "created_at", now, "in_progress_at", orNull(over, now+1),
		"expires_at", now+86400, "finalizing_at", orNull(over, now+2), "completed_at", orNull(over, now+3), "failed_at", nil,
		"expired_at", nil, "cancelling_at", nil, "cancelled_at", orNull(status == "cancelled", now+1),
		"request_counts", obj("total", ran.done+ran.failed, "completed", ran.done, "failed", ran.failed),
		"model", orNull(ran.model != "", ran.model), "usage", when(over, ran.usage()), "metadata", c.body.get("metadata"))
}

// lines answers each line of a batch's file.
func (c *call) lines(content []byte) (results []byte, ran batchRun) {
	for line := range bytes.Lines(content) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		n, err := parse(string(line))
		if err != nil {
			ran.failed++
			continue
		}
		status, reply := c.run(n.get("url").text, []byte(n.get("body").raw))
		if status == http.StatusOK {
			ran.done++
			ran.count(reply)
		} else {
			ran.failed++
		}
		i := ran.done + ran.failed
		results = append(results, obj("id", c.id("batch_req_", 1000+i), "custom_id", n.get("custom_id").text,
			"response", obj("status_code", status, "request_id", c.id("req_", 1000+i), "body", reply), "error", nil)...)
		results = append(results, '\n')
	}
	return results, ran
}

func cancelBatch(c *call, s *stored, verb string) *fault {
	if verb != "cancel" || c.r.Method != http.MethodPost {
		return c.notAllowed()
	}
	body := bytes.Replace(s.body, []byte(`"status":"validating"`), []byte(`"status":"cancelled"`), 1)
	c.s.objects.update(s, body)
	c.json(c.s.objects.show(s))
	return nil
}

// createMessageBatch runs the requests of a Messages batch, which is in
// progress when it is first shown and over the next time.
func createMessageBatch(c *call) *fault {
	requests := c.body.get("requests").kids
	if len(requests) == 0 {
		return invalid("requests: Field required")
	}
	var results []byte
	done, failed := 0, 0
	for i := range requests {
		r := &requests[i]
		if !r.has("custom_id") || r.get("params").kind != object {
			return invalid("requests.%d.custom_id: Field required", i)
		}
		status, reply := c.run("/v1/messages", []byte(r.get("params").raw))
		result := obj("type", "succeeded", "message", reply)
		if status == http.StatusOK {
			done++
		} else {
			failed++
			result = obj("type", "errored", "error", reply)
		}
		results = append(append(results, obj("custom_id", r.get("custom_id").text, "result", result)...), '\n')
	}
	batchID := c.id("msgbatch_01", 0)
	s := &stored{kind: "message batches", id: batchID, content: results, mime: "application/x-jsonl"}
	s.body = c.messageBatch(batchID, "in_progress", len(requests), 0, 0)
	s.later = c.messageBatch(batchID, "ended", 0, done, failed)
	c.s.objects.put(s)
	c.json(c.s.objects.show(s))
	return nil
}

func (c *call) messageBatch(batchID, status string, processing, done, failed int) raw {
	now := c.created()
	over := status == "ended"
	return obj("id", batchID, "type", "message_batch", "processing_status", status,
		"request_counts", obj("processing", processing, "succeeded", done, "errored", failed, "canceled", 0, "expired", 0),
		"ended_at", orNull(over, rfc3339(now+3)), "created_at", rfc3339(now), "expires_at", rfc3339(now+86400),
		"archived_at", nil, "cancel_initiated_at", orNull(status == "canceling", rfc3339(now+1)),
		"results_url", orNull(over, "http://"+c.r.Host+"/v1/messages/batches/"+batchID+"/results"))
}

func actOnMessageBatch(c *call, s *stored, verb string) *fault {
	switch {
	case verb == "results" && c.r.Method == http.MethodGet:
		c.o.copy(s.mime, len(s.content), io.Reader(bytes.NewReader(s.content)))
	case verb == "cancel" && c.r.Method == http.MethodPost:
		body := strings.Replace(string(s.body), `"processing_status":"in_progress"`, `"processing_status":"canceling"`, 1)
		c.s.objects.update(s, raw(body))
		c.json(c.s.objects.show(s))
	default:
		return c.notAllowed()
	}
	return nil
}
