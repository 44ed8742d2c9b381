package costs

// What read needs of the table's rows: paths are resolved to places.
type (
	flavourRules struct {
		*flavour
		in, out sideRules
		total   places
		loose   places
		gauges  []gaugeRules
	}
	sideRules struct {
		total places
		rest  Meter
		parts []partRules
		turns bool // some part's place goes by the vendor's sum
	}
	partRules struct {
		part
		paths  places
		shares []partRules
	}
	gaugeRules struct {
		meter Meter
		paths places
	}
)

// flavourTable is every flavour by vendor and shape. A vendor without a row
// of its own in a shape has the shape's.
var flavourTable = func() (t [numVendors][numShapes]*flavourRules) {
	for s := shapeByMembers + 1; s < numShapes; s++ {
		common := compileFlavour(&shapes[s])
		for v := range t {
			t[v][s] = common
			if row, ok := vendorFlavours[Flavour{vendor(v), s}]; ok {
				t[v][s] = compileFlavour(&row)
			}
		}
	}
	return t
}()

func (f Flavour) rules() *flavourRules { return flavourTable[f.vendor][f.shape] }

func compileFlavour(f *flavour) *flavourRules {
	r := &flavourRules{flavour: f, in: f.in.compile(), out: f.out.compile(), total: pathsOf(f.total), loose: pathsOf(f.loose)}
	for _, g := range f.gauges {
		r.gauges = append(r.gauges, gaugeRules{g.meter, pathsOf(g.path)})
	}
	return r
}

func (s side) compile() sideRules {
	r := sideRules{total: pathsOf(s.total), rest: s.rest, parts: compileParts(s.parts)}
	for _, p := range s.parts {
		r.turns = r.turns || p.place == insideByAll || p.place == besideByAll
	}
	return r
}

func compileParts(parts []part) (rules []partRules) {
	for _, p := range parts {
		rules = append(rules, partRules{p, pathsOf(p.path), compileParts(p.of)})
	}
	return rules
}

// isInside says where a part is. turned: the vendor's sum says that it is not
// where it is said to be.
func (p *partRules) isInside(turned bool) bool {
	switch p.place {
	case insideByAll:
		return !turned
	case besideByAll:
		return turned
	}
	return p.place == inside
}

// sum is the side's total as the vendor's sum of both sides has it.
func (s *sideRules) sum(o *found, turned bool) int64 {
	total, _ := o.first(s.total)
	for i := range s.parts {
		p := &s.parts[i]
		if p.place != apart && !p.isInside(turned) {
			n, _ := o.first(p.paths)
			total += n
		}
	}
	return total
}

// fits reports whether the parts inside of the side's total are no more than that.
func (s *sideRules) fits(o *found, turned bool) bool {
	left, _ := o.first(s.total)
	for i := range s.parts {
		if p := &s.parts[i]; p.also == 0 && p.isInside(turned) {
			n, _ := o.first(p.paths)
			left -= n
		}
	}
	return left >= 0
}

// An identity is what the vendor's sum of both sides says.
type identity struct {
	turnIn, turnOut bool  // parts that go by the sum are in the other place
	unnamed         int64 // output that no member names
	broken          bool  // the sum does not come out
}

// identity tries where the parts have to be for the vendor's sum to come out.
func (r *flavourRules) identity(o *found) (id identity) {
	if r.byFit {
		id.turnIn = !r.in.fits(o, false)
		return id
	}
	total, hasTotal := o.first(r.total)
	hasIn, hasOut := o.hasAny(r.in.total), o.hasAny(r.out.total)
	if !hasTotal || !r.omits && !(hasIn && hasOut) {
		id.turnOut = r.out.turns && hasOut && !r.out.fits(o, false) && r.out.fits(o, true)
		return id
	}
	in, out := r.in.sum(o, false), r.out.sum(o, false)
	switch more, _ := o.first(r.loose); {
	case in+out == total, more > 0:
	case r.out.turns && in+r.out.sum(o, true) == total && r.out.fits(o, true):
		id.turnOut = true
	case r.in.turns && r.in.sum(o, true)+out == total && r.in.fits(o, true):
		id.turnIn = true
	case r.unnamed && total > in+out:
		id.unnamed = total - in - out
	default:
		id.broken = true
	}
	return id
}

// A sharing shares the totals of one usage object out to leaf meters.
type sharing struct {
	o      *found
	u      *Usage
	before Usage // what earlier objects of the reply said, where they count
	merge  bool
	broken bool  // some share is more than there is
	apart  int64 // tokens that are not in the vendor's sum of both sides
}

// read reads what was found into r, over what is in r.Usage.
func (r *flavourRules) read(o *found, out *Reading) {
	r.totals(o, &out.Totals)
	o.apply(r.special)
	id := r.identity(o)
	s := sharing{o: o, u: &out.Usage}
	if r.merge {
		s.before, s.merge = out.Usage, true
	} else {
		out.Usage = Usage{}
	}
	in, hasIn := o.first(r.in.total)
	output, hasOut := o.first(r.out.total)
	if total, ok := o.first(r.total); ok && !hasIn && !hasOut && !r.omits {
		in, hasIn = total, true // embeddings and rerankers of some servers
	}
	s.side(&r.in, in, hasIn, id.turnIn, 0)
	s.side(&r.out, output, hasOut, id.turnOut, id.unnamed)
	for _, g := range r.gauges {
		if n, ok := o.first(g.paths); ok {
			out.Usage.Set(g.meter, n)
		}
	}
	if r.request {
		out.Usage.Set(Requests, 1)
	}
	garbled := r.unread(o, out)
	out.Inconsistent = garbled || id.broken || s.broken || o.bad || r.falls(o, &s)
}

