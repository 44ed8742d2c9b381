package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/ledger"
	"weir/proxy/wire/neutral"
)

// showKept answers GET /v1/responses/{id}.
func (p *Proxy) showKept(r *http.Request, x *Exchange, id string) error {
	if v := r.URL.Query().Get("stream"); v != "" && v != "false" {
		return &Error{
			Code: BadRequest, Param: "stream", NoRetry: true,
			Msg: "A response that was not made with background: true cannot be streamed again. Leave stream out.",
		}
	}
	kept, err := p.kept.Get(r.Context(), p.scope(x), id)
	if err != nil {
		return keptError(err, id)
	}
	return p.answerOwn(r, x, kept.Body)
}

// deleteKept answers DELETE /v1/responses/{id}.
func (p *Proxy) deleteKept(r *http.Request, x *Exchange, id string) error {
	if err := p.kept.Delete(r.Context(), p.scope(x), id); err != nil {
		return keptError(err, id)
	}
	return p.answerOwn(r, x, fmt.Appendf(nil, `{"id":%s,"object":"response","deleted":true}`, quoted(id)))
}

// The pages of input items, as OpenAI's API has them.
const (
	itemsPage    = 20
	maxItemsPage = 100
)

// listKept answers GET /v1/responses/{id}/input_items.
func (p *Proxy) listKept(r *http.Request, x *Exchange, id string) error {
	q := r.URL.Query()
	limit := itemsPage
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxItemsPage {
			return &Error{Code: BadRequest, Param: "limit", NoRetry: true, Msg: fmt.Sprintf("limit must be a number from 1 to %d.", maxItemsPage)}
		}
		limit = n
	}
	order := q.Get("order")
	if order != "" && order != "asc" && order != "desc" {
		return &Error{Code: BadRequest, Param: "order", NoRetry: true, Msg: "order must be asc or desc."}
	}
	kept, err := p.kept.Get(r.Context(), p.scope(x), id)
	if err != nil {
		return keptError(err, id)
	}
	size := 0
	input, err := neutral.ResolveItems(kept.Input, func(ref string) jsontext.Value {
		item, _ := p.item(r.Context(), x, ref) // one that is gone is shown as it was named
		if size += len(item); size > ledger.MaxChainBytes {
			return nil
		}
		return item
	})
	if err != nil {
		return fmt.Errorf("read kept response %s: %w", id, err)
	}
	items, err := neutral.ListItems(input, strings.TrimPrefix(id, "resp_"))
	if err != nil {
		return fmt.Errorf("read kept response %s: %w", id, err)
	}
	if order != "asc" {
		slices.Reverse(items)
	}
	for _, edge := range [...]string{"after", "before"} {
		at := q.Get(edge)
		if at == "" {
			continue
		}
		i := slices.IndexFunc(items, func(one neutral.ListedItem) bool { return one.ID == at })
		switch {
		case i < 0:
			return &Error{Code: BadRequest, Param: edge, NoRetry: true, Msg: fmt.Sprintf("There is no item '%s' in the input of this response.", clip(at))}
		case edge == "after":
			items = items[i+1:]
		default:
			items = items[:i]
		}
	}
	return p.answerOwn(r, x, itemsList(items[:min(limit, len(items))], len(items) > limit))
}

func itemsList(page []neutral.ListedItem, more bool) []byte {
	out := []byte(`{"object":"list","data":[`)
	for i, item := range page {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item.JSON...)
	}
	first, last := "", ""
	if len(page) > 0 {
		first, last = page[0].ID, page[len(page)-1].ID
	}
	return fmt.Appendf(out, `],"first_id":%s,"last_id":%s,"has_more":%v}`, quoted(first), quoted(last), more)
}

// quoted is an id as JSON; a client may have made it up.
func quoted(id string) []byte {
	out, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(id, "\uFFFD"))
	return out
}
