package sourcebus

import (
	"mime"

	"github.com/caddy-httpout/httpout/handler/mediatype"
	"github.com/caddy-httpout/httpout/sinkbus"
)

// contentType returns the media type of a stream that begins with the given
// bytes: the declared one, or that of its content, or of its name. It is empty
// if it is not known.
func contentType(s *sinkbus.Stream, first []byte) string {
	for _, t := range [...]string{s.MediaType, s.Info().MediaType, mediatype.ByName(s.Name), mediatype.Sniff(first)} {
		if mediatype.Specific(t) {
			return t
		}
	}
	return ""
}

// extensions are those that files of endless formats usually have.
var extensions = map[string]string{
	"application/ogg":  ".ogg",
	"audio/aac":        ".aac",
	"audio/aacp":       ".aac",
	"audio/flac":       ".flac",
	"audio/mp4":        ".m4a",
	"audio/mpeg":       ".mp3",
	"audio/ogg":        ".ogg",
	"audio/opus":       ".opus",
	"audio/wav":        ".wav",
	"audio/webm":       ".weba",
	"audio/x-matroska": ".mka",
	"text/plain":       ".txt",
	"video/mp2t":       ".ts",
	"video/mp4":        ".mp4",
	"video/ogg":        ".ogv",
	"video/webm":       ".webm",
	"video/x-flv":      ".flv",
	"video/x-matroska": ".mkv",
}

// extensionOf returns the extension of files of a media type with its dot, empty
// if there is none that is usual.
func extensionOf(mediaType string) string {
	t, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return ""
	}
	return extensions[t]
}
