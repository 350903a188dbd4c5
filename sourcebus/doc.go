// Package sourcebus holds inputs and outputs: what fills a bus with streams, and
// what consumes them on this machine.
//
// An Input is a named bus with a Producer, which is a Caddy module of the
// namespace httpout.inputs: others can add kinds of their own. Inputs outlive
// the configuration that they came with for as long as the following ones have
// them unchanged.
package sourcebus
