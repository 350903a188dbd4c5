package framing

import (
	"fmt"
	"testing"
	"time"
)

// TestJoins has real players' code decode each format from places to join.
func TestJoins(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			data := s.make(t)
			places, info := follow(t, data, whole)
			played := info.Played
			info.Played = 0
			want := s.info
			if want.Bitrate == 0 {
				info.Bitrate = 0
			}
			if info != want {
				t.Errorf("got %+v, want %+v", info, want)
			}
			if played < 7500*time.Millisecond || played > 8300*time.Millisecond {
				t.Errorf("got %v played, want 8s", played)
			}
			last := int64(0)
			for _, p := range places {
				if p.off-last > 64<<10 {
					t.Errorf("no boundary from %d to %d", last, p.off)
				}
				last = p.off
			}

			joins := joinsOf(places)
			if len(joins) < s.joins {
				t.Fatalf("got %d places to join, want %d", len(joins), s.joins)
			}
			t.Logf("%d bytes, %d boundaries, %d joins, header %d", len(data), len(places), len(joins), len(joins[len(joins)-1].head))
			all, _ := probe(t, data)
			for _, i := range []int{0, len(joins) * 2 / 3} {
				checkJoin(t, s, data, joins[i], all)
			}
			if p := joins[len(joins)/2]; s.loss == 0 {
				decode(t, fmt.Sprintf("joined at %d", p.off), append([]byte(p.head), data[p.off:]...))
			}
		})
	}
}

// checkJoin decodes a stream from a place to join, and compares it with all of it.
func checkJoin(t *testing.T, s sample, data []byte, p place, all []mediaStream) {
	t.Helper()
	streams, errs := probe(t, append([]byte(p.head), data[p.off:]...))
	if errs != "" && s.loss == 0 {
		t.Errorf("joined at %d: %s", p.off, errs)
	}
	if len(streams) != len(all) {
		t.Fatalf("joined at %d: got %d streams, want %d", p.off, len(streams), len(all))
	}
	for i, got := range streams {
		want := all[i]
		if got.Codec != want.Codec || got.Width != want.Width || got.Height != want.Height || got.Rate != want.Rate {
			t.Errorf("joined at %d: got %+v, want %+v", p.off, got, want)
		}
		loss := max(0, want.Packets-want.Frames)
		if got.Type == "audio" {
			loss += s.loss
		}
		if got.Packets == 0 || got.Packets-got.Frames > loss {
			t.Errorf("joined at %d: decoded %d of %d packets of %s, %d of %d in all of it",
				p.off, got.Frames, got.Packets, got.Codec, want.Frames, want.Packets)
		}
	}
}
