package costs

// namedDims are the dimensions whose words a price list names one by one: a
// word that it does not name has no price, not that of a coarser list.
var namedDims = [...]dim{dimSearchContextSize, dimSearchType, dimResolution}

// leaveOpen finds the meters whose price goes by a word that the rows do not
// name, and that only a lower layer's row would price.
func (e *evaluation) leaveOpen() {
	for _, d := range namedDims {
		if e.dims[d] == "" || e.answered&(1<<d) != 0 {
			continue
		}
		for i := range e.model.rows {
			r := &e.model.rows[i]
			if r.dims != 1<<d || !r.appliesBut(e) {
				continue
			}
			for _, p := range r.prices {
				if o, _ := e.own(p.meter, false); o == nil || o.layer < r.layer {
					e.open |= 1 << p.meter
					e.openFor = d
				}
			}
		}
	}
}

// appliesBut is applies without the row's conditions.
func (r *row) appliesBut(e *evaluation) bool {
	return r.listed == "" && !r.contract && r.span.holds(e.at) && (r.above < 0 || e.input > r.above) && (r.during == nil || r.during.holds(e.at))
}

// openWord is the word that leaves meters open, for the reason of it.
func (e *evaluation) openWord() string {
	if e.open == 0 {
		return ""
	}
	return " with " + dimNames[e.openFor] + " " + clip(e.dims[e.openFor])
}
