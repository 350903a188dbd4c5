package caddytest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// The encoders that Debian has, each with the command line of the guide for
// radio. They all are to send the tone, and to say the same of the station.
const (
	stationName  = "Test Radio"
	stationGenre = "Jazz"

	sourceUser     = "source"
	sourcePassword = "hackme"
)

// mount is where an encoder is to send to.
type mount struct {
	host   string
	port   int
	path   string // with its extension
	format string // mp3 or ogg
	secure bool   // whether it is to speak TLS
	ca     string // the file with the certificate of the server's authority
	dir    string // for files of the encoder
	tone   string // a file that it may send
}

// encoder is a program that feeds a mount.
type encoder struct {
	name    string
	format  string // mp3 or ogg
	program string
	command func(t testing.TB, program string, m mount) *exec.Cmd
}

// encoders are those that are tested in the clear.
var encoders = []encoder{
	{"ffmpeg", "mp3", "ffmpeg", ffmpegSource()},
	{"ffmpeg", "ogg", "ffmpeg", ffmpegSource()},
	{"ffmpeg-source", "mp3", "ffmpeg", ffmpegSource("-legacy_icecast", "1")},
	{"shout", "mp3", "shout", shoutSource},
	{"shout", "ogg", "shout", shoutSource},
	{"ezstream", "mp3", "ezstream", ezstreamSource},
	{"ices2", "ogg", "ices2", ices2Source},
	{"gstreamer", "mp3", "gst-launch-1.0", gstreamerSource},
	{"gstreamer", "ogg", "gst-launch-1.0", gstreamerSource},
	{"liquidsoap", "mp3", "liquidsoap", liquidsoapSource("")},
	{"liquidsoap-put", "mp3", "liquidsoap", liquidsoapSource(`method="put",`)},
	{"liquidsoap", "ogg", "liquidsoap", liquidsoapSource("")},
}

// secureEncoders are those that can speak TLS.
var secureEncoders = []encoder{
	{"ffmpeg", "mp3", "ffmpeg", ffmpegSource()},
	{"shout", "ogg", "shout", shoutSource},
	{"ezstream", "mp3", "ezstream", ezstreamSource},
	// without the header it names no host in HTTP, and no site is its
	{"liquidsoap", "mp3", "liquidsoap", liquidsoapSource(`protocol="https", headers=[("Host", "localhost")],`)},
}

// encoderNamed returns the encoder of MP3 with a name.
func encoderNamed(name string) encoder {
	return encoders[slices.IndexFunc(encoders, func(e encoder) bool { return e.name == name && e.format == "mp3" })]
}

// mediaType is the type that the encoder declares.
func (e encoder) mediaType() string {
	if e.program == "shout" && e.format == "ogg" {
		return "audio/ogg" // as it is told the usage
	}
	return toneType[e.format]
}

// start starts the encoder.
func (e encoder) start(t testing.TB, m mount) *program {
	t.Helper()
	m.format, m.dir, m.tone = e.format, t.TempDir(), toneFile(t, e.format)
	return startProgram(t, e.command(t, tool(t, e.program), m))
}

