package framing

// The audio formats.
var (
	mp3Format  = &audioFormat{mediaType: "audio/mpeg", header: 4, parse: parseMP3}
	adtsFormat = &audioFormat{mediaType: "audio/aac", header: 7, parse: parseADTS}
)

// mp3Bitrates are the bit rates in kb/s by index (ISO 11172-3, 2.4.2.3, and ISO
// 13818-3, 2.4.2.3): MPEG-1 layers I to III, MPEG-2 layer I, and its layers II
// and III. 0 is for the free format, which cannot be followed by length.
var mp3Bitrates = [5][15]int{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// mp3Rates are the sampling rates of MPEG-1. Those of MPEG-2 and MPEG-2.5 are
// the half and the quarter of them.
var mp3Rates = [3]int{44100, 48000, 32000}

// parseMP3 reads the header of a frame of MPEG audio, of 4 bytes.
func parseMP3(p []byte) (audioFrame, bool) {
	if p[0] != 0xFF || p[1]&0xE0 != 0xE0 {
		return audioFrame{}, false
	}
	version := p[1] >> 3 & 3 // 0 is MPEG-2.5, 2 MPEG-2, 3 MPEG-1
	layer := 4 - int(p[1]>>1&3)
	bitrate, rate := int(p[2]>>4), int(p[2]>>2&3)
	if version == 1 || layer == 4 || bitrate == 0 || bitrate == 15 || rate == 3 || p[3]&3 == 2 {
		return audioFrame{}, false
	}
	f := audioFrame{
		samples:  1152,
		rate:     mp3Rates[rate],
		channels: 2,
		key:      uint32(p[1]&^1)<<8 | uint32(p[2]&0x0C),
	}
	row := layer - 1
	switch {
	case version == 3:
	case layer == 1:
		row = 3
	default:
		row = 4
	}
	f.bitrate = mp3Bitrates[row][bitrate] * 1000
	if version != 3 {
		f.rate /= 2
		if layer == 3 {
			f.samples = 576
		}
	}
	if version == 0 {
		f.rate /= 2
	}
	if p[3]>>6 == 3 {
		f.channels = 1
	}
	padding := int(p[2] >> 1 & 1)
	if layer == 1 {
		f.samples = 384
		f.size = (12*f.bitrate/f.rate + padding) * 4
	} else {
		f.size = f.samples/8*f.bitrate/f.rate + padding
	}
	return f, true
}

// adtsRates are the sampling rates by index (ISO 14496-3, 1.6.3.4).
var adtsRates = [13]int{
	96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
}

// parseADTS reads the header of an ADTS frame (ISO 14496-3, 1.A.3.2), of 7 bytes.
func parseADTS(p []byte) (audioFrame, bool) {
	if p[0] != 0xFF || p[1]&0xF6 != 0xF0 {
		return audioFrame{}, false
	}
	rate := int(p[2] >> 2 & 15)
	size := int(p[3]&3)<<11 | int(p[4])<<3 | int(p[5]>>5)
	header := 7
	if p[1]&1 == 0 { // with a checksum
		header = 9
	}
	if rate >= len(adtsRates) || size <= header {
		return audioFrame{}, false
	}
	return audioFrame{
		size:     size,
		samples:  1024 * (int(p[6]&3) + 1),
		rate:     adtsRates[rate],
		channels: aacChannels(p[2]&1<<2 | p[3]>>6),
		key:      uint32(p[1]&0xFE)<<16 | uint32(p[2]&0xFD)<<8 | uint32(p[3]&0xC0),
	}, true
}

// aacChannels returns the number of channels of a configuration (ISO 14496-3,
// 1.6.3.5), 0 if it is told elsewhere.
func aacChannels(config uint8) int {
	switch {
	case config == 7:
		return 8
	case config < 7:
		return int(config)
	default:
		return 0
	}
}
