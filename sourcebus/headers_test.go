package sourcebus

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-httpout/httpout/sinkbus"
)

func TestPropertiesOfHeaders(t *testing.T) {
	for _, tc := range []struct {
		name   string
		header string
		want   sinkbus.Properties
	}{
		{"nothing", "Content-Type: audio/mpeg", sinkbus.Properties{}},
		{
			"what ffmpeg sends", "Ice-Name: My radio\nIce-Description: all day\nIce-URL: http://radio.example\nIce-Genre: jazz\nIce-Public: 1",
			sinkbus.Properties{ServiceName: "My radio", Meta: map[string]string{
				"ice-description": "all day", "ice-url": "http://radio.example", "ice-genre": "jazz", "ice-public": "1",
			}},
		},
		{
			"kilobits", "ice-audio-info: bitrate=128;samplerate=44100;channels=2\nice-bitrate: 64",
			sinkbus.Properties{SampleRate: 44100, Channels: 2, Bitrate: 128000},
		},
		{
			"bits", "ice-audio-info: samplerate=22050;channels=1;bitrate=48000",
			sinkbus.Properties{SampleRate: 22050, Channels: 1, Bitrate: 48000},
		},
		{
			"with prefixes", "ice-audio-info: ice-samplerate=48000; ICE-Bitrate=Quality 4 ;ice-channels=2;ice-quality=4\nice-bitrate: 96",
			sinkbus.Properties{SampleRate: 48000, Channels: 2, Bitrate: 96000},
		},
		{
			"what Icecast answers", "icy-br:192, 192\nicy-description:d\nicy-genre:g\nicy-name:n\nicy-pub:0\nicy-url:u\nicy-metaint:16000\nice-audio-info: bitrate=192",
			sinkbus.Properties{ServiceName: "n", Bitrate: 192000, Meta: map[string]string{
				"icy-description": "d", "icy-genre": "g", "icy-pub": "0", "icy-url": "u",
			}},
		},
		{
			"what SHOUTcast answers", "icy-notice1: <BR>\nicy-name: n\nicy-br: 64\nicy-sr: 44100\nicy-reset: 1",
			sinkbus.Properties{ServiceName: "n", SampleRate: 44100, Bitrate: 64000, Meta: map[string]string{"icy-notice1": "<BR>"}},
		},
		{
			"list and first", "icy-br: 192, 64", sinkbus.Properties{Bitrate: 192000},
		},
		{
			"both names", "icy-name: old\nice-name: new", sinkbus.Properties{ServiceName: "new"},
		},
		{
			"nonsense", "ice-audio-info: bitrate;=;samplerate=-1;channels=99999999999\nicy-br: -5\nicy-sr: x\nice-name:  \nice-genre:",
			sinkbus.Properties{},
		},
		{
			"Latin-1", "ice-name: Caf\xe9\nice-genre: Čeština",
			sinkbus.Properties{ServiceName: "Café", Meta: map[string]string{"ice-genre": "Čeština"}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.SplitSeq(tc.header, "\n") {
				name, value, _ := strings.Cut(line, ":")
				h.Add(name, value)
			}
			if got := HeaderProperties(h); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}
