package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/ledger"
)

// actor is who did it, for the audit: there is one admin.
const actor = "admin api"

// A ledgerKey is a key with its state.
type ledgerKey struct {
	*ledger.Key
	Status string `json:"status"` // active, paused, expired, revoked
}

// A madeKey has its secret, which is shown once.
type madeKey struct {
	ledgerKey
	Secret string `json:"secret"`
}

type newKey struct {
	Name      string            `json:"name,omitzero"`    // empty: its id
	Project   string            `json:"project,omitzero"` // by name, made where it is missing
	Models    []string          `json:"models,omitzero"`  // names or globs; none: every model
	Customer  string            `json:"customer,omitzero"`
	Tags      map[string]string `json:"tags,omitzero"`
	Expires   time.Time         `json:"expires,omitzero"`
	ExpiresIn string            `json:"expires_in,omitzero"` // such as 12h or 30d
}

type rotation struct {
	Grace string `json:"grace,omitzero"` // how long the old secret works on, such as 24h; empty: not at all
}

// maxText is how long a name, customer or tag may be, in bytes.
const (
	maxText  = 200
	maxItems = 100
)

func checkText(name, s string) error {
	if len(s) > maxText || !utf8.ValidString(s) || slices.ContainsFunc([]rune(s), unicode.IsControl) {
		return bad("%s wants a text of up to %d bytes without control characters.", name, maxText)
	}
	return nil
}

// spec reads what is wanted.
func (n *newKey) spec(now time.Time) (ledger.KeySpec, error) {
	s := ledger.KeySpec{Name: n.Name, Project: n.Project, Models: n.Models, Customer: n.Customer, Tags: n.Tags, Expires: n.Expires}
	texts := append([]string{n.Name, n.Project, n.Customer}, n.Models...)
	for name, value := range n.Tags {
		texts = append(texts, name, value)
	}
	for i, text := range texts {
		what := "models or tags"
		if i < 3 {
			what = []string{"name", "project", "customer"}[i]
		}
		if err := checkText(what, text); err != nil {
			return s, err
		}
	}
	if slices.Contains(n.Models, "") {
		return s, bad("A name among the models is empty.")
	}
	if n.Models != nil && len(n.Models) == 0 {
		return s, bad("models is empty; leave it out for a key that may use every model.")
	}
	if len(n.Models) > maxItems || len(n.Tags) > maxItems {
		return s, bad("There may be up to %d models and as many tags.", maxItems)
	}
	if n.ExpiresIn != "" {
		d, err := span(n.ExpiresIn)
		if err != nil || d == 0 || !n.Expires.IsZero() {
			return s, bad("expires_in wants a time such as 12h or 30d, and no expires beside it.")
		}
		s.Expires = now.Add(d)
	}
	if !s.Expires.IsZero() && !s.Expires.After(now) {
		return s, bad("The key would have expired already.")
	}
	return s, nil
}

func (c *Console) shown(k *ledger.Key) ledgerKey { return ledgerKey{k, k.Status(time.Now())} }

// changed lets the data plane know. It would find out by itself within
// seconds, so that a failure of it is no failure of the change.
func (c *Console) changed(ctx context.Context) {
	if c.o.KeysChanged == nil {
		return
	}
	if err := c.o.KeysChanged(ctx); err != nil {
		c.log.Warn("the change of a key is seen late", "err", err)
	}
}

func (c *Console) listKeys(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	keys, err := c.o.Keys.List(ctx)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	page := Page[ledgerKey]{Data: make([]ledgerKey, len(keys))}
	for i, k := range keys {
		page.Data[i] = c.shown(k)
	}
	send(w, http.StatusOK, page)
}

func (c *Console) showKey(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	ref := r.PathValue("key")
	keys, err := c.o.Keys.List(ctx)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	var found []*ledger.Key
	for _, k := range keys {
		switch {
		case k.ID == ref:
			send(w, http.StatusOK, c.shown(k))
			return
		case k.Name == ref:
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		c.refuse(w, r, fmt.Errorf("%w: %s", ledger.ErrNoSuchKey, ref))
	case 1:
		send(w, http.StatusOK, c.shown(found[0]))
	default:
		c.refuse(w, r, fmt.Errorf("%w: %s", ledger.ErrKeyAmbiguous, ref))
	}
}

func (c *Console) createKey(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	var in newKey
	err := receive(w, r, &in)
	var spec ledger.KeySpec
	if err == nil {
		spec, err = in.spec(time.Now())
	}
	var k *ledger.Key
	var secret string
	if err == nil {
		k, secret, err = c.o.Keys.Create(ctx, actor, spec)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.changed(ctx)
	w.Header().Set("Location", base+"/keys/"+k.ID)
	send(w, http.StatusCreated, madeKey{c.shown(k), secret})
}

func (c *Console) rotateKey(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	var in rotation
	err := receive(w, r, &in)
	var grace time.Duration
	if err == nil && in.Grace != "" {
		if grace, err = span(in.Grace); err != nil {
			err = bad("grace wants a time such as 24h or 7d.")
		}
	}
	var k *ledger.Key
	var secret string
	if err == nil {
		k, secret, err = c.o.Keys.Rotate(ctx, actor, r.PathValue("key"), grace)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.changed(ctx)
	send(w, http.StatusOK, madeKey{c.shown(k), secret})
}

// keyChange serves a change that needs no more than the key.
func (c *Console) keyChange(change func(ctx context.Context, actor, ref string) (*ledger.Key, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := deadline(r)
		defer cancel()
		if err := receive(w, r, &struct{}{}); err != nil {
			c.refuse(w, r, err)
			return
		}
		k, err := change(ctx, actor, r.PathValue("key"))
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		c.changed(ctx)
		send(w, http.StatusOK, c.shown(k))
	}
}

// Projects.

type newProject struct {
	Name string `json:"name"`
}

func (c *Console) listProjects(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	projects, err := ledger.Projects(ctx, c.o.DB)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusOK, Page[ledger.Project]{Data: notNil(projects)})
}

func (c *Console) createProject(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := deadline(r)
	defer cancel()
	var in newProject
	err := receive(w, r, &in)
	if err == nil && in.Name == "" {
		err = bad("A project needs a name.")
	}
	if err == nil {
		err = checkText("name", in.Name)
	}
	var p ledger.Project
	if err == nil {
		p, err = ledger.CreateProject(ctx, c.o.DB, actor, in.Name)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	send(w, http.StatusCreated, p)
}

// notNil makes an empty list of none, which JSON shows as [].
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
