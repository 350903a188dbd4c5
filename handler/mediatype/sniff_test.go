package mediatype

import (
	"bytes"
	"mime"
	"strings"
	"testing"
)

// frames is n frames of size bytes that begin with header.
func frames(header string, size, n int) string {
	return strings.Repeat(header+strings.Repeat("\xaa", size-len(header)), n)
}

// packets is n packets of a transport stream.
func packets(n int) string { return frames("\x47\x40\x00\x10", 188, n) }

// id3 is a tag with size bytes of content.
func id3(flags byte, size int) string {
	tag := []byte{'I', 'D', '3', 4, 0, flags, 0, 0, byte(size >> 7), byte(size & 0x7f)}
	return string(tag) + strings.Repeat("\x00", size)
}

// ogg is the first page of a stream, with one segment.
func ogg(codec string) string {
	return "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01" + "\x1e" + codec
}

// ebml is the header of a file with the DocType given, its length included.
func ebml(docType string) string {
	return "\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82" + docType + "\x42\x87\x81\x04"
}

const (
	adts  = "\xff\xf1\x50\x80\x0c\x9f\xfc" // 44.1 kHz, stereo, 100 bytes
	mp3   = "\xff\xfb\x90\x64"             // 128 kb/s at 44.1 kHz: 417 bytes
	mp3v2 = "\xff\xf3\x40\xc4"             // 32 kb/s at 22.05 kHz: 104 bytes
	mp2   = "\xff\xfd\xa4\x00"             // 192 kb/s at 48 kHz: 576 bytes
	xml   = `<?xml version="1.0" encoding="UTF-8"?>`
)

