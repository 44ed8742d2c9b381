package costs

// plainMeters are what cached input is without its cache.
var plainMeters = map[Meter]Meter{
	InputCacheRead: Input, InputCacheReadAudio: InputAudio, InputCacheReadImage: InputImage, InputCacheReadVideo: InputVideo,
	InputCacheWrite: Input, InputCacheWrite5m: Input, InputCacheWrite30m: Input, InputCacheWrite1h: Input, InputCacheWrite12h: Input,
}

// CacheSaving is what the vendor's prompt cache saved on one request: what its
// cached input would have cost as plain input of the same request, less what
// its reads and writes cost. It is below 0 where writes cost more than reads
// saved. cost is what the request paid for a meter. cached says that there is
// cached input; known is false where a price is not known of it or, as the
// request had none of it, of plain input. It is exact, or rounded half to even
// at 12 digits.
func CacheSaving(u Usage, cost func(Meter) (Money, bool)) (saved Money, cached, known bool) {
	var all sum
	known = true
	for m, n := range u.All {
		plain, isCache := plainMeters[m]
		if !isCache || n == 0 {
			continue
		}
		cached = true
		of, _ := u.Get(plain)
		whole, ok1 := cost(plain)
		paid, ok2 := cost(m)
		if !ok1 || !ok2 || of == 0 || whole.Sign() < 0 {
			known = false
			continue
		}
		all.add(scale(whole, uint64(n), uint64(of)))
		all.add(amount{whole: paid.Neg()})
	}
	if !cached || !known {
		return Money{}, cached, false
	}
	return all.money(), true, true
}
