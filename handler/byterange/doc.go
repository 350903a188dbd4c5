// Package byterange holds the rules of byte ranges (RFC 9110 section 14) as
// plain functions: no I/O, no HTTP types, no Caddy.
//
// Reading takes two steps, because what a Range header asks for is known
// before the size of a stream in progress is:
//
//	spec, err := byterange.Parse(header)   // err: 416
//	if spec.Whole() { ... }                // 200: no Range, or another unit
//	ranges, err := spec.Resolve(size)      // err: 416 with Unsatisfied(size)
//
// Partial writes take one call when the length of the body is declared and
// two when it is not:
//
//	plan, err := byterange.PlanWrite(rangeHeader, contentRange, bodyLength, size)
//	...                                    // read the body, count its bytes
//	err = plan.Finish(n)
//
// The errors of this package are *MalformedError, *MismatchError, ErrTooMany,
// ErrUnsatisfiable and ErrNoRange. On reads all of them mean 416. On writes
// ErrTooMany and ErrUnsatisfiable mean 416 and the others 400.
package byterange
