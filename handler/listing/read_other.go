//go:build !unix || aix

package listing

import "os"

// read implements Read with what the os package offers. On Windows sizes and
// times come with the names, so it costs no call per entry there.
func read(root *os.Root, rel string, skip func(name string) bool) ([]Entry, error) {
	dir, err := root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	found, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}

	entries := make([]Entry, 0, len(found))
	for _, d := range found {
		name := d.Name()
		if skip(name) {
			continue
		}
		// on Windows, reparse points other than links are irregular; where
		// they lead is for os.Root to judge as well
		if d.Type()&(os.ModeSymlink|os.ModeIrregular) != 0 {
			if e, ok := readLink(root, rel, name); ok {
				entries = append(entries, e)
			}
			continue
		}
		info, err := d.Info()
		if err != nil {
			continue
		}
		if e, ok := entryOf(name, info); ok {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
