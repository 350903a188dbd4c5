package encoding

import (
	"strings"
	"testing"
)

var negotiations = []struct {
	name, accept string
	want         Encoding
}{
	{"missing", "", Identity},
	{"one", "gzip", Gzip},
	{"preference", "deflate, gzip, zstd", Zstd},
	{"preference without zstd", "deflate, gzip, br", Gzip},
	{"browser", "gzip, deflate, br, zstd", Zstd},
	{"deflate alone", "deflate", Deflate},
	{"unknown alone", "br, compress", Identity},
	{"case", "GZip", Gzip},
	{"alias", "x-gzip", Gzip},
	{"alias refused", "x-gzip;q=0", Identity},
	{"weights", "zstd;q=0.5, gzip;q=0.8, deflate;q=0.7", Gzip},
	{"thousandths", "zstd;q=0.998,gzip;q=0.999", Gzip},
	{"equal weights", "gzip;q=0.5, zstd;q=0.5", Zstd},
	{"refused", "zstd;q=0, gzip;q=0.0, deflate;q=0.000", Identity},
	{"space", " \tgzip \t; \tq=0.5 ,, ", Gzip},
	{"upper-case q", "gzip;Q=0.5, zstd;Q=0.4", Gzip},
	{"any", "*", Zstd},
	{"any but", "*, zstd;q=0", Gzip},
	{"any less", "gzip;q=0.5, *;q=0.4", Gzip},
	{"any more", "gzip;q=0.4, *;q=0.5", Zstd},
	{"none of any", "*;q=0", Identity},
	{"gzip or nothing", "gzip, *;q=0", Gzip},
	{"identity", "identity", Identity},
	{"identity as good", "identity, gzip", Gzip},
	{"identity better", "identity, gzip;q=0.5", Identity},
	{"identity worse", "identity;q=0.5, gzip;q=0.6", Gzip},
	{"identity refused", "identity;q=0", Identity},
	{"identity refused, gzip accepted", "identity;q=0, gzip;q=0.1", Gzip},
	{"everything refused", "identity;q=0, *;q=0", Identity},
	{"last counts", "gzip;q=0, gzip", Gzip},
	{"last refuses", "gzip, gzip;q=0", Identity},
	{"weight too large", "zstd;q=1.001, gzip", Gzip},
	{"weight of two", "zstd;q=2, gzip", Gzip},
	{"weight too long", "zstd;q=0.5000, gzip;q=0.1", Gzip},
	{"weight empty", "zstd;q=, gzip;q=0.1", Gzip},
	{"weight without zero", "zstd;q=.5, gzip;q=0.1", Gzip},
	{"weight no number", "zstd;q=0.x, gzip;q=0.1", Gzip},
	{"weight negative", "zstd;q=-1, gzip;q=0.1", Gzip},
	{"weight ends in a dot", "zstd;q=1., gzip", Zstd},
	{"other parameter", "zstd;level=3, gzip;q=0.1", Gzip},
	{"empty parameter", "zstd;, gzip;q=0.1", Gzip},
	{"two words", "zstd gzip", Identity},
	{"only separators", ",;,;q=1,", Identity},
}

func TestNegotiate(t *testing.T) {
	for _, tc := range negotiations {
		t.Run(tc.name, func(t *testing.T) {
			if got := Negotiate(tc.accept); got != tc.want {
				t.Errorf("%q: got %v, want %v", tc.accept, got, tc.want)
			}
		})
	}
}

func TestNegotiateDoesNotAllocate(t *testing.T) {
	for _, tc := range negotiations {
		if got := testing.AllocsPerRun(100, func() { Negotiate(tc.accept) }); got != 0 {
			t.Errorf("%q: got %v allocations, want 0", tc.accept, got)
		}
	}
}

func TestEncodingString(t *testing.T) {
	for e, want := range map[Encoding]string{Identity: "identity", Zstd: "zstd", Gzip: "gzip", Deflate: "deflate", 99: "unknown"} {
		if got := e.String(); got != want {
			t.Errorf("%d: got %q, want %q", e, got, want)
		}
	}
}

// FuzzNegotiate checks that the choice is one the client named or allowed, and
// that items which are not ours never change it.
func FuzzNegotiate(f *testing.F) {
	for _, tc := range negotiations {
		f.Add(tc.accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := Negotiate(accept)
		if got >= count {
			t.Fatalf("got %d, want a known encoding", got)
		}
		if lower := strings.ToLower(accept); got != Identity && !strings.Contains(lower, got.String()) && !strings.Contains(lower, "*") {
			t.Errorf("got %v, which %q does not accept", got, accept)
		}
		for _, noise := range []string{"br", "gzip;q=7", "zstd;q", ""} {
			if again := Negotiate(accept + "," + noise); again != got {
				t.Errorf("got %v with %q appended to %q, want %v", again, noise, accept, got)
			}
		}
		if refused := Negotiate(accept + ",zstd;q=0,gzip;q=0,deflate;q=0"); refused != Identity {
			t.Errorf("got %v after refusing all with %q, want %v", refused, accept, Identity)
		}
	})
}

func BenchmarkNegotiate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Negotiate("gzip, deflate, br, zstd;q=0.9")
	}
}