// unread notes which side's total cannot be read, or is left out by a vendor
// that never leaves it out: what is counted of that side is not all of it. It
// reports whether the object has one that is no count.
func (r *flavourRules) unread(o *found, out *Reading) (garbled bool) {
	for i, s := range [...]*sideRules{&r.in, &r.out} {
		switch {
		case o.hasAny(s.total):
			out.unread[i] = false
		case o.garbled(s.total):
			out.unread[i], garbled = true, true
		case !r.merge:
			out.unread[i] = false
		}
	}
	if _, known := out.Usage.Input(); !known && !r.omits && r.in.total[0] != nodeNone && o.hasAny(r.out.total) {
		out.unread[0] = true
	}
	return garbled
}

// falls reports whether the leaves of both sides, as far as the vendor's sum
// has them, do not come to that sum.
func (r *flavourRules) falls(o *found, s *sharing) bool {
	total, known := o.first(r.total)
	in, hasIn := s.u.Input()
	out, hasOut := s.u.Output()
	loose, _ := o.first(r.loose)
	return known && hasIn && hasOut && loose == 0 && in+out-s.apart != total
}

// totals takes over the vendor's own figures, as far as the object has them.
func (r *flavourRules) totals(o *found, t *Totals) {
	figure := func(to *int64, known *bool, paths *places) {
		if n, ok := o.first(*paths); ok {
			*to, *known = n, true
		}
	}
	figure(&t.Input, &t.HasInput, &r.in.total)
	figure(&t.Output, &t.HasOutput, &r.out.total)
	figure(&t.Total, &t.HasTotal, &r.total)
}

// side shares out one side's total, and unnamed, which is beside it.
func (s *sharing) side(r *sideRules, total int64, known, turned bool, unnamed int64) {
	left := total + unnamed
	for i := range r.parts {
		p := &r.parts[i]
		n, has := s.amount(p)
		if !has && p.meter == OutputReasoning && unnamed > 0 {
			n, has = unnamed, true
		}
		switch isIn := p.isInside(turned); {
		case !has, isIn && !known:
		case isIn:
			s.give(p, s.take(p, n, &left))
		default:
			s.give(p, n)
			if p.place == apart {
				s.apart += n
			}
		}
	}
	if known {
		s.u.Set(r.rest, left)
	}
}

// amount is a part's count: as the object says it, or as the sum of its
// shares, or as an earlier object said it.
func (s *sharing) amount(p *partRules) (n int64, has bool) {
	if n, has = s.o.first(p.paths); has {
		return n, true
	}
	for i := range p.shares {
		if c, ok := s.o.first(p.shares[i].paths); ok && p.quiet {
			n, has = n+c, true
		}
	}
	if !has && s.merge && p.place == inside {
		return s.before.Get(p.meter)
	}
	return n, has
}

// take takes n from what is left of a side's total. Of a modality the cached
// tokens are taken already.
func (s *sharing) take(p *partRules, n int64, left *int64) int64 {
	if p.also != 0 {
		n = s.uncached(p, n, *left)
	}
	if n > *left {
		n, s.broken = *left, true
	}
	*left -= n
	return n
}

// uncached returns how many of a modality's n tokens are not cached. Where no
// detail says which modality the cached ones are of, as many are of this one
// as there have to be for the total to come out.
func (s *sharing) uncached(p *partRules, n, left int64) int64 {
	if cached, known := s.u.Get(p.also); known {
		if cached > n {
			s.broken, cached = true, n
		}
		return n - cached
	}
	cached, _ := s.u.Get(InputCacheRead)
	if over := n - left; over > 0 && over <= cached {
		s.u.Set(InputCacheRead, cached-over)
		s.u.Set(p.also, over)
		return left
	}
	return n
}

// give gives n to a part's shares, and what they leave to its meter.
func (s *sharing) give(p *partRules, n int64) {
	left, shared := n, false
	for i := range p.shares {
		share := &p.shares[i]
		c, has := s.share(p, share, n)
		if !has {
			continue
		}
		if c > left {
			c, s.broken = left, true
		}
		s.u.Set(share.meter, c)
		left, shared = left-c, true
	}
	if _, known := s.u.Get(p.meter); known || left > 0 || !shared || !p.quiet {
		s.u.Set(p.meter, left)
	}
}

// share is one share of a part of n. An earlier object's split holds while
// it is no more than n; else it was of another count.
func (s *sharing) share(p, share *partRules, n int64) (int64, bool) {
	if c, has := s.o.first(share.paths); has || !s.merge {
		return c, has
	}
	sum, fresh := int64(0), false
	for i := range p.shares {
		c, _ := s.before.Get(p.shares[i].meter)
		sum, fresh = sum+c, fresh || s.o.hasAny(p.shares[i].paths)
	}
	c, has := s.before.Get(share.meter)
	if fresh || sum > n {
		c = 0
	}
	return c, has
}
