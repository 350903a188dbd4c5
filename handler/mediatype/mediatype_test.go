package mediatype

import (
	"mime"
	"strings"
	"testing"
)

func TestByName(t *testing.T) {
	tests := []struct{ name, want string }{
		{"manifest.mpd", "application/dash+xml"},
		{"live.m3u8", "application/vnd.apple.mpegurl"},
		{"radio.m3u", "audio/x-mpegurl"},
		{"seg_1.m4s", "video/iso.segment"},
		{"a.m4v", "video/mp4"},
		{"a.m4a", "audio/mp4"},
		{"a.mp4", "video/mp4"},
		{"a.cmfv", "video/mp4"},
		{"a.cmfa", "audio/mp4"},
		{"a.cmft", "application/mp4"},
		{"a.cmfm", "application/mp4"},
		{"a.ts", "video/mp2t"},
		{"a.aac", "audio/aac"},
		{"a.mp3", "audio/mpeg"},
		{"a.ogg", "audio/ogg"},
		{"a.oga", "audio/ogg"},
		{"a.ogv", "video/ogg"},
		{"a.opus", "audio/ogg"},
		{"a.flac", "audio/flac"},
		{"a.wav", "audio/wav"},
		{"a.webm", "video/webm"},
		{"a.mkv", "video/x-matroska"},
		{"a.vtt", "text/vtt; charset=utf-8"},
		{"a.srt", "application/x-subrip"},
		{"a.ttml", "application/ttml+xml"},
		{"a.imsc", "application/ttml+xml"},
		{"a.wasm", "application/wasm"},
		{"a.js", "text/javascript; charset=utf-8"},
		{"a.mjs", "text/javascript; charset=utf-8"},
		{"a.css", "text/css; charset=utf-8"},
		{"index.html", "text/html; charset=utf-8"},
		{"a.json", "application/json"},
		{"a.xml", "application/xml"},
		{"a.svg", "image/svg+xml"},
		{"a.txt", "text/plain; charset=utf-8"},
		{"a.md", "text/markdown; charset=utf-8"},
		{"a.webmanifest", "application/manifest+json"},
		{"SEG.M4S", "video/iso.segment"},
		{"/a/b.c/INDEX.Html", "text/html; charset=utf-8"},
		{"a.tar.gz", "application/gzip"},
		{".mp4", "video/mp4"},

		{"", ""},
		{".", ""},
		{"a.", ""},
		{"a", ""},
		{"mp4", ""},
		{"a.mp4/b", ""},
		{"a.mp4/", ""},
		{"a.unknown", ""},
		{"a.webmanifestx", ""},
		{"a.averylongextensionindeed", ""},
		{"a.mp4\x00", ""},
		{"a.Ⅿp4", ""},
	}
	for _, tc := range tests {
		if got := ByName(tc.name); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestTableIsSound(t *testing.T) {
	longest := 0
	for ext, ct := range byExtension {
		longest = max(longest, len(ext))
		if ext != strings.ToLower(ext) || strings.ContainsAny(ext, "./") {
			t.Errorf("%q: got an extension that is never found", ext)
		}
		got, params, err := mime.ParseMediaType(ct)
		if err != nil || mime.FormatMediaType(got, params) != ct {
			t.Errorf("%s: got %q, want a well-formed type", ext, ct)
		}
		if isText := strings.HasPrefix(ct, "text/"); isText != (params["charset"] == "utf-8") {
			t.Errorf("%s: got %q, want charset=utf-8 for text and only for text", ext, ct)
		}
	}
	if longest != longestExtension {
		t.Errorf("got %d as the longest extension, want %d", longestExtension, longest)
	}
}

func TestSpecific(t *testing.T) {
	tests := []struct {
		ct   string
		want bool
	}{
		{"", false},
		{" ", false},
		{"*", false},
		{"*/*", false},
		{"*/*;q=0.8", false},
		{"video/*", false},
		{"application/octet-stream", false},
		{"Application/Octet-Stream; x=y", false},
		{"video", false},
		{"/", false},
		{"video/", false},
		{"/mp4", false},
		{"video/mp4", true},
		{"VIDEO/MP2T", true},
		{" audio/mpeg ; codecs=*", true},
		{"application/octet-stream-x", true},
	}
	for _, tc := range tests {
		if got := Specific(tc.ct); got != tc.want {
			t.Errorf("%q: got %v, want %v", tc.ct, got, tc.want)
		}
	}
}

func TestIsManifest(t *testing.T) {
	tests := []struct {
		name, ct string
		want     bool
	}{
		{"live.mpd", "", true},
		{"/x/LIVE.MPD", "application/octet-stream", true},
		{"live.m3u8", "video/mp2t", true},
		{"radio.m3u", "", true},
		{"live", "application/dash+xml", true},
		{"live", "application/dash+xml; charset=utf-8", true},
		{"live", "application/vnd.apple.mpegURL", true},
		{"live", "Application/X-MpegURL", true},
		{"live", "audio/mpegurl", true},
		{"live", "audio/x-mpegurl", true},
		{"live.m4s", "video/iso.segment", false},
		{"mpd", "", false},
		{"live.mpd/seg.m4s", "", false},
		{"live.mpd.m4s", "", false},
		{"live.xml", "application/xml", false},
		{"", "", false},
	}
	for _, tc := range tests {
		if got := IsManifest(tc.name, tc.ct); got != tc.want {
			t.Errorf("%q, %q: got %v, want %v", tc.name, tc.ct, got, tc.want)
		}
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	data := []byte(strings.Repeat("plain text ", 100))
	got := testing.AllocsPerRun(100, func() {
		ByName("/x/SEGMENT_1.M4S")
		ByName("a.averylongextensionindeed")
		Specific("video/mp4; codecs=avc1")
		IsManifest("x.ts", "Application/Vnd.Apple.MpegURL")
		Sniff(data)
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkByName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ByName("/live/video_1080p/segment_00012345.m4s")
	}
}

func BenchmarkIsManifest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		IsManifest("/live/segment_1.m4s", "video/iso.segment")
	}
}

func BenchmarkSniff(b *testing.B) {
	ts := make([]byte, 1024)
	for i := 0; i < len(ts); i += 188 {
		ts[i] = 0x47
	}
	for name, data := range map[string][]byte{"ts": ts, "text": []byte(strings.Repeat("plain text ", 100))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Sniff(data)
			}
		})
	}
}
