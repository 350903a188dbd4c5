// Package encoding compresses small complete files for responses: it chooses
// the content coding, tells what is worth compressing, and keeps the results,
// so that a version of a file is compressed once for all clients.
package encoding
