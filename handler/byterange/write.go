package byterange

import "math"

// ParseWriteRange parses the Range header of a partial write, the reference's
// "Range: bytes=a-b[,c-d]" on PUT, POST and PATCH. The grammar is that of
// Parse, but nothing may be ignored: a whole file that is replaced by a part
// of itself is lost.
//
// It returns a *MalformedError (400) where Parse does, for other units, for an
// empty header, and for an a- that is not the last item, since its length is
// what is left of the body; and ErrTooMany (416) for more than MaxRanges
// ranges.
func ParseWriteRange(header string) (Spec, error) {
	s, err := Parse(header)
	if err != nil {
		return Spec{}, err
	}
	if s.Whole() {
		return Spec{}, malformedRange("the unit is not bytes")
	}
	for i := range s.Len() - 1 {
		if s.At(i).Form == Open {
			return Spec{}, malformedRange("only the last range may be without an end")
		}
	}
	return s, nil
}

// WritePlan says where the bytes of the body of a partial write go.
type WritePlan struct {
	// The target of each run of the body, in the body's order. While Open is
	// true, the last one has the Length 0: it takes all that is left.
	Ranges []Range

	// Whether the length of the last range is not known before the body's
	// end, as of "bytes=a-" when the body is chunked. Finish sets it.
	Open bool

	size int64 // of the file before the write
}

// PlanWrite checks the Range and Content-Range headers of a partial write,
// either of them "" if absent, against a file of size bytes: 0 if there is no
// file yet. body is the length of the request's body in bytes if it is
// declared. If it is not, body is -1, and Finish makes the checks that are left
// when the body has been read.
//
// A range may begin at most at the size that the file has after the ranges
// before it, which is an append. A suffix is the last bytes of the file as it
// is before the write.
//
// The errors are those of ParseWriteRange and ParseContentRange, and
//   - ErrNoRange (400) if both headers are absent,
//   - ErrUnsatisfiable (416) for a range that begins too late, and for a
//     suffix of no bytes,
//   - a *MismatchError (400) if the headers disagree, if the Content-Range
//     gives a size that is neither that of the file nor the one it has after
//     an append, or if the body is not as long as the ranges.
func PlanWrite(rangeHeader, contentRange string, body, size int64) (WritePlan, error) {
	if rangeHeader == "" && contentRange == "" {
		return WritePlan{}, ErrNoRange
	}
	size = max(size, 0)

	// both are parsed before anything is compared, so that a malformed one is
	// reported as such
	var spec Spec
	var cr ContentRange
	var err error
	if rangeHeader != "" {
		if spec, err = ParseWriteRange(rangeHeader); err != nil {
			return WritePlan{}, err
		}
	}
	if contentRange != "" {
		if cr, err = ParseContentRange(contentRange); err != nil {
			return WritePlan{}, err
		}
		if rangeHeader != "" && !agree(spec, cr, size) {
			return WritePlan{}, mismatch("the Range and Content-Range headers disagree")
		}
		// from here on it is all that counts: it has the end that a- lacks
		spec = Spec{first: Item{Form: Closed, First: cr.Start, Last: cr.End}}
	}

	p := WritePlan{Ranges: make([]Range, 0, spec.Len()), size: size}
	if err := p.addAll(spec); err != nil {
		return WritePlan{}, err
	}
	if contentRange != "" && cr.Size >= 0 && cr.Size != size && cr.Size != p.NewSize() {
		return WritePlan{}, mismatch("the Content-Range says %d bytes, but the file has %d", cr.Size, size)
	}
	if body >= 0 {
		if err := p.Finish(body); err != nil {
			return WritePlan{}, err
		}
	}
	return p, nil
}

// agree reports whether a Range asks for what the Content-Range says the body
// is.
func agree(spec Spec, cr ContentRange, size int64) bool {
	it, ok := spec.Single()
	if !ok {
		return false
	}
	switch it.Form {
	case Closed:
		return it.First == cr.Start && it.Last == cr.End
	case Open:
		return it.First == cr.Start
	default:
		r, ok := it.resolve(size)
		return ok && r == cr.Range()
	}
}

// addAll appends the targets of the items.
func (p *WritePlan) addAll(spec Spec) error {
	end, total := p.size, int64(0) // of the file so far, of the ranges
	for i := range spec.Len() {
		it := spec.At(i)
		if it.Form == Suffix {
			r, ok := it.resolve(p.size)
			if !ok {
				return ErrUnsatisfiable
			}
			it = Item{Form: Closed, First: r.Start, Last: r.End()}
		}
		if it.First > end || it.First == math.MaxInt64 {
			return ErrUnsatisfiable
		}
		r := Range{Start: it.First}
		if it.Form == Open {
			p.Open = true
		} else {
			r = it.Range()
			if it.Last == math.MaxInt64 || r.Length > math.MaxInt64-total {
				return mismatch("the ranges are longer than any body")
			}
			total += r.Length
			end = max(end, it.Last+1)
		}
		p.Ranges = append(p.Ranges, r)
	}
	return nil
}

// BodyLength returns how many bytes the body must have, or, while Open is
// true, how many at least. Unless Open is true, a longer body need not be read
// to its end: Finish will refuse it.
func (p *WritePlan) BodyLength() int64 {
	n := Total(p.Ranges)
	if p.Open {
		return addCapped(n, 1)
	}
	return n
}

// NewSize returns the size of the file after the write, in bytes. While Open
// is true it leaves the last range out.
func (p *WritePlan) NewSize() int64 {
	n := p.size
	for _, r := range p.Ranges {
		n = max(n, r.Start+r.Length)
	}
	return n
}

// Finish checks the length of the body, in bytes, against the ranges and gives
// a last range without an end what the others left of it. It returns a
// *MismatchError (400) if body is not what BodyLength says.
func (p *WritePlan) Finish(body int64) error {
	want := Total(p.Ranges)
	switch {
	case !p.Open && body == want:
		return nil
	case !p.Open:
		return mismatch("the body has %d bytes, the ranges have %d", body, want)
	case body <= want:
		return mismatch("the body has %d bytes, the ranges have at least %d", body, p.BodyLength())
	}
	last := &p.Ranges[len(p.Ranges)-1]
	if last.Start > math.MaxInt64-(body-want) {
		return mismatch("the body is longer than any file")
	}
	last.Length, p.Open = body-want, false
	return nil
}
