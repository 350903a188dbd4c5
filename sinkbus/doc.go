// Package sinkbus holds the one mechanism behind everything that is written
// and read at the same time: the Stream, an append-only log with one writer and
// any number of readers, and the Bus, which finds streams by name.
//
// A reader gets slices of the log's own blocks: nothing is copied and nothing
// allocated for each reader, and no lock is held while a reader uses a slice.
// A log keeps all of its bytes in memory, or a bounded tail in memory and the
// rest in a file, or a bounded tail and nothing else.
//
// Dir stores streams as files of a directory so that each appears under its
// name whole or not at all.
//
// # Lock order
//
// A path's lock (Files) comes before Files.foldersMu, Bus.mu and Stream.mu.
// Nothing else is locked, and none of them is held while bytes are read from a
// producer or handed to a reader.
package sinkbus
