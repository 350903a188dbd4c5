package icy

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func TestProperties(t *testing.T) {
	for _, tc := range []struct {
		name, header, value, want string
	}{
		{"name", "ice-name", " My Radio ", "{ServiceName:My Radio}"},
		{"listener's name", "Icy-Name", "Radio", "{ServiceName:Radio}"},
		{"audio info", "Ice-Audio-Info", "ice-samplerate=44100;ice-bitrate=128;ice-channels=2", "{SampleRate:44100 Channels:2 Bitrate:128000}"},
		{"plain audio info", "ice-audio-info", "samplerate=48000;channels=1;bitrate=64000;quality=3", "{SampleRate:48000 Channels:1 Bitrate:64000}"},
		{"video info", "ice-video-info", "width=640;height=360", "{Width:640 Height:360}"},
		{"bit rate", "icy-br", "128, 128", "{Bitrate:128000}"},
		{"bit rate of a source", "ice-bitrate", "Quality 3", "{}"},
		{"genre", "ice-genre", "jazz", "{Meta:map[ice-genre:jazz]}"},
		{"listener's genre", "icy-genre", "jazz", "{Meta:map[ice-genre:jazz]}"},
		{"of the connection", "icy-metaint", "16000", "{}"},
		{"pairs with prefixes", "ice-audio-info", "ice-samplerate=48000; ICE-Bitrate=Quality 4 ;ice-quality=4", "{SampleRate:48000}"},
		{"nonsense", "ice-audio-info", "bitrate;=;samplerate=-1;channels=99999999999", "{}"},
		{"empty", "ice-genre", " ", "{}"},
		{"Latin-1", "ice-name", "Caf\xe9", "{ServiceName:Café}"},
		{"bits", "icy-br", "96000", "{Bitrate:96000}"},
		{"sample rate", "icy-sr", "44100", "{SampleRate:44100}"},
		{"public", "ice-public", "1", "{Meta:map[ice-public:1]}"},
		{"notice", "icy-notice1", "<BR>", "{}"},
		{"other", "Content-Type", "audio/mpeg", "{}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{tc.header: {tc.value}}
			if got := describe(Properties(h)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// describe names the fields that are set.
func describe(p sinkbus.Properties) string {
	s := ""
	add := func(name string, v any, set bool) {
		if set {
			if s != "" {
				s += " "
			}
			s += fmt.Sprintf("%s:%v", name, v)
		}
	}
	add("ServiceName", p.ServiceName, p.ServiceName != "")
	add("SampleRate", p.SampleRate, p.SampleRate != 0)
	add("Channels", p.Channels, p.Channels != 0)
	add("Bitrate", p.Bitrate, p.Bitrate != 0)
	add("Width", p.Width, p.Width != 0)
	add("Height", p.Height, p.Height != 0)
	add("Meta", p.Meta, p.Meta != nil)
	return "{" + s + "}"
}

func TestPropertiesOfBothKinds(t *testing.T) {
	h := http.Header{
		"Icy-Name": {"old"}, "Ice-Name": {"new"}, "Icy-Genre": {"old"}, "Ice-Genre": {"new"},
		"Ice-Bitrate": {"64"}, "Icy-Br": {"32"}, "Ice-Audio-Info": {"bitrate=128"},
	}
	for range 10 { // as maps have no order
		if got, want := describe(Properties(h)), "{ServiceName:new Bitrate:128000 Meta:map[ice-genre:new]}"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestSetHeader(t *testing.T) {
	h := make(http.Header)
	SetHeader(h, sinkbus.Properties{
		ServiceName: "Radio", SampleRate: 44100, Bitrate: 128000, Width: 640, Height: 360,
		Meta: map[string]string{"ice-genre": "jazz", "ice-bad": "a\r\nb", "other": "x"},
	})
	want := "map[ice-audio-info:[samplerate=44100;bitrate=128000] ice-genre:[jazz] ice-video-info:[width=640;height=360] icy-br:[128] icy-genre:[jazz] icy-name:[Radio] icy-pub:[1]]"
	if got := fmt.Sprint(h); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// what was set is understood by those who relay it
	back := make(http.Header)
	for name, values := range h {
		back.Set(name, values[0])
	}
	if got := Properties(back); got.ServiceName != "Radio" || got.SampleRate != 44100 || got.Bitrate != 128000 || got.Width != 640 {
		t.Errorf("got %+v back", got)
	}
	empty := make(http.Header)
	SetHeader(empty, sinkbus.Properties{})
	if got := fmt.Sprint(empty); got != "map[icy-pub:[1]]" {
		t.Errorf("of nothing: got %s", got)
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("ice-audio-info", "samplerate=1;;=,bitrate=")
	f.Add("icy-br", ",")
	f.Fuzz(func(_ *testing.T, name, value string) {
		SetHeader(make(http.Header), Properties(http.Header{name: {value}}))
	})
}
