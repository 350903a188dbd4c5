// Package listing reads directories and shows them, as an HTML page for people
// and as a JSON array for programs.
//
// It knows neither rights nor streams: who may see a directory is decided
// before Read, names to hide are given to Read, and streams in progress are
// added to its result by the caller.
//
// A directory of 10,000 entries must stay cheap. What is left of the cost is one
// stat per entry, so everything else avoids work per entry: no path is built,
// no file information is boxed, and rows are appended to one byte slice.
package listing
