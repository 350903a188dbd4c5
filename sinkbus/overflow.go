package sinkbus

import "os"

// overflowFile is a spill in a temporary file without a name.
type overflowFile struct {
	spillFile
	named string // where the system does not let go of the name before Close
}

// newOverflowFile makes a temporary file in the system's folder for them.
func newOverflowFile() (*overflowFile, error) {
	f, err := os.CreateTemp("", tempPrefix+"*"+uploadSuffix)
	if err != nil {
		return nil, err
	}
	t := &overflowFile{spillFile: spillFile{f}}
	if os.Remove(f.Name()) != nil {
		t.named = f.Name()
	}
	return t, nil
}

// Close gives the file up.
func (t *overflowFile) Close() error {
	err := t.spillFile.Close()
	if t.named != "" {
		return os.Remove(t.named)
	}
	return err
}
