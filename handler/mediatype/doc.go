// Package mediatype tells the media type of a file or stream: from its name, by
// a table of our own, or from its first bytes.
//
// The tables of the operating system are not consulted, so that every machine
// gives the same answer.
package mediatype