// ffmpegSource sends with PUT, or with SOURCE if told so.
func ffmpegSource(options ...string) func(testing.TB, string, mount) *exec.Cmd {
	return func(_ testing.TB, program string, m mount) *exec.Cmd {
		args := append([]string{"-nostdin", "-hide_banner", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", toneSource},
			toneOptions[m.format]...)
		args = append(args, "-content_type", toneType[m.format], "-ice_name", stationName, "-ice_genre", stationGenre)
		args = append(args, options...)
		if m.secure {
			args = append(args, "-tls", "1")
		}
		return exec.Command(program, append(args,
			fmt.Sprintf("icecast://%s:%s@%s:%d%s", sourceUser, sourcePassword, m.host, m.port, m.path))...)
	}
}

// shoutSource sends a file with libshout, by its timing. Debian's shout wants
// the usage before the format.
func shoutSource(t testing.TB, program string, m mount) *exec.Cmd {
	t.Helper()
	args := []string{
		"--host", m.host, "--port", strconv.Itoa(m.port), "--user", sourceUser, "--pass", sourcePassword,
		"--mount", m.path, "--usage", "audio", "--format", m.format,
		"--station-name", stationName, "--station-genre", stationGenre,
	}
	cmd := exec.Command(program, args...)
	if m.secure {
		cmd.Args = append(cmd.Args, "--tls-mode", "rfc2818")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+m.ca)
	}
	file, err := os.Open(m.tone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	cmd.Stdin = file
	return cmd
}

// ezstreamSource sends a file with libshout, by its timing.
func ezstreamSource(t testing.TB, program string, m mount) *exec.Cmd {
	t.Helper()
	tls := "<tls>May</tls>"
	if m.secure {
		tls = "<tls>Required</tls><ca_file>" + m.ca + "</ca_file>"
	}
	format := map[string]string{"mp3": "MP3", "ogg": "Ogg"}[m.format]
	return exec.Command(program, "-c", m.config(t, "ezstream.xml", `
<ezstream>
	<servers>
		<server>
			<hostname>`+m.host+`</hostname>
			<port>`+strconv.Itoa(m.port)+`</port>
			<user>`+sourceUser+`</user>
			<password>`+sourcePassword+`</password>
			`+tls+`
		</server>
	</servers>
	<streams>
		<stream>
			<mountpoint>`+m.path+`</mountpoint>
			<format>`+format+`</format>
			<stream_name>`+stationName+`</stream_name>
			<stream_genre>`+stationGenre+`</stream_genre>
			<stream_bitrate>128</stream_bitrate>
			<stream_samplerate>44100</stream_samplerate>
			<stream_channels>2</stream_channels>
		</stream>
	</streams>
	<intakes>
		<intake>
			<type>file</type>
			<filename>`+m.tone+`</filename>
			<stream_once>Yes</stream_once>
		</intake>
	</intakes>
</ezstream>
`))
}

// ices2Source sends Ogg files as they are, with libshout, by their timing.
func ices2Source(t testing.TB, program string, m mount) *exec.Cmd {
	t.Helper()
	playlist := m.config(t, "playlist.txt", m.tone+"\n")
	return exec.Command(program, m.config(t, "ices.xml", `<?xml version="1.0"?>
<ices>
	<background>0</background>
	<logpath>`+m.dir+`</logpath>
	<logfile>ices.log</logfile>
	<loglevel>3</loglevel>
	<consolelog>1</consolelog>
	<stream>
		<metadata>
			<name>`+stationName+`</name>
			<genre>`+stationGenre+`</genre>
		</metadata>
		<input>
			<module>playlist</module>
			<param name="type">basic</param>
			<param name="file">`+playlist+`</param>
			<param name="once">1</param>
		</input>
		<instance>
			<hostname>`+m.host+`</hostname>
			<port>`+strconv.Itoa(m.port)+`</port>
			<user>`+sourceUser+`</user>
			<password>`+sourcePassword+`</password>
			<mount>`+m.path+`</mount>
		</instance>
	</stream>
</ices>
`))
}

// gstreamerSource encodes the tone and sends it with libshout.
func gstreamerSource(_ testing.TB, program string, m mount) *exec.Cmd {
	args := []string{
		"-e", "audiotestsrc", "is-live=true", "freq=440", "!", "audio/x-raw,rate=44100,channels=2", "!",
	}
	switch m.format {
	case "mp3":
		args = append(args, "lamemp3enc", "target=bitrate", "bitrate=128", "cbr=true", "!")
	case "ogg":
		args = append(args, "vorbisenc", "!", "oggmux", "!")
	}
	cmd := exec.Command(program, append(args, "shout2send", "ip="+m.host, "port="+strconv.Itoa(m.port),
		"username="+sourceUser, "password="+sourcePassword, "mount="+m.path, "streamname="+stationName, "genre="+stationGenre)...)
	// it notes there what its plugins can do
	cmd.Env = append(os.Environ(), "GST_REGISTRY="+filepath.Join(buildDir, "gstreamer"))
	return cmd
}

// liquidsoapSource encodes the tone and sends it with SOURCE, or as it is told.
func liquidsoapSource(options string) func(testing.TB, string, mount) *exec.Cmd {
	return func(t testing.TB, program string, m mount) *exec.Cmd {
		t.Helper()
		format := map[string]string{"mp3": "%mp3(bitrate=128)", "ogg": "%vorbis"}[m.format]
		return exec.Command(program, m.config(t, "radio.liq", `
settings.init.allow_root.set(true)
settings.log.file.set(false)
settings.log.stdout.set(true)
output.icecast(`+format+`, host="`+m.host+`", port=`+strconv.Itoa(m.port)+`, user="`+sourceUser+`", password="`+sourcePassword+`",
	mount="`+m.path+`", name="`+stationName+`", genre="`+stationGenre+`", `+options+` sine(440.))
`))
	}
}

// config writes a file for an encoder that only its owner may read, as it has a
// password, and returns its name.
func (m mount) config(t testing.TB, name, content string) string {
	t.Helper()
	name = filepath.Join(m.dir, name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