var sniffs = []struct{ name, data, want string }{
	{"transport stream", packets(6), "video/mp2t"},
	{"two packets", packets(2), "video/mp2t"},
	{"one packet and a byte", packets(1) + "\x47", "video/mp2t"},
	{"one packet", packets(1), "application/octet-stream"},
	{"lost sync", packets(3) + "\x00" + packets(2), "application/octet-stream"},

	{"mp4", "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "video/mp4"},
	{"cmaf", "\x00\x00\x00\x1cftypiso6\x00\x00\x00\x00iso6cmfcdash", "video/mp4"},
	{"short ftyp", "\x00\x00\x00\x18ftyp", "video/mp4"},
	{"m4a", "\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00", "audio/mp4"},
	{"quicktime", "\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "video/quicktime"},
	{"3gp", "\x00\x00\x00\x14ftyp3gp5\x00\x00\x00\x00", "video/3gpp"},
	{"avif", "\x00\x00\x00\x14ftypavif\x00\x00\x00\x00", "image/avif"},
	{"heic", "\x00\x00\x00\x14ftypheic\x00\x00\x00\x00", "image/heic"},
	{"heif", "\x00\x00\x00\x14ftypmif1\x00\x00\x00\x00", "image/heif"},
	{"styp", "\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00", "video/iso.segment"},
	{"moof", "\x00\x00\x01\x18moof\x00\x00\x00\x10mfhd", "video/iso.segment"},
	{"sidx", "\x00\x00\x00\x2csidx\x00\x00\x00\x00", "video/iso.segment"},
	{"emsg", "\x00\x00\x00\x2cemsg\x00\x00\x00\x00", "video/iso.segment"},
	{"prft", "\x00\x00\x00\x18prft\x00\x00\x00\x00", "video/iso.segment"},
	{"moov", "\x00\x00\x02\x18moov\x00\x00\x00\x6cmvhd", "video/mp4"},
	{"box too small", "\x00\x00\x00\x07moof\x00\x00\x00\x00", "application/octet-stream"},

	{"aac", frames(adts, 100, 5), "audio/aac"},
	{"aac with check", frames("\xff\xf0\x50\x80\x0c\x9f\xfc", 100, 5), "audio/aac"},
	{"aac, one frame", frames(adts, 100, 1), "audio/aac"},
	{"aac, a part of a frame", adts + "\x21\x00", "audio/aac"},
	{"aac after a tag", id3(0, 63) + frames(adts, 100, 5), "audio/aac"},
	{"aac after two tags", id3(0x10, 200) + "3DI1234567" + id3(0, 0) + frames(adts, 100, 5), "audio/aac"},
	{"aac then garbage", frames(adts, 100, 1) + "\x00garbage...", "application/octet-stream"},
	{"mp3", frames(mp3, 417, 3), "audio/mpeg"},
	{"mp3, a part of a frame", mp3 + strings.Repeat("\x00", 50), "audio/mpeg"},
	{"mp3 of low rate", frames(mp3v2, 104, 3), "audio/mpeg"},
	{"mp2", frames(mp2, 576, 3), "audio/mpeg"},
	{"mp3 after a tag", id3(0, 300) + frames(mp3, 417, 3), "audio/mpeg"},
	{"a long tag", id3(0, 16000)[:1024], "audio/mpeg"},
	{"flac", "fLaC\x00\x00\x00\x22", "audio/flac"},
	{"flac after a tag", id3(0, 10) + "fLaC\x00\x00\x00\x22", "audio/flac"},
	{"wav", "RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"},

	{"vorbis", ogg("\x01vorbis\x00\x00"), "audio/ogg"},
	{"opus", ogg("OpusHead\x01\x02"), "audio/ogg"},
	{"flac in ogg", ogg("\x7fFLAC\x01\x00"), "audio/ogg"},
	{"speex", ogg("Speex   1.2"), "audio/ogg"},
	{"theora", ogg("\x80theora\x03\x02"), "video/ogg"},
	{"skeleton", ogg("fishead\x00"), "application/ogg"},
	{"short ogg", "OggS\x00\x02", "application/ogg"},
	{"webm", ebml("\x84webm"), "video/webm"},
	{"webm by libmatroska", ebml("\x84webm") + "\x4d\x80\x8blibmatroska", "video/webm"},
	{"matroska", ebml("\x88matroska"), "video/x-matroska"},
	{"matroska with a long length", ebml("\x01\x00\x00\x00\x00\x00\x00\x08matroska"), "video/x-matroska"},
	{"short ebml", "\x1a\x45\xdf\xa3\x42\x82", "video/webm"},

	{"hls", "#EXTM3U\n#EXT-X-VERSION:7\n", "application/vnd.apple.mpegurl"},
	{"hls with a mark", "\xef\xbb\xbf#EXTM3U\r\n", "application/vnd.apple.mpegurl"},
	{"no hls", "#EXTM3U8", "text/plain; charset=utf-8"},
	{"vtt", "WEBVTT - title\n\n", "text/vtt; charset=utf-8"},
	{"dash", xml + "\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">", "application/dash+xml"},
	{"dash alone", "<MPD>", "application/dash+xml"},
	{"dash after comments", "\xef\xbb\xbf " + xml + "<!-- a --> <!-- <b> -->\r\n<MPD\n", "application/dash+xml"},
	{"no dash", xml + "<MPDX>", "text/xml; charset=utf-8"},
	{"dash in a comment", xml + "<!-- <MPD> -->", "text/xml; charset=utf-8"},
	{"unended comment", "<!-- <MPD>", "text/html; charset=utf-8"},
	{"ttml", xml + `<tt xmlns="http://www.w3.org/ns/ttml">`, "application/ttml+xml"},
	{"ttml with a prefix", `<tt:tt xmlns:tt="x">`, "application/ttml+xml"},

	{"html", "<!DOCTYPE html><p>", "text/html; charset=utf-8"},
	{"png", "\x89PNG\x0d\x0a\x1a\x0a", "image/png"},
	{"jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"},
	{"text", "Good morning", "text/plain; charset=utf-8"},
	{"utf-16", "\xff\xfea\x00b\x00c\x00d\x00", "text/plain; charset=utf-16le"},
	{"binary", "\x00\x01\x02\x03\x04\x05\x06\x07\x08", "application/octet-stream"},
	{"empty", "", "text/plain; charset=utf-8"},
}

func TestSniff(t *testing.T) {
	for _, tc := range sniffs {
		t.Run(tc.name, func(t *testing.T) {
			if got := Sniff([]byte(tc.data)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzSniff checks that any content has a well-formed type, and that bytes behind
// SniffLen matter only after an ID3 tag.
func FuzzSniff(f *testing.F) {
	for _, tc := range sniffs {
		f.Add([]byte(tc.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Sniff(data)
		if _, _, err := mime.ParseMediaType(got); err != nil {
			t.Errorf("got %q, want a media type", got)
		}
		if len(data) > SniffLen && !bytes.HasPrefix(data, []byte("ID3")) && got != "audio/aac" && got != "audio/mpeg" {
			if short := Sniff(data[:SniffLen]); short != got && short != "audio/aac" && short != "audio/mpeg" {
				t.Errorf("got %q from all and %q from the beginning", got, short)
			}
		}
	})
}
