package proxy

import (
	"hash/maphash"
	"io"
	"net/http"
)

// promptSeed makes the hashes of prompts anew in each process: they tell
// prompts apart and say nothing of them.
var promptSeed = maphash.MakeSeed()

// promptEnds is how much is read of the begin and of the end of a body that
// lies in a file.
const promptEnds = 1 << 20

// hashPrompt is a hash of what a request asks, the same for requests that ask
// the same: of its texts in their order and the reply that it continues,
// whoever asks and however it is to answer. Where not all that a model sees is in them (images, files, tokens,
// very many texts) it is that of the whole body. 0: the request asks nothing.
func (x *Exchange) hashPrompt() uint64 {
	body, v := x.Body.readable(), &x.View
	if x.call.Method != http.MethodPost || body.size == 0 {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(promptSeed)
	switch {
	case body.file != nil:
		_, _ = io.Copy(&h, io.NewSectionReader(body, 0, promptEnds)) // a body that cannot be read fails elsewhere
		_, _ = io.Copy(&h, io.NewSectionReader(body, max(promptEnds, body.size-promptEnds), promptEnds))
		maphash.WriteComparable(&h, body.size)
	case len(v.Texts) > 0 && v.TextRest == 0 && v.Media == 0 && v.TokenIDs == 0:
		for _, s := range v.Texts {
			_, _ = h.Write(body.data[s.Start:s.End])
			_ = h.WriteByte(0)
		}
		_, _ = h.WriteString(v.Previous) // what the vendor keeps is asked, too
	default:
		_, _ = h.Write(body.data)
	}
	return max(1, h.Sum64())
}
