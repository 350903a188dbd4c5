package mediatype

// byExtension maps extensions, in lower case and without the dot. Text has
// charset=utf-8; XML and JSON say or imply their own encoding. Where there is
// a registered type and an older name that players know better, it is the
// latter.
var byExtension = map[string]string{
	// manifests and playlists
	"mpd":  "application/dash+xml",          // ISO/IEC 23009-1
	"m3u8": "application/vnd.apple.mpegurl", // RFC 8216 section 4
	"m3u":  "audio/x-mpegurl",
	"pls":  "audio/x-scpls",
	"xspf": "application/xspf+xml",
	"f4m":  "application/f4m+xml",
	"smil": "application/smil+xml",
	"sdp":  "application/sdp",

	// segments and files of ISO media
	"mp4":  "video/mp4",
	"m4v":  "video/mp4",
	"mp4v": "video/mp4",
	"ismv": "video/mp4",
	"m4a":  "audio/mp4",
	"mp4a": "audio/mp4",
	"m4b":  "audio/mp4",
	"isma": "audio/mp4",
	"m4s":  "video/iso.segment",
	"cmfv": "video/mp4", // CMAF, ISO/IEC 23000-19
	"cmfa": "audio/mp4",
	"cmft": "application/mp4",
	"cmfm": "application/mp4",
	"mov":  "video/quicktime",
	"qt":   "video/quicktime",
	"3gp":  "video/3gpp",
	"3g2":  "video/3gpp2",

	// other video
	"ts":   "video/mp2t",
	"m2ts": "video/mp2t",
	"mts":  "video/mp2t",
	"mpg":  "video/mpeg",
	"mpeg": "video/mpeg",
	"m1v":  "video/mpeg",
	"m2v":  "video/mpeg",
	"webm": "video/webm",
	"mkv":  "video/x-matroska",
	"ogv":  "video/ogg", // RFC 5334
	"avi":  "video/x-msvideo",
	"flv":  "video/x-flv",
	"wmv":  "video/x-ms-wmv",
	"mxf":  "application/mxf",

	// other audio
	"aac":  "audio/aac",
	"adts": "audio/aac",
	"mp3":  "audio/mpeg",
	"mp2":  "audio/mpeg",
	"mpga": "audio/mpeg",
	"ogg":  "audio/ogg",
	"oga":  "audio/ogg",
	"opus": "audio/ogg", // RFC 7845 section 9
	"spx":  "audio/ogg",
	"ogx":  "application/ogg",
	"flac": "audio/flac",
	"wav":  "audio/wav",
	"weba": "audio/webm",
	"mka":  "audio/x-matroska",
	"ac3":  "audio/ac3",
	"ec3":  "audio/eac3",
	"eac3": "audio/eac3",
	"ac4":  "audio/ac4",
	"amr":  "audio/amr",
	"aif":  "audio/aiff",
	"aiff": "audio/aiff",
	"wma":  "audio/x-ms-wma",
	"mid":  "audio/midi",
	"midi": "audio/midi",

	// subtitles
	"vtt":    "text/vtt; charset=utf-8",
	"webvtt": "text/vtt; charset=utf-8",
	"srt":    "application/x-subrip",
	"ttml":   "application/ttml+xml",
	"dfxp":   "application/ttml+xml",
	"imsc":   "application/ttml+xml",
	"imsc1":  "application/ttml+xml",
	"ssa":    "text/x-ssa; charset=utf-8",
	"ass":    "text/x-ssa; charset=utf-8",
	"lrc":    "text/plain; charset=utf-8",

	// pages
	"html":        "text/html; charset=utf-8",
	"htm":         "text/html; charset=utf-8",
	"xhtml":       "application/xhtml+xml",
	"css":         "text/css; charset=utf-8",
	"js":          "text/javascript; charset=utf-8", // RFC 9239
	"mjs":         "text/javascript; charset=utf-8",
	"wasm":        "application/wasm",
	"json":        "application/json",
	"map":         "application/json",
	"webmanifest": "application/manifest+json",
	"jsonld":      "application/ld+json",
	"geojson":     "application/geo+json",
	"ndjson":      "application/x-ndjson",
	"jsonl":       "application/x-ndjson",
	"xml":         "application/xml",
	"xsl":         "application/xml",
	"xslt":        "application/xslt+xml",
	"xsd":         "application/xml",
	"rss":         "application/rss+xml",
	"atom":        "application/atom+xml",

	// text
	"txt":      "text/plain; charset=utf-8",
	"text":     "text/plain; charset=utf-8",
	"log":      "text/plain; charset=utf-8",
	"conf":     "text/plain; charset=utf-8",
	"ini":      "text/plain; charset=utf-8",
	"md":       "text/markdown; charset=utf-8", // RFC 7763
	"markdown": "text/markdown; charset=utf-8",
	"csv":      "text/csv; charset=utf-8",
	"tsv":      "text/tab-separated-values; charset=utf-8",
	"ics":      "text/calendar; charset=utf-8",
	"vcf":      "text/vcard; charset=utf-8",
	"yaml":     "application/yaml", // RFC 9512
	"yml":      "application/yaml",
	"toml":     "application/toml",
	"sh":       "application/x-sh",
	"rtf":      "application/rtf",

	// images
	"png":  "image/png",
	"apng": "image/apng",
	"jpg":  "image/jpeg",
	"jpeg": "image/jpeg",
	"jpe":  "image/jpeg",
	"gif":  "image/gif",
	"webp": "image/webp",
	"avif": "image/avif",
	"heic": "image/heic",
	"heif": "image/heif",
	"jxl":  "image/jxl",
	"svg":  "image/svg+xml",
	"ico":  "image/vnd.microsoft.icon",
	"bmp":  "image/bmp",
	"tif":  "image/tiff",
	"tiff": "image/tiff",

	// fonts
	"woff":  "font/woff",
	"woff2": "font/woff2",
	"ttf":   "font/ttf",
	"otf":   "font/otf",
	"ttc":   "font/collection",
	"eot":   "application/vnd.ms-fontobject",

	// documents and archives
	"pdf":  "application/pdf",
	"epub": "application/epub+zip",
	"doc":  "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"ppt":  "application/vnd.ms-powerpoint",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"odt":  "application/vnd.oasis.opendocument.text",
	"ods":  "application/vnd.oasis.opendocument.spreadsheet",
	"odp":  "application/vnd.oasis.opendocument.presentation",
	"zip":  "application/zip",
	"gz":   "application/gzip",
	"tgz":  "application/gzip",
	"zst":  "application/zstd",
	"bz2":  "application/x-bzip2",
	"xz":   "application/x-xz",
	"tar":  "application/x-tar",
	"7z":   "application/x-7z-compressed",
	"rar":  "application/vnd.rar",
	"jar":  "application/java-archive",
	"apk":  "application/vnd.android.package-archive",
	"bin":  octetStream,
	"exe":  octetStream,
	"dll":  octetStream,
	"iso":  octetStream,
	"dmg":  octetStream,
}

// longestExtension is the number of bytes of the longest key above.
const longestExtension = len("webmanifest")
